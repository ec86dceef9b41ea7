from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest

from evergreen.errors import NotFoundError, SourceError, StorageError, UnavailableError
from evergreen.ingestion.checkpoint import StagedCheckpoint
from evergreen.sources import checkpoint as module
from evergreen.sources.attempts import ATTEMPTS
from evergreen.sources.checkpoint import Keeper
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http
from evergreen.staging import Staging

DAY = "2011-01-01"
PAGES = [
    [{"at": "2011-01-01T00:00:00Z", "n": 1, "note": None}, {"at": "2011-01-01T01:00:00Z", "n": "?"}],
    [{"at": "2011-01-01T02:00:00Z", "n": 3, "tags": ["a"]}, {"at": "2011-01-01T03:00:00Z", "n": 4}],
    [{"at": "2011-01-01T04:00:00Z", "n": 5, "text": "2011-01-01T00:00:00Z"}, {"at": "2011-01-01T05:00:00Z"}],
    [{"at": "2011-01-01T06:00:00Z", "n": 7, "text": "no time"}],
]
KINDS = {
    "cursor": {"paging": {"cursor": {}}},
    "page": {"paging": {"page": {"size_param": "size", "size": 2}}},
    "offset": {"paging": {"offset": {"limit": 2}}},
    "link": {"paging": {"link": {}}},
    "header": {"paging": {"header": {}}},
    "json_lines": {"paging": {"header": {}}, "format": "json_lines"},
    "csv": {"paging": {"header": {}}, "format": "csv"},
}


class Disk:
    """A storage that keeps objects in a dictionary, and fails when it is told to."""

    def __init__(self):
        self.objects, self.fails = {}, False

    def stage(self, key, body):
        if self.fails:
            raise StorageError("the storage is full: make room")
        self.objects[key] = bytes(body)

    def read(self, key):
        if key not in self.objects:
            raise NotFoundError(key)
        return SimpleNamespace(body=self.objects[key])

    def exists(self, key):
        return key in self.objects


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def kept(disk):
    """Makes what each attempt of a task has: a checkpoint of its own on the same staging."""
    return lambda: StagedCheckpoint(Staging(disk, "p", "night-1"), "weather")


def source(kind, **changes):
    values = {"conn_id": "weather_api", "path": "/v1", "time_column": "at", "types": {"n": "float"}}
    return HttpSource(**{**values, **KINDS[kind], **changes})


def answers(kind, answer, pages=PAGES):
    made = []
    if kind in ("page", "offset"):
        pages = [*pages, []]  # which ends them
    for number, records in enumerate(pages):
        more = number + 1 < len(pages)
        link = {"Link": f'</v1?part={number + 1}>; rel="next"'} if more else {}
        if kind == "json_lines":
            body = "".join(json.dumps(record) + "\n" for record in records)
        elif kind == "csv":
            names = list(dict.fromkeys(name for page in pages for record in page for name in record))
            lines = [
                [json.dumps(r[n]) if n == "tags" else str(r.get(n) or "") for n in names]
                for r in [{"tags": None, **record} for record in records]
            ]
            body = (
                "\n".join(
                    ",".join(f'"{v.replace(chr(34), chr(34) * 2)}"' for v in line) for line in [names, *lines]
                )
                + "\n"
            )
        else:
            after = {"cursor": f"c{number}", "link": f"/v1?part={number + 1}"}.get(kind) if more else None
            body = json.dumps({"data": records, "next": after})
        made.append(answer(body=body.encode(), headers=link))
    return made


def rows(described, api, checkpoint=None):
    found = read_http(described, api.connection(), DAY, checkpoint)
    table = found.table()
    return table, [(record.place, record.reason) for record in found.rejected]


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_at_any_page_a_read_goes_on_to_the_rows_of_a_whole_one(api, answer, kept, kind):
    api.will(*answers(kind, answer))
    whole, rejected = rows(source(kind), api)
    requests = [(path, params) for path, params, _ in api.asked]
    assert whole.num_rows == 6
    assert rejected[0][0] == "page 1, record 2"
    for at in range(len(PAGES)):
        api.asked.clear()
        good = answers(kind, answer)
        api.will(*good[:at], *[answer(500)] * ATTEMPTS, *good[at:])
        with pytest.raises(UnavailableError, match="500, 5 times"):
            rows(source(kind), api, kept())
        again, rejected_again = rows(source(kind), api, kept())
        assert again.equals(whole)
        assert rejected_again == rejected
        asked = [(path, params) for path, params, _ in api.asked]
        assert asked == requests[:at] + [requests[at]] * ATTEMPTS + requests[at:]


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_before_every_page_too(api, answer, kept, kind):
    api.will(*answers(kind, answer))
    whole, rejected = rows(source(kind), api)
    good = answers(kind, answer)
    for page in good:
        api.will(*[answer(503)] * ATTEMPTS, page)
    for _ in good:
        with pytest.raises(UnavailableError):
            rows(source(kind), api, kept())
    again, rejected_again = rows(source(kind), api, kept())
    assert again.equals(whole)
    assert rejected_again == rejected


