"""A week of `bike_demand` through Airflow itself, from backfill to promotion, and what is stored of it.

Six days are backfilled, one more than a training needs, and the seventh comes as a night does.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from psycopg import sql

from deploy.embedded import airflow as embedded_airflow
from deploy.embedded import demo_request, environment, postgres, serving
from deploy.embedded.airflow_api import ACTIVE, ENDED, AirflowApi, Run
from deploy.embedded.load import load
from deploy.embedded.stack import Stack
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen_airflow.figures import FIGURES
from tests.e2e.waiting import read_again, wait_for
from tests.otlp_receiver import Receiver

BACKFILLED = [f"2011-01-{day:02d}" for day in range(1, 7)]
NEXT_NIGHT, DAY_AFTER = "2011-01-07", "2011-01-08"
DAGS = [f"bike_demand_{stage}" for stage in ("ingest", "score", "monitor", "train")]


def settled(airflow: AirflowApi) -> bool:
    return not any(airflow.count(dag_id, ACTIVE) for dag_id in DAGS)


@pytest.fixture(scope="module")
def pipeline(stack: Stack) -> Pipeline:
    return Pipeline.open("bike_demand")


@pytest.fixture(scope="module")
def week(stack: Stack, airflow: AirflowApi, pipeline: Pipeline, bike_file: Path | None) -> dict[str, int]:
    """Days backfilled with Airflow's own command; the rows that the source has of each of them."""
    # A night of our day would be newer than all of the week: Airflow must have read that there is none.
    load(stack, bike_file)
    wait_for(lambda: all(airflow.dag(dag_id) for dag_id in DAGS), "Airflow to read the DAG files")
    read_again(airflow, DAGS[0])
    assert not (airflow.dag(DAGS[0]) or {})["next_dagrun_run_after"]
    for dag_id in DAGS:
        airflow.unpause(dag_id)
    create = ["backfill", "create", "--dag-id", DAGS[0], "--max-active-runs", "4"]
    dates = ["--from-date", BACKFILLED[0], "--to-date", BACKFILLED[-1]]
    variables = environment.for_programs(environment.read(stack.home))
    subprocess.run([str(embedded_airflow.executable()), *create, *dates], env=variables, check=True)
    wait_for(lambda: airflow.count(DAGS[0], ENDED, "backfill") == len(BACKFILLED), "the backfill")
    wait_for(lambda: airflow.count(DAGS[1], ENDED) >= len(BACKFILLED), "the scores of the backfill")
    wait_for(pipeline.registry.champion, "the pipeline to train its first champion")
    wait_for(lambda: settled(airflow), "Airflow to settle")
    with postgres.connect(stack.ports, stack.secrets) as connection:
        counted = connection.execute(
            "SELECT to_char(rented_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count(*) FROM rentals "
            "GROUP BY day HAVING to_char(min(rented_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD') <= %s",
            (NEXT_NIGHT,),
        ).fetchall()
    return dict(counted)


@pytest.fixture(scope="module")
def night(week: dict[str, int], airflow: AirflowApi) -> Run:
    """The night after, started by hand with its partition key; what it set off has settled."""
    run = airflow.trigger(DAGS[0], partition=NEXT_NIGHT)
    wait_for(lambda: airflow.run(run).ended, f"the ingest of {NEXT_NIGHT}")
    wait_for(lambda: airflow.runs(DAGS[2], partition=NEXT_NIGHT), f"the monitor of {NEXT_NIGHT}")
    wait_for(lambda: settled(airflow), "Airflow to settle")
    return airflow.run(run)


def rows_by_partition(pipeline: Pipeline, table: Table) -> dict[str, int]:
    if not pipeline.lake.partitions(table):
        return {}
    counts = pipeline.lake.read(table).group_by(PARTITION).aggregate([([], "count_all")])
    return dict(zip(counts[PARTITION].to_pylist(), counts["count_all"].to_pylist(), strict=True))


def test_the_backfill_published_every_row_of_the_week(
    week: dict[str, int], airflow: AirflowApi, pipeline: Pipeline
) -> None:
    assert airflow.count(DAGS[0], ["success"], "backfill") == len(BACKFILLED)
    published = rows_by_partition(pipeline, Table.PARTITIONS)
    quarantined = rows_by_partition(pipeline, Table.QUARANTINE)
    for day in BACKFILLED:
        assert published[day] + quarantined.get(day, 0) == week[day]


def test_the_first_champion_trained_itself_on_the_past_alone(
    week: dict[str, int], airflow: AirflowApi, pipeline: Pipeline
) -> None:
    promoted = next(event for event in pipeline.registry.history() if event.kind == "promoted")
    lineage = json.loads(pipeline.registry.read(promoted.version, "lineage.json"))
    assert lineage["reason"]["kind"] == "first"
    assert lineage["window"]["last"] < promoted.as_of
    assert BACKFILLED[4] < promoted.as_of <= NEXT_NIGHT
    (run,) = [run for run in airflow.runs(DAGS[3]) if run.run_id == f"first__{promoted.as_of}"]
    assert airflow.tasks(run)["promote"] == "success"
    assert pipeline.registry.verify() == []


