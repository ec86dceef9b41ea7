"""The pages that tell what a server answers: for people, and for programs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from jsonschema import Draft202012Validator

from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import running

NAMES = {"iris": "iris", "bikes": "bike_demand"}


@pytest.fixture(scope="module")
def client(worlds: Worlds) -> Iterator[httpx.Client]:
    with running(*(worlds(name).pipeline for name in NAMES)) as client:
        yield client


def test_each_pipeline_has_schemas_that_its_requests_and_answers_hold(
    client: httpx.Client, worlds: Worlds
) -> None:
    described = client.get("/openapi.json").json()
    for world, name in NAMES.items():
        place = f"/v1/pipelines/{name}/predict"
        asked = described["paths"][place]["post"]
        body = asked["requestBody"]["content"]["application/json"]
        request: dict[str, Any] = {"rows": worlds(world).raw, "whole": True}
        holds = Draft202012Validator(body["schema"])
        holds.validate(request)
        holds.validate(body["example"])
        assert not holds.is_valid({"rows": [{**request["rows"][0], "colour": 1}]})
        answered = asked["responses"]["200"]["content"]["application/json"]["schema"]
        answer = client.post(place, json=request).json()
        Draft202012Validator(answered).validate(answer)
        of_row = answered["properties"]["predictions"]["items"]["anyOf"][0]["properties"]
        assert set(of_row) == set(answer["predictions"][0])
    assert "/v2/models/{model}/infer" in described["paths"]


def test_a_page_for_people_with_a_command_to_copy(client: httpx.Client, worlds: Worlds) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|<link|src=|url\(|https?://(?!127\.0\.0\.1:)", page.text)
    assert "Online, only a whole partition may be asked for" in page.text
    for name in NAMES.values():
        assert f'<section id="{name}">' in page.text
    for text in (worlds("iris").version, "sepal_length", "probabilities"):
        assert text in page.text
    commands = re.findall(r"<pre[^>]*>(.*?)</pre>", page.text, re.DOTALL)
    unescaped = commands[0].replace("&#39;", "'").replace("&#34;", '"').replace("\\\n", "")
    _, _, url, _, _, _, body = shlex.split(unescaped)
    assert url == f"{client.base_url}/v1/pipelines/iris/predict".replace("//v1", "/v1")
    assert set(msgspec.json.decode(body)["rows"][0]) == set(worlds("iris").raw[0])


def test_a_host_that_is_none_stays_out_of_the_command(client: httpx.Client) -> None:
    page = client.get("/docs", headers={"host": "x';echo;'"})
    assert "echo" not in page.text
    assert f"{client.base_url}".rstrip("/") in page.text
