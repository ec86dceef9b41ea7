"""Inputs that nobody prepared end in one clear line, and leave no folder behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import unused_port
from tests.unit.two_pipelines import Evergreen

ROWS = range(1, 61)


def lines(head: str, row: Callable[[int], str]) -> str:
    return "\n".join([head, *map(row, ROWS)]) + "\n"


@pytest.fixture
def pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(folder))
    return folder


@pytest.fixture
def refused(evergreen: Evergreen, pipelines: Path, tmp_path: Path) -> Callable[..., str]:
    """The line by which a draft from a text is refused."""

    def draft(text: str, *options: str) -> str:
        (tmp_path / "a.csv").write_text(text)
        line = evergreen.line("new", "tried", "--from", str(tmp_path / "a.csv"), *options)
        assert list(pipelines.iterdir()) == []
        return line

    return draft


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a.csv is not a CSV file with a header: it is empty"),
        ("id\n" + "\n".join(map(str, ROWS)), "has 1 column: a pipeline needs at least a key and a target"),
        ("id,y\n1,2\n2,3\n", "has 2 rows, and a draft needs at least 20"),
        (lines("id,name", lambda n: f"{n},name of {n}"), "no column can be a target"),
        (lines("id,x,y", lambda n: f"{n},3,4"), "no column can be a target"),
        (lines("id,x,y", lambda n: f"{n},3,{n % 2}"), "no column is left to predict 'y' from: add some (x: "),
    ],
)  # fmt: skip
def test_what_no_pipeline_can_be_made_of(refused: Callable[..., str], text: str, said: str) -> None:
    assert said in refused(text)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("z", "--target: there is no column 'z' (there: id, x, y, name)"),
        ("x", "--target: 'x' cannot be predicted, it is 3 in all rows: name another column"),
        ("name", "it has 60 different texts in 60 rows, too many for classes"),
    ],
)
def test_a_target_that_cannot_be(refused: Callable[..., str], target: str, said: str) -> None:
    text = lines("id,x,y,name", lambda n: f"{n},3,{n % 3},name of {n}")
    assert said in refused(text, "--target", target)


def test_three_thousand_columns(evergreen: Evergreen, pipelines: Path, tmp_path: Path) -> None:
    head = ",".join(["id", *(f"c{number}" for number in range(2_998)), "y"])
    (tmp_path / "wide.csv").write_text(f"{head}\n" + ",".join(["0.5"] * 3_000))
    line = evergreen.line("new", "wide", "--from", str(tmp_path / "wide.csv"))
    assert line.endswith("line 1 names more than 2,000 columns: fix the file")


def test_names_that_no_table_can_carry_are_changed(
    evergreen: Evergreen, pipelines: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(
        lines("id,x,x,partition,y", lambda n: f"{n},{n % 7},2.5,{n % 4}.5,{n}.25")
    )
    drafted = evergreen.document("new", "tried", "--from", str(tmp_path / "a.csv"))
    assert drafted["left_out"] == {"x_2": "the same in all rows"}
    assert "columns: [id, x, x_2, partition_2, y]" in (pipelines / "tried" / "pipeline.yaml").read_text()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgres://ada:s3cret@127.0.0.1:{port}/shop/orders", "check that the server runs"),
        ("http://127.0.0.1:{port}/v1/orders", ""),
        ("http://127.0.0.1:{port}/orders.csv", ""),
        ("postgres://ada:s3cret@127.0.0.1:{port}/shop", "ends in its name and a table"),
        ("https://127.0.0.1:{port}/v1/orders?api_key=s3cret", "the address holds 'api_key'"),
        ("https://ada:s3cret@127.0.0.1:{port}/orders.csv", "the address holds a login"),
        ("/nowhere/at/all.csv", "cannot be read (No such file or directory)"),
    ],
)
def test_an_address_that_leads_nowhere(
    evergreen: Evergreen, pipelines: Path, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    from tenacity import wait_none

    monkeypatch.setattr("evergreen.sources.look.api.BACKOFF", wait_none())
    line = evergreen.line("new", "tried", "--from", address.format(port=unused_port()))
    assert said in line
    assert "s3cret" not in line
    assert list(pipelines.iterdir()) == []


@pytest.mark.parametrize("name", ["Tried", "1st", "a-b", "../a", ""])
def test_a_name_that_is_none(evergreen: Evergreen, pipelines: Path, name: str) -> None:
    assert "cannot name a pipeline" in evergreen.line("new", name, "--from", "a.csv")
    assert list(pipelines.iterdir()) == []


def test_nothing_is_overwritten(evergreen: Evergreen, pipelines: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(lines("id,x,y", lambda n: f"{n},{n % 7}.5,{n % 3}.25"))
    (pipelines / "mine").mkdir()
    line = evergreen.line("new", "mine", "--from", str(tmp_path / "a.csv"))
    assert line.endswith("/mine exists already and is not overwritten: take another name")
    assert list((pipelines / "mine").iterdir()) == []
