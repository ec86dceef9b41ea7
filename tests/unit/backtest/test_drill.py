"""The drill: what it tells apart from what would have happened anyhow, and drills of a small pipeline."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from rich.console import Console
from typer.testing import CliRunner

from evergreen import cli
from evergreen.backtest.drill import Alarm, Drill, changed_features, compare, drill, run_drill
from evergreen.backtest.policies import parse_policy
from evergreen.backtest.result import Night, PolicyResult
from evergreen.backtest.run import run_policies
from evergreen.backtest.shifts import FORMS, parse_shift
from evergreen.calendar import PartitionError
from evergreen.cli.drill import shown
from evergreen.errors import NotFoundError, NothingToDoError
from evergreen.lake import Table
from evergreen.monitoring.record import Decision
from evergreen.pipeline import Pipeline
from evergreen.signals.record import Record
from evergreen.spec import Limit, Spec, parse_spec
from evergreen.storage import Storage

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml")
DAYS = list(KIOSK.calendar.between("2024-01-01", "2024-03-31"))


def night(day: int, error: float | None = 1.0, firing: str = "", **others: Any) -> Night:
    """A night of 10 rows; `retrain` says whether a training was asked for, `drift` what of which feature."""
    found = {name: {"drifted": bool(why), "why": list(why)} for name, why in others.get("drift", {}).items()}
    prediction = found.pop("(prediction)", None)
    record = Record(
        DAYS[day], "v", 10, others.get("labelled", 10), "mae", error, 1.0, None, None, 0.0, found, 1, 1,
        prediction_drift=prediction,
    )  # fmt: skip
    retrain = others.get("retrain", bool(firing))
    reason = f"day {day}: {firing or 'nothing'}"
    return Night(record, Decision(DAYS[day], retrain, reason, {"firing": firing.split()}))


def compared(
    shifted: Sequence[Night], untouched: Sequence[Night] | Mapping[int, Night], features: Sequence[str] = ()
) -> Drill:
    """Both replays from day 10 to 19, the shift from day 15 on; nights that are not given are quiet."""

    def result(nights: Sequence[Night]) -> PolicyResult:
        given = {one.partition: one for one in nights}
        filled = tuple(given.get(DAYS[day], night(day)) for day in range(10, 20))
        asked = sum(one.decision.retrain for one in filled)
        return PolicyResult("configured", "mae", 1.0, 1 + asked, 1, asked, 0.5, nights=filled)

    return compare(
        KIOSK,
        [parse_shift("temperature=+3")],
        features,
        result(shifted),
        result(list(untouched)),
        at=DAYS[15],
        first=DAYS[10],
        last=DAYS[19],
    )


def test_a_training_that_only_the_shifted_history_asks_for_is_the_reaction() -> None:
    found = compared([night(17, firing="performance cusum")], [])
    assert found.reaction == Alarm(DAYS[17], 2, ["cusum", "performance"], "day 17: performance cusum")
    assert found.noticed == found.reaction
    assert (found.false_alarms, len(found.shifted.retrainings), found.untouched.retrainings) == ([], 1, [])


def test_what_happens_anyhow_is_no_reaction() -> None:
    anyhow = night(17, firing="performance")
    found = compared([anyhow], [anyhow])
    assert found.reaction is None
    assert found.noticed is None
    assert [alarm.partition for alarm in found.untouched.retrainings] == [DAYS[17]]


def test_a_signal_that_is_added_to_what_happens_anyhow_is_one() -> None:
    found = compared([night(17, firing="staleness performance")], [night(17, firing="staleness")])
    assert found.reaction is not None
    assert found.reaction.signals == ["performance"]


def test_staleness_is_no_answer_to_a_shift() -> None:
    found = compared([night(17, firing="staleness")], [])
    assert (found.noticed, found.reaction) == (None, None)
    found = compared([night(17, firing="staleness"), night(18, firing="staleness drift")], [])
    assert found.reaction == Alarm(DAYS[18], 3, ["drift"], "day 18: staleness drift")


def test_a_signal_that_may_not_train_yet_is_noticed() -> None:
    held = night(15, firing="cusum", retrain=False)
    found = compared([held, night(18, firing="cusum")], [])
    assert found.noticed == Alarm(DAYS[15], 0, ["cusum"], "day 15: cusum")
    assert found.reaction == Alarm(DAYS[18], 3, ["cusum"], "day 18: cusum")


def test_trainings_before_the_shift_are_false_alarms_but_for_staleness() -> None:
    both = [
        night(11, firing="staleness"),
        night(13, firing="drift"),
        night(14, firing="cusum", retrain=False),
    ]
    found = compared(both, both)
    assert [(alarm.partition, alarm.delay) for alarm in found.false_alarms] == [(DAYS[13], -2)]
    assert found.reaction is None


def test_the_error_with_and_without_before_and_after_the_reaction() -> None:
    errors = {15: 3.0, 16: 5.0, 17: 7.0, 18: 2.0, 19: None}
    shifted = [night(day, error, "cusum" if day == 17 else "") for day, error in errors.items()]
    shifted[0] = night(15, 3.0, labelled=30)  # as many rows as the two nights after it and one more
    found = compared(shifted, [night(18, 1.5)])
    assert found.shifted.error.before == found.untouched.error.before == 1.0
    assert found.shifted.error.unanswered == pytest.approx((30 * 3 + 10 * 5 + 10 * 7) / 50)
    assert found.shifted.error.answered == pytest.approx(2.0)
    assert found.shifted.error.after == pytest.approx((30 * 3 + 10 * 5 + 10 * 7 + 10 * 2) / 60)
    assert found.untouched.error.answered == pytest.approx(1.25)
    assert found.series[-2:] == [
        {"partition": DAYS[18], "shifted": 2.0, "untouched": 1.5},
        {"partition": DAYS[19], "shifted": None, "untouched": 1.0},
    ]


def test_without_a_reaction_nothing_is_answered() -> None:
    found = compared([night(16, 9.0)], [])
    assert found.shifted.error.answered is None
    assert found.shifted.error.unanswered == found.shifted.error.after == pytest.approx(13 / 5)


def test_the_first_night_a_feature_is_called_drifted_with_the_shift_alone() -> None:
    drifts = ("distribution", "missing")
    shifted = [
        night(14, drift={"a": drifts}),  # before the shift: another thing
        night(16, drift={"a": drifts, "b": ()}),
        night(17, drift={"a": drifts, "(prediction)": ("distribution",)}),
    ]
    found = compared(shifted, [night(14, drift={"a": drifts}), night(16, drift={"a": drifts})], ["a", "b"])
    seen = {name: (f.shifted, f.untouched, f.alone, f.delay, f.why) for name, f in found.features.items()}
    assert seen == {
        "a": (DAYS[16], DAYS[16], DAYS[17], 2, list(drifts)),
        "b": (None, None, None, None, []),
        "(prediction)": (DAYS[17], None, DAYS[17], 2, ["distribution"]),
    }


def sales(days: int = 60) -> pd.DataFrame:
    """Four rows a day; sales follow the temperature, and nothing drifts. `umbrellas` are no feature."""
    draw = np.random.default_rng(7)
    at = [pd.Timestamp(key, tz="UTC") + pd.Timedelta(hours=h) for key in DAYS[:days] for h in (6, 10, 14, 18)]
    temperature = 20 + 5 * draw.normal(size=4 * days)
    frame = pd.DataFrame({"at": pd.DatetimeIndex(at).as_unit("us"), "temperature": temperature})
    frame["sold"] = temperature + draw.normal(size=4 * days)
    frame["umbrellas"] = draw.integers(0, 9, 4 * days)
    return frame.assign(partition=frame["at"].dt.strftime("%Y-%m-%d"))


def run(*texts: str, spec: Spec = KIOSK) -> Drill:
    shifts = [parse_shift(text) for text in texts]
    return run_drill(spec, sales(), shifts, at=DAYS[35], first=DAYS[10], last=DAYS[47], workers=1)


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("temperature=+3", ["temperature"]),
        ("temperature=missing 20%", ["temperature"]),
        ("sold=*2", ["level"]),
        ("umbrellas=+3", []),
        ("umbrellas=missing 20%", []),
    ],
)
def test_features_that_change_with_a_raw_column(text: str, features: list[str]) -> None:
    from evergreen.backtest.shifts import apply_shifts

    shifted = apply_shifts(KIOSK, sales(), [parse_shift(text)], DAYS[35])
    assert changed_features(KIOSK, sales(), shifted, DAYS[35]) == features
    # from the first shifted partition on: earlier partitions are the same and are not compared
    assert changed_features(KIOSK, sales(), shifted, DAYS[59]) == features


def test_a_strong_shift_is_answered_and_told_apart() -> None:
    found = run("sold=*3")
    assert found.reaction is not None
    assert 0 <= found.reaction.delay <= 5
    assert "performance" in found.reaction.signals
    assert found.reaction.sentence.startswith("retrain: ")
    assert found.shifted.error.unanswered > 5 * found.untouched.error.unanswered
    assert found.shifted.error.before == found.untouched.error.before
    assert not [a for a in found.untouched.retrainings if a.delay >= 0 and "performance" in a.signals]
    # the untouched side is the replay that a backtest makes of the same rows
    (alone,) = run_policies(KIOSK, sales(), [parse_policy("configured")], DAYS[10], DAYS[47], workers=1)
    assert [row["untouched"] for row in found.series] == list(alone.by_partition.values())
    assert [row["shifted"] for row in found.series[:25]] == list(alone.by_partition.values())[:25]


def test_without_a_shift_worth_the_name_nothing_is_answered() -> None:
    found = run("umbrellas=+3", "sold=+0")
    assert found.reaction is None
    assert found.noticed is None
    assert found.shifted.error == found.untouched.error
    assert list(found.features) == ["(prediction)"]


def test_a_gate_that_refuses_all_leaves_nothing_to_watch() -> None:
    gate = KIOSK.gate.model_copy(update={"limits": {"mae": Limit(max=1e-9)}})
    spec, shifts = KIOSK.model_copy(update={"gate": gate}), [parse_shift("sold=*3")]
    found = run_drill(spec, sales(), shifts, at=DAYS[14], first=DAYS[10], last=DAYS[19], workers=1)
    assert (found.series, found.reaction, found.shifted.promotions) == ([], None, 0)
    assert found.shifted.error.after is None
    assert "no champion was ever in force" in text_of(found)


def test_a_feature_that_drifts_is_seen() -> None:
    # Four rows a day are pooled up to the rows that drift is measured on: with the usual 500, for months.
    drift = KIOSK.monitoring.drift.model_copy(update={"rows": 28})
    found = run(
        "temperature=+3sd",
        spec=KIOSK.model_copy(update={"monitoring": KIOSK.monitoring.model_copy(update={"drift": drift})}),
    )
    seen = found.features["temperature"]
    assert seen.alone is not None
    assert seen.shifted == seen.alone >= DAYS[35]
    assert seen.why == ["unseen"]  # some of them lie beyond all that training held


@pytest.fixture
def kiosk(configured: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The pipeline with 50 published days, where the command finds it."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(TESTS / "pipelines"))
    pipeline = Pipeline(KIOSK, configured)
    parts = {
        str(key): pa.Table.from_pandas(part.drop(columns="partition"), preserve_index=False)
        for key, part in sales(50).groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, parts)
    return pipeline


def evergreen(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["drill", *arguments])


def test_the_command_tells_what_the_library_finds(kiosk: Pipeline) -> None:
    texts, before = ("umbrellas=missing 5%", "sold=+1", "sold=*3"), kiosk.storage.list("kiosk/lake")
    stretch = ("--at", DAYS[24], "--from", DAYS[12], "--to", DAYS[34])
    result = evergreen("kiosk", *(word for text in texts for word in ("--shift", text)), *stretch, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["shifts"] == list(texts)
    assert [document[name] for name in ("pipeline", "from", "at", "to", "metric", "reacted")] == [
        *("kiosk", DAYS[12], DAYS[24], DAYS[34], "mae", True)
    ]
    # the command replays in two processes, this in none
    shifts = [parse_shift(text) for text in texts]
    where = {"at": DAYS[24], "first": DAYS[12], "last": DAYS[34]}
    found = run_drill(KIOSK, sales(50), shifts, **where, workers=1).to_dict()
    for side in ("shifted", "untouched"):
        document[side].pop("seconds"), found[side].pop("seconds")
    assert document == json.loads(json.dumps(found))
    assert kiosk.storage.list("kiosk/lake") == before


def text_of(found: Drill) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(shown(found))
    return " ".join(console.export_text().split())


def test_what_a_person_reads() -> None:
    held = night(15, 4.0, firing="cusum", retrain=False)
    drifts = [night(15, 4.0, drift={"a": ("missing",)}), night(17, 3.0, firing="performance")]
    text = text_of(compared([drifts[0], drifts[1]], [night(19, firing="staleness")], ["a", "b"]))
    assert "kiosk: temperature=+3 from 2024-01-16 on, replayed from 2024-01-11 to 2024-01-20" in text
    assert "the policy reacted after 2 partitions, on 2024-01-18 (performance): day 17: performance" in text
    assert "│ a │ 2024-01-16 │ never │ 2024-01-16 │ at once │ missing │" in text
    assert "│ b │ never │ never │ never │ │ │" in text
    assert "│ mae before 2024-01-16 │ 1 │ 1 │" in text
    assert "│ mae from then on │ 2 │ 1 │" in text
    assert "│ - until the reaction │ 2.667 │ 1 │" in text
    assert "│ trainings asked for from then on │ 1 │ 1 │" in text
    assert "a signal fired first" not in text
    text = text_of(compared([held], []))
    assert "the policy did not react to the shift" in text
    assert "a signal fired first at once, on 2024-01-16 (cusum): day 15: cusum" in text
    assert "until the reaction" not in text


def test_wrong_usage_exits_with_2(kiosk: Pipeline) -> None:
    for arguments, message in (
        (("--shift", "sold=3", "--at", DAYS[35]), "write COLUMN=CHANGE, the change like one of: +0.5sd"),
        (("--shift", "sold=missing 120%", "--at", DAYS[35]), "write a share from 0% to 100%"),
        (("--shift", "sold=*3", "--at", DAYS[55]), "is outside the range from 2024-01-01 to 2024-02-19"),
        (("--shift", "sold=*3", "--at", DAYS[35], "--to", DAYS[30]), "is outside the range"),
        (("--shift", "sold=*3", "--at", "2024-02"), "is not a key of a daily pipeline"),
        (("--shift", "sold=*3"), "Missing option '--at'"),
        (("--at", DAYS[35]), "Missing option '--shift'"),
    ):
        result = evergreen("kiosk", *arguments)
        assert (result.exit_code, result.stdout) == (2, ""), arguments
        assert message in " ".join(result.stderr.split())


def test_a_drill_that_cannot_be_is_one_line(kiosk: Pipeline) -> None:
    names = "name one of temperature, sold, umbrellas"
    for shift, at, message in (
        ("sol=*3", DAYS[35], f"no column 'sol': {names}"),
        ("at=+3", DAYS[35], "'at' is a key or the time of a row"),
        ("sold=new 2%", DAYS[35], "'sold' holds numbers, and this is a change for text"),
        ("sold=flip 2%", DAYS[35], "has no classes to flip: scale it, like 'sold=*1.5'"),
        ("sold=*3", DAYS[5], "a first training needs 10: choose a later --at"),
    ):
        result = evergreen("kiosk", "--shift", shift, "--at", at)
        assert (result.exit_code, result.stdout) == (1, ""), shift
        (line,) = result.stderr.splitlines()
        assert line.startswith("evergreen: kiosk: ")
        assert message in line


def test_days_that_are_not_published(kiosk: Pipeline) -> None:
    with pytest.raises(NotFoundError, match=r"no partition is published from 2024-02-20 to 2024-02-29"):
        drill(kiosk, [parse_shift("sold=*3")], DAYS[50], last=DAYS[59])
    with pytest.raises(PartitionError, match="is outside the range"):
        drill(kiosk, [parse_shift("sold=*3")], DAYS[12], first=DAYS[13])
    with pytest.raises(NotFoundError, match="kiosk: no partition is published yet"):
        drill(Pipeline(KIOSK, kiosk.storage.child("empty")), [parse_shift("sold=*3")], DAYS[12])


def test_a_snapshot_has_no_history(storage: Storage) -> None:
    iris = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
    with pytest.raises(NothingToDoError, match="a snapshot has no time"):
        drill(Pipeline(iris, storage), [parse_shift("sold=*3")], "snapshot")


def test_the_help_shows_every_form() -> None:
    shown = " ".join(evergreen("--help").stdout.split())
    for form, meaning in FORMS.items():
        assert form in shown
        assert meaning in shown


def test_every_shift_of_the_page_is_one() -> None:
    page = (TESTS.parent / "docs" / "how-to" / "drill.md").read_text()
    written = re.findall(r"--shift (?:'([^']+)'|([^\s`']+))", page)
    texts = [quoted or plain for quoted, plain in written if "COLUMN" not in plain]
    assert len(texts) >= 8
    for text in texts:
        assert str(parse_shift(text)) == text
    in_table = re.findall(r"^\| (`.+?`)(?:, (`.+?`))? +\|", page, re.MULTILINE)
    changes = [change.strip("`") for row in in_table for change in row if change and "--shift" not in change]
    assert set(FORMS) <= set(changes)
