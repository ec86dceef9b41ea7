"""Backtest: a range of history replayed under several retraining policies, to compare them."""

from evergreen.backtest.policies import Policy, parse_policy, read_variants
from evergreen.backtest.result import Event, Night, PolicyResult
from evergreen.backtest.run import POLICIES, backtest, ensure_published, run_policies

__all__ = [
    "POLICIES",
    "Event",
    "Night",
    "Policy",
    "PolicyResult",
    "backtest",
    "ensure_published",
    "parse_policy",
    "read_variants",
    "run_policies",
]
