from __future__ import annotations

import pytest

from evergreen.errors import IntegrityError
from evergreen.registry.manifest import FileDigest, Manifest


def test_digest_of_known_bytes():
    # FIPS 180-2, appendix B.1: the SHA-256 of "abc".
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert FileDigest.of(b"abc") == FileDigest(3, known)


def test_a_manifest_survives_storage():
    manifest = Manifest("v1", {"b": FileDigest.of(b"2"), "a": FileDigest.of(b"1")})
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_the_right_bytes_pass():
    assert Manifest("v1", {"a": FileDigest.of(b"abc")}).check("a", b"abc") == b"abc"


@pytest.mark.parametrize("body", [b"abd", b"ab", b"abcd", b""])
def test_other_bytes_do_not(body: bytes):
    with pytest.raises(IntegrityError, match=r"'a' has \d bytes .* its manifest says 3"):
        Manifest("v1", {"a": FileDigest.of(b"abc")}).check("a", body)
