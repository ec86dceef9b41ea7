"""What arrives at a mail server, at Slack and at a webhook, and what never shows in a log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evergreen.alerts.alert import Alert, closed, opened
from evergreen.alerts.mail import Mail
from evergreen.alerts.post import Post
from evergreen.alerts.receivers import addressed, send
from evergreen.connections import Connection, from_environment
from evergreen.errors import SourceError

ALERT = Alert(
    "limit", "critical", "mae is 91.2", "mae is 91.2; at most 80: look & <fix>", "bikes", "2024-01-05"
)
TEXT = "mae is 91.2; at most 80: look & <fix>\n\nPipeline bikes, partition 2024-01-05. Alert 'limit'."
SECRET = "p@ss/w0rd %2F"


def connection(conn_type: str, **values: Any) -> Connection:
    return Connection(conn_id="ops", conn_type=conn_type, **values)


def mail(port: int, **values: Any) -> Connection:
    extra = {"from_email": "evergreen@example.org", "to": "ann@example.org, bob@example.org"}
    extra |= {"disable_ssl": True, "disable_tls": True}
    return connection("smtp", host="127.0.0.1", port=port, extra=extra, **values)


def test_a_mail_has_subject_text_and_both_addressees(mailbox: Any) -> None:
    assert send(mail(mailbox.port), opened(ALERT)) is None
    assert len(mailbox.mails) == 2
    found = mailbox.mails[0]
    assert found["Subject"] == "[critical] bikes: mae is 91.2"
    assert found["From"].addresses[0].addr_spec == "evergreen@example.org"
    assert found.get_content_type() == "text/plain"
    assert " ".join(found.get_content().split()) == " ".join(TEXT.split())
    assert sorted(to for _, [to] in mailbox.envelopes) == ["ann@example.org", "bob@example.org"]


def test_a_mail_server_gets_the_login_as_it_is(mailbox: Any) -> None:
    assert send(mail(mailbox.port, login="ann%2F@example.org", password=SECRET), opened(ALERT)) is None
    assert mailbox.logins == [("ann%2F@example.org", SECRET)]


@pytest.mark.parametrize(
    ("extra", "security", "port"),
    [
        ({}, "tls", 465),
        ({"disable_ssl": True}, "starttls", 587),
        ({"disable_ssl": "true", "disable_tls": True}, "none", 25),
    ],
)
def test_a_mail_server_is_reached_as_airflow_reaches_it(extra: dict, security: str, port: int) -> None:
    whole = {"from_email": "evergreen@gmail.com", "to": ["ann@example.org"], **extra}
    mail = addressed(connection("smtp", host="mail.example.org", extra=whole), opened(ALERT))
    assert isinstance(mail, Mail)
    assert (mail.host, mail.security, mail.port) == ("mail.example.org", security, port)


def test_a_webhook_gets_the_documented_json(webhook: Any) -> None:
    there = connection("http", host=f"{webhook.address}/hooks/a%20b?team=data")
    assert send(there, opened(ALERT)) is None
    (request,) = webhook.requests
    assert request.path == "/hooks/a%20b?team=data"
    assert request.headers["Content-Type"] == "application/json"
    assert request.body == {
        "title": "[critical] bikes: mae is 91.2",
        "message": TEXT,
        "severity": "critical",
        "state": "open",
        "pipeline": "bikes",
        "partition": "2024-01-05",
        "key": "limit",
    }


def test_a_webhook_hears_that_it_is_over(webhook: Any) -> None:
    assert send(connection("http", host=webhook.address), closed(ALERT)) is None
    body = webhook.requests[0].body
    assert body["title"] == "[over] bikes: mae is 91.2"
    assert (body["severity"], body["state"]) == ("info", "over")
    assert body["message"].startswith("This is over. It was: mae is 91.2;")


@pytest.mark.parametrize(
    ("values", "header", "value"),
    [
        ({"password": "token"}, "Authorization", "Bearer token"),
        ({"login": "ann", "password": "p:w"}, "Authorization", "Basic YW5uOnA6dw=="),
        ({"password": "key", "extra": {"api_key_header": "X-Key"}}, "X-Key", "key"),
        ({"extra": {"headers": {"X-Team": "data"}}}, "X-Team", "data"),
    ],
)
def test_a_webhook_is_logged_in_to_like_any_api(webhook: Any, values: dict, header: str, value: str) -> None:
    assert send(connection("http", host=webhook.address, **values), opened(ALERT)) is None
    headers = {name.lower(): found for name, found in webhook.requests[0].headers.items()}
    assert headers[header.lower()] == value
    assert headers["host"] == f"127.0.0.1:{webhook.port}"


def test_a_webhook_may_be_written_as_a_uri(webhook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPS", f"http://127.0.0.1:{webhook.port}/hooks/abc")
    assert send(from_environment("ops"), opened(ALERT)) is None
    assert webhook.requests[0].path == "/hooks/abc"


def test_slack_gets_a_coloured_attachment(webhook: Any) -> None:
    there = connection("slackwebhook", host=f"{webhook.address}/services", password="T1/B2/x3y4z5")
    assert send(there, opened(ALERT)) is None
    (request,) = webhook.requests
    assert request.path == "/services/T1/B2/x3y4z5"
    (attachment,) = request.body["attachments"]
    assert attachment["title"] == "[critical] bikes: mae is 91.2"
    assert attachment["text"].startswith("mae is 91.2; at most 80: look &amp; &lt;fix&gt;")
    assert set(attachment) == {"title", "text", "color"}
    assert "icon_url" not in request.body
    send(there, closed(ALERT))
    assert webhook.requests[1].body["attachments"][0]["color"] != attachment["color"]


@pytest.mark.parametrize(
    "values",
    [
        {"password": "T1/B2/x3"},
        {"host": "hooks.slack.com/services", "password": "/T1/B2/x3"},
        {"password": "https://hooks.slack.com/services/T1/B2/x3"},
    ],
)
def test_a_slack_webhook_is_known_by_its_token_or_its_address(values: dict) -> None:
    post = addressed(connection("slackwebhook", **values), opened(ALERT))
    assert isinstance(post, Post)
    assert post.url == "https://hooks.slack.com/services/T1/B2/x3"


def test_slacks_api_gets_the_channel_and_the_token(webhook: Any) -> None:
    webhook.body = b'{"ok": true}'
    webhook.headers = {"Content-Type": "application/json"}
    extra = {"channel": "#models", "base_url": f"{webhook.address}/api"}
    assert send(connection("slack", password="xoxb-1234-1234-abcd", extra=extra), opened(ALERT)) is None
    (request,) = webhook.requests
    assert request.path == "/api/chat.postMessage"
    assert request.headers["Authorization"] == "Bearer xoxb-1234-1234-abcd"
    assert request.body["channel"] == "#models"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"ok": false, "error": "channel_not_found"}', "it answered channel_not_found"),
        (b'{"ok": false, "error": "<i>xoxb-1</i>"}', "it did not take the message"),
        (b"<html>", "it did not take the message"),
    ],
)
def test_a_no_of_slacks_api_is_a_no_whatever_the_status(webhook: Any, body: bytes, why: str) -> None:
    webhook.body = body
    extra = {"channel": "#models", "base_url": f"{webhook.address}/api"}
    assert send(connection("slack", password="xoxb-1", extra=extra), opened(ALERT)) == why


def test_any_apprise_address_will_do(webhook: Any) -> None:
    there = connection("generic", extra={"url": f"json://127.0.0.1:{webhook.port}/any?:team=data"})
    assert send(there, opened(ALERT)) is None
    (request,) = webhook.requests
    assert request.body["team"] == "data"
    assert request.body["title"] == "[critical] bikes: mae is 91.2"
    assert request.body["message"] == TEXT
    assert request.body["type"] == "failure"


def test_why_an_apprise_address_did_not_take_a_message(
    webhook: Any, free_port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    not_taken = "it cannot be reached, or did not take the message"
    webhook.status = 503
    for url, why in (
        (f"json://127.0.0.1:{webhook.port}/", not_taken),
        (f"json://127.0.0.1:{free_port}/", not_taken),
        (f"nothing://{SECRET}", "the 'url' in its extra is not an address that apprise knows"),
    ):
        assert send(connection("generic", extra={"url": url}), opened(ALERT)) == why
    (tmp_path / "apprise.py").write_text("raise SystemExit(9)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    there = connection("generic", extra={"url": f"json://127.0.0.1:{webhook.port}/"})
    assert send(there, opened(ALERT)) == "the program that sends it ended with code 9"


def test_no_redirect_is_followed(new_receiver: Callable[[], Any]) -> None:
    first, second = new_receiver(), new_receiver()
    first.status, first.headers = 307, {"Location": f"{second.address}/elsewhere"}
    for there in (
        connection("http", host=first.address, password=SECRET),
        connection("slackwebhook", host=f"{first.address}/services", password="T1/B2/x3"),
    ):
        assert send(there, opened(ALERT)) == "it answered 307"
    assert send(connection("generic", extra={"url": f"json://127.0.0.1:{first.port}/any"}), opened(ALERT))
    assert (len(first.requests), second.requests) == (3, [])


def test_who_cannot_be_reached_says_so_and_raises_nothing(webhook: Any, free_port: int) -> None:
    for there in (
        connection("http", host=f"http://127.0.0.1:{free_port}"),
        mail(free_port),
        connection("slackwebhook", host=f"http://127.0.0.1:{free_port}/services", password="T1/B2/x3"),
    ):
        assert send(there, opened(ALERT)) == "it cannot be reached (ConnectionRefusedError)"
    webhook.status = 503
    assert send(connection("http", host=webhook.address), opened(ALERT)) == "it answered 503"


@pytest.mark.parametrize(
    ("conn_type", "values", "why"),
    [
        ("postgres", {"host": "db"}, "its type 'postgres' is none of smtp, slackwebhook, slack, http, https"),
        ("smtp", {"host": "mail"}, "it needs a host, and 'from_email' and 'to' in its extra"),
        ("smtp", {"host": "mail", "extra": {"from_email": "nobody", "to": "x"}}, "must be addresses"),
        ("smtp", {"host": "m", "extra": {"from_email": "a@b.org", "to": "none"}}, "must be addresses"),
        ("slackwebhook", {"host": "x", "password": "T1"}, "its password is not the webhook's address"),
        ("slackwebhook", {"password": f"T1/B2/{SECRET}"}, "its password is not the webhook's address"),
        ("slack", {"password": SECRET}, "it needs a token as its password"),
        ("slack", {"password": SECRET, "extra": {"channel": "#a"}}, "it needs a token as its password"),
        ("generic", {"host": SECRET}, "its type 'generic' is none of smtp, slackwebhook"),
        ("http", {"host": "file:///etc/passwd"}, "its address must begin with http:// or https://"),
        ("http", {}, "has no host"),
    ],
)
def test_an_unfit_connection_is_one_line_without_secrets(
    conn_type: str, values: dict, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SourceError, match=why) as failure:
        addressed(connection(conn_type, **values), opened(ALERT))
    assert "\n" not in str(failure.value)
    assert "'ops'" in str(failure.value)
    assert SECRET not in str(failure.value) + caplog.text


def test_nothing_secret_is_logged_even_at_debug_level(
    mailbox: Any, webhook: Any, free_port: int, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = ["s3cretpass", "s3crettoken", "s3cretpath", "T9/B9/s3cretslack"]
    for port in (webhook.port, free_port):
        base = f"http://127.0.0.1:{port}"
        for there in (
            connection("http", host=f"{base}/s3cretpath", password="s3crettoken"),
            connection("slackwebhook", host=f"{base}/services", password="T9/B9/s3cretslack"),
            connection("generic", extra={"url": f"json://ann:s3cretpass@127.0.0.1:{port}/s3cretpath"}),
        ):
            send(there, opened(ALERT))
            assert "s3cret" not in repr(addressed(there, opened(ALERT)))
    for port in (mailbox.port, free_port):
        there = mail(port, login="ann@example.org", password="s3cretpass")
        send(there, opened(ALERT))
        assert "s3cret" not in repr(addressed(there, opened(ALERT)))
    assert len(webhook.requests) == 3
    assert len(mailbox.mails) == 2
    said = caplog.text + "".join(capfd.readouterr())
    assert not [secret for secret in [*secrets, "T9"] if secret in said]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_goes_only_to_a_server_whose_certificate_is_trusted(
    tls_mailbox: Callable[[str], Any], security: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = tls_mailbox(security)
    extra = {"from_email": "evergreen@example.org", "to": "ann@example.org"}
    extra |= {"disable_ssl": security == "starttls"}
    there = connection(
        "smtp", host="localhost", port=box.port, extra=extra, login="ann", password="s3cretpass"
    )
    assert send(there, opened(ALERT)) == "its certificate is not trusted"
    assert (box.mails, box.logins) == ([], [])
    monkeypatch.setenv("SSL_CERT_FILE", str(box.certificate))
    assert send(there, opened(ALERT)) is None
    assert (len(box.mails), box.logins) == (1, [("ann", "s3cretpass")])


def test_a_mail_server_says_no_in_its_codes_alone(mailbox: Any) -> None:
    mailbox.refuses = "ann@example.org"
    assert send(mail(mailbox.port), opened(ALERT)) == "it refused an address (550)"
    mailbox.refuses, mailbox.takes_logins = "", False
    there = mail(mailbox.port, login="ann@example.org", password=SECRET)
    assert send(there, opened(ALERT)) == "it refused the login (535)"


def test_messages_may_be_sent_at_once(webhook: Any) -> None:
    there = connection("http", host=f"{webhook.address}/hook")
    threads = [threading.Thread(target=send, args=(there, opened(ALERT))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(webhook.requests) == 8
