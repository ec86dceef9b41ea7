"""What `evergreen ingest` tells of a range of which a part is refused, and what is left to look at."""

from __future__ import annotations

import pytest

SUITE = """\
- expect_column_values_to_be_between: {column: y, min_value: 0}
  severity: warning
- expect_column_values_to_be_between: {column: x, max_value: 1}
  severity: warning
- expect_column_values_to_be_between: {column: x, max_value: 0}
  severity: info
"""
DAYS = [f"2011-01-0{day}" for day in range(1, 7)]
RANGE = ("--partition", DAYS[0], "--to", DAYS[-1])
BETWEEN = "expect_column_values_to_be_between"


@pytest.fixture
def write(pipelines, configured):
    """Writes a day of the pipeline `daily`: rows of x and y."""
    (pipelines / "daily" / "expectations.yaml").write_text(SUITE)

    def write(day, *rows):
        lines = [f"{day}T0{hour}:00:00Z,{x},{y}" for hour, (x, y) in enumerate(rows)]
        (pipelines / "daily" / f"{day}.csv").write_text("\n".join(["at,x,y", *lines]) + "\n")

    for day in DAYS:
        write(day, (0.5, 1), (0, 2), (0, 3))
    return write


def test_a_range_tells_every_partition(write, evergreen, pipelines, configured):
    write(DAYS[1], (2, -1), (0, 2), (0, -3))
    write(DAYS[3], (2, -1), (0, -2), (0, -3))
    (pipelines / "daily" / f"{DAYS[4]}.csv").unlink()
    found = evergreen.document("ingest", "daily", *RANGE, exit_code=3)
    told = [(one["partition"], one["status"], one["rows"], one["quarantined"]) for one in found["partitions"]]
    assert told == [
        (DAYS[0], "published", 3, 0),
        (DAYS[1], "refused", 3, 2),
        (DAYS[2], "published", 3, 0),
        (DAYS[3], "refused", 3, 3),
        (DAYS[4], "failed", 0, 0),
        (DAYS[5], "published", 3, 0),
    ]
    assert [one["info"] for one in found["partitions"]] == [1, 1, 1, 1, 0, 1]
    assert found["summary"] == {
        "partitions": 6,
        "published": 3,
        "unchanged": 0,
        "refused": 2,
        "failed": 1,
        "rows": 9,
        "quarantined": 0,
        "info": 5,
    }
    assert found["partitions"][1]["expectations"] == [
        {"expectation": f"{BETWEEN}(y)", "severity": "warning", "rows": 2},
        {"expectation": f"{BETWEEN}(x)", "severity": "warning", "rows": 1},
        {"expectation": f"{BETWEEN}(x)", "severity": "info", "rows": 1},
    ]
    assert found["partitions"][1]["reason"].startswith("refused: 2 of 3 rows (66.7%) would be quarantined")
    for one in found["partitions"]:
        assert configured.exists(one["page"].removeprefix(configured.uri("")).strip("/"))


def test_the_reason_comes_first_and_the_keys_are_counted(write, evergreen):
    for day in DAYS[1:5]:
        write(day, (2, -1), (0, 2), (0, -3))
    done = evergreen("ingest", "daily", *RANGE)
    assert done.exit_code == 3
    assert done.stderr.splitlines() == [
        "evergreen: daily 2011-01-02: refused: 2 of 3 rows (66.7%) would be quarantined, more than "
        f"max_quarantined 5.0%, by {BETWEEN}(y) (2 rows), {BETWEEN}(x) (1 row): look at them with evergreen "
        "quarantine show daily --partition 2011-01-02, fix the source, or the expectations, then ingest "
        "again (so 3 more, the last 2011-01-05): 4 of 6 partitions were not published"
    ]
    assert done.stdout.splitlines()[-1] == (
        "6 partitions from 2011-01-01 to 2011-01-06: 2 published, 4 refused; 6 rows, 0 in quarantine, 6 "
        "findings of info"
    )
    assert done.stdout.count("refused") == 4 * 2 + 1


