"""Training as a stage: from the training set to a version that was judged, stored and perhaps promoted."""
