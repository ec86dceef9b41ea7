"""Running a backtest: processes, what is kept between runs, a death in the middle of it, and the lake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow as pa
import pytest

from evergreen.backtest import work
from evergreen.backtest.history import History
from evergreen.backtest.policies import Policy, parse_policy, variant
from evergreen.backtest.replay import replay
from evergreen.backtest.result import PolicyResult
from evergreen.backtest.run import backtest, ensure_published, kept_as, run_policies
from evergreen.backtest.work import OF_NIGHTS, OF_TRAININGS
from evergreen.errors import NotFoundError, NothingToDoError, SpecError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.spec import Gate, Monitoring, Spec, parse_spec
from evergreen.storage import Storage
from tests.campaign import FULL
from tests.unit.test_layering import used_by
from tests.unit.training_set.test_digest import PLUMBING

Sales = Callable[..., pd.DataFrame]
Publish = Callable[[pd.DataFrame], Pipeline]
ROOT = Path(__file__).parents[3]
NAMES = ("configured", "never", "every 4", "every 6")


def policies(names: Sequence[str] = NAMES) -> list[Policy]:
    return [parse_policy(name) for name in names]


def found(results: Sequence[PolicyResult]) -> list[tuple[Any, ...]]:
    """All of the results but the seconds; floats are compared bit for bit."""
    return [
        (r.policy, r.metric, r.value, r.events, r.nights, r.false_alarms, r.delays, r.halted) for r in results
    ]


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The as-of keys of what is fit in this process, as it goes."""
    seen: list[str] = []
    fit = work.fit_challenger

    def counted(spec: Spec, training_set: Any, pretrained: Any) -> Any:
        seen.append(training_set.as_of)
        return fit(spec, training_set, pretrained)

    monkeypatch.setattr(work, "fit_challenger", counted)
    return seen


def test_processes_and_what_is_kept_change_nothing(
    sales: Sales, kiosk: Spec, days: list[str], tmp_path: Path, fits: list[str]
) -> None:
    steps: Counter[str] = Counter()
    rows, stretch = sales(30, growth_from=20), (days[10], days[25])
    known = [days[20]]
    alone = [replay(kiosk, History(kiosk, rows), policy, *stretch, known=known) for policy in policies()]
    assert len(fits) > len(set(fits))
    fits.clear()
    together = run_policies(kiosk, rows, policies(), *stretch, workers=1, known=known)
    assert len(fits) == len(set(fits)) == len({event.as_of for r in alone for event in r.events})
    apart = run_policies(
        kiosk,
        rows,
        policies(),
        *stretch,
        workers=2,
        root=tmp_path,
        known=known,
        progress=lambda name, n: steps.update({name: n}),
    )
    fits.clear()
    again = run_policies(kiosk, rows, policies(), *stretch, workers=1, root=tmp_path, known=known)
    assert fits == []
    assert found(alone) == found(together) == found(apart) == found(again)
    assert [r.seconds for r in again] == pytest.approx([r.seconds for r in apart], rel=0.5, abs=0.5)
    foreseen = len(
        {event.as_of for r in alone if r.policy.startswith(("never", "every")) for event in r.events}
    )
    assert steps == {**dict.fromkeys(NAMES, 16), "trainings": foreseen}


def test_a_longer_stretch_and_other_rules_train_only_what_is_new(
    sales: Sales, kiosk: Spec, days: list[str], tmp_path: Path, fits: list[str]
) -> None:
    every, rows = policies(["every 4"]), sales(40)
    short = rows[rows["partition"] <= days[20]]
    run_policies(kiosk, short, every, days[10], days[20], workers=1, root=tmp_path)
    assert fits == [days[10], days[14], days[18]]
    longer = run_policies(kiosk, rows, every, days[10], days[24], workers=1, root=tmp_path)
    assert fits == [days[10], days[14], days[18], days[22]]
    assert found(longer) == found(run_policies(kiosk, rows, every, days[10], days[24], workers=1))
    fits.clear()
    calm = variant(kiosk, "calm", {"retrain": {"on": ["drift"]}})
    run_policies(kiosk, rows, [calm], days[10], days[20], workers=1, root=tmp_path)
    assert days[10] not in fits
    fits.clear()
    later = rows.copy()
    later.loc[later["partition"] == days[16], "sold"] += 1.0
    run_policies(kiosk, later, every, days[10], days[20], workers=1, root=tmp_path)
    assert fits == [days[18]]


def test_other_code_or_training_is_kept_apart(kiosk: Spec, tmp_path: Path) -> None:
    other = kiosk.model_copy(update={"training": kiosk.training.model_copy(update={"seed": 1})})
    assert kept_as(other) != kept_as(kiosk)
    (tmp_path / "features.py").write_text("def build(rows):\n    return rows[['temperature']]\n")
    assert kept_as(kiosk.model_copy(update={"folder": tmp_path})) != kept_as(kiosk)
    assert kept_as(variant(kiosk, "calm", {"retrain": {"on": ["drift"]}}).of(kiosk)) == kept_as(kiosk)


