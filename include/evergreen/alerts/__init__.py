"""Alerts: which conditions hold, who is told, once, and that they are over."""

from evergreen.alerts.alert import Alert
from evergreen.alerts.conditions import conditions, judged
from evergreen.alerts.delivery import notify
from evergreen.alerts.stage import alert_on, run_failed, run_late, run_succeeded, watch

__all__ = [
    "Alert",
    "alert_on",
    "conditions",
    "judged",
    "notify",
    "run_failed",
    "run_late",
    "run_succeeded",
    "watch",
]
