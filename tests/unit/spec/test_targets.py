"""A description with several targets: the pipelines it stands for, their names, and what differs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from evergreen.description import read_mapping
from evergreen.errors import EvergreenError, NotFoundError, SpecError
from evergreen.spec import Spec, load_spec, parse_spec, pipeline_names, pipelines_of
from evergreen.spec.targets import listed_targets, plainly_one
from evergreen.training_set.digest import spec_digest
from tests.unit.spec.test_spec import BIKES

Write = Callable[..., Path]
TWO = "[casual, registered]"
LOOKUP = "features: {lookups: {o: {pipeline: NAME, on: {at: at}, columns: [cnt], max_age: 1 day}}}\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the description of a folder, with what is predicted and what else is described."""
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))

    def write(target: str = TWO, more: str = "", folder: str = "bikes") -> Path:
        file = tmp_path / folder / "pipeline.yaml"
        file.parent.mkdir(exist_ok=True)
        text = BIKES.replace("name: bikes", f"name: {folder}").replace("target: cnt", f"target: {target}")
        file.write_text(text + more)
        return file

    return write


def of_casual(write: Write, target: str = TWO, more: str = "") -> Spec:
    write(target, more)
    return load_spec("bikes_casual")


@pytest.mark.parametrize(
    "target",
    [
        TWO,
        "\n  - casual # of the day\n  - registered",
        "{casual: {}, registered: }",
        "\n- casual\n- registered",
    ],
)
def test_each_target_has_a_pipeline_of_its_own(write: Write, target: str):
    file = write(target)
    assert pipeline_names() == ["bikes_casual", "bikes_registered"] == pipelines_of("bikes")
    specs = [load_spec(name) for name in pipeline_names()]
    assert [(spec.name, spec.target, spec.other_targets) for spec in specs] == [
        ("bikes_casual", "casual", ("registered",)),
        ("bikes_registered", "registered", ("casual",)),
    ]
    assert [spec.targets for spec in specs] == [("casual", "registered"), ("registered", "casual")]
    assert {spec.folder for spec in specs} == {file.parent}


def test_but_for_what_is_hidden_it_is_the_pipeline_of_a_folder(write: Write, tmp_path: Path):
    one = of_casual(write)
    alone = tmp_path / "other" / "bikes_casual"
    alone.mkdir(parents=True)
    text = BIKES.replace("name: bikes", "name: bikes_casual").replace("target: cnt", "target: casual")
    (alone / "pipeline.yaml").write_text(text)
    written = parse_spec(alone / "pipeline.yaml")
    assert one.model_copy(update={"folder": alone, "other_targets": ()}) == written
    assert (
        spec_digest(one) != spec_digest(written) == spec_digest(one.model_copy(update={"other_targets": ()}))
    )


def test_the_order_of_the_list_is_no_change(write: Write):
    three = of_casual(write, "[casual, registered, cnt]")
    assert spec_digest(three) == spec_digest(of_casual(write, "[cnt, registered, casual]"))


def test_a_list_of_one_has_the_name_that_it_has_among_more(write: Write):
    assert of_casual(write, "[casual]").other_targets == ()
    assert pipeline_names() == ["bikes_casual"]


def test_a_name_may_hold_the_sign_between_folder_and_target(write: Write):
    write("[a_b, b]", folder="bikes_day")
    assert [load_spec(name).target for name in pipeline_names()] == ["a_b", "b"]


def test_what_differs_stands_below_its_target(write: Write):
    casual = "{casual: {training: {metric: rmse}, gate: {limits: {mae: {max: 20}}}}, registered: {}}"
    shared = "gate: {limits: {mae: {max: 80}, rmse: {max: 99}}}\n"
    spec = of_casual(write, casual, shared)
    assert (spec.training.metric, spec.training.candidates[0].label) == ("rmse", "sklearn.linear_model.Ridge")
    assert {name: limit.max for name, limit in spec.gate.limits.items()} == {"mae": 20, "rmse": 99}
    other = load_spec("bikes_registered")
    assert (other.training.metric, other.gate.limits["mae"].max) == ("mae", 80)


def test_the_task_may_differ(write: Write):
    spec = of_casual(
        write, "{casual: {task: classification, positive: 1, training: {metric: accuracy}}, cnt: }"
    )
    assert (spec.task, spec.positive) == ("classification", 1)
    assert load_spec("bikes_cnt").task == "regression"


@pytest.mark.parametrize(
    ("target", "tables"),
    [
        (TWO, ["rentals_casual", "rentals_registered"]),
        ("{casual: {scoring: {table: guests}}, registered: }", ["guests", "rentals_registered"]),
    ],
)
def test_predictions_go_to_a_table_of_their_own(write: Write, target: str, tables: list[str]):
    write(target, "scoring: {conn_id: db, table: rentals}\n")
    assert [load_spec(name).scoring.table for name in pipeline_names()] == tables  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        ("[]", "", "target: must not be empty"),
        ("{}", "", "target: must not be empty"),
        ("[casual, 7]", "", "target.1: must be a text, in quotes if it looks like a number"),
        ("[casual, cnt, casual]", "", "target.2: 'casual' is named twice"),
        ("[Sale Price]", "", "target.0: 'bikes_Sale Price' would be the pipeline's name, which has up to 63"),
        (f"[{60 * 'a'}]", "", "give the column another name in its source, or each target a folder"),
        ("{casual: 3}", "", "target.casual: must be a mapping of keys to values: what differs"),
        ("{casual: {start: 2012-01-01}}", "", "target.casual.start: is the same for all targets: leave it"),
        (
            "{casual: {scoring: {table: t}}, cnt: {scoring: {table: t}}}",
            "scoring: {conn_id: d, table: x}\n",
            "target: two of them write to the table 't': name another for one",
        ),
    ],
)
def test_wrong_targets_are_refused_under_the_folders_name(write: Write, target: str, more: str, message: str):
    file = write(target, more)
    assert pipeline_names() == ["bikes"] == pipelines_of("bikes")
    for name in ("bikes", "bikes_casual"):
        assert refused(name, SpecError).startswith(f"{file}: ")
        assert message in refused(name, SpecError)


