"""Signatures are held against the public command `model_signing`, on copies of what is stored."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sklearn.linear_model import LinearRegression

from evergreen.connections import Connection
from evergreen.errors import IntegrityError, SourceError, SpecError
from evergreen.registry.model_file import dump_model
from evergreen.registry.registry import Registry
from evergreen.registry.signature import Keys, Signatures
from evergreen.spec.models import Models
from evergreen.storage import Storage

COMMAND = Path(sys.executable).with_name("model_signing")
A, B = "2011-04-01-aaaa", "2011-05-01-bbbb"
FILES = {
    "model.skops": dump_model(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])),
    "metrics.json": b'{"mae": 1}',
    "golden.parquet": b"rows",
}


class Pair:
    """A key pair in PEM."""

    def __init__(self, curve: ec.EllipticCurve | None = None) -> None:
        self.key = ec.generate_private_key(curve or ec.SECP256R1())
        self.private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.public = (
            self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        )


PAIR, OTHER = Pair(), Pair()


def connection(password: str | None = PAIR.private, **extra: str) -> Connection:
    return Connection("signing", "generic", password=password, extra=extra)


def signatures(password: str | None = PAIR.private, required: bool = True, **extra: str) -> Signatures:
    return Signatures(lambda: Keys.of(connection(password, **extra)), required)


def registry_of(storage: Storage, made: Signatures | None = None) -> Registry:
    return Registry(storage.child("bikes"), "bikes", made)


@pytest.fixture
def signed(storage: Storage) -> Storage:
    """A storage with one signed version."""
    assert registry_of(storage, signatures()).commit(A, FILES)
    return storage


def copied(storage: Storage, folder: Path, public: str) -> list[str]:
    """Download a version's folder; the public command's arguments to verify the copy."""
    copy, key = folder / "copy", folder / "pub.pem"
    prefix = f"bikes/models/{A}/"
    for name in storage.list(prefix):
        file = copy / name.removeprefix(prefix)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(storage.read(name).body)
    key.write_text(public)
    return ["verify", "key", str(copy), "--signature", str(copy / "model.sig"), "--public_key", str(key)]


def verified_by_the_public_command(storage: Storage, folder: Path, public: str) -> bool:
    """As the command's own process does, without the seconds that it takes to start."""
    from model_signing._cli import main

    return CliRunner().invoke(main, copied(storage, folder, public)).exit_code == 0


