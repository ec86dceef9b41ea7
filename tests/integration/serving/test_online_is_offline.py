"""What the server answers is what the night has published, bit for bit."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from evergreen.lake import Table
from evergreen.scoring.checked_model import load_checked_model
from evergreen.serving.answer import answer
from evergreen.serving.body import read_body
from evergreen.serving.served import Served
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import running
from tests.integration.serving.worlds import WORLDS, World


def asked(world: World, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is answered to a request, without a server."""
    schema = world.pipeline.lake.schema(Table.PARTITIONS)
    assert schema is not None
    served = Served.of(load_checked_model(world.pipeline, world.version), schema)
    text = msgspec.json.encode({"rows": rows, "whole": True})
    found = answer(served, read_body(text, exact=served.types.exact, most_rows=1000))
    document = msgspec.json.decode(msgspec.json.encode(found.document(world.pipeline.name)))
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


def test_over_http_with_features_that_look_back(worlds: Worlds) -> None:
    world = worlds("bikes")
    with running(world.pipeline) as client:
        place = "/v1/pipelines/bike_demand/predict"
        found = client.post(place, json={"rows": world.raw, "whole": True})
        assert found.status_code == 200
        assert found.json() == {
            "pipeline": "bike_demand",
            "version": world.version,
            "predictions": world.night,
        }
        part = client.post(place, json={"rows": world.raw[:1]})
        assert part.status_code == 422
        assert 'send all rows of 2024-03-31, and say "whole": true' in part.json()["error"]
        part = client.post(place, json={"rows": world.raw[1:], "whole": True})
        assert part.status_code == 422
        assert "1 of 24 rows that are published are missing" in part.json()["error"]
