"""What is asked of Google Cloud Storage and Azure, by small servers that speak as much of their protocols.

The stores themselves are not run here: what is done with their answers is the same for S3, which is.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from evergreen.connections import Connection
from evergreen.errors import SourceError
from tests.http_peers import Asked, Said, serving
from tests.integration.places.conftest import SECRET, Find, content

OBJECTS = {"in/2024-01-31 é.csv": b"n\n1\n", "in/other.txt": b"x", "in/2024-02-01.csv": b"n\n2\n"}
KEY = "cGxhbnRlZC1rZXktYjIx"  # what an account key looks like
MODIFIED = {"Last-Modified": "Wed, 31 Jan 2024 00:00:00 GMT", "ETag": '"e1"'}


def named(path: str) -> bytes | None:
    return OBJECTS.get(unquote(path).partition("/")[2].partition("/")[2])


def served(asked: Asked) -> Said:
    """The object that is asked for, the range of it, or that there is none."""
    body = named(urlsplit(asked.path).path)
    if body is None:
        return Said(404, b"<Error><Code>BlobNotFound</Code></Error>")
    blob = {**MODIFIED, "x-ms-blob-type": "BlockBlob"}
    if "range" not in asked.headers:
        return Said(200, body, blob)
    first, last = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
    return Said(206, body[first : last + 1], {**blob, "Content-Range": f"bytes {first}-{last}/{len(body)}"})


def google(asked: Asked) -> Said:
    query = parse_qs(urlsplit(asked.path).query)
    if "list-type" not in query:
        return served(asked)
    listed = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2024-01-31T00:00:00Z</LastModified><ETag>e1</ETag>"
        f"<Size>{len(body)}</Size></Contents>"
        for key, body in sorted(OBJECTS.items())
        if key.startswith(query.get("prefix", [""])[0])
    )
    return Said(body=f"<ListBucketResult>{listed}</ListBucketResult>".encode())


def azure(asked: Asked) -> Said:
    query = parse_qs(urlsplit(asked.path).query)
    if query.get("comp") != ["list"]:
        return served(asked)
    listed = "".join(
        f"<Blob><Name>{key}</Name><Properties><Last-Modified>Wed, 31 Jan 2024 00:00:00 GMT</Last-Modified>"
        f"<Etag>e1</Etag><Content-Length>{len(body)}</Content-Length><Content-Type>x</Content-Type>"
        "</Properties></Blob>"
        for key, body in sorted(OBJECTS.items())
        if key.startswith(query.get("prefix", [""])[0])
    )
    return Said(
        body=f'<EnumerationResults ContainerName="box"><Blobs>{listed}</Blobs></EnumerationResults>'.encode()
    )


def test_objects_of_google_are_read_and_searched_for(find: Find):
    with serving(google) as peer:
        lake = Connection("lake", "gs", extra={"anonymous": True, "endpoint_url": peer.address()})
        (found,) = find("gs://box/in/{partition}*.csv", lake)
        assert (found.name, content(found)) == ("gs://box/in/2024-01-31 é.csv", b"n\n1\n")
        (absent,) = find("gs://box/in/none.csv", lake)
        assert not absent.exists()
        with pytest.raises(SourceError, match=r"gs://box/in/none\.csv does not exist"):
            content(absent)
    assert {asked.headers.get("authorization") for asked in peer.asked} == {None}


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({"password": KEY}, "SharedKey box123:"),
        ({"extra": {"sas_token": f"?sv=1&sig={SECRET}"}}, f"sig={SECRET}"),
        ({"extra": {"anonymous": True}}, None),
    ],
)
def test_blobs_of_azure_are_read_and_searched_for(
    known: Any, shown: str | None, find: Find, caplog, monkeypatch
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "https://elsewhere.example")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "elsewhere")
    with serving(azure) as peer:
        extra = {"endpoint_url": peer.address(), **known.get("extra", {})}
        lake = Connection("lake", "wasb", login="box123", password=known.get("password"), extra=extra)
        (found,) = find("az://box/in/{partition}*.csv", lake)
        assert (found.name, content(found)) == ("az://box/in/2024-01-31 é.csv", b"n\n1\n")
        (absent,) = find("az://box/in/none.csv", lake)
        assert not absent.exists()
        with pytest.raises(SourceError, match=r"az://box/in/none\.csv does not exist") as caught:
            content(absent)
    for asked in peer.asked:
        sent = f"{asked.path} {asked.headers.get('authorization', '')}"
        assert shown in sent if shown else "uthorization" not in asked.headers
        assert KEY not in str(asked)
    assert not {KEY, SECRET} & set(f"{caught.value!r} {caplog.text}".split())
    assert SECRET not in caplog.text + str(caught.value)


def service_account(**changes: str) -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account",
        "private_key": pem,
        "private_key_id": "id",
        "client_email": "reader@example.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
        **changes,
    }


def test_a_service_account_is_read_from_the_connection_or_a_file(find: Find, tmp_path):
    file = tmp_path / "key.json"
    file.write_text(json.dumps(service_account()))
    for extra in (
        {"keyfile_dict": service_account()},
        {"keyfile_dict": json.dumps(service_account()), "project": "shop"},
        {"key_path": str(file)},
    ):
        (found,) = find("gs://box/a.csv", Connection("lake", "google_cloud_platform", extra=extra))
        assert found.name == "gs://box/a.csv"


@pytest.mark.parametrize(
    ("path", "known", "problem"),
    [
        ("gs://box/a", {"extra": {"keyfile_dict": SECRET}}, "must be the JSON key of a service account"),
        (
            "gs://box/a",
            {"extra": {"keyfile_dict": {"private_key": SECRET}}},
            "must be the JSON key of a service",
        ),
        ("gs://box/a", {"extra": {"key_path": "/none"}}, "must be the JSON key of a service account"),
        (
            "gs://box/a",
            {"extra": {"key_path": "/none", "keyfile_dict": SECRET}},
            "has both 'keyfile_dict' and",
        ),
        (
            "gs://box/a",
            {"extra": {"keyfile": SECRET}},
            "'keyfile' in its extra is no key of a connection to Google",
        ),
        ("az://box/a", {}, "has no login: set it to the name of the storage account"),
        ("az://box/a", {"login": "box123", "password": SECRET}, "access denied: check the keys"),
        (
            "az://box/a",
            {"login": "a", "password": KEY, "extra": {"sas_token": SECRET}},
            "has several of a password",
        ),
        (
            "az://box/a",
            {"login": "a", "extra": {"client_secret": SECRET}},
            "'client_secret' in its extra go together",
        ),
        (
            "az://box/a",
            {"login": "a", "extra": {"endpoint_url": "ftp://a"}},
            "'endpoint_url' in its extra must be an",
        ),
    ],
)
def test_a_connection_that_will_not_do(path: str, known: Any, problem: str, find: Find):
    extra = {"endpoint_url": "http://127.0.0.1:1", **known.get("extra", {})}
    lake = Connection("lake", "any", **{**known, "extra": extra})
    with pytest.raises(SourceError, match=problem) as caught:
        content(find(path, lake)[0])
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