def test_fresh_trains_anew(
    sales: Sales, kiosk: Spec, days: list[str], tmp_path: Path, fits: list[str]
) -> None:
    for fresh in (False, False, True):
        run_policies(
            kiosk, sales(20), policies(["never"]), days[10], days[12], workers=1, root=tmp_path, fresh=fresh
        )
    assert fits == [days[10], days[10]]


KILLED = """
import sys
from pathlib import Path
import pandas as pd
from evergreen.backtest.policies import parse_policy
from evergreen.backtest.run import run_policies
from evergreen.spec import parse_spec

def tell(name, steps):
    print(name, flush=True)

if __name__ == "__main__":
    spec, rows, root, first, last, *names = sys.argv[1:]
    chosen = [parse_policy(name) for name in names]
    spec, rows = parse_spec(Path(spec)), pd.read_parquet(rows)
    run_policies(spec, rows, chosen, first, last, workers=2, root=Path(root), progress=tell)
    print("done", flush=True)
"""


@pytest.mark.parametrize("after", [1, 9, 30] if FULL else [9])
def test_a_run_that_is_killed_goes_on(
    sales: Sales, kiosk: Spec, days: list[str], tmp_path: Path, fits: list[str], after: int
) -> None:
    rows, root = sales(30, growth_from=20), tmp_path / "kept"
    rows.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "killed.py").write_text(KILLED)
    arguments = [str(kiosk.folder / "pipeline.yaml"), str(tmp_path / "rows.parquet"), str(root)]
    child = subprocess.Popen(
        [sys.executable, str(tmp_path / "killed.py"), *arguments, days[10], days[25], *NAMES],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "include")},
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(after)]
    # The whole group: a worker that lived on would do what the next run is to do.
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert all(lines)
    assert "done\n" not in lines
    (folder,) = root.iterdir()
    kept = work.Cache(folder)
    query = "SELECT name FROM kept WHERE name LIKE 'challenger/%'"
    trained = [name.split("/")[1] for (name,) in kept._entries.execute(query)]
    kept.close()
    resumed = run_policies(kiosk, rows, policies(), days[10], days[25], workers=1, root=root)
    print(f"killed after {after} steps with {len(trained)} trainings kept; {len(fits)} were left to do")
    assert not set(fits) & set(trained)
    assert set(fits) | set(trained) == {event.as_of for r in resumed for event in r.events}
    assert found(resumed) == found(run_policies(kiosk, rows, policies(), days[10], days[25], workers=1))


def test_an_error_in_a_process_comes_out_as_it_is(
    sales: Sales, kiosk: Spec, days: list[str], tmp_path: Path
) -> None:
    (tmp_path / "features.py").write_text("def build(rows):\n    raise ValueError('bad day')\n")
    broken = kiosk.model_copy(update={"folder": tmp_path})
    with pytest.raises(SpecError, match="bad day"):
        run_policies(broken, sales(20), policies(["never", "every 7"]), days[10], days[14], workers=2)


@pytest.fixture
def publish(kiosk: Spec, storage: Storage) -> Publish:
    """Publishes rows as the pipeline's partitions."""

    def call(rows: pd.DataFrame) -> Pipeline:
        pipeline = Pipeline(kiosk, storage)
        parts = {
            str(key): pa.Table.from_pandas(part.drop(columns="partition"), preserve_index=False)
            for key, part in rows.groupby("partition")
        }
        pipeline.lake.replace(Table.PARTITIONS, parts)
        return pipeline

    return call


def test_from_the_lake_and_what_is_kept_serves_every_host(
    sales: Sales,
    kiosk: Spec,
    days: list[str],
    configured: Storage,
    publish: Publish,
    fits: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = publish(sales(30))
    before = configured.list("kiosk/lake")
    names = ["never", "every 7"]
    results = backtest(pipeline, days[10], days[19], names, workers=1)
    assert fits
    direct = run_policies(kiosk, sales(30), policies(names), days[10], days[19], workers=1)
    assert found(results) == found(direct)
    assert configured.list("kiosk/lake") == before
    (kept,) = (Path(os.environ["EVERGREEN_HOME"]) / "backtest" / "kept").iterdir()
    assert kept.name == kept_as(kiosk)
    fits.clear()
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path / "of another host"))
    assert found(backtest(pipeline, days[10], days[19], names, workers=1)) == found(results)
    assert fits == []
    backtest(pipeline, days[10], days[10], ["never"], workers=1, fresh=True)
    assert fits == [days[10]]


