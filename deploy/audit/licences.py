"""The licence of every pinned package, from the metadata that the package index has of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from deploy.audit.answers import Finding, NotAskedError
from deploy.audit.pins import Pin, rounds

CHECK = "licences"
UNKNOWN = "unknown"

# Where the pins are installed: what the markers of the requirements tell apart.
_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
_OTHERS = (
    ("3.13", "manylinux_2_28_x86_64", _LINUX),
    ("3.12", "win_amd64", {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"}),
    (
        "3.12",
        "macosx_14_0_arm64",
        {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    ),
)
_BESIDE = " + "
_MISSING = re.compile(r"No matching distribution found for (\S+)")
_FEW = 10


def licences(pins: list[Pin]) -> dict[tuple[str, str], str]:
    """The licence of each pin; `unknown` where the metadata name none, or no environment has a wheel of it.

    NotAskedError where the package index does not answer.
    """
    known: dict[tuple[str, str], str] = {}
    here = [pin for pin in pins if pin.installed_by({})]
    for once in rounds(here):
        known |= _told(once, [])
    for python, platform, markers in _OTHERS:
        environment = {**markers, "python_version": python, "python_full_version": f"{python}.0"}
        rest = [pin for pin in pins if (pin.name, pin.version) not in known and pin.installed_by(environment)]
        for pin in rest:
            known |= _told([pin], ["--python-version", python, "--platform", platform])
    return {(pin.name, pin.version): known.get((pin.name, pin.version), UNKNOWN) for pin in pins}


def found(pins: list[Pin], known: dict[tuple[str, str], str], allowed: list[str]) -> list[Finding]:
    """The packages whose licence is none that is allowed; where one may choose, one must be allowed."""
    where: dict[tuple[str, str], set[str]] = {}
    for pin in pins:
        licence = known[pin.name, pin.version]
        if not is_allowed(licence, frozenset(allowed)):
            where.setdefault((pin.name, licence), set()).update(pin.sets)
    return sorted(
        Finding(CHECK, f"{name}: {licence}", ", ".join(sorted(files)))
        for (name, licence), files in where.items()
    )


def is_allowed(licence: str, allowed: frozenset[str]) -> bool:
    """Whether a licence as `licence_of` writes it may be used: all of `AND`, one of `OR`."""
    if licence in allowed:
        return True
    if _BESIDE in licence:
        return all(each in allowed for each in licence.split(_BESIDE))
    expression = _expression(licence)
    if not expression:
        return False
    words = expression.replace("(", " ( ").replace(")", " ) ").split()
    return _any_of(words, allowed)


def licence_of(metadata: dict[str, Any]) -> str:
    """The licence that metadata name: an SPDX expression, else what they write, else their classifiers.

    Of several classifiers all must be allowed: they do not say whether one may choose.
    """
    if expression := metadata.get("license_expression"):
        return str(expression)
    if written := _expression((metadata.get("license") or "").strip()):
        return written
    classifiers = [each for each in metadata.get("classifier", []) if each.startswith("License ::")]
    names = sorted({each.rpartition(" :: ")[2] for each in classifiers} - {"OSI Approved"})
    return _BESIDE.join(names) or UNKNOWN


def _expression(text: str) -> str | None:
    """The text as an SPDX expression in its usual spelling, if it is one."""
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return None


def _any_of(words: list[str], allowed: frozenset[str]) -> bool:
    """The words from the left, up to the end or a closing parenthesis: one of the parts between `OR`."""
    found = _all_of(words, allowed)
    while words and words[0] == "OR":
        words.pop(0)
        found = _all_of(words, allowed) or found
    return found


def _all_of(words: list[str], allowed: frozenset[str]) -> bool:
    found = _one(words, allowed)
    while words and words[0] == "AND":
        words.pop(0)
        found = _one(words, allowed) and found
    return found


def _one(words: list[str], allowed: frozenset[str]) -> bool:
    licence = words.pop(0)
    if licence == "(":
        found = _any_of(words, allowed)
        words.pop(0)
        return found
    if words and words[0] == "WITH":
        licence = " ".join([licence, words.pop(0), words.pop(0)])
    return licence in allowed


def _told(pins: list[Pin], options: list[str]) -> dict[tuple[str, str], str]:
    """The licences of the pins, but for those that the index has no wheel of: none of their code is run.

    NotAskedError where it has hardly any: then it is out of reach.
    """
    for _ in range(_FEW):
        if not pins:
            return {}
        answer, missing = _report(pins, options)
        if missing is None:
            by_name = {pin.name: pin for pin in pins}
            told = ((by_name[canonicalize_name(each["name"])], each) for each in answer)
            return {(pin.name, pin.version): licence_of(metadata) for pin, metadata in told}
        pins = [pin for pin in pins if pin.requirement != missing]
    raise NotAskedError("licences: the package index has hardly any of the packages: is it in reach?")


def _report(pins: list[Pin], options: list[str]) -> tuple[list[dict[str, Any]], str | None]:
    """The metadata of what pip would install, or the first pin without a wheel; it installs nothing."""
    with tempfile.TemporaryDirectory() as folder:
        file, report = Path(folder) / "requirements.txt", Path(folder) / "report.json"
        file.write_text("".join(f"{pin.requirement}\n" for pin in pins), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--quiet", "--no-deps"]
        command += ["--ignore-installed", "--only-binary", ":all:", "--report", report, "--requirement", file]
        command += [*options, *(["--target", folder] if options else [])]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        if missing := _MISSING.search(ended.stderr):
            return [], missing[1]
        if ended.returncode != 0:
            reason = (ended.stderr.strip().splitlines() or ["no answer"])[-1]
            raise NotAskedError(
                f"licences: the package index gave no answer ({reason[:120]}): is it in reach?"
            )
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
        return [each["metadata"] for each in installed], None