def test_a_read_that_was_killed_goes_on_from_its_last_save(api, answer, kept, monkeypatch):
    api.will(*answers("cursor", answer))
    whole, _ = rows(source("cursor"), api)
    monkeypatch.setattr(module, "SAVE_BYTES", 1)
    api.will(*answers("cursor", answer)[:3])
    killed = kept()
    killed.save, saves = _three_saves(killed.save)
    with pytest.raises(KeyboardInterrupt):
        rows(source("cursor"), api, killed)
    api.asked.clear()
    api.script = answers("cursor", answer)[2:]
    again, _ = rows(source("cursor"), api, kept())
    assert len(saves) == 3
    assert again.equals(whole)
    assert [params for _, params, _ in api.asked] == [{"cursor": "c1"}, {"cursor": "c2"}]


def _three_saves(save):
    done = []

    def limited(*values):
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt
        save(*values)

    return limited, done


def test_an_expired_cursor_makes_it_start_over_once_and_say_so(api, answer, kept, caplog):
    good = answers("cursor", answer)
    api.will(*good[:2], *[answer(500)] * ATTEMPTS)
    with pytest.raises(UnavailableError):
        rows(source("cursor"), api, kept())
    api.will(answer(410), *good)
    with caplog.at_level(logging.WARNING):
        table, _ = rows(source("cursor"), api, kept())
    assert table.num_rows == 6
    assert "starts again" in caplog.text
    assert "410" in caplog.text


def test_a_no_to_the_first_page_as_well_is_told(api, answer, kept):
    api.will(*answers("cursor", answer)[:2], *[answer(500)] * ATTEMPTS)
    with pytest.raises(UnavailableError):
        rows(source("cursor"), api, kept())
    api.will(answer(410), answer(401))
    with pytest.raises(SourceError, match="answered 401"):
        rows(source("cursor"), api, kept())


def test_what_another_description_read_is_not_taken_up(api, answer, kept):
    api.will(*answers("cursor", answer)[:2], *[answer(500)] * ATTEMPTS)
    with pytest.raises(UnavailableError):
        rows(source("cursor"), api, kept())
    api.asked.clear()
    api.will(*answers("cursor", answer))
    table, rejected = rows(source("cursor", types={"n": "text"}), api, kept())
    assert (table.num_rows, rejected) == (7, [])
    assert len(api.asked) == len(PAGES)


def test_caps_may_be_raised_in_between(api, answer, kept):
    good = answers("cursor", answer)
    api.will(*good[:3])
    with pytest.raises(SourceError, match="more than 3 pages"):
        rows(source("cursor", max_pages=3), api, kept())
    api.will(good[3])
    assert rows(source("cursor", max_pages=4), api, kept())[0].num_rows == 6


def test_pages_count_over_all_attempts(api, answer, kept):
    good = answers("cursor", answer)
    api.will(*good[:2], *[answer(500)] * ATTEMPTS, *good[2:])
    with pytest.raises(UnavailableError):
        rows(source("cursor", max_pages=3), api, kept())
    with pytest.raises(SourceError, match="more than 3 pages"):
        rows(source("cursor", max_pages=3), api, kept())


def test_a_good_read_leaves_nothing_to_take_up(api, answer, kept, disk):
    api.will(*answers("cursor", answer)[:2], *[answer(500)] * ATTEMPTS, *answers("cursor", answer)[2:])
    with pytest.raises(UnavailableError):
        rows(source("cursor"), api, kept())
    assert kept().load() is not None
    rows(source("cursor"), api, kept())
    assert kept().load() is None


def test_a_read_without_failures_writes_nothing(api, answer, kept, disk):
    api.will(*answers("cursor", answer))
    rows(source("cursor"), api, kept())
    assert disk.objects == {}


def test_a_page_served_again_after_the_interruption_is_found_out(api, answer, kept):
    good = answers("page", answer)
    api.will(*good[:2], *[answer(500)] * ATTEMPTS, good[1], *good)
    with pytest.raises(UnavailableError):
        rows(source("page"), api, kept())
    assert rows(source("page"), api, kept())[0].num_rows == 6  # not gone on, but begun again


def test_a_damaged_part_makes_it_begin_again(api, answer, kept, disk, caplog):
    api.will(*answers("cursor", answer)[:2], *[answer(500)] * ATTEMPTS, *answers("cursor", answer))
    with pytest.raises(UnavailableError):
        rows(source("cursor"), api, kept())
    part = next(key for key in disk.objects if not key.endswith(".json"))
    disk.objects[part] = disk.objects[part][:-9]
    assert rows(source("cursor"), api, kept())[0].num_rows == 6
    assert "cannot be read" in caplog.text


def test_a_storage_that_fails_does_not_hide_what_ended_the_read(api, answer, kept, disk, caplog):
    api.will(*answers("cursor", answer)[:2], *[answer(500)] * ATTEMPTS)
    disk.fails = True
    with pytest.raises(UnavailableError, match="answered 500"):
        rows(source("cursor"), api, kept())
    assert "cannot be written" in caplog.text


def test_after_a_save_that_failed_nothing_is_saved_that_would_leave_a_hole(kept, disk):
    first = kept()
    keeper = Keeper(first, "x")
    keeper.save(lambda: (b"one", {"n": 1}))
    disk.fails = True
    keeper.save(lambda: (b"two", {"n": 2}))
    disk.fails = False
    keeper.save(lambda: (b"three", {"n": 3}))
    parts, state = Keeper(kept(), "x").load()
    assert (parts, state["n"]) == ([b"one"], 1)
