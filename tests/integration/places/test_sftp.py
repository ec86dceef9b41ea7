"""Files of a real SFTP server: keys on both sides, patterns, and what goes wrong on the way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.attempts import ATTEMPTS
from evergreen.sources.files.places import ranges
from tests.faults.tcp_proxy import Break, TcpProxy, Wound
from tests.integration.places.conftest import Find, content
from tests.sftp_server import LOGIN, PASSPHRASE, PASSWORD, SftpServer, sftp_server

ODD = ["a b.csv", "100%25.csv", "q#x.csv", "é ü.csv", "[1].csv", "q?.csv"]
SECRETS = (PASSWORD, PASSPHRASE, "PRIVATE KEY")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "root").mkdir()
    with sftp_server(tmp_path / "root") as running:
        yield running


def connection(server: SftpServer, **changes) -> Connection:
    extra = {"host_key": server.host_key, **changes.pop("extra", {})}
    known = Connection("drop", "sftp", "127.0.0.1", server.port, LOGIN, PASSWORD, extra=extra)
    return replace(known, **changes)


def test_files_are_read_and_searched_for(server: SftpServer, find: Find):
    top, drop = f"sftp://127.0.0.1:{server.port}", connection(server)
    for name in ODD:
        (server.root / name).write_text(name)
    (server.root / "deep" / "er").mkdir(parents=True)
    (server.root / "deep" / "er" / "2024-01-31.csv").write_text("deep")
    (server.root / "link").symlink_to("deep")
    (server.root / "broken.txt").symlink_to("nowhere")
    for name in ODD:
        if "[" not in name and "?" not in name:
            assert [content(file) for file in find(f"{top}/{name}", drop)] == [name.encode()]
    found = find(f"{top}/*.csv", drop)
    assert [(file.name, content(file)) for file in found] == [(f"{top}/{n}", n.encode()) for n in sorted(ODD)]
    assert [content(file) for file in find(f"{top}/{{partition}}.cs?", drop, "[1]")] == [b"[1].csv"]
    assert find(f"{top}/{{partition}}.cs?", drop, "*") == []
    assert [file.key for file in find(f"{top}/**/{{partition}}.csv", drop)] == ["deep/er/2024-01-31.csv"]
    assert [file.key for file in find(f"{top}/link/*/*.csv", drop)] == ["link/er/2024-01-31.csv"]
    assert find(f"{top}/none/*.csv", drop) == []
    (server.root / "two\nlines\x1b.csv").write_text("odd")
    (odd,) = find(f"{top}/two*", drop)
    assert (odd.name, content(odd)) == (f"{top}/two lines .csv", b"odd")
    server.listed.clear()
    assert len(find(f"{top}/deep/er/*.csv", drop)) == 1
    assert server.listed == ["/deep/er"]


def test_one_connection_serves_all_files_of_a_source(server: SftpServer, find: Find):
    for number in range(10_000):
        (server.root / f"{number:05}.csv").touch()
    (server.root / "00000.csv").write_text("first")
    found = find(f"sftp://127.0.0.1:{server.port}/*.csv", connection(server))
    assert len(found) == 10_000
    assert [content(file) for file in found[:20]] == [b"first"] + [b""] * 19
    assert server.logins == 1


def test_what_is_absent_or_denied_is_said(server: SftpServer, find: Find, free_port: int):
    top = f"sftp://127.0.0.1:{server.port}"
    (server.root / "folder").mkdir()
    for path, problem in {
        "none.csv": r"none.csv does not exist: put it there or change the source's path",
        "none/a.csv": "does not exist",
        "folder": "folder is no file: change the source's path",
    }.items():
        with pytest.raises(SourceError, match=problem):
            content(find(f"{top}/{path}", connection(server))[0])
    with pytest.raises(SourceError, match="the server refused the login: check"):
        content(find(f"{top}/a.csv", connection(server, password="wrong"))[0])
    with pytest.raises(SourceError, match=rf"is for the host 127.0.0.1:{server.port}, and the path begins"):
        find("sftp://elsewhere.example/a.csv", connection(server))
    nobody = connection(server, port=free_port)
    with pytest.raises(UnavailableError, match=f"cannot be reached, or broke off, {ATTEMPTS} times"):
        content(find("sftp://127.0.0.1/a.csv", nobody)[0])


def test_what_may_not_be_read(server: SftpServer, find: Find):
    (server.root / "a.csv").write_text("x")
    server.denied = {"/a.csv", "/shut"}
    (server.root / "shut").mkdir()
    with pytest.raises(
        SourceError, match=r"a\.csv: access denied: check what the connection's login may read"
    ):
        content(find("sftp://127.0.0.1/a.csv", connection(server))[0])
    with pytest.raises(SourceError, match="shut/: access denied"):
        find("sftp://127.0.0.1/**/*.csv", connection(server))


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_only_a_server_whose_key_is_known_is_talked_to(algorithm: str, tmp_path: Path, find: Find):
    (tmp_path / "a.csv").write_text("x")
    with sftp_server(tmp_path, algorithm) as server:
        path, file = "sftp://127.0.0.1/a.csv", tmp_path / "known_hosts"
        for line in (server.host_key, server.host_key.split()[1], f"[127.0.0.1]:22 {server.host_key} me"):
            assert content(find(path, connection(server, extra={"host_key": line}))[0]) == b"x"
        file.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
        known = {"host_key": None, "known_hosts": str(file)}
        assert content(find(path, connection(server, extra=known))[0]) == b"x"
        logins = server.logins
        fingerprint = asyncssh.import_public_key(server.host_key).get_fingerprint()
        file.write_text("")
        with pytest.raises(SourceError, match="is not known: compare it with what its owner says") as unknown:
            content(find(path, connection(server, extra=known))[0])
        assert fingerprint in str(unknown.value)
        other = asyncssh.generate_private_key(algorithm).export_public_key().decode()
        with pytest.raises(SourceError, match="shows another key") as changed:
            content(find(path, connection(server, extra={"host_key": other}))[0])
        assert fingerprint in str(changed.value)
        assert server.logins == logins, "no password is sent to a server that is not known"


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_a_key_logs_in(algorithm: str, server: SftpServer, tmp_path: Path, find: Find):
    (server.root / "a.csv").write_text("x")
    server.client_key = asyncssh.generate_private_key(algorithm)
    plain = server.client_key.export_private_key().decode()
    locked = server.client_key.export_private_key(passphrase=PASSPHRASE).decode()
    file = tmp_path / "key"
    file.write_text(plain)
    for extra in (
        {"private_key": plain},
        {"private_key": locked, "private_key_passphrase": PASSPHRASE},
        {"key_file": str(file)},
    ):
        (found,) = find("sftp://127.0.0.1/a.csv", connection(server, password=None, extra=extra))
        assert content(found) == b"x"


def test_secrets_are_in_no_error_and_no_log(
    server: SftpServer, tmp_path: Path, find: Find, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key(passphrase=PASSPHRASE).decode()
    told = []
    for extra, problem in (
        ({"private_key": key, "private_key_passphrase": PASSPHRASE}, "refused the login"),
        ({"private_key": key, "private_key_passphrase": PASSPHRASE[1:]}, "is not the key's"),
        ({"private_key": key[:-90]}, "its private key is none of"),
        ({"private_key": key, "key_file": "x"}, "has both 'private_key' and 'key_file'"),
        ({"key_file": str(tmp_path / "none")}, "the file of 'key_file' in its extra cannot be read"),
        (
            {"known_hosts": str(tmp_path / "none"), "host_key": ""},
            "'known_hosts' in its extra is no readable",
        ),
        ({"pasword": PASSWORD}, "'pasword' in its extra is no key of a connection to SFTP: allowed are"),
        ({"host_key": PASSWORD}, "'host_key' in its extra must be a public key like"),
    ):
        drop = connection(server, password=PASSWORD + "!", extra=extra)
        with pytest.raises(SourceError, match=problem) as caught:
            content(find("sftp://127.0.0.1/a.csv", drop)[0])
        told.append(f"{caught.value!r} {drop!r}")
    for secret in SECRETS:
        assert secret not in "".join(told) + caplog.text


BODY = bytes(range(256)) * 400


@pytest.mark.parametrize("kind", list(Break))
def test_a_copy_that_breaks_is_continued(
    kind: Break, server: SftpServer, find: Find, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranges, "PIECE", 30_000)
    (server.root / "a.bin").write_bytes(BODY)

    class Often:
        """Each connection breaks later than the one before; at last none does."""

        def wound(self, number: int) -> Wound | None:
            return Wound(kind, True, 15_000 * number) if number < 6 else None

    with TcpProxy("127.0.0.1", server.port, Often(), stall=0.01) as proxy:
        (file,) = find("sftp://127.0.0.1/*.bin", connection(server, port=proxy.port))
        assert content(file) == BODY
        assert proxy.broken


def test_a_file_that_changes_while_it_is_copied_is_copied_anew(
    server: SftpServer, find: Find, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranges, "PIECE", 1_000)
    file = server.root / "a.bin"
    file.write_bytes(b"a" * 5_000)

    class Growing(list):
        """Each time that the file is opened for the third piece it is appended to."""

        most = 2

        def append(self, path: str) -> None:
            super().append(path)
            if len(self) % 3 == 0 and self.most:
                self.most -= 1
                file.write_bytes(file.read_bytes() + b"b")

    server.opened = Growing()
    (found,) = find("sftp://127.0.0.1/a.bin", connection(server))
    assert content(found) == b"a" * 5_000 + b"bb"
    server.opened.most = 99
    with pytest.raises(UnavailableError, match=f"changed while it was copied, {ATTEMPTS} times"):
        content(found)
