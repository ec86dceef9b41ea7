"""What the server answers is what the night has published, bit for bit."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.embedded.demo_request import ask, is_served, night_of
from deploy.embedded.errors import StackError
from evergreen.lake import PARTITION, Table
from evergreen.scoring.checked_model import load_checked_model
from evergreen.serving.answer import answer, answer_directly, with_direct_way
from evergreen.serving.arrow_answer import answer_stream
from evergreen.serving.arrow_stream import ARROW, read_stream
from evergreen.serving.body import read_body
from evergreen.serving.direct import Direct
from evergreen.serving.limits import Limits
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.served import Served
from evergreen.spec import LookBack, Serving, Spec
from evergreen.storage import Storage
from tests.arrow_streams import streamed
from tests.campaign import examples, rounds
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import running
from tests.integration.serving.worlds import WORLDS, World, many_days_of_bikes, plain


def served_by(world: World, spec: Spec) -> Served:
    """The version of a world, as a server has it, under another description."""
    pipeline = world.pipeline.described_by(spec)
    schema = pipeline.lake.schema(Table.PARTITIONS)
    assert schema is not None
    return with_direct_way(Served.of(load_checked_model(pipeline, world.version), schema))


def asked(world: World, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is answered to a request, without a server."""
    return predicted(served_by(world, world.pipeline.spec), rows)


