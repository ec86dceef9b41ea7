"""What a person may do to a pipeline: each action tells first what will happen, and does it once."""
