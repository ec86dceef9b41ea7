from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from evergreen.calendar import Length
from evergreen.errors import NotFoundError, SpecError
from evergreen.spec import SliceRule, Spec, Step, Task, load_spec, parse_spec, pipeline_names

BIKES = """\
name: bikes
description: Bikes by the hour
owner: demand
schedule: "0 2 * * *"
start: 2011-01-01
partition: daily
sources:
  rentals: {postgres: {conn_id: rentals_db, table: rentals, time_column: at}}
  weather: {http: {conn_id: weather_api, path: /v1/hourly}}
join:
  - {left: rentals, right: weather, on: {at: hour}}
task: regression
target: cnt
training:
  metric: mae
  holdout: 7 days
  candidates:
    - {estimator: sklearn.linear_model.Ridge}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    (tmp_path / "bikes").mkdir()
    return tmp_path / "bikes"


def parse(folder: Path, text: str) -> Spec:
    (folder / "pipeline.yaml").write_text(text)
    return parse_spec(folder / "pipeline.yaml")


def test_a_short_description_is_enough(folder: Path):
    spec = parse(folder, BIKES)
    assert (spec.name, spec.task, spec.target, spec.start) == (
        "bikes",
        Task.REGRESSION,
        "cnt",
        date(2011, 1, 1),
    )
    assert spec.training.window == Length(365, "day")
    assert spec.keys == ("at",)
    assert spec.join[0].on == {"at": "hour"}
    assert spec.first_partition == "2011-01-01"
    assert (spec.metric.name, spec.metric.better) == ("mae", "lower")


def test_what_is_often_one_word_may_be_written_so(folder: Path):
    more = "gate: {slices: [day]}\ntask: regression"
    candidate = "{estimator: sklearn.linear_model.Ridge, preprocess: [sklearn.preprocessing.StandardScaler]}"
    text = BIKES.replace("task: regression", more).replace(
        "{estimator: sklearn.linear_model.Ridge}", candidate
    )
    spec = parse(folder, text)
    assert spec.gate.slices == (SliceRule(column="day"),)
    assert spec.training.candidates[0].preprocess == (Step(step="sklearn.preprocessing.StandardScaler"),)


def test_days_and_weeks_are_those_of_the_time_zone(folder: Path):
    for zone, grain, start, first in [
        ("Europe/Berlin", "daily", "2011-01-01", "2011-01-01"),
        ("America/New_York", "hourly", "2011-01-01", "2011-01-01T00"),
        ("America/Sao_Paulo", "hourly", "2018-11-04", "2018-11-04T01"),  # midnight was skipped
        ("Pacific/Apia", "daily", "2011-12-30", "2011-12-31"),  # the day was
    ]:
        text = BIKES.replace("partition: daily", f"partition: {grain}\ntimezone: {zone}")
        spec = parse(folder, text.replace("start: 2011-01-01", f"start: {start}"))
        assert (spec.calendar.timezone, spec.first_partition) == (zone, first)
    weekly = BIKES.replace("partition: daily", "partition: weekly\nweek_starts: sunday")
    assert parse(folder, weekly).first_partition == "2010-12-26"


def test_on_is_a_key_and_no_boolean(folder: Path):
    for on in ("at", "[at]"):
        assert parse(folder, BIKES.replace("{at: hour}", on)).join[0].on == {"at": "at"}


@pytest.mark.parametrize("name", ["bike_demand", "iris", "wine_segments"])
def test_the_pipelines_of_the_repository_are_right(name: str):
    assert load_spec(name).name == name


def test_pipelines_are_found_without_being_read(folder: Path):
    (folder / "pipeline.yaml").write_text("{broken")
    (folder.parent / "no_pipeline").mkdir()
    assert pipeline_names() == ["bikes"]
    with pytest.raises(NotFoundError, match=r"no pipeline 'bike' in .* \(nearest: bikes\)"):
        load_spec("bike")


def test_a_folder_of_pipelines_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERGREEN_PIPELINES", "/nowhere")
    with pytest.raises(SpecError, match="/nowhere: no such folder of pipelines; set EVERGREEN_PIPELINES"):
        pipeline_names()


BROKEN = [
    ("0 2 * * *", "often", "schedule: write five fields like '0 2 * * *'"),
    (
        "owner: demand",
        "owner: demand\nowner: twice",
        "line 4, column 1: not valid YAML: the key 'owner' is repeated",
    ),
    ("owner: demand", "owner: [demand", "line 4, column 9: not valid YAML"),
    ("owner: demand\n", "", "owner: this key is required"),
    ("owner: demand", "owner: 7", "owner: must be a text, in quotes if it looks like a number"),
    ("owner: demand", "owner: demand\n1: 2", "1: a key must be a text"),
    ("owner: demand", "owner: demand\nfolder: /etc", "folder: no such key"),
    (
        "schedule:",
        "schedul:",
        "schedul: no such key, did you mean 'schedule'?; allowed here: alerts, description",
    ),
    ("name: bikes", "name: trikes", "name: 'trikes' must be the folder's name, 'bikes'"),
    ("name: bikes", "name: Bikes!", "name: write a name of a-z, 0-9 and '_'"),
    ("start: 2011-01-01", "start: soon", "start: must be a date like 2011-01-31; it is 'soon'"),
    ("start: 2011-01-01\n", "", "start: a partitioned pipeline needs the day its history starts"),
    (
        "partition: daily",
        "partition: day",
        "partition: must be 'hourly', 'daily', 'weekly', 'monthly' or 'snap",
    ),
    (
        "partition: daily",
        "partition: daily\ntimezone: Berlin",
        "timezone: no time zone 'Berlin': did you mean Europe/Berlin?",
    ),
    ("partition: daily", "partition: daily\ntimezone: Mars", "timezone: no time zone 'Mars', write one like"),
    (
        "partition: daily",
        "partition: daily\nweek_starts: sunday",
        "week_starts: a daily pipeline has no weeks, leave it out",
    ),
    (
        "partition: daily",
        "partition: weekly\nweek_starts: sun",
        "week_starts: must be 'monday', 'tuesday', 'wednesday'",
    ),
    ("partition: daily", "partition: snapshot", "training.holdout: a snapshot has no time, write a share"),
    (
        "{postgres:",
        "{mysql:",
        "sources.rentals.mysql: no such key, did you mean 'sql'?; allowed here: complete, delta, file, ",
    ),
    (
        "table: rentals",
        "tabel: rentals",
        "sources.rentals.postgres.tabel: no such key, did you mean 'table'?",
    ),
    (
        "table: rentals",
        "sql: a.sql, table: rentals",
        "sources.rentals.postgres: give either 'table' or 'sql'",
    ),
    (", time_column: at", "", "sources: a partitioned pipeline needs a 'time_column' in a source"),
    ("conn_id: weather_api", "conn_id: weather api", "conn_id: write a connection's id of letters, digits"),
    (
        "{http: {conn_id: weather_api, path: /v1/hourly}}",
        "",
        "sources.weather: must be a mapping with the keys",
    ),
    ("left: rentals", "left: rental", "join.0: no source 'rental', only rentals, weather"),
    ("right: weather", "right: rentals", "join.0: 'rentals' cannot be joined to itself"),
    ("on: {at: hour}", "on: {at: hour}, expect: 1:1", "join.0.expect: must be 'one_to_one' or 'many_to_one'"),
    ("task: regression", "task: forecast", "task: must be 'regression', 'classification' or 'clustering'"),
    (
        "task: regression",
        "task: clustering",
        "training.metric: 'mae' is not a metric of clustering: silhouette",
    ),
    ("target: cnt\n", "", "target: regression needs the column to predict"),
    ("target: cnt", "target: at", "target: 'at' is among the keys of a row"),
    (
        "metric: mae",
        "metric: accuracy",
        "training.metric: 'accuracy' is not a metric of regression: mae, rmse",
    ),
    ("metric: mae", "metric: mae\n  window: a year", "training.window: write a length like '5 partitions'"),
    ("metric: mae", "metric: mae\n  window: 0 months", "training.window: must be more than 0"),
    ("holdout: 7 days", "holdout: 400 days", "training.holdout: must be shorter than training.window"),
    ("holdout: 7 days", "holdout: 365 partitions", "training.holdout: must be shorter than training.window"),
    ("holdout: 7 days", "holdout: 12 months", "training.holdout: must be shorter than training.window"),
    (
        "sklearn.linear_model.Ridge",
        "Ridge",
        "training.candidates.0.estimator: write the full path like 'sklearn",
    ),
    ("    - {estimator: sklearn.linear_model.Ridge}", "    []", "training.candidates: must not be empty"),
    (
        "target: cnt",
        "target: cnt\ngate: {limits: {mae: 80}}",
        "gate.limits.mae: must be a mapping with the keys: max",
    ),
    (
        "target: cnt",
        "target: cnt\ngate: {limits: {acc: {max: 1}}}",
        "gate.limits.acc: 'acc' is not a metric of",
    ),
    ("target: cnt", "target: cnt\ngate: {limits: {mae: {}}}", "gate.limits.mae: give 'min', 'max' or both"),
    (
        "target: cnt",
        "target: cnt\ngate: {limits: {mae: {max: .nan}}}",
        "gate.limits.mae.max: must be a number, not",
    ),
    ("target: cnt", "target: cnt\ngate: {limits: {mae: {min: 2, max: 1}}}", "'min' must not be above 'max'"),
    (
        "target: cnt",
        "target: cnt\nvalidation: {max_quarantined: 500%}",
        "max_quarantined: write a share like '5%'",
    ),
    (
        "target: cnt",
        "target: cnt\nfeatures: {function: build}",
        "features.function: write a file and a function",
    ),
    *[
        ("target: cnt", f"target: cnt\n{given}", message)
        for given, message in [
            (
                "gate: {champion: {test: better}}",
                "gate.champion.test: must be 'non_inferiority' or 'superiority'",
            ),
            ("gate: {champion: {confidence: 30%}}", "gate.champion.confidence: "),
            ("gate: {slices: [day, {column: day}]}", "gate.slices: a column is named twice"),
            (
                "gate: {fairness: [{column: sex, metric: recall, max_difference: 0.1}]}",
                "gate.fairness.0.metric",
            ),
            ("gate: {calibration: 0.1}", "gate.calibration: regression predicts no probabilities"),
            ("gate: {resources: {size: big}}", "gate.resources.size: write a size like '500 MB'"),
            ("gate: {shadow: 1000 rows}", "gate.shadow: no challenger is a shadow, write serving.shadow"),
            ("gate: {shadow: 5%}", "gate.shadow: write a number of rows like '1000 rows', more than 0"),
            ("gate: {shadow: 0 rows}", "gate.shadow: write a number of rows like '1000 rows', more than 0"),
            ("serving: {shadow: all}", "serving.shadow: must be 'newest'"),
            ("gate: {approval: {when: never}}", "gate.approval.when: must be 'always' or 'inconclusive'"),
            ("models: {require_signature: true}", "models.require_signature: name the connection that holds"),
            ("models: {retention: forever}", "models.retention: write a duration like '28 days'"),
            ("features: {lookups: {home: {pipeline: homes, on: {}}}}", "features.lookups.home"),
            (
                "monitoring: {retrain: {on: [estimate]}}",
                "monitoring.retrain.on: 'estimate' is only for classification",
            ),
            ("monitoring: {retrain: {when: often}}", "monitoring.retrain.when: write a frequency like"),
            ("monitoring: {drift: {reference: winter}}", "monitoring.drift.reference: must be"),
            ("alerts: {to: [{conn_id: desk, at_least: loud}]}", "alerts.to.0.at_least: must be"),
            ("reports: {week: [lead]}", "reports.week: "),
            ("maintenance: {keep: 30 days}", "maintenance.keep: reports look back: write 31 days or more"),
            ("maintenance: {schedule: sundays}", "maintenance.schedule: write five fields like"),
            ("reports: {weekly: lead}", "reports.weekly: "),
            ("reports: {weekly: ['the lead']}", "reports.weekly.0: "),
        ]
    ],
    *[
        ("metric: mae", f"metric: mae\n  {given}", message)
        for given, message in [
            ("tuning: {group: shop}", "training.tuning.group: folds of a pipeline with time are in time"),
            ("balance: true", "training.balance: regression has no classes to balance"),
            ("recency: 60 days", "training.recency: write a half-life like 'half-life 60 days'"),
            ("tuning: {within: soon}", "training.tuning.within: write a duration"),
            (
                "window: since change, at most 6 days",
                "training.holdout: must be shorter than training.window",
            ),
        ]
    ],
    *[
        ("{estimator: sklearn.linear_model.Ridge}", given, f"training.candidates.0{message}")
        for given, message in [
            ("{params: {alpha: 1}}", ": give an 'estimator' to train or a 'pretrained' model, one of them"),
            ("{pretrained: {key: m.pkl, sha256: aa}}", ".pretrained.key: "),
            ("{pretrained: {key: m.onnx, sha256: aa}}", ".pretrained.sha256: write the file's SHA-256"),
            (
                f"{{pretrained: {{key: m.onnx, sha256: {64 * 'a'}}}, params: {{a: 1}}}}",
                ": a 'pretrained' model is measured as it is",
            ),
            (
                f"{{pretrained: {{key: m.onnx, sha256: {64 * 'a'}}}, recency: half-life 9 days}}",
                ": a 'pretrained' model is measured as it is",
            ),
            (
                "{estimator: sklearn.linear_model.Ridge, recency: fast}",
                ".recency: write a half-life like 'half-life 60 days'",
            ),
        ]
    ],
]


@pytest.mark.parametrize(("right", "wrong", "message"), BROKEN)
def test_a_wrong_description_is_refused_in_one_line(folder: Path, right: str, wrong: str, message: str):
    assert right in BIKES
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        parse(folder, BIKES.replace(right, wrong, 1))
    assert str(caught.value).startswith(str(folder / "pipeline.yaml"))
    assert "\n" not in str(caught.value)


def test_every_problem_is_named(folder: Path):
    with pytest.raises(SpecError, match=r"owner: .*partition: .*task: "):
        parse(folder, BIKES.replace("demand", "7").replace("daily", "day").replace("regression", "forecast"))


@pytest.mark.parametrize("text", ["", "- a", "text"])
def test_what_is_no_mapping_is_refused(folder: Path, text: str):
    with pytest.raises(SpecError, match="must be a mapping of keys to values"):
        parse(folder, text)


def test_other_encodings_are_refused(folder: Path):
    (folder / "pipeline.yaml").write_bytes(b"name: \xff")
    with pytest.raises(SpecError, match="not valid YAML in UTF-8"):
        parse_spec(folder / "pipeline.yaml")


def test_yaml_builds_no_objects(folder: Path):
    with pytest.raises(SpecError, match="could not determine a constructor"):
        parse(folder, "name: !!python/object/apply:os.system [exit]")


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("kind", "why"),
    [("snapshot", "a snapshot has no time and its rows no age"), ("clusters", "clustering takes no weights")],
)
def test_rows_without_age_or_weight_have_no_recency(make_spec, request, kind, why, own):
    text, estimator = request.getfixturevalue(kind), "{estimator: "
    given = "recency: half-life 9 days"
    changes = {estimator: f"{{{given}, estimator: "} if own else {"holdout: 20%": f"holdout: 20%\n  {given}"}
    key = r"training\.candidates\.0\.recency" if own else r"training\.recency"
    with pytest.raises(SpecError, match=f"{key}: {why}, leave it out"):
        make_spec(text, changes)
    none = {old: new.replace("half-life 9 days", "none") for old, new in changes.items()}
    assert make_spec(text, none).training.half_life(0) is None


def test_a_window_since_a_change_needs_a_signal_that_finds_one(make_spec, request):
    since = "window: since change, at most 60 days"
    daily = {"window: 60 days": since}
    assert str(make_spec(changes=daily).training.window) == "since change, at most 60 days"
    named = daily | {"task: regression": "monitoring: {retrain: {on: [bias]}}\ntask: regression"}
    said = (
        "training.window: no signal finds when the data of regression changed: name cusum in monitoring.retr"
    )
    with pytest.raises(SpecError, match=said):
        make_spec(changes=named)
    for kind, why in [("snapshot", "a snapshot has no time in which it changes"), ("clusters", "a snapshot")]:
        with pytest.raises(SpecError, match=f"training.window: {why}"):
            make_spec(request.getfixturevalue(kind), {"holdout: 20%": f"holdout: 20%\n  {since}"})


def test_a_snapshot_has_no_weeks_to_tell(make_spec, snapshot):
    with pytest.raises(SpecError, match=r"reports\.weekly: a snapshot has no weeks, leave it out, or write "):
        make_spec(snapshot, {"task: ": "reports: {weekly: [lead]}\ntask: "})
    with pytest.raises(SpecError, match=r"maintenance\.keep: a snapshot has one partition, write a length "):
        make_spec(snapshot, {"task: ": "maintenance: {keep: 60 partitions}\ntask: "})


def test_a_snapshot_has_no_changes_since(make_spec, snapshot):
    changed = "{postgres: {conn_id: db, table: sales, time_column: t, changed: {column: c}}}"
    with pytest.raises(
        SpecError, match=r"sources\.people\.postgres\.changed: a snapshot is read whole, leave it out"
    ):
        make_spec(snapshot, {"{file: {path: people.csv}}": changed})