def test_a_worker_that_is_killed_changes_nothing(
    sales: Sales, kiosk: Spec, days: list[str], tmp_path: Path
) -> None:
    rows, stretch = sales(30, growth_from=20), (days[10], days[22])
    killed: list[int] = []

    def kill_one(name: str, steps: int) -> None:
        children = psutil.Process().children()
        templates = [one for one in children if "evergreen.compute.cells" in one.cmdline()]
        cells = [cell for template in templates for cell in template.children()]
        if cells and not killed:
            killed.append(cells[0].pid)
            cells[0].kill()

    chosen = policies(["configured", "every 4"])
    apart = run_policies(kiosk, rows, chosen, *stretch, workers=2, root=tmp_path, progress=kill_one)
    assert killed
    assert found(apart) == found(run_policies(kiosk, rows, chosen, *stretch, workers=1))


def test_a_stretch_that_is_not_published(sales: Sales, days: list[str], publish: Publish) -> None:
    pipeline = publish(sales(5))
    with pytest.raises(NotFoundError, match=r"no partition is published from .* run evergreen ingest kiosk"):
        backtest(pipeline, days[10], days[29], ["never"], workers=1)


def test_a_snapshot_has_no_history(storage: Storage) -> None:
    iris = parse_spec(ROOT / "include" / "pipelines" / "iris" / "pipeline.yaml")
    with pytest.raises(NothingToDoError, match="a snapshot has no time"):
        backtest(Pipeline(iris, storage), "snapshot", "snapshot")


def test_what_is_missing_is_ingested_and_what_is_refused_left_out(
    sales: Sales, kiosk: Spec, days: list[str], storage: Storage, tmp_path: Path
) -> None:
    (tmp_path / "sales").mkdir()
    for key, part in sales(6).groupby("partition"):
        if key != days[4]:
            part.drop(columns="partition").to_csv(tmp_path / "sales" / f"{key}.csv", index=False)
    (tmp_path / "expectations.yaml").write_text("- expect_column_values_to_not_be_null: {column: sold}\n")
    pipeline = Pipeline(kiosk.model_copy(update={"folder": tmp_path}), storage)
    done: list[str] = []
    assert ensure_published(pipeline, days[3], days[5], done.append) == [days[n] for n in (0, 1, 2, 3, 5)]
    assert sorted(done) == days[:6]
    assert ensure_published(pipeline, days[3], days[5]) == []  # the one left out is tried again
    assert ensure_published(pipeline, days[3], days[3]) == []


READS_AND_SHOWS = {
    "author",
    *PLUMBING,
    "connections",
    "databases",
    "environment",
    "ingestion",
    "numbers",
    "pages",
    "postgres",
    "readable",
    "request_log",
    "sinks",
    "skew",
    "storage",
    "timings",
    "together",
} - {"labels", "registry"}


def packages(parts: Iterable[str]) -> set[str]:
    return {part.partition("/")[0] for part in parts}


def test_what_is_kept_is_named_by_all_code_that_bears_on_a_replay():
    named = packages((*OF_TRAININGS, *OF_NIGHTS))
    assert used_by(named) - READS_AND_SHOWS == named


def test_a_training_is_named_by_all_code_that_bears_on_it_and_by_no_more():
    named = packages(OF_TRAININGS) - {"backtest"}
    # Signals say when a model is trained, and nothing of what it is.
    assert used_by(named) - READS_AND_SHOWS - {"signals"} == named
    assert not named & set(OF_NIGHTS)
    # A module of the description either bears on a training or is one of these.
    described = {file.stem for file in (ROOT / "include/evergreen/spec").glob("*.py")}
    of_trainings = {part.partition("/")[2] for part in OF_TRAININGS if part.startswith("spec/")}
    assert described - of_trainings == {
        *("__init__", "alerts", "gate", "metrics_by_place", "models", "monitoring", "predicted", "scoring"),
        *(
            "folders",
            "load",
            "maintenance",
            "mlflow",
            "reports",
            "schema",
            "serving",
            "targets",
            "validation",
        ),
    }


def test_after_a_change_of_gate_or_monitoring_nothing_is_trained_again(
    sales: Sales, kiosk: Spec, days: list[str], tmp_path: Path, fits: list[str]
) -> None:
    rows, stretch = sales(30, growth_from=20), (days[10], days[25])

    def replayed(spec: Spec, root: Path | None) -> list[PolicyResult]:
        return run_policies(spec, rows, policies(["every 4", "configured"]), *stretch, workers=1, root=root)

    changes: dict[str, Any] = {
        "gate": Gate.model_validate({"champion": {"margin": "60%"}, "limits": {"mae": {"max": 1000}}}),
        "monitoring": Monitoring.model_validate({"performance": {"tolerance": "1%"}}),
    }
    before = {name: replayed(kiosk, tmp_path) for name in changes}
    trained = set(fits)
    assert len(fits) == len(trained) > 0
    for name, part in changes.items():
        fits.clear()
        changed = kiosk.model_copy(update={name: part})
        again = replayed(changed, tmp_path)
        # Another policy may ask for a training that nobody asked for before; no other is made.
        assert not set(fits) & trained
        trained |= set(fits)
        # What is found again is what is made without anything kept, versions included.
        assert found(again) == found(replayed(changed, None))
        assert found(again) != found(before[name])
