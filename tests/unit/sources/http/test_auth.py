"""Authentication against real servers; no secret in any error, log or `repr`, whatever goes wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import time
from datetime import UTC, datetime
from urllib.parse import parse_qs

import httpx
import pytest
from tenacity import wait_none

from evergreen.connections import Connection
from evergreen.errors import EvergreenError, SourceError, UnavailableError
from evergreen.sources.http.auth import KINDS
from evergreen.sources.http.client import Session, api_of
from evergreen.sources.http.progress import Request
from tests.http_peers import PASSWORD, Said, certificates, serving

SECRET, OTHER = "planted-password", "planted-in-extra"
TOKEN = "planted-access-token"


def got(connection, body=None, seconds=20.0):
    api = api_of(connection, {})
    with Session(api, "/v1", time.monotonic() + seconds, 2, wait_none()) as session:
        return session.ask(Request("/v1", body), 2**20, lambda answer: answer.body)


def connection(peer, login="me", password=SECRET, scheme="http", **extra):
    return Connection("api", "http", peer.address(scheme), login=login, password=password, extra=extra)


class Tokens:
    """A token endpoint: counts its tokens, and lets only the newest one in."""

    def __init__(self, life=3600, rotates=False):
        self.given, self.life, self.rotates, self.refresh = 0, life, rotates, OTHER

    def give(self, asked):
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] != self.refresh:
                return Said(400, b'{"error": "invalid_grant"}')
            if self.rotates:
                self.refresh = f"{OTHER}-{self.given}"
        self.given += 1
        life = {} if self.life is None else {"expires_in": self.life}
        return Said(
            200,
            json.dumps(
                {"access_token": f"{TOKEN}-{self.given}", "refresh_token": self.refresh} | life
            ).encode(),
        )

    def guard(self, asked):
        newest = f"Bearer {TOKEN}-{self.given}"
        return Said(200 if asked.headers.get("authorization") == newest else 401, b"[]")


@pytest.mark.parametrize(
    ("grant", "life", "rotates", "tokens"),
    [
        ("client_credentials", 3600, False, 1),
        ("client_credentials", None, False, 1),  # kept until it is refused
        ("client_credentials", "3600", False, 1),
        ("client_credentials", 0, False, 3),
        ("refresh_token", 3600, False, 1),
        ("refresh_token", 0, True, 3),
    ],
)
def test_a_token_is_kept_for_its_life_and_renewed_once_when_refused(grant, life, rotates, tokens):
    ours = Tokens(life, rotates)
    with serving(ours.give) as endpoint, serving(ours.guard) as api:
        extra = {"refresh_token": OTHER} if grant == "refresh_token" else {}
        known = connection(api, auth=f"oauth2_{grant}", token_url=endpoint.address(), **extra)
        for _ in range(3):
            assert got(known) == b"[]"
        assert len(endpoint.asked) == tokens
        basic = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
        assert {asked.headers["authorization"] for asked in endpoint.asked} == {basic}
        ours.given += 1  # the token was withdrawn
        assert got(known) == b"[]"
        api.behave = lambda _: Said(401)
        asked = len(api.asked)
        with pytest.raises(SourceError, match="answered 401"):
            got(known)
        assert len(api.asked) == asked + 2
        assert not any(SECRET in str(each) or OTHER in str(each) for each in api.asked)


@pytest.mark.parametrize(
    ("said", "error", "words", "asked"),
    [
        (Said(401, b'{"error": "invalid_client"}'), SourceError, "401 invalid_client: check", 1),
        (Said(400, f'{{"error": "{SECRET}"}}'.encode()), SourceError, "answered 400: check 'token_url'", 1),
        (Said(503, SECRET.encode()), UnavailableError, "token endpoint 127.0.0.1 answered 503, 2 times", 2),
        (Said(200, f"<{SECRET}>".encode()), SourceError, "200 without an access_token", 1),
        (Said(200, b'{"access_token": "a\\r\\nb"}'), SourceError, "200 without an access_token", 1),
        (
            Said(302, b"", {"Location": "http://localhost:9/"}),
            SourceError,
            "redirects, which is not followed",
            1,
        ),
    ],
)
def test_a_failing_token_endpoint(said, error, words, asked):
    with serving(lambda _: said) as endpoint, serving(lambda _: Said()) as api:
        known = connection(api, auth="oauth2_client_credentials", token_url=endpoint.address())
        with pytest.raises(error, match=words) as caught:
            got(known)
        assert SECRET not in str(caught.value)
        assert (len(endpoint.asked), len(api.asked)) == (asked, 0)


def test_the_published_example_of_aws(monkeypatch):
    # AWS General Reference, "Signature Version 4: complete example", ListUsers of IAM.
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime", lambda: datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    )
    known = Connection(
        "aws",
        "http",
        "https://iam.amazonaws.com",
        login="AKIDEXAMPLE",
        password="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        extra={"auth": "aws_sigv4", "region": "us-east-1", "service": "iam"},
    )
    request = httpx.Request(
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
    )
    signed = next(api_of(known, {}).auth.sync_auth_flow(request))
    assert signed.headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_digest_answers_the_servers_challenge():
    def digest(text):
        return hashlib.sha256(text.encode()).hexdigest()

    def behave(asked):
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', asked.headers.get("authorization", "")))
        if said:
            first, second = digest(f"me:here:{SECRET}"), digest(f"GET:{asked.path}")
            right = digest(f"{first}:n0nce:{said['nc']}:{said['cnonce']}:auth:{second}")
            if said["response"] == right:
                return Said(200, b"in")
        return Said(
            401,
            headers={"WWW-Authenticate": 'Digest realm="here", nonce="n0nce", qop="auth", algorithm=SHA-256'},
        )

    with serving(behave) as api:
        assert got(connection(api, auth="digest")) == b"in"
        with pytest.raises(SourceError, match="answered 401"):
            got(connection(api, password="wrong", auth="digest"))
        for bad in (
            "Digest x",
            'Digest realm="a", nonce="b", algorithm=ROT13',
            'Digest realm="a", nonce="b", qop="auth-int"',
        ):
            api.behave = lambda _, bad=bad: Said(401, headers={"WWW-Authenticate": bad})
            with pytest.raises(SourceError, match="digest challenge is malformed"):
                got(connection(api, auth="digest"))


def test_a_client_certificate(tmp_path):
    files = certificates(tmp_path)
    ca, cert = str(files.ca), str(files.client)
    with serving(lambda _: Said(200, b"in"), files.server_tls(client_required=True)) as api:
        for more in (
            {"client_key": str(files.client_key)},
            {"client_key": str(files.locked), "client_key_password": PASSWORD},
        ):
            assert got(connection(api, None, None, "https", ca=ca, client_cert=cert, **more)) == b"in"
        for extra, words in (
            ({}, "its TLS certificate is not trusted: set 'ca'"),
            (
                {"ca": ca, "client_cert": cert, "client_key": str(files.locked)},
                "'client_key_password' is not the key's",
            ),
            (
                {"ca": ca, "client_cert": cert, "client_key": str(files.server_key)},
                "are no certificate and its key",
            ),
            ({"ca": ca, "client_cert": str(tmp_path / "none.pem")}, "is not there"),
            ({"ca": cert + "x"}, "'ca' in its extra is no readable file"),
            ({"client_key": cert}, "needs 'client_cert' beside it"),
        ):
            with pytest.raises(SourceError, match=words):
                got(connection(api, None, None, "https", **extra))
        with pytest.raises((SourceError, UnavailableError)):
            got(connection(api, None, None, "https", ca=ca))


def test_a_key_in_the_body():
    auth = api_of(Connection("a", "http", "h", password=SECRET, extra={"api_key_field": "auth.key"}), {}).auth
    request = httpx.Request("POST", "http://h/", json={"q": 1, "auth": {"v": 2}})
    sent = next(auth.sync_auth_flow(request))
    assert json.loads(sent.content) == {"q": 1, "auth": {"v": 2, "key": SECRET}}
    assert sent.headers["Content-Length"] == str(len(sent.content))
    with pytest.raises(SourceError, match="no JSON object there"):
        next(auth.sync_auth_flow(httpx.Request("GET", "http://h/")))


@pytest.mark.parametrize(
    ("fields", "extra", "words"),
    [
        (
            {},
            {"token_ulr": OTHER},
            "'token_ulr' in its extra is no key of the authentication 'none': allowed are",
        ),
        ({}, {"auth": "oauth"}, "'auth' in its extra is 'oauth', which is none of none, bearer"),
        ({"login": "me"}, {"auth": "digest"}, "has no password, which the authentication 'digest' needs"),
        (
            {"login": "a", "password": SECRET},
            {"auth": "aws_sigv4", "region": "r"},
            "its extra has no 'service'",
        ),
        (
            {"login": "a"},
            {"auth": "oauth2_refresh_token", "refresh_token": OTHER, "token_url": "http://x.org"},
            "'token_url' in its extra must begin with https",
        ),
        (
            {"login": "a"},
            {"auth": "oauth2_refresh_token", "refresh_token": [OTHER], "token_url": "https://x.org"},
            "'refresh_token' in its extra is wrong",
        ),
    ],
)
def test_what_is_wrong_with_a_connection_is_named_without_its_values(fields, extra, words):
    with pytest.raises(SourceError) as caught:
        api_of(Connection("api", "http", "h.test", extra=extra, **fields), {})
    assert words in str(caught.value)
    assert "planted" not in str(caught.value)


EXTRAS = {
    "none": {"headers": {"X-Key": OTHER}},
    "bearer": {},
    "basic": {},
    "key_in_header": {"api_key_header": "X-Key"},
    "key_in_query": {"api_key_param": "key"},
    "key_in_body": {"api_key_field": "key"},
    "digest": {},
    "oauth2_client_credentials": {"token_params": {"more": OTHER}},
    "oauth2_refresh_token": {"refresh_token": OTHER},
    "aws_sigv4": {"region": "r", "service": "execute-api", "session_token": OTHER},
}


def test_no_secret_is_shown_whatever_fails(caplog, monkeypatch):
    assert set(EXTRAS) == set(KINDS)
    for name in ("httpx", "httpcore.http11", "httpcore.connection", "botocore.auth"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)

    def echo(status, **headers):
        def behave(asked):
            secrets = [SECRET, OTHER, TOKEN, *asked.headers.values(), asked.path, asked.body.decode()]
            more = {"Location": f"http://localhost:9/?key={SECRET}"} if status == 302 else {}
            return Said(status, " ".join(secrets).encode(), {"X-Echo": f"{SECRET} {OTHER} {TOKEN}", **more})

        return behave

    tokens = Tokens()
    shown = []
    with serving(tokens.give) as endpoint, serving(lambda _: Said()) as api:
        for kind, extra in EXTRAS.items():
            more = {"token_url": endpoint.address()} if kind.startswith("oauth2") else {}
            for give in (tokens.give, echo(200), echo(500)) if more else (tokens.give,):
                endpoint.behave = give
                for status in (302, 401, 403, 500):
                    api.behave = echo(status)
                    known = connection(api, auth=kind, **extra, **more)
                    if give is not tokens.give:  # a token of before is not used
                        known = connection(api, f"me-{status}-{give}", auth=kind, **extra, **more)
                    shown += [repr(known), repr(api_of(known, {}))]
                    with pytest.raises(EvergreenError) as caught:
                        got(known, '{"q": 1}' if kind == "key_in_body" else None)
                    assert "\n" not in str(caught.value)
                    shown.append(str(caught.value))
    assert {json.loads(asked.body)["key"] for asked in api.asked if asked.method == "POST"} == {SECRET}
    assert "planted" not in "\n".join(shown)
    assert "HTTP Request" in caplog.text
    assert "planted" not in caplog.text
    assert base64.b64encode(f"me:{SECRET}".encode()).decode() not in "\n".join([*shown, caplog.text])
