from __future__ import annotations

import json

from evergreen.validation.report import ExpectationResult, ValidationReport

GOOD = ExpectationResult("expect_a(x)", "critical", True, 0, "holds")
BAD = ExpectationResult("expect_b(y)", "warning", False, 2, "2 of 24 rows, such as 900.0, -1.0")
REPORT = ValidationReport("2011-01-01", 24, 2, (GOOD, BAD))


def test_it_survives_json():
    assert ValidationReport.from_dict(json.loads(json.dumps(REPORT.to_dict()))) == REPORT


def test_failed_are_those_that_did_not_hold():
    assert REPORT.failed == (BAD,)
