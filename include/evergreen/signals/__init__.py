"""The signals that speak for a training."""
