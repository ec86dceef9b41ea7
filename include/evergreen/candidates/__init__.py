"""Candidates for champion: which estimators are allowed, their tuning, and the fit of the best."""