def test_the_night_is_scored_by_the_champion_as_of_it(
    night: Run, week: dict[str, int], pipeline: Pipeline, stack: Stack
) -> None:
    assert night.state == "success"
    predictions = pipeline.lake.read(Table.PREDICTIONS, NEXT_NIGHT, NEXT_NIGHT)
    assert len(predictions) == week[NEXT_NIGHT]
    assert set(predictions["version"].to_pylist()) == {pipeline.registry.champion(NEXT_NIGHT)}
    with postgres.connect(stack.ports, stack.secrets) as connection:
        stored = connection.execute(
            "SELECT rented_at, prediction FROM bike_demand_predictions WHERE partition = %s", (NEXT_NIGHT,)
        ).fetchall()
    in_lake = zip(predictions["rented_at"].to_pylist(), predictions["prediction"].to_pylist(), strict=True)
    assert dict(stored) == dict(in_lake)


def test_the_monitor_retrained_and_the_reason_is_stored_with_the_model(
    night: Run, airflow: AirflowApi, pipeline: Pipeline
) -> None:
    (record,) = pipeline.lake.read(Table.MONITORING, NEXT_NIGHT, NEXT_NIGHT).to_pylist()
    started = [run for run in airflow.runs(DAGS[3]) if run.run_id == f"monitor__{NEXT_NIGHT}"]
    assert len(started) == int(record["retrain"]), record["reason"]
    if record["retrain"]:
        event = next(e for e in pipeline.registry.history() if e.as_of == DAY_AFTER)
        lineage = json.loads(pipeline.registry.read(event.version, "lineage.json"))
        assert lineage["reason"]["sentence"] == record["reason"]
        assert lineage["reason"]["partition"] == NEXT_NIGHT


def test_the_runs_of_the_night_are_named_by_it_and_say_what_came_of_it(
    night: Run, airflow: AirflowApi, pipeline: Pipeline
) -> None:
    assert night.run_id.startswith(f"manual__{NEXT_NIGHT}__")
    assert night.note == f"{NEXT_NIGHT}: {published_in_words(pipeline)}"
    for dag_id, said in ((DAGS[1], "rows scored by "), (DAGS[2], " rows, mae ")):
        first = airflow.runs(dag_id, partition=NEXT_NIGHT)[-1]
        assert first.run_id.startswith(f"asset_triggered__{NEXT_NIGHT}__")
        assert first.note
        assert first.note.startswith(f"{NEXT_NIGHT}: ")
        assert said in first.note.splitlines()[0]


def published_in_words(pipeline: Pipeline) -> str:
    published = rows_by_partition(pipeline, Table.PARTITIONS)[NEXT_NIGHT]
    aside = rows_by_partition(pipeline, Table.QUARANTINE).get(NEXT_NIGHT, 0)
    return f"{published} rows published, {aside} in quarantine"


def told_of(receiver: Receiver, name: str) -> set[str]:
    told = [figure for figure, tags in [*receiver.gauges] if ("pipeline", name) in tags]
    return {figure.removeprefix("airflow.") for figure in told}


def test_an_otlp_receiver_has_every_figure_of_the_night(
    night: Run, week: dict[str, int], pipeline: Pipeline, otlp: Receiver
) -> None:
    # A task's process sends what it told after the task has ended.
    wait_for(lambda: told_of(otlp, "bike_demand") >= {one.name for one in FIGURES}, "every figure")
    assert otlp.told("airflow.evergreen.scored_rows", pipeline="bike_demand") == week[NEXT_NIGHT]
    end = otlp.told("airflow.evergreen.partition_end", pipeline="bike_demand", stage="monitor")
    assert end == pipeline.spec.calendar.end(NEXT_NIGHT).timestamp()


def test_the_server_of_the_stack_answers_as_the_night(night: Run, pipeline: Pipeline, stack: Stack) -> None:
    url, champion = serving.url(stack.ports), pipeline.registry.champion()
    assert champion is not None
    wait_for(lambda: demo_request.is_served(url, "bike_demand", champion), f"the server to load {champion}")
    asked = demo_request.night_of(pipeline, champion, [*BACKFILLED, NEXT_NIGHT])
    assert len(asked.predictions) == len(asked.rows) > 0
    demo_request.ask(url, pipeline, asked)


def test_a_day_ingested_again_by_its_param_changes_nothing(
    night: Run, airflow: AirflowApi, pipeline: Pipeline
) -> None:
    before = pipeline.lake.version(Table.PARTITIONS)
    trainings = airflow.count(DAGS[3])
    run = airflow.trigger(DAGS[0], conf={"partition": BACKFILLED[2]})
    wait_for(lambda: airflow.run(run).ended, f"the second ingest of {BACKFILLED[2]}")
    assert airflow.run(run).state == "success"
    wait_for(lambda: settled(airflow), "Airflow to settle")
    assert pipeline.lake.version(Table.PARTITIONS) == before
    assert airflow.count(DAGS[3]) == trainings


