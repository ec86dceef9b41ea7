"""Known vulnerabilities of the pinned versions, by pip-audit."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.audit import osv
from deploy.audit.answers import Finding, NotAskedError
from deploy.audit.pins import Pin, rounds

CHECK = "vulnerabilities"


def found(pins: list[Pin], database: osv.Database | None) -> list[Finding]:
    """What OSV knows of the pins: by the database if there is one, else by its service on the network.

    NotAskedError where the service does not answer.
    """
    if database is None:
        return _asked(pins, None)
    with osv.serving(database) as address:
        return _asked(pins, address)


def _asked(pins: list[Pin], address: str | None) -> list[Finding]:
    where = {(pin.name, pin.version): ", ".join(pin.sets) for pin in pins}
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        for number, once in enumerate(rounds(pins)):
            file = Path(folder) / f"requirements-{number}.txt"
            file.write_text("".join(f"{pin.requirement}\n" for pin in once), encoding="utf-8")
            for package in _report(file, address)["dependencies"]:
                for each in package.get("vulns", []):
                    name, version = package["name"], package["version"]
                    fixed = ", ".join(each["fix_versions"]) or "no release"
                    findings.append(
                        Finding(
                            CHECK,
                            f"{name} {version}: {each['id']}",
                            f"{where[name, version]}; fixed in {fixed}",
                        )
                    )
    return sorted(findings)


def _report(file: Path, address: str | None) -> dict[str, list[dict]]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", file, "--no-deps", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off"]
    command += ["--osv-url", address] if address else []
    # Answers are not kept between runs: those of yesterday are not those of today.
    with tempfile.TemporaryDirectory() as cache:
        answer = subprocess.run([*command, "--cache-dir", cache], capture_output=True, text=True, check=False)
    # 1: it found something. Where it asked in vain it prints no report.
    if not answer.stdout.strip():
        reason = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
        raise NotAskedError(
            f"vulnerabilities: OSV gave no answer ({reason[:120]}): give its export as DATABASE=all.zip"
        )
    return json.loads(answer.stdout)
