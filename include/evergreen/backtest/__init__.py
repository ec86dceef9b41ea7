"""Backtest: a range of history replayed under several retraining policies, to compare them."""