def flip(storage: Storage, name: str) -> None:
    key = f"bikes/models/{A}/{name}"
    body = bytearray(storage.read(key).body)
    body[len(body) // 2] ^= 1
    storage.stage(key, bytes(body))


DAMAGES: dict[str, Callable[[Storage], object]] = {
    "nothing": lambda storage: None,
    "a byte of the model": lambda storage: flip(storage, "model.skops"),
    "a byte of another file": lambda storage: flip(storage, "golden.parquet"),
    "a byte of the signature": lambda storage: flip(storage, "model.sig"),
    "a space in the manifest": lambda storage: storage.stage(
        f"bikes/models/{A}/manifest.json", storage.read(f"bikes/models/{A}/manifest.json").body + b" "
    ),
    "a file more": lambda storage: storage.stage(f"bikes/models/{A}/more.txt", b"more"),
    "a file more, deeper": lambda storage: storage.stage(f"bikes/models/{A}/deep/more.txt", b"more"),
    "a file of git": lambda storage: storage.stage(f"bikes/models/{A}/.gitattributes", b"more"),
    "a file less": lambda storage: storage.delete([f"bikes/models/{A}/metrics.json"]),
}


@pytest.mark.parametrize(
    ("damage", "public", "right"),
    [
        ("nothing", PAIR.public, True),
        ("a byte of the model", PAIR.public, False),
        ("nothing", OTHER.public, False),
    ],
)
def test_the_public_command_verifies_a_downloaded_copy(
    signed: Storage, tmp_path: Path, damage: str, public: str, right: bool
):
    DAMAGES[damage](signed)
    command = [str(COMMAND), *copied(signed, tmp_path, public)]
    assert (subprocess.run(command, capture_output=True, check=False).returncode == 0) == right
    assert (registry_of(signed, signatures(None, public_key=public)).verify() == []) == right


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_public_command_and_ours_agree(signed: Storage, tmp_path: Path, damage: str):
    DAMAGES[damage](signed)
    ours = registry_of(signed, signatures()).verify() == []
    assert verified_by_the_public_command(signed, tmp_path, PAIR.public) == ours
    assert ours == (damage in ("nothing", "a file of git"))


def test_another_key_is_wrong_for_both(signed: Storage, tmp_path: Path):
    registry = registry_of(signed, signatures(None, public_key=OTHER.public))
    (problem,) = registry.verify()
    assert "its signature is wrong: Key mismatch" in problem
    assert not verified_by_the_public_command(signed, tmp_path, OTHER.public)
    with pytest.raises(IntegrityError, match=f"bikes: version {A}: its signature is wrong") as told:
        registry.load(A)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_other_curves(storage: Storage, tmp_path: Path, curve: ec.EllipticCurve):
    pair = Pair(curve)
    registry_of(storage, signatures(pair.private)).commit(A, FILES)
    assert registry_of(storage, signatures(None, public_key=pair.public)).verify() == []
    assert verified_by_the_public_command(storage, tmp_path, pair.public)


def test_what_the_public_command_signs_is_right(storage: Storage, tmp_path: Path):
    registry_of(storage).commit(A, FILES)
    copy, key = tmp_path / A, tmp_path / "key.pem"
    copy.mkdir()
    for name in (*FILES, "manifest.json"):
        (copy / name).write_bytes(storage.read(f"bikes/models/{A}/{name}").body)
    key.write_text(PAIR.private)
    command = [COMMAND, "sign", "key", copy, "--signature", copy / "model.sig", "--private_key", key]
    subprocess.run(command, check=True, capture_output=True)
    storage.create(f"bikes/models/{A}/model.sig", (copy / "model.sig").read_bytes())
    registry = registry_of(storage, signatures(None, public_key=PAIR.public))
    assert registry.verify() == []
    assert registry.load(A).predict([[2.0]]) == pytest.approx([5.0])


def test_a_signed_version_is_loaded_and_promoted(signed: Storage):
    registry = registry_of(signed, signatures(None, public_key=PAIR.public))
    assert registry.load(A).predict([[2.0]]) == pytest.approx([5.0])
    assert registry.promote(A, A[:10], {}).version == A


def test_while_keys_change_either_is_right(signed: Storage):
    both = OTHER.public + PAIR.public
    registry = registry_of(signed, signatures(OTHER.private, public_key=both))
    registry.commit(B, FILES)
    assert registry.verify() == []
    assert registry_of(signed, signatures(None, public_key=both)).verify() == []
    assert len(registry_of(signed, signatures(None, public_key=OTHER.public)).verify()) == 1


def test_where_it_is_required_an_unsigned_version_is_neither_loaded_nor_promoted(storage: Storage):
    registry_of(storage).commit(A, FILES)
    registry = registry_of(storage, signatures())
    for attempt in (
        lambda: registry.load(A),
        lambda: registry.read(A, "model.skops"),
        lambda: registry.promote(A, A[:10], {}),
    ):
        with pytest.raises(IntegrityError, match=f"bikes: version {A}: it is not signed: it is not loaded"):
            attempt()
    assert registry.read(A, "metrics.json") == FILES["metrics.json"]
    assert registry.history() == []
    assert "it is not signed" in registry.verify()[0]


def test_a_rollback_to_an_unsigned_version_is_refused_where_it_is_required(storage: Storage):
    unsigned = registry_of(storage)
    unsigned.commit(A, FILES)
    unsigned.promote(A, A[:10], {})
    registry = registry_of(storage, signatures())
    registry.commit(B, FILES)
    registry.promote(B, B[:10], {})
    for to in (None, A):
        with pytest.raises(IntegrityError, match="it is not signed"):
            registry.rollback(to)
    assert registry.champion() == B


def test_where_it_is_not_required_an_unsigned_version_is_fine_and_a_wrong_one_is_reported(storage: Storage):
    registry_of(storage).commit(A, FILES)
    registry = registry_of(storage, signatures(required=False))
    registry.commit(B, FILES)
    assert registry.verify() == []
    registry.load(A)
    storage.stage(f"bikes/models/{B}/model.sig", storage.read(f"bikes/models/{B}/model.sig").body[:-9])
    assert len(registry.verify()) == 1
    registry.load(B)


def test_a_signed_folder_in_the_place_of_another_is_not_loaded(signed: Storage):
    for key in signed.list(f"bikes/models/{A}/"):
        signed.create(key.replace(A, B), signed.read(key).body)
    with pytest.raises(IntegrityError, match=f"version {B}: its manifest is that of {A}"):
        registry_of(signed, signatures()).load(B)


def test_what_a_crash_left_is_taken_in_only_from_a_holder_of_the_key(storage: Storage):
    class Killed(BaseException):
        pass

    class Dying(Storage):
        def create(self, key: str, body: bytes, note: str = "") -> str:
            if key.endswith("manifest.json"):
                raise Killed
            return super().create(key, body, note)

    dying = Dying(storage.bucket, "", storage.credentials)
    with pytest.raises(Killed):
        registry_of(dying, signatures()).commit(A, FILES)
    again = {name: body + b" again" for name, body in FILES.items()}
    registry = registry_of(storage, signatures())
    assert registry.commit(A, again)
    assert registry.read(A, "metrics.json") == FILES["metrics.json"]
    assert registry.verify() == []

    storage.create(f"bikes/models/{B}/model.skops", b"somebody else's", note="0" * 64)
    with pytest.raises(IntegrityError, match="was not stored with this private key, so it is not signed"):
        registry.commit(B, FILES)
    assert not registry.has(B)


def test_a_signature_of_a_dead_commit_of_other_files_is_replaced(signed: Storage):
    body = signed.read(f"bikes/models/{A}/model.sig").body
    signed.create(f"bikes/models/{B}/model.sig", body)
    registry = registry_of(signed, signatures())
    registry.commit(B, FILES)
    assert registry.verify() == []


ENCRYPTED = PAIR.key.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
).decode()
EDWARDS = (
    ed25519.Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


@pytest.mark.parametrize(
    ("password", "extra", "problem"),
    [
        ("s3cr3t", {}, "its password is no unencrypted elliptic-curve key"),
        (PAIR.private[:90], {}, "its password is no unencrypted"),
        (PAIR.public, {}, "its password is no unencrypted"),
        (ENCRYPTED, {}, "its password is no unencrypted"),
        (EDWARDS, {}, "its password is no unencrypted"),
        (Pair(ec.SECP256K1()).private, {}, "its password is no unencrypted"),
        (None, {"public_key": PAIR.private}, "public_key of its extra is no public key in PEM"),
        (None, {"public_key": PAIR.public.replace("A", "B")}, "public_key of its extra is no unencrypted"),
        (None, {}, "has no key: put a public one in public_key"),
        (PAIR.private, {"public_key": OTHER.public}, "its private key matches no public_key"),
    ],
    ids=itertools.count(),  # keys are new in every process
)
def test_wrong_keys_are_told_in_one_line_without_them(password, extra, problem):
    with pytest.raises(SourceError, match=r"^connection 'signing'") as told:
        Keys.of(connection(password, **extra))
    text = str(told.value)
    assert problem in text
    assert "\n" not in text
    assert told.value.__cause__ is None
    for secret in (password or "", *extra.values()):
        lines = [line for line in secret.splitlines() if line and not line.startswith("-----")]
        assert not any(line in text for line in lines)


def test_keys_are_never_shown():
    keys = Keys.of(connection(public_key=PAIR.public))
    assert "KEY" not in repr(keys)
    assert "KEY" not in repr(signatures())


def test_line_ends_written_as_two_characters_are_understood(storage: Storage):
    one_line = signatures(PAIR.private.replace("\n", "\\n"), public_key=PAIR.public.replace("\n", "\\n"))
    registry_of(storage, one_line).commit(A, FILES)
    assert registry_of(storage, signatures()).verify() == []


def test_the_key_is_written_to_no_file(storage: Storage, monkeypatch: pytest.MonkeyPatch):
    made: list[int] = []
    make = tempfile.TemporaryFile

    def noted():
        file = make()
        made.append(os.dup(file.fileno()))
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", noted)
    registry_of(storage, signatures()).commit(A, FILES)
    registry_of(storage, signatures()).load(A)
    written = [os.pread(descriptor, 10**6, 0) for descriptor in made]
    for descriptor in made:
        os.close(descriptor)
    assert any(b"PUBLIC" in data for data in written)
    assert not any(b"PRIVATE" in data for data in written)


def test_a_pipeline_that_requires_signatures_and_cannot_sign_commits_nothing(storage: Storage):
    with pytest.raises(SourceError, match="has no private key, so the version could never be loaded"):
        registry_of(storage, signatures(None, public_key=PAIR.public)).commit(A, FILES)
    assert storage.list("") == []


def test_without_a_private_key_versions_are_unsigned(storage: Storage):
    registry_of(storage, signatures(None, required=False, public_key=PAIR.public)).commit(A, FILES)
    assert f"bikes/models/{A}/model.sig" not in storage.list("")


def test_signatures_of_a_description():
    asked: list[str] = []

    def connect(conn_id: str) -> Connection:
        asked.append(conn_id)
        return connection()

    assert Signatures.of(Models(), connect) is None
    made = Signatures.of(Models(signing="signing", require_signature=True), connect)
    assert made is not None
    assert made.required
    assert asked == []
    assert made.signs
    assert asked == ["signing"]
    with pytest.raises(SpecError, match=r"models\.require_signature: .*set models\.signing"):
        Signatures.of(Models(require_signature=True), connect)
