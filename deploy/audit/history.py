"""Strings that look like secrets, in all that was ever committed and in the tree, by detect-secrets."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from deploy.audit.answers import Finding

CHECK = "secrets"
# Hashes of packages; the digests of strings that are answered.
_NOT_READ = (":!requirements*.txt", ":!deploy/audit/answers.yaml")


def lines(root: Path) -> dict[str, list[str]]:
    """Every line that a commit of the branch added, or that is changed and not committed, by file.

    A line stands once among the files with the same ending: in the oldest one.
    """
    log = ["log", "--patch", "--reverse", "--unified=0", "--no-color", "--no-renames", "--format=", "HEAD"]
    texts = (
        _git(root, *log, "--", ".", *_NOT_READ),
        _git(root, "diff", "--unified=0", "HEAD", "--", ".", *_NOT_READ),
    )
    found: dict[str, list[str]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    path = ""
    for text in texts:
        for line in text.splitlines():
            if line.startswith("+++ "):
                path = line.removeprefix("+++ ").removeprefix("b/")
            elif line.startswith("+") and (key := (Path(path).suffix, line[1:].strip())) not in seen:
                seen.add(key)
                found[path].append(line[1:])
    return dict(found)


def found(root: Path) -> list[Finding]:
    """What looks like a secret in the lines, each string once, by its digest; nothing is sent to anybody."""
    with tempfile.TemporaryDirectory() as folder:
        for path, texts in lines(root).items():
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(texts) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", "--no-verify"]
        answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    where: dict[str, str] = {}
    for path, secrets in json.loads(answer.stdout)["results"].items():
        for each in secrets:
            where.setdefault(each["hashed_secret"][:16], f"{path}: {each['type']}")
    return sorted(Finding(CHECK, digest, place) for digest, place in where.items())


def _git(root: Path, *arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True)
    return answer.stdout.decode("utf-8", errors="replace")
