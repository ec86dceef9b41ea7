from __future__ import annotations

from datetime import date
from pathlib import Path

from deploy.embedded.demo import Plan
from deploy.embedded.demo_request import curl


def test_the_plan_is_90_days_and_the_47_after_them() -> None:
    plan = Plan.starting(date(2011, 1, 1))
    assert (plan.history[0], plan.history[-1], len(plan.history)) == ("2011-01-01", "2011-03-31", 90)
    assert (plan.replayed[0], plan.replayed[-1], len(plan.replayed)) == ("2011-04-01", "2011-05-17", 47)
    assert len(set(plan.keys)) == 137


def test_the_command_can_be_copied() -> None:
    assert curl("http://127.0.0.1:8100", "bike_demand", Path("/a folder/request.json")) == (
        "curl -s http://127.0.0.1:8100/v1/pipelines/bike_demand/predict "
        "-H 'Content-Type: application/json' -d '@/a folder/request.json'"
    )
