"""`make audit`: what is known against the pinned packages and the history, and whether it is answered."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deploy.audit import history, licences, osv, sbom, vulnerabilities
from deploy.audit.answers import FILE, Finding, NotAskedError, read
from deploy.audit.pins import pins, sets

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Print a table and what is open; 1 where something is."""
    parser = argparse.ArgumentParser(prog="make audit")
    parser.add_argument(
        "--database", type=Path, metavar="ALL.ZIP", help="OSV's export, instead of its service"
    )
    asked = parser.parse_args()
    answers = read()
    pinned = pins(sets(ROOT))
    try:
        database = osv.Database.read(asked.database) if asked.database else None
    except (OSError, ValueError) as error:
        print(f"vulnerabilities: {error}", file=sys.stderr)
        return 2
    known: dict[tuple[str, str], str] = {}

    def licensed() -> list[Finding]:
        known.update(licences.licences(pinned))
        return licences.found(pinned, known, answers.licences.allowed)

    service = f"{database.count} records up to {database.newest}" if database else "OSV's service"
    checks: dict[str, tuple[str, Callable[[], list[Finding]]]] = {
        vulnerabilities.CHECK: (
            f"{len(pinned)} packages, {service}",
            lambda: vulnerabilities.found(pinned, database),
        ),
        licences.CHECK: (f"{len(pinned)} packages", licensed),
        history.CHECK: ("all commits and the tree", lambda: history.found(ROOT)),
    }
    answered = answers.keys()
    print(f"{'check':<16} {'of':<48} {'found':>6} {'answered':>9} {'open':>5} {'stale':>6} {'seconds':>8}")
    wrong: list[str] = []
    for check, (of, look) in checks.items():
        begun = time.monotonic()
        try:
            findings = look()
        except NotAskedError as error:
            wrong.append(str(error))
            print(f"{check:<16} {of:<48} {'not asked':>16}")
            continue
        keys = {each.key for each in findings}
        unanswered = [each for each in findings if each.key not in answered]
        # Which vulnerabilities are known changes with the database: an answer to one that it lacks may stay.
        held = check != vulnerabilities.CHECK
        stale = sorted({key for key in answered if held and key[0] == check} - keys)
        counts = (
            f"{len(findings):>6} {len(findings) - len(unanswered):>9} {len(unanswered):>5} {len(stale):>6}"
        )
        print(f"{check:<16} {of:<48} {counts} {time.monotonic() - begun:>8.0f}", flush=True)
        wrong += [f"open: {each.check}: {each.name} ({each.where})" for each in unanswered]
        wrong += [f"stale: {check}: {name}: nothing is found that this answers" for _, name in stale]
    for file, packages in sbom.write(ROOT / ".evergreen" / "sbom", known).items():
        print(f"{'sbom':<16} {file.relative_to(ROOT)!s:<48} {packages:>6}")
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        print(f"{len(wrong)} to answer in {FILE.relative_to(ROOT)}, or to mend", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
