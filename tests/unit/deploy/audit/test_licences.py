"""Which licence a package has, by its metadata, and whether it may be used."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.audit.licences import found, is_allowed, licence_of
from deploy.audit.pins import Pin

ALLOWED = frozenset({"MIT", "Apache-2.0", "MIT License", "GPL-2.0-only WITH Classpath-exception-2.0"})
OSI = "License :: OSI Approved :: "


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ({"license_expression": "MIT AND Apache-2.0", "license": "BSD"}, "MIT AND Apache-2.0"),
        ({"license": "apache-2.0", "classifier": [OSI + "MIT License"]}, "Apache-2.0"),
        ({"license": "MIT License\n\nCopyright (c) ...", "classifier": [OSI + "MIT License"]}, "MIT License"),
        ({"classifier": [OSI + "MIT License", OSI + "BSD License"]}, "BSD License + MIT License"),
        ({"classifier": ["License :: OSI Approved"]}, "unknown"),
        ({"license": "see the file"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_licence_is_the_most_exact_that_is_said(metadata: dict[str, Any], licence: str) -> None:
    assert licence_of(metadata) == licence


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT AND (GPL-3.0-only OR Apache-2.0)", True),
        ("MIT AND (GPL-3.0-only OR LGPL-2.1)", False),
        ("GPL-3.0-only OR MIT AND LGPL-2.1", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("GPL-2.0-only WITH Autoconf-exception-2.0", False),
        ("MIT License", True),
        ("GPL License + MIT License", False),
        ("unknown", False),
    ],
)
def test_of_several_one_may_be_chosen_or_all_must_be_kept(licence: str, allowed: bool) -> None:
    assert is_allowed(licence, ALLOWED) == allowed


def test_a_licence_that_is_not_allowed_is_a_finding_with_the_files_that_have_it() -> None:
    pins = [Pin("a", "1", ("requirements",)), Pin("a", "2", ("requirements-dev",)), Pin("b", "1", ())]
    known = {("a", "1"): "GPL-3.0-only", ("a", "2"): "GPL-3.0-only", ("b", "1"): "MIT"}
    (finding,) = found(pins, known, ["MIT"])
    assert finding.key == ("licences", "a: GPL-3.0-only")
    assert finding.where == "requirements, requirements-dev"