def test_a_day_without_rows_is_refused_and_nothing_is_lost(
    night: Run, airflow: AirflowApi, pipeline: Pipeline
) -> None:
    published = pipeline.lake.partitions()
    run = airflow.trigger(DAGS[0], partition="2009-12-31")
    wait_for(lambda: airflow.run(run).ended, "the ingest of a day before the data")
    assert airflow.tasks(run)["validate"] == "failed"
    assert airflow.tasks(run)["publish"] == "upstream_failed"
    assert (airflow.run(run).note or "").startswith("2009-12-31: ")
    assert pipeline.lake.partitions() == published


def test_no_staging_is_left_behind(night: Run, pipeline: Pipeline) -> None:
    left = pipeline.storage.list("bike_demand/staging/")
    assert not [key for key in left if key.endswith(".parquet") or key.endswith(".skops")]


def test_a_model_with_a_changed_byte_is_never_scored_with(
    night: Run, airflow: AirflowApi, pipeline: Pipeline
) -> None:
    key = f"bike_demand/models/{pipeline.registry.champion(NEXT_NIGHT)}/model.skops"
    sound = pipeline.storage.read(key).body
    broken = bytes([*sound[:1000], sound[1000] ^ 1, *sound[1001:]])
    pipeline.storage.stage(key, broken)
    try:
        run = airflow.trigger(DAGS[1], partition=NEXT_NIGHT)
        wait_for(lambda: airflow.run(run).ended, "the score with a broken model")
        assert airflow.tasks(run)["score"] == "failed"
    finally:
        pipeline.storage.stage(key, sound)


def test_predictions_table_has_one_row_a_key(night: Run, stack: Stack) -> None:
    with postgres.connect(stack.ports, stack.secrets) as connection:
        (twice,) = connection.execute(
            "SELECT count(*) - count(DISTINCT rented_at) FROM bike_demand_predictions"
        ).fetchone() or (None,)
    assert twice == 0


def test_empty_forms_take_the_newest_and_the_same_again(night: Run, airflow: AirflowApi) -> None:
    def said(run: Run, task: str) -> str:
        wait_for(lambda: airflow.run(run).ended, f"{run.run_id} of {run.dag_id}")
        assert airflow.run(run).state == "success"
        return next(line for line in airflow.log(run, task) if "the newest" in line)

    score, monitor = airflow.trigger(DAGS[1]), airflow.trigger(DAGS[2])
    assert said(score, "score") == f"{NEXT_NIGHT}: the newest day that is published"
    assert said(monitor, "monitor") == f"{NEXT_NIGHT}: the newest day that is scored"
    ingest = airflow.trigger(DAGS[0], at="2011-01-09T05:00:00Z")
    for task in ("extract_rentals", "publish"):
        assert said(ingest, task) == f"{DAY_AFTER}: the newest day that had ended at 2011-01-09 05:00 UTC"
    wait_for(lambda: airflow.runs(DAGS[2], partition=DAY_AFTER), f"the monitor of {DAY_AFTER}")
    airflow.clear(score)
    wait_for(lambda: not airflow.run(score).ended, "the cleared run to begin")
    assert said(score, "score") == f"{NEXT_NIGHT}: the newest day that is published"


def test_no_secret_is_in_airflow_s_database_in_a_log_or_in_a_report(
    night: Run, stack: Stack, pipeline: Pipeline
) -> None:
    """XComs, rendered fields, notes, asset events and the log of actions are rows of the database."""
    kept = asdict(stack.secrets)
    kept.pop("s3_access_key")  # a name, which the store logs with each request
    rows = rows_of_airflow(stack)
    assert rows.keys() >= {"xcom", "rendered_task_instance_fields", "asset_event", "log", "dag_run_note"}
    logs = {str(file): file.read_text(errors="replace") for file in stack.home.logs.rglob("*.log")}
    reports = {
        key: pipeline.storage.read(key).body.decode()
        for key in pipeline.storage.list("bike_demand/")
        if key.endswith((".json", ".html"))
    }
    assert logs
    assert reports
    told = [
        (place, name)
        for place, text in {**rows, **logs, **reports}.items()
        for name, secret in kept.items()
        if secret in text
    ]
    assert told == []


def rows_of_airflow(stack: Stack) -> dict[str, str]:
    """Of each table of Airflow's own database that has rows, these as text."""
    with postgres.connect(stack.ports, stack.secrets, postgres.AIRFLOW_DATABASE) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        found = {
            name: connection.execute(
                sql.SQL("SELECT string_agg(each::text, chr(10)) FROM {} AS each").format(sql.Identifier(name))
            ).fetchone()
            for name in tables
        }
    return {name: row[0] for name, row in found.items() if row and row[0]}
