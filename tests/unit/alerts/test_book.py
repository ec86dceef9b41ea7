"""The book of open alerts: what is pending for whom, moved by compare-and-set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.alerts.alert import SEVERITIES, Alert, at_least
from evergreen.alerts.book import (
    Book,
    Claim,
    Entry,
    known_to,
    pending,
    read_book,
    told,
    updated,
    write_book,
)
from evergreen.errors import ConflictError
from evergreen.spec import Receiver
from evergreen.storage import Storage

OPS, BOSS = Receiver(conn_id="ops"), Receiver(conn_id="boss", at_least="critical")


def alert(key: str = "drift", severity: str = "warning", partition: str = "2024-01-05") -> Alert:
    return Alert(key, severity, f"{key} is there", "see the data", "bikes", partition)  # type: ignore[arg-type]


def sent(book: Book, *receivers: Receiver) -> tuple[Book, list[tuple[str, str, str]]]:
    """The book after everything pending was taken, and who got which subject's first word."""
    messages = []
    for delivery in pending(book, receivers):
        messages.append((delivery.conn_id, delivery.key, delivery.message.subject.split()[0]))
        book = told(book, delivery)
    return book, messages


def test_an_alert_goes_to_those_who_ask_for_its_severity_once() -> None:
    book = updated(Book(), [alert()], {"drift"}, "2024-01-05")
    book, messages = sent(book, OPS, BOSS)
    assert messages == [("ops", "drift", "[warning]")]
    again = updated(book, [alert(partition="2024-01-06")], {"drift"}, "2024-01-06")
    assert sent(again, OPS, BOSS)[1] == []


def test_a_more_severe_alert_is_sent_again_and_a_less_severe_one_is_not() -> None:
    book, _ = sent(updated(Book(), [alert()], (), "2024-01-05"), OPS, BOSS)
    book, messages = sent(updated(book, [alert(severity="critical")], (), "2024-01-05"), OPS, BOSS)
    assert messages == [("ops", "drift", "[critical]"), ("boss", "drift", "[critical]")]
    book, messages = sent(updated(book, [alert()], (), "2024-01-05"), OPS, BOSS)
    assert messages == []
    assert sent(updated(book, [alert(severity="critical")], (), "2024-01-05"), OPS)[1] == []


def test_the_end_is_told_once_to_those_who_heard_of_the_alert() -> None:
    book, _ = sent(updated(Book(), [alert()], (), "2024-01-05"), OPS, BOSS)
    book, messages = sent(updated(book, [], {"drift"}, "2024-01-06"), OPS, BOSS)
    assert messages == [("ops", "drift", "[over]")]
    assert book.entries == {}
    book, messages = sent(updated(book, [alert()], (), "2024-01-07"), OPS)
    assert messages == [("ops", "drift", "[warning]")]


def test_what_was_not_judged_stays_open() -> None:
    book, _ = sent(updated(Book(), [alert(), alert("limit")], (), "2024-01-05"), OPS)
    book, messages = sent(updated(book, [], {"limit"}, "2024-01-06"), OPS)
    assert messages == [("ops", "limit", "[over]")]
    assert list(book.entries) == ["drift"]


def test_what_was_found_later_is_left_alone_by_an_older_partition() -> None:
    book, _ = sent(updated(Book(), [alert(partition="2024-01-06")], (), "2024-01-06"), OPS)
    assert updated(book, [], {"drift"}, "2024-01-05") == book
    assert updated(book, [alert(severity="critical")], (), "2024-01-05") == book


def test_what_has_no_partition_is_now() -> None:
    book, _ = sent(updated(Book(), [alert(partition="2024-01-06")], (), "2024-01-06"), OPS)
    assert updated(book, [], {"drift"}, "").entries["drift"].over


def test_one_that_comes_back_before_its_end_was_told_is_not_told_anew() -> None:
    book, _ = sent(updated(Book(), [alert()], (), "2024-01-05"), OPS)
    book = updated(book, [], {"drift"}, "2024-01-06")  # no alert could be sent
    book = updated(book, [alert(partition="2024-01-07")], {"drift"}, "2024-01-07")
    assert sent(book, OPS)[1] == []
    assert not book.entries["drift"].over


def test_a_receiver_that_is_named_no_more_is_forgotten() -> None:
    book, _ = sent(updated(Book(), [alert()], (), "2024-01-05"), OPS)
    book = updated(book, [], {"drift"}, "2024-01-06")
    assert known_to(book, [BOSS]).entries == {}


def test_it_is_stored_whole(storage: Storage) -> None:
    assert read_book(storage, "bikes") == (Book(), None)
    book = Book({"drift": Entry(alert(), {"ops": "warning"}, over=True)}, Claim("abc", 3))
    tag = write_book(storage, "bikes", book, None)
    assert read_book(storage, "bikes") == (book, tag)
    assert storage.list("bikes/") == ["bikes/alerts/open.json"]


def test_only_who_saw_the_last_state_may_move_it(storage: Storage) -> None:
    first = write_book(storage, "bikes", Book(claim=Claim("a")), None)
    with pytest.raises(ConflictError):
        write_book(storage, "bikes", Book(), None)
    write_book(storage, "bikes", Book(claim=Claim("b")), first)
    with pytest.raises(ConflictError):
        write_book(storage, "bikes", Book(), first)


STEPS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["drift", "limit", "volume"]), st.sampled_from(SEVERITIES)),
        st.booleans(),
    ),
    max_size=12,
)


@given(STEPS)
def test_whatever_happens_each_receiver_hears_a_rise_then_one_end(steps: list) -> None:
    book, heard = Book(), {}
    for number, (holding, reachable) in enumerate(steps):
        partition = f"2024-01-{number + 1:02d}"
        alerts = [alert(key, severity, partition) for key, severity in holding.items()]
        book = updated(book, alerts, {"drift", "limit", "volume"}, partition)
        deliveries = pending(book, [OPS, BOSS])
        for delivery in deliveries if reachable else []:
            place = (delivery.conn_id, delivery.key)
            least = "critical" if delivery.conn_id == "boss" else "warning"
            if delivery.message.facts["state"] == "over":
                assert place in heard
                assert delivery.key not in holding
                del heard[place]
            else:
                severity = delivery.message.severity
                assert severity == holding[delivery.key]
                assert at_least(severity, least)  # type: ignore[arg-type]
                assert place not in heard or not at_least(heard[place], severity)
                heard[place] = severity
            book = told(book, delivery)
        if reachable:
            assert pending(book, [OPS, BOSS]) == []
            assert {key for _, key in heard} <= set(holding)