def test_a_single_partition_has_its_outcome_in_the_document_too(write, evergreen):
    write(DAYS[0], (2, -1), (0, 2), (0, -3))
    found = evergreen.document("ingest", "daily", "--partition", DAYS[0], exit_code=3)
    assert [one["status"] for one in found["partitions"]] == ["refused"]
    assert found["error"].startswith(f"daily {DAYS[0]}: refused: 2 of 3 rows")
    assert evergreen.line("ingest", "daily", "--partition", DAYS[0], exit_code=3).startswith(
        "evergreen: daily"
    )


def test_the_rows_of_a_refused_attempt_can_be_looked_at_until_it_is_published(write, evergreen):
    write(DAYS[0], (2, -1), (0, 2), (0, -3))
    evergreen.document("ingest", "daily", "--partition", DAYS[0], exit_code=3)
    for arguments in (("--partition", DAYS[0]), ()):  # the newest where none is in quarantine
        found = evergreen.document("quarantine", "show", "daily", *arguments)
        assert found["rows"] == []
        assert found["refused"]["count"] == 2
        assert "2 of 3 rows (66.7%) would be quarantined" in found["refused"]["reason"]
        assert [(row["values"]["y"], row["expectation"]) for row in found["refused"]["rows"]] == [
            (-1.0, f"{BETWEEN}(y); {BETWEEN}(x)"),
            (-3.0, f"{BETWEEN}(y)"),
        ]
    shown = evergreen("quarantine", "show", "daily", "--partition", DAYS[0]).stdout
    assert "2 rows would have been quarantined" in shown
    write(DAYS[0], (0, 1), (0, 2))
    evergreen.document("ingest", "daily", "--partition", DAYS[0])
    assert evergreen.document("quarantine", "show", "daily", "--partition", DAYS[0])["refused"] is None


def test_many_expectations_are_counted_and_the_first_are_named(write, evergreen, pipelines):
    suite = [f"- {BETWEEN}: {{column: x, max_value: {n}}}\n  severity: warning\n" for n in range(1, 9)]
    (pipelines / "daily" / "expectations.yaml").write_text("".join(suite))
    write(DAYS[0], *((x, 1) for x in range(9)))
    line = evergreen.line("ingest", "daily", "--partition", DAYS[0], exit_code=3)
    counts = ", ".join(f"{BETWEEN}(x) ({count} rows)" for count in (7, 6, 5, 4, 3))
    assert f"7 of 9 rows (77.8%) would be quarantined, more than max_quarantined 5.0%, by {counts}" in line
    assert "(3 rows), and 2 more expectations: look at them" in line


def test_a_first_partition_without_values_is_tried_again_when_the_type_is_known(write, evergreen):
    write(DAYS[0], ("", 1), ("", 2))
    write(DAYS[1], ("", 1), ("", 2))
    found = evergreen.document("ingest", "daily", *RANGE)
    assert [one["partition"] for one in found["partitions"]] == DAYS
    assert [one["rows"] for one in found["partitions"]] == [2, 2, 3, 3, 3, 3]
    again = evergreen.document("ingest", "daily", *RANGE)
    assert again["summary"]["unchanged"] == 6


def test_a_range_in_which_no_partition_tells_the_type_is_refused_once_each(write, evergreen):
    for day in DAYS:
        write(day, ("", 1), ("", 2))
    found = evergreen.document("ingest", "daily", *RANGE, exit_code=3)
    assert [one["status"] for one in found["partitions"]] == ["refused"] * 6
    assert "column 'x' has no value in any row, so its type is not known" in found["error"]
    assert found["error"].endswith("(so 5 more, the last 2011-01-06): 6 of 6 partitions were not published")


def test_a_pipeline_begins_without_a_suite_and_is_told_how_to_draft_one(write, evergreen, pipelines):
    suite = pipelines / "daily" / "expectations.yaml"
    suite.unlink()
    said = (
        "no expectations.yaml yet: only the key is checked (at). Draft one from what is published: "
        f"evergreen suggest-expectations daily --out {suite}"
    )
    checks = {one["check"]: one for one in evergreen.document("check", "daily")["checks"]}
    assert (checks["expectations"]["detail"], checks["expectations"]["warns"]) == (said, True)
    found = evergreen.document("ingest", "daily", *RANGE)
    assert (found["summary"]["published"], found["without_suite"]) == (6, said)
    evergreen("suggest-expectations", "daily", "--out", str(suite))
    assert evergreen.document("ingest", "daily", *RANGE)["without_suite"] is None
