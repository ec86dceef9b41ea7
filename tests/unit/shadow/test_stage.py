"""What becomes of a challenger that waits for its shadow, over an S3 server in memory."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from evergreen.cli.command import plain
from evergreen.cli.shadow import shadow
from evergreen.errors import NotFoundError, NothingToDoError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.history import Kind as Happened
from evergreen.request_log.pairs import logged_pairs
from evergreen.request_log.store import Kind, RequestLog
from evergreen.shadow.evidence import evidence_of
from evergreen.shadow.stage import promote_due
from evergreen.spec import Serving, Spec
from evergreen.spec.gate import Approval
from evergreen.storage import Storage
from tests.unit.monitoring.test_promotion import LAST, challenge, commit, nights
from tests.unit.monitoring.test_stage import KIOSK, day, rows_of

NEWEST = day(LAST)


def described(approval: Approval | None = None) -> Spec:
    gate = KIOSK.gate.model_copy(update={"shadow": 20, "approval": approval})
    return KIOSK.model_copy(update={"gate": gate, "serving": Serving(shadow="newest")})


def judged(outcome: str, champion: str, *, needs_approval: bool = False) -> dict[str, bytes]:
    """The files of a version that the gate judged beside a champion."""
    shadow = 20 if outcome == "promoted" else 0
    verdict = {"outcome": outcome, "promote": False, "checks": []}
    files = {
        "gate.json": {**verdict, "needs_approval": needs_approval, "shadow": shadow},
        "metrics.json": {"evaluation": {"champion": {"version": champion}}},
        "lineage.json": {"reason": {"kind": "cusum", "sentence": "drift"}},
    }
    return {name: json.dumps(content).encode() for name, content in files.items()}


@pytest.fixture
def pipeline(storage: Storage) -> Pipeline:
    """Sales are the temperature and 5; the champion as of day 10 says the temperature."""
    pipeline = Pipeline(described(), storage)
    pipeline.lake.replace(Table.PARTITIONS, {day(n): rows_of(n, 5.0) for n in range(LAST + 1)})
    pipeline.registry.promote(commit(pipeline, 10, 0.0), day(10), {"kind": "first"})
    return pipeline


@pytest.fixture
def champion(pipeline: Pipeline) -> str:
    found = pipeline.registry.champion()
    assert found is not None
    return found


def ask(
    pipeline: Pipeline, champion: str, version: str, numbers: range, off: float = 0.0, failed: int = 0
) -> None:
    """Log what both said of the rows of some days: the champion 5 too little, the shadow `off` too much."""
    for number in numbers:
        rows = rows_of(number, 5.0)
        sold = rows.column("sold").to_pylist()
        said = [{"prediction": float(value - 5)} for value in sold]
        ours = [{"prediction": float(value + off)} for value in sold]
        ours[:failed] = [{"error": "cannot be predicted: too hot"}] * failed
        pairs = logged_pairs(rows.select(list(KIOSK.keys)), champion, said, version, ours)
        RequestLog(pipeline.storage, pipeline.name).append(Kind.SHADOW, day(number), pairs)


def test_it_waits_and_then_takes_over_from_the_next_partition_on(pipeline: Pipeline, champion: str) -> None:
    with pytest.raises(NothingToDoError, match="no challenger waits for its shadow"):
        promote_due(pipeline, NEWEST)
    version = commit(pipeline, 13, 5.0, more=judged("promoted", champion))
    with pytest.raises(NothingToDoError, match=f"{version} waits for its shadow: 0 of 20 rows"):
        promote_due(pipeline, NEWEST)
    a_day = len(rows_of(13, 5.0))
    ask(pipeline, champion, version, range(13, 17))
    ask(pipeline, champion, version, range(13, 17), off=1.0)  # the same rows once more
    ask(pipeline, "another", version, range(12, 13))  # beside a former champion
    assert 4 * a_day < 20
    with pytest.raises(NothingToDoError, match=f"{4 * a_day} of 20 rows"):
        promote_due(pipeline, NEWEST)
    ask(pipeline, champion, version, range(7, 13))
    with pytest.raises(NothingToDoError, match="not promoted by an older partition"):
        promote_due(pipeline, day(LAST - 1))
    event = promote_due(pipeline, NEWEST)
    assert (event.version, event.as_of, event.replaces) == (version, day(LAST + 1), champion)
    assert event.reason["kind"] == "cusum"
    assert event.reason["shadow"]["rows"] == event.reason["shadow"]["labelled"] == 10 * a_day
    assert event.reason["shadow"]["comparison"]["champion"] == pytest.approx(5)
    assert promote_due(pipeline, NEWEST) == event
    assert pipeline.registry.champion(NEWEST) == champion


def test_a_shadow_that_is_worse_or_fails_is_refused(pipeline: Pipeline, champion: str) -> None:
    worse = commit(pipeline, 13, 5.0, more=judged("promoted", champion))
    ask(pipeline, champion, worse, range(7, 17), off=9.0)
    with pytest.raises(NothingToDoError, match="worse: mae 9 is worse than champion"):
        promote_due(pipeline, NEWEST)
    event = pipeline.registry.history()[-1]
    assert (event.kind, event.version, event.reason["verdict"]) == (Happened.REFUSED, worse, "worse")
    fails = commit(pipeline, 14, 5.0, more=judged("promoted", champion))
    ask(pipeline, champion, fails, range(7, 17))
    ask(pipeline, champion, fails, range(9, 10), failed=1)  # once is enough
    assert evidence_of(pipeline, fails, champion).failed == 1
    with pytest.raises(NothingToDoError, match=r"could not predict 1 of .* that the champion has: .*too hot"):
        promote_due(pipeline, NEWEST)
    assert pipeline.registry.champion() == champion


def test_one_that_was_compared_with_another_champion_stays(pipeline: Pipeline, champion: str) -> None:
    version = commit(pipeline, 13, 5.0, more=judged("promoted", "former"))
    ask(pipeline, champion, version, range(7, 17))
    with pytest.raises(NothingToDoError, match="compared with former"):
        promote_due(pipeline, NEWEST)


def test_a_person_decides_once_the_shadow_was_asked(pipeline: Pipeline, champion: str) -> None:
    version = commit(pipeline, 13, 5.0, more=judged("promoted", champion, needs_approval=True))
    ask(pipeline, champion, version, range(7, 17))
    with pytest.raises(NothingToDoError, match=rf"a person is asked .* promote {KIOSK.name} {version}"):
        promote_due(pipeline, NEWEST)
    assert pipeline.registry.champion() == champion


def test_an_inconclusive_one_needs_its_trial_and_its_shadow(pipeline: Pipeline, champion: str) -> None:
    version = challenge(pipeline, 13, 5.0, more=judged("inconclusive", champion))
    decided = nights(pipeline, 10, LAST)[-1]
    assert decided.promotes is None
    assert "it takes over once its shadow has been asked enough rows" in decided.reason
    with pytest.raises(NothingToDoError, match=f"{version} waits for its shadow: 0 of 20 rows"):
        promote_due(pipeline, NEWEST)
    ask(pipeline, champion, version, range(7, 17))
    by_hand = pipeline.described_by(described(Approval()))
    with pytest.raises(NothingToDoError, match="evergreen models promote"):
        promote_due(by_hand, NEWEST)
    newer = challenge(pipeline, 15, 4.9, "00000000cafe", more=judged("inconclusive", champion))
    ask(pipeline, champion, newer, range(7, 17))
    with pytest.raises(NothingToDoError, match=f"the trial of {newer} is not decided in its favour"):
        promote_due(pipeline, NEWEST)


def test_without_the_rule_only_a_trial_promotes(pipeline: Pipeline) -> None:
    with pytest.raises(NotFoundError, match="this partition is not monitored"):
        promote_due(pipeline.described_by(KIOSK), NEWEST)


def test_the_command_shows_each_version_and_where_the_newest_stands(
    pipeline: Pipeline, champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evergreen.cli.shadow.open_pipeline", lambda name: pipeline)
    assert shadow("kiosk").document["shadow"] is None
    former = commit(pipeline, 12, 5.0)
    ask(pipeline, champion, former, range(10, 11), failed=1)
    version = commit(pipeline, 13, 5.0, more=judged("promoted", champion))
    ask(pipeline, champion, version, range(13, 17))
    found = plain(shadow("kiosk").document)
    assert (found["champion"], found["shadow"]) == (champion, version)
    assert found["standing"] == f"waits for its shadow: {found['versions'][0]['rows']} of 20 rows"
    assert [(one["version"], one["failed"]) for one in found["versions"]] == [(version, 0), (former, 1)]
    ask(pipeline, champion, version, range(7, 13))
    said = io.StringIO()
    Console(file=said, width=250).print(shadow("kiosk").shown)
    assert f"{version} promoted: all 3 checks passed" in said.getvalue()
    assert f"{former} │ {champion}" in said.getvalue()