def predicted(served: Served, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a version answers to a request."""
    text = msgspec.json.encode({"rows": rows, "whole": True})
    found = answer(served, read_body(text, exact=served.types.exact, most_rows=1000))
    document = msgspec.json.decode(msgspec.json.encode(found.document(served.spec.name)))
    assert found.failed == 0
    said: list[dict[str, Any]] = document["predictions"]
    return said


@pytest.mark.parametrize("name", WORLDS)
def test_a_whole_partition_is_answered_as_it_was_published(worlds: Worlds, name: str) -> None:
    world = worlds(name)
    rows, night = world.raw, world.night
    assert len(rows) > 1
    order = list(range(len(rows)))
    random.Random(4).shuffle(order)
    assert asked(world, [rows[at] for at in order]) == [night[at] for at in order]


@pytest.mark.parametrize("name", WORLDS)
def test_in_arrow_it_is_answered_in_the_columns_that_were_published(worlds: Worlds, name: str) -> None:
    world = worlds(name)
    served = served_by(world, world.pipeline.spec)
    lake, key = world.pipeline.lake, world.partition
    rows = lake.read(Table.PARTITIONS, key, key)
    rows = rows.select([name for name in served.types.schema.names if name in rows.column_names])
    body = read_stream(streamed(rows.replace_schema_metadata({"whole": "true"}), "lz4"), Limits())
    found = answer(served, body)
    said = pa.ipc.open_stream(answer_stream(served, found.document(served.spec.name))).read_all()
    night = lake.read(Table.PREDICTIONS, key, key)
    unsaid = [name for name in (PARTITION, "actual") if name in night.column_names]
    night = night.drop_columns(unsaid)
    assert {*said.column_names} == {*night.column_names, "error"}
    assert said.column("error").null_count == len(said)
    order = [(name, "ascending") for name in world.pipeline.spec.keys]
    assert said.select(night.column_names).sort_by(order).equals(night.sort_by(order))
    assert said.schema.metadata[b"version"].decode() == world.version


@pytest.mark.parametrize("name", WORLDS)
def test_rows_by_themselves_are_answered_as_the_partition_was(worlds: Worlds, name: str) -> None:
    world = worlds(name)
    served = served_by(world, world.pipeline.spec)
    if not served.takes_single_rows:
        with pytest.raises(RequestRefusedError, match="send all rows of"):
            asked(world, world.raw[:1])
        return
    few = slice(None, None, max(1, len(world.raw) // 20))
    assert [asked(world, [row])[0] for row in world.raw[few]] == world.night[few]


@pytest.mark.parametrize(("name", "is_direct"), [("iris", True), ("lender", True), ("bikes", False)])
def test_rows_go_the_direct_way_where_their_columns_are_the_features(
    worlds: Worlds, name: str, is_direct: bool
) -> None:
    world = worlds(name)
    served = served_by(world, world.pipeline.spec)
    assert (served.direct is not None) is is_direct
    if served.direct is not None:
        said = served.direct.predictions(msgspec.json.encode({"rows": world.raw}), 1000)
        assert msgspec.json.decode(msgspec.json.encode(said)) == world.night


def test_a_direct_way_that_says_something_else_is_not_taken(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = worlds("iris")
    predictions = Direct.predictions
    monkeypatch.setattr(Direct, "predictions", lambda self, *asked: predictions(self, *asked)[::-1])
    assert served_by(world, world.pipeline.spec).direct is None


_BAD = st.sampled_from([None, True, "x", "5.1", 5, -1.5, 1e300, 2**60, 2**70, [], {}, "\0", -0.0])


@pytest.fixture(scope="module")
def flowers(worlds: Worlds) -> tuple[World, Served]:
    """The world of flowers, and its version as a server has it."""
    world = worlds("iris")
    return world, served_by(world, world.pipeline.spec)


@settings(max_examples=examples(30))
@given(data=st.data())
def test_the_direct_way_answers_as_the_general_one_or_not_at_all(
    flowers: tuple[World, Served], data: st.DataObject
) -> None:
    world, served = flowers
    rows = [dict(row) for row in data.draw(st.lists(st.sampled_from(world.raw), min_size=1, max_size=4))]
    for row in rows:
        for name in data.draw(st.sets(st.sampled_from([*row]), max_size=2)):
            row[name] = data.draw(_BAD)
        if data.draw(st.integers(0, 9)) == 0:
            row.pop(data.draw(st.sampled_from([*row])))
    text = msgspec.json.encode({"rows": rows})
    if data.draw(st.integers(0, 9)) == 0:
        text = text.replace(b'"petal_width"', b'"petal_length"')  # which comes twice now
    if data.draw(st.booleans()):
        text = text.replace(b"}}", b'}, "whole": true}')
    found = answer_directly(served, text, 1000)
    try:
        body = read_body(text, exact=served.types.exact, most_rows=1000)
    except RequestRefusedError:
        assert found is None
        return
    general = answer(served, body)
    assert found is None or (found.rows, found.failed) == (general.rows, 0)
    if rows == [row for row in world.raw if row in rows]:
        assert found is not None


def test_day_by_day_of_a_long_history(storage: Storage, tell: Callable[[str], None]) -> None:
    worlds = many_days_of_bikes(storage, rounds(2, 365))
    served = served_by(worlds[0], worlds[0].pipeline.spec)
    rows = 0
    for world in worlds:
        night = world.night
        assert predicted(served, world.raw) == night, world.partition
        rows += len(night)
    tell(f"{len(worlds)} partitions of bike_demand, {rows} rows: answered as they were published")


def test_over_http_with_features_that_look_back(worlds: Worlds) -> None:
    world = worlds("bikes")
    with running(world.pipeline) as client:
        place = "/v1/pipelines/bike_demand/predict"
        found = client.post(place, json={"rows": world.raw, "whole": True})
        assert found.status_code == 200
        answered = found.json()
        look_back = answered.pop("look_back")
        assert answered == {
            "pipeline": "bike_demand",
            "version": world.version,
            "predictions": world.night,
        }
        assert len(look_back["2024-03-31"].pop("digest")) == 16
        assert look_back == {"2024-03-31": {"newest": "2024-03-30", "age_seconds": 0.0, "stale": False}}
        assert 'look_back_end_seconds{pipeline="bike_demand"} 1.7119296e+09' in client.get("/metrics").text
        kind = {"content-type": ARROW, "accept": ARROW}
        rows = pa.Table.from_pylist(world.raw).replace_schema_metadata({"whole": "true"})
        found = client.post(place, content=streamed(rows), headers=kind)
        assert (found.status_code, found.headers["content-type"]) == (200, ARROW)
        said = pa.ipc.open_stream(found.content).read_all()
        assert [plain(row) for row in said.drop_columns("error").to_pylist()] == world.night
        told = {name.decode(): value.decode() for name, value in said.schema.metadata.items()}
        assert json.loads(told.pop("look_back"))["2024-03-31"]["newest"] == "2024-03-30"
        assert told == {"pipeline": "bike_demand", "version": world.version}
        part = client.post(place, json={"rows": world.raw[:1]})
        assert part.status_code == 422
        assert 'send all rows of 2024-03-31, and say "whole": true' in part.json()["error"]
        part = client.post(place, json={"rows": world.raw[1:], "whole": True})
        assert part.status_code == 422
        assert "1 of 24 rows that are published are missing" in part.json()["error"]


@pytest.mark.parametrize("stale", ["refuse", "allow"])
def test_rows_far_after_the_newest_partition_are_answered_only_where_that_is_allowed(
    worlds: Worlds, stale: str
) -> None:
    world = worlds("bikes")
    described = LookBack.model_validate({"max_age": "2 days", "stale": stale})
    spec = world.pipeline.spec.model_copy(update={"serving": Serving(look_back=described)})
    served = served_by(world, spec)
    rows = [row | {"rented_at": row["rented_at"].replace("-03-31", "-04-09")} for row in world.raw]
    text = msgspec.json.encode({"rows": rows, "whole": True})
    body = read_body(text, exact=served.types.exact, most_rows=1000)
    if stale == "refuse":
        with pytest.raises(RequestRefusedError, match="its look-back is too old") as caught:
            answer(served, body)
        assert caught.value.status == 503
    else:
        (found,) = answer(served, body).look_backs.values()
        assert (found.newest, found.stale) == ("2024-03-31", True)


def test_the_demo_asks_for_a_night_and_tells_a_wrong_answer(worlds: Worlds) -> None:
    world = worlds("bikes")
    pipeline, version = world.pipeline, world.version
    night = night_of(pipeline, version, ["2024-03-30", "2024-03-31"])
    assert night.partition == world.partition
    assert json.loads(night.body) == {"rows": world.raw, "whole": True}
    assert list(night.predictions.values()) == [row["prediction"] for row in world.night]
    with running(pipeline) as client:
        url = str(client.base_url)
        assert is_served(url, pipeline.name, version)
        assert not is_served(url, pipeline.name, "another")
        ask(url, pipeline, night)
        first = next(iter(night.predictions))
        other = replace(night, predictions=night.predictions | {first: night.predictions[first] + 1e-9})
        with pytest.raises(StackError, match=r"2024-03-31: 1 of 24 answers of /predict, by .*, are not what"):
            ask(url, pipeline, other)
        with pytest.raises(StackError, match=r"/predict refused it: .*send all rows of 2024-03-31"):
            ask(url, pipeline, replace(night, rows=night.rows[:1]))
    assert not is_served(url, pipeline.name, version)
    with pytest.raises(StackError, match="does not answer"):
        ask(url, pipeline, night)


def test_what_the_champion_has_not_scored_is_what_a_night_would_write(worlds: Worlds) -> None:
    world = worlds("bikes")
    night = night_of(world.pipeline, world.version, ["2024-03-30"])
    assert night.partition == "2024-03-30"
    assert len(night.predictions) == len(night.rows) == 24
    with running(world.pipeline) as client:
        ask(str(client.base_url), world.pipeline, night)
