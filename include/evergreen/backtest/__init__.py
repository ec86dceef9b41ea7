"""Backtest: a stretch of history replayed under several policies of retraining, to compare them."""

from evergreen.backtest.policies import Policy, parse_policy
from evergreen.backtest.replay import PolicyResult
from evergreen.backtest.run import POLICIES, backtest, ensure_published

__all__ = ["POLICIES", "Policy", "PolicyResult", "backtest", "ensure_published", "parse_policy"]
