"""Changes of the repository beside its pipelines, which touch all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evergreen.diff.revision import Revision
from evergreen.stages import STAGES
from evergreen.training_set.digest import CODE

_LIBRARY = "include/evergreen"


def everywhere(revision: Revision) -> Iterator[str]:
    """What changed files touch, in sentences; none for those that no pipeline depends on.

    Code is looked at where the repository is a checkout of Evergreen, as in a fork of it.
    """
    for names, words in _rules(revision):
        found = [name for name in revision.differing if any(_is(name, one) for one in names)]
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            yield f"{found[0]}{more}: {words}"


def _rules(revision: Revision) -> Iterator[tuple[list[str], str]]:
    """Files and folders, each group with what it touches."""
    pipelines = revision.now.relative_to(revision.repository)
    yield [(pipelines / "allowed_estimators.txt").as_posix()], "which classes of your own a model may hold"
    checkout = Path(__file__).resolve().parents[3]
    if checkout != revision.repository:
        return
    models = [f"{_LIBRARY}/{part}{suffix}" for part in CODE for suffix in ("", ".py")]
    yield models, "code that versions depend on: the next training of each pipeline makes another version"
    yield [_LIBRARY], "the library, by which all DAGs, commands and servers run"
    for stage in STAGES:
        yield [f"dags/{stage}.py"], f"the DAG {stage} of each pipeline"
    yield ["plugins"], "operators, timetable and pages in Airflow"
    yield (
        ["requirements.txt", "requirements-boosting.txt"],
        "packages of all tasks: other ones that compute with models make other versions",
    )


def _is(name: str, one: str) -> bool:
    return name == one or name.startswith(f"{one}/")
