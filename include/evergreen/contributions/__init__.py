"""What each feature contributes to a prediction: exact Shapley values of tree and linear models."""
