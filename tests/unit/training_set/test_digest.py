from __future__ import annotations

import subprocess

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.training_set.digest import (
    CODE,
    code_digest,
    data_digest,
    git_commit,
    packages,
    spec_digest,
    version_id,
)
from tests.unit.test_layering import used_by

VALUES = st.lists(st.floats(allow_nan=False), min_size=1, max_size=8)


@given(values=VALUES, place=st.integers(0, 7), other=st.floats(allow_nan=False))
def test_one_changed_value_is_another_digest(values, place, other):
    place %= len(values)
    if values[place] == other:
        return
    changed = [*values[:place], other, *values[place + 1 :]]
    assert data_digest(pd.DataFrame({"a": values})) != data_digest(pd.DataFrame({"a": changed}))


def test_column_order_does_not_matter_but_names_and_types_do():
    rows = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert data_digest(rows) == data_digest(rows[["b", "a"]])
    assert data_digest(rows) != data_digest(rows.rename(columns={"a": "c"}))
    assert data_digest(rows) != data_digest(rows.astype({"a": float}))
    assert data_digest(rows) != data_digest(rows.iloc[::-1])
    swapped = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert data_digest(swapped) != data_digest(swapped.rename(columns={"a": "b", "b": "a"}))


def test_a_known_version_id():
    # printf '{"code": "c", "data": "d", "spec": "s"}' | sha256sum
    assert version_id("2024-02-01", {"data": "d", "spec": "s", "code": "c"}) == "2024-02-01-af6360822725"


@pytest.mark.parametrize(
    ("old", "new", "matters"),
    [
        ("owner: team", "owner: other", False),
        ("description: Sales", "description: Other", False),
        ('schedule: "@daily"', 'schedule: "@hourly"', False),
        ("task: regression", "task: regression\nmonitoring: {performance: {over: 9 partitions}}", False),
        ("metric: mae", "metric: mae\n  schedule: '@weekly'", False),
        ("holdout: 7 days", "holdout: 8 days", True),
        ("metric: mae", "metric: rmse", True),
        ("metric: mae", "metric: mae\n  seed: 1", True),
        ("look_back: 3 days", "look_back: 4 days", True),
        ("task: regression", "task: regression\ngate: {limits: {mae: {max: 9}}}", True),
        ("task: regression", "task: regression\nkey: [price]", True),
        ("metric: mae", "metric: mae\n  weight: price", True),
        ("metric: mae", "metric: mae\n  recency: half-life 9 days", True),
        ("{alpha: 1.0}", "{alpha: 1.0}, recency: half-life 9 days", True),
        ("folds: 3", "folds: 3, gap: 1 days", True),
    ],
)
def test_only_what_bears_on_the_model_is_in_the_digest_of_the_description(make_spec, old, new, matters):
    before = spec_digest(make_spec())
    assert (spec_digest(make_spec(changes={old: new})) != before) is matters


def test_the_commit_is_what_git_says(tmp_path):
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        answer = subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)
        return answer.stdout.decode().strip()

    folder = tmp_path / "pipelines" / "sales"
    folder.mkdir(parents=True)
    git("init", "-q")
    assert git_commit(folder) is None
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert git_commit(folder) == git("rev-parse", "HEAD")
    git("pack-refs", "--all")
    assert git_commit(folder) == git("rev-parse", "HEAD")
    git("checkout", "-q", "--detach")
    assert git_commit(folder) == git("rev-parse", "HEAD")


def test_the_code_of_a_teams_own_estimators_is_part_of_the_digest(make_spec, tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    (tmp_path / "allowed_estimators.txt").write_text("own_models.Mine\nown_others.Theirs\nnowhere.Model\n")
    mine, others = (tmp_path / "lib" / f"own_{name}.py" for name in ("models", "others"))
    mine.write_text("a = 1")
    others.write_text("a = 1")
    candidates = {"estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}": "estimator: own_models.Mine"}
    spec, plain = make_spec(changes=candidates), make_spec()
    before = code_digest(spec), code_digest(plain)
    others.write_text("a = 2")
    assert (code_digest(spec), code_digest(plain)) == before
    mine.write_text("a = 2")
    assert code_digest(spec) != before[0]
    assert code_digest(plain) == before[1]
    mine.unlink()
    assert code_digest(spec) not in {before[0], code_digest(plain)}


def test_own_code_is_the_text_of_the_parts_that_are_named(tmp_path, monkeypatch):
    from evergreen.training_set import digest

    def own(*changed: str) -> str:
        for name in ("task.py", "features/a.py", "features/b/c.py", "cli/a.py"):
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True, parents=True)
            file.write_text("a = 2" if name in changed else "a = 1")
        digest.own_code.cache_clear()
        return digest.own_code("features", "task")

    monkeypatch.setattr(digest, "__file__", str(tmp_path / "training_set" / "digest.py"))
    before = own()
    assert own("cli/a.py") == before
    for part in ("task.py", "features/a.py", "features/b/c.py"):
        assert own(part) != before
    digest.own_code.cache_clear()


PLUMBING = {
    "compute",  # spreads work: what comes of it does not depend on who computes
    "description",  # reads YAML: what it gives is in the digest of the description
    "errors",
    "git",  # finds former code of features, which is known by its digest
    "interpreter",
    "json_values",
    "labels",  # what of them is known is in the digest of the data
    "lake",
    "numbers",  # writes figures in words
    "pipeline",
    "registry",
    "rows",
    "shown",
    "sources",
    "stages",
    "units",
}


def test_the_code_that_bears_on_a_model_is_all_that_its_parts_import_but_plumbing():
    # Signals say when a model is trained, and nothing of what it is.
    assert used_by(CODE) - PLUMBING - {"signals"} == set(CODE)


def test_the_versions_of_packages_are_part_of_the_digest(make_spec, monkeypatch):
    from evergreen.training_set import digest

    spec, known = make_spec(), packages()
    before = code_digest(spec)
    assert set(known) >= {"python", "scikit-learn", "optuna", "onnxruntime", "numpy", "pandas", "skops"}
    assert "absent" not in known.values()
    for package in set(known) - {"python"}:
        other = known | {package: "0.0.1"}
        monkeypatch.setattr(digest, "_version", other.__getitem__)
        assert code_digest(spec) != before