@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        ("{casual: {metric: mae}}", "", "bikes_casual: metric: no such key"),
        ("{casual: {training: {metric: acc}}}", "", "bikes_casual: training.metric: 'acc' is not a metric"),
        (TWO, "key: [at, registered]\n", "bikes_casual: target: 'registered' is among the keys of a row"),
        (TWO, f"scoring: {{conn_id: db, table: {60 * 't'}}}\n", "bikes_casual: scoring.table: write a name"),
        (TWO, "other_targets: [cnt]\n", "other_targets: no such key: list the columns to predict in target"),
        (
            TWO,
            LOOKUP.replace("NAME", "bikes_registered"),
            "lookups.o.pipeline: 'bikes_registered' has the same rows: look back with features.look_back",
        ),
        (
            TWO,
            LOOKUP.replace("NAME", "bikes_casual"),
            "lookups.o.pipeline: 'bikes_casual' itself: look back with features.look_back",
        ),
    ],
)
def test_a_wrong_description_of_a_target_names_its_pipeline(
    write: Write, target: str, more: str, message: str
):
    file = write(target, more)
    said = refused("bikes_casual", SpecError)
    assert said.startswith(f"{file}: bikes_casual: ")
    assert message in said


def test_the_name_is_the_folders(write: Write):
    file = write()
    file.write_text(file.read_text().replace("name: bikes", "name: bike"))
    assert "name: 'bike' must be the folder's name, 'bikes'" in refused("bikes_casual", SpecError)


def test_a_folder_of_several_says_which_they_are(write: Write):
    file = write()
    said = refused("bikes", NotFoundError)
    assert said == (
        f"{file} describes a pipeline for each of its targets: name one of bikes_casual, bikes_registered"
    )
    with pytest.raises(SpecError, match="target: there are several, name one of casual, registered"):
        parse_spec(file)


@pytest.mark.parametrize("name", ["bikes_cnt", "bikes_", "bikes__casual", "_casual", "casual", "bike_casual"])
def test_other_names_are_unknown(write: Write, name: str):
    write()
    said = refused(name, NotFoundError)
    assert {"bikes_casual", "bikes_registered"} & set(re.split(r"\W+", said)), "names that are like it"


@pytest.mark.parametrize("other", [("cnt", "bikes_casual"), ("[a, b]", "bikes_casual")])
def test_a_folder_keeps_its_name_from_a_target(write: Write, other: tuple[str, str]):
    taken, file = write(other[0], folder=other[1]), write()
    assert set(pipeline_names()) == {"bikes", *pipelines_of("bikes_casual")}
    assert all(load_spec(name).folder == taken.parent for name in pipelines_of("bikes_casual"))
    for name in ("bikes", "bikes_registered"):
        assert refused(name, SpecError) == (
            f"{file}: target: 'bikes_casual' would be the name of a pipeline here and in {taken.parent}: "
            "rename one of both folders"
        )


def test_two_targets_of_one_name_are_both_refused(write: Write):
    write("[day_casual, cnt]")
    write("[casual, cnt]", folder="bikes_day")
    assert pipeline_names() == ["bikes", "bikes_day"]
    for name in ("bikes", "bikes_day", "bikes_day_casual", "bikes_cnt", "bikes_day_cnt"):
        assert "'bikes_day_casual' would be the name of a pipeline here and in" in refused(name, SpecError)


def test_the_folder_of_shared_sets_is_no_target(write: Write):
    write("[sets, cnt]", folder="feature")
    assert "'feature_sets' is the folder of shared feature sets" in refused("feature_sets", SpecError)


def test_a_pipeline_of_a_target_can_be_looked_up(write: Write):
    write("[a, b]", folder="shops")
    write("cnt", LOOKUP.replace("NAME", "shops_a"))
    assert load_spec("bikes").features.lookups["o"].pipeline == "shops_a"
    write("cnt", LOOKUP.replace("NAME", "shops"))
    assert "a pipeline for each of its targets: name one of shops_a, shops_b" in refused("bikes", SpecError)


@pytest.mark.parametrize(
    ("text", "one"),
    [
        (BIKES, True),
        (BIKES.replace("target: cnt", 'target:  "cnt"  # the sum'), True),
        (BIKES.replace("target: cnt\n", ""), True),
        (BIKES.replace("target: cnt", f"target: {TWO}"), False),
        (BIKES.replace("target: cnt", "target:\n  - cnt"), False),
        (BIKES.replace("target: cnt", "target: &all [cnt]"), False),
        (BIKES.replace("target: cnt", "target: !!seq [cnt]"), False),
        (BIKES.replace("target: cnt", "'target': [cnt]"), False),
        (BIKES.replace("target: cnt", "# target: cnt\ntarget : [cnt]"), False),
        ("{name: bikes, target: [casual, registered]}", False),
        ('name: "a\ntarget: b"\ntarget: [casual, registered]', False),
    ],
)
def test_what_plainly_has_one_target_is_not_parsed(tmp_path: Path, text: str, one: bool):
    assert plainly_one(text.encode()) is one
    (tmp_path / "pipeline.yaml").write_text(text)
    listed = listed_targets(tmp_path / "pipeline.yaml", read_mapping(tmp_path / "pipeline.yaml"))
    assert not (one and listed)


def refused(name: str, error: type[EvergreenError]) -> str:
    with pytest.raises(error) as caught:
        load_spec(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)
