"""answers.yaml: every answer has a reason, and is about something that the repository still has."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from deploy.audit.answers import Answers, Licence, Vulnerability, read
from deploy.audit.pins import pins, sets
from tests.conftest import ROOT

ANSWERS = read()
PINNED = pins(sets(ROOT))


def test_no_answer_is_about_a_package_that_is_not_pinned() -> None:
    names = {pin.name for pin in PINNED}
    assert [each.package for each in ANSWERS.licences.answered if each.package not in names] == []
    versions = {(pin.name, pin.version) for pin in PINNED}
    assert [each for each in ANSWERS.vulnerabilities if (each.package, each.version) not in versions] == []


def test_no_answer_is_about_a_file_that_is_gone_unless_it_says_so() -> None:
    gone = [
        path
        for each in ANSWERS.secrets
        for path in each.found.values()
        if (ROOT / path).exists() == each.history
    ]
    assert gone == []


def test_nothing_is_answered_twice() -> None:
    answered = len(ANSWERS.licences.answered) + len(ANSWERS.vulnerabilities)
    assert len(ANSWERS.keys()) == answered + sum(len(each.found) for each in ANSWERS.secrets)
    assert [
        each.licence for each in ANSWERS.licences.answered if each.licence in ANSWERS.licences.allowed
    ] == []
    digests = [digest for each in ANSWERS.secrets for digest in each.found]
    assert [digest for digest in digests if not re.fullmatch("[0-9a-f]{16}", digest)] == []


@pytest.mark.parametrize("reason", ["", "   ", "ok", None])
def test_an_answer_without_a_reason_is_refused(reason: str | None) -> None:
    licence = {"package": "a", "licence": "GPL-3.0-only", "reason": reason}
    vulnerability = {"id": "PYSEC-1", "package": "a", "version": "1", "reason": reason}
    secrets = {"found": {"0" * 16: "README.md"}, "reason": reason}
    for wrong in (
        {"licences": {"allowed": [], "answered": [licence]}},
        {"licences": {"allowed": []}, "vulnerabilities": [vulnerability]},
        {"licences": {"allowed": []}, "secrets": [secrets]},
    ):
        with pytest.raises(ValidationError, match="reason"):
            Answers.model_validate(wrong)


def test_an_answer_is_for_one_licence_and_one_version() -> None:
    reason = "a reason that is long enough"
    answers = Answers.model_validate(
        {
            "licences": {
                "allowed": [],
                "answered": [Licence(package="a", licence="LGPL-2.1", reason=reason)],
            },
            "vulnerabilities": [Vulnerability(id="PYSEC-1", package="b", version="1.0", reason=reason)],
        }
    )
    assert answers.keys() == {("licences", "a: LGPL-2.1"), ("vulnerabilities", "b 1.0: PYSEC-1")}
