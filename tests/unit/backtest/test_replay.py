"""The replay of one policy: schedules counted by hand, and nothing seen of the future."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.backtest.history import History
from evergreen.backtest.policies import parse_policy
from evergreen.backtest.replay import replay
from evergreen.backtest.report import render_backtest
from evergreen.backtest.result import PolicyResult
from evergreen.calendar import Length
from evergreen.candidates.fit import fit_challenger
from evergreen.lake import Table
from evergreen.monitoring.promotion import promote_tried
from evergreen.monitoring.record import Decision
from evergreen.monitoring.stage import monitor
from evergreen.monitoring.training_request import retraining_request
from evergreen.pipeline import Pipeline
from evergreen.scoring.predict import partition_features
from evergreen.scoring.score import score
from evergreen.spec import Limit, Spec
from evergreen.storage import Storage
from evergreen.training.stage import train
from evergreen.training_set.assemble import assemble
from evergreen.units import SinceChange

Sales = Callable[..., pd.DataFrame]
Run = Callable[..., PolicyResult]


@pytest.fixture
def run(kiosk: Spec, days: list[str]) -> Run:
    """Replays a policy by name over rows, from a day to another."""

    def call(
        rows: pd.DataFrame, name: str, first: int, last: int, spec: Spec = kiosk, **given: object
    ) -> PolicyResult:
        return replay(spec, History(spec, rows), parse_policy(name), days[first], days[last], **given)

    return call


def by_performance(spec: Spec, **changes: object) -> Spec:
    """The description with no signal but performance: what is trained then is trained for a change."""
    retrain = spec.monitoring.retrain.model_copy(update={"on": ("performance",), "refusals": 20})
    performance = spec.monitoring.performance.model_copy(update=changes)
    update = {"retrain": retrain, "performance": performance}
    return spec.model_copy(update={"monitoring": spec.monitoring.model_copy(update=update)})


@pytest.mark.parametrize(("name", "trainings"), [("never", 1), ("every 7", 5), ("every 10", 3)])
def test_fixed_schedules_by_count(sales: Sales, run: Run, name: str, trainings: int) -> None:
    # 30 days: trainings as of day 10, 17, 24, 31, 38 for every 7
    result = run(sales(), name, 10, 39)
    assert result.trainings == len(result.events) == trainings
    assert result.promotions + result.refusals == trainings
    assert (result.policy, result.metric) == (name, "mae")
    assert result.seconds >= result.fit_seconds > 0
    assert (result.false_alarms, result.delays) == (None, None)


def test_a_schedule_of_every_partition_trains_in_every_night(sales: Sales, run: Run, days: list[str]) -> None:
    result = run(sales(), "every 1", 10, 15)
    assert [event.as_of for event in result.events] == days[10:16]
    assert [event.partition for event in result.events] == [None, *days[10:15]]


def test_the_first_model_waits_for_the_least_history(sales: Sales, run: Run) -> None:
    # `minimum: 10 partitions`: the first five days of the stretch have no champion and are not scored
    seen = run(sales(), "never", 5, 20)
    assert seen.value == run(sales(), "never", 10, 20).value
    none = run(sales(8), "never", 0, 7)
    assert (none.value, none.trainings, none.nights) == (None, 0, ())


def test_the_value_is_the_error_over_all_rows(sales: Sales, run: Run, kiosk: Spec, days: list[str]) -> None:
    rows = sales()
    # Day 12 has one row only: a mean of days would weigh it as much as the others.
    rest = rows[rows["partition"] != days[12]]
    rows = pd.concat([rest, rows[rows["partition"] == days[12]].iloc[:1].assign(sold=500.0)])
    rows = rows.reset_index(drop=True)
    model = fit_challenger(kiosk, assemble(kiosk, rows, days[10], None, {})).final
    errors = []
    for key in days[10:14]:
        features = partition_features(kiosk, rows, key)
        errors.append(np.abs(model.predict(features) - rows.loc[features.index, "sold"]))
    assert [len(error) for error in errors] == [4, 4, 1, 4]
    result = run(rows, "never", 10, 13)
    assert result.value == pytest.approx(float(np.concatenate(errors).mean()))
    assert list(result.by_partition) == days[10:14]
    assert list(result.by_partition.values()) == pytest.approx([float(error.mean()) for error in errors])


def test_the_configured_policy_answers_a_change(sales: Sales, run: Run, kiosk: Spec, days: list[str]) -> None:
    # Three days of hold-out are few for the gate: here it lets what is not far worse pass.
    champion = kiosk.gate.champion.model_copy(update={"margin": 5.0})
    gate = kiosk.gate.model_copy(update={"champion": champion})
    rows, spec = sales(55, growth_from=25), by_performance(kiosk.model_copy(update={"gate": gate}))
    configured = run(rows, "configured", 10, 54, spec, known=[days[25]])
    never = run(rows, "never", 10, 54, spec)
    assert 1 < configured.trainings < 12
    assert configured.value is not None
    assert never.value is not None
    assert configured.value < never.value / 2
    assert configured.delays == {days[25]: 0}
    asked = [event for event in configured.events if event.kind == "performance"]
    assert [event.partition for event in asked] == [d.partition for d in configured.decisions if d.retrain]
    assert all("mean absolute error" in event.reason for event in asked)


def test_a_replay_keeps_what_the_champion_before_promised(
    sales: Sales, run: Run, kiosk: Spec, days: list[str]
) -> None:
    champion = kiosk.gate.champion.model_copy(update={"margin": 5.0})
    gate = kiosk.gate.model_copy(update={"champion": champion})
    rows, spec = sales(45, growth_from=25), by_performance(kiosk.model_copy(update={"gate": gate}))
    result = run(rows, "configured", 10, 44, spec)
    promised = {record.version: record.promised for record in result.records}
    champions = list(promised)
    assert len(champions) > 2
    for older, newer in zip([None, *champions], champions, strict=False):
        before = {"version": older, "promised": promised[older]} if older else {}
        nights = [night for night in result.nights if night.record.version == newer]
        assert all(night.record.before == before for night in nights)
        much_worse = older is not None and promised[newer] > 1.5 * promised[older]
        assert all(("much worse" in night.decision.reason) is much_worse for night in nights)
    # the first one that was trained on days of the change
    assert max(promised[newer] / promised[older] for older, newer in pairwise(champions)) > 5


def test_a_replay_trains_on_the_window_since_the_change_as_a_night_does(
    sales: Sales, kiosk: Spec, days: list[str]
) -> None:
    champion = kiosk.gate.champion.model_copy(update={"margin": 5.0})
    retrain = kiosk.monitoring.retrain.model_copy(update={"on": ("cusum",), "refusals": 20})
    since = kiosk.training.model_copy(update={"window": SinceChange(40, "day")})
    spec = kiosk.model_copy(
        update={
            "gate": kiosk.gate.model_copy(update={"champion": champion}),
            "monitoring": kiosk.monitoring.model_copy(update={"retrain": retrain}),
            "training": since,
        }
    )
    rows = sales(60, growth_from=30)
    result = replay(spec, History(spec, rows), parse_policy("configured"), days[20], days[55])
    asked = {event.as_of: event for event in result.events if event.partition}
    decisions = {decision.partition: decision for decision in result.decisions}
    changes = {at: decisions[event.partition].change for at, event in asked.items()}
    # the sum was 0 before the days of the growth, or a few before them
    assert len(changes) >= 1
    assert all(change is not None for change in changes.values())
    assert min(change.since for change in changes.values()) <= days[30]
    firsts = set()
    for at, event in asked.items():
        reason = {"evidence": decisions[event.partition].evidence}
        training_set = assemble(spec, rows, at, None, reason)
        assert training_set.version == event.version
        firsts.add(training_set.lineage["window"]["first"])
    assert max(firsts) > days[15]


def test_the_configured_policy_rests_where_nothing_changes(sales: Sales, run: Run, kiosk: Spec) -> None:
    result = run(
        sales(), "configured", 10, 39, by_performance(kiosk, tolerance=3.0, over=Length(5)), known=[]
    )
    assert (result.trainings, result.false_alarms, result.delays) == (1, 0, {})


def published(rows: pd.DataFrame, keys: list[str]) -> dict[str, pa.Table]:
    own = {key: rows[rows["partition"] == key].drop(columns="partition") for key in keys}
    return {key: pa.Table.from_pandas(found, preserve_index=False) for key, found in own.items()}


def lived(pipeline: Pipeline, rows: pd.DataFrame, days: list[str]) -> tuple[list[Decision], list[str]]:
    """What the nights of `days` decide over a store, and which versions scored them; the last trains none."""
    decisions, versions = [], []
    for key in days:
        pipeline.lake.replace(Table.PARTITIONS, published(rows, [key]))
        score(pipeline, key)
        decision = monitor(pipeline, key)
        decisions.append(decision)
        versions.append(str(pipeline.lake.read(Table.PREDICTIONS, key, key).column("version")[0]))
        if decision.promotes:
            promote_tried(pipeline, key)
        if decision.retrain and key != days[-1]:
            request = retraining_request(pipeline, key)
            train(pipeline, request.as_of, request.reason)
    return decisions, versions


def test_a_trial_promotes_in_a_replay_as_it_does_in_nights_over_a_store(
    sales: Sales, run: Run, kiosk: Spec, days: list[str], storage: Storage
) -> None:
    first, last = 20, 35
    rows, spec = sales(last + 1, growth_from=25), kiosk.model_copy(update={"scoring": None})
    pipeline = Pipeline(spec, storage)
    pipeline.lake.replace(Table.PARTITIONS, published(rows, days[:first]))
    train(pipeline, days[first], {"kind": "first"})
    decisions, versions = lived(pipeline, rows, days[first : last + 1])
    result = run(rows, "configured", first, last, spec)

    assert result.decisions == decisions
    assert [night.record.version for night in result.nights] == versions
    trained = [event for event in result.events if event.in_force]
    assert [event.outcome for event in trained] == ["promoted"]
    (event,) = trained
    night = next(night for night in result.nights if night.decision.promotes)
    assert night.decision.promotes == event.version
    assert event.as_of < night.partition < event.in_force == spec.calendar.shift(night.partition, 1)
    # The night that decides is still scored by the champion, and the next one by the challenger.
    place = result.nights.index(night)
    assert versions[place] == versions[0] != event.version
    assert set(versions[place + 1 :]) == {event.version}

    by_version = {each.version: each for each in pipeline.registry.history()}
    told = result.to_dict()
    assert [one["version"] for one in told["decisions"]] == list(by_version)
    assert [one["promoted"] for one in told["decisions"]] == [
        one.puts_in_force for one in by_version.values()
    ]
    in_force = [one["in_force"] or one["as_of"] for one in told["decisions"] if one["promoted"]]
    assert in_force == [one.as_of for one in by_version.values() if one.puts_in_force]
    assert told["promotions"] == len(set(versions)) == 2
    assert told["inconclusive"] == told["refusals"] == told["trainings"] - 2
    page = render_backtest(spec, days[first], days[last], [result])
    assert page.count("On trial at first") == 1
    assert f"On trial at first; in force from {event.in_force} on." in page


def test_refused_challengers_are_told_and_end_the_trainings(
    sales: Sales, run: Run, kiosk: Spec, days: list[str]
) -> None:
    gate = kiosk.gate.model_copy(update={"limits": {"mae": Limit(max=1e-9)}})
    result = run(sales(), "every 7", 10, 39, kiosk.model_copy(update={"gate": gate}))
    assert (result.value, result.promotions) == (None, 0)
    # no champion: tried again after each cooldown of 4, until three in a row were refused
    assert [event.as_of for event in result.events] == [days[10], days[14], days[18]]
    assert all("above its limit" in event.failed[0] for event in result.events)


def test_nothing_of_the_future_is_seen(sales: Sales, run: Run, days: list[str]) -> None:
    planted = sales(40)
    planted.loc[planted["partition"] > days[25], ["temperature", "sold"]] = 99_999.0
    for name in ("configured", "every 7"):
        with_marker, without = run(planted, name, 10, 25), run(sales(40), name, 10, 25)
        assert with_marker.value == without.value
        assert with_marker.decisions == without.decisions


def test_days_that_are_not_published_are_passed_over(sales: Sales, run: Run, days: list[str]) -> None:
    rows = sales()
    rows = rows[~rows["partition"].isin(days[14:18])]
    assert list(run(rows, "every 7", 10, 24).by_partition) == [*days[10:14], *days[18:25]]


def test_nights_say_what_was_measured_and_decided(sales: Sales, run: Run, days: list[str]) -> None:
    result = run(sales(), "configured", 10, 20)
    assert [night.partition for night in result.nights] == days[10:21]
    night = result.nights[-1]
    assert (night.error, night.labelled) == (night.record.error, 4)
    assert set(night.record.drift) == {"hour", "temperature", "level"}
    assert set(night.drifted) <= set(night.record.drift)
    assert night.record.counts == {}
    assert night.firing == set(night.decision.evidence["firing"])
    assert night.retrain is night.decision.retrain
