"""Features of sets and lookups that the description no longer has, and what a process keeps loaded."""

from __future__ import annotations

import json
import re
import shutil
import sys

import pytest

from evergreen.errors import IntegrityError
from evergreen.evaluation.evaluate import Evaluation
from evergreen.features import functions
from evergreen.features.functions import load_functions
from evergreen.features.keep import keep
from evergreen.features.own import own_features
from evergreen.features.stored import FORM, feature_files
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.scoring.published import PREDICTION
from evergreen.scoring.score import score
from evergreen.storage import Storage
from evergreen.training import stage
from tests.unit.features.conftest import Shops
from tests.unit.features.test_stages import TREES

AS_OF, LATER = "2024-04-01", "2024-04-08"
REASON = {"sentence": "a test"}
FEATURES = re.compile(r"features:\n.*?(?=task:)", re.DOTALL)


def predicted(pipeline: Pipeline) -> list[float]:
    score(pipeline, LATER)
    return [*pipeline.lake.read(Table.PREDICTIONS, LATER, LATER).column(PREDICTION).to_pylist()]


def without_sets_and_lookups(shops: Shops) -> Pipeline:
    """The pipeline with a function alone, on other columns; the sets that it had are gone from the disk."""
    file = shops.folder / "sales" / "pipeline.yaml"
    file.write_text(FEATURES.sub("features: {function: 'own.py:build'}\n", file.read_text()))
    (shops.folder / "sales" / "features.py").rename(shops.folder / "sales" / "own.py")
    (shops.folder / "sales" / "own.py").write_text(
        "def build(rows):\n    return rows[[]].assign(hour=rows['at'].dt.hour)\n"
    )
    shutil.rmtree(shops.folder / "feature_sets")
    return shops.open()


def test_sets_and_lookups_that_are_gone_are_those_of_the_version_still(open_shops: Shops) -> None:
    pipeline = open_shops.open(changes={"sklearn.linear_model.Ridge": TREES})
    version = stage.train(pipeline, AS_OF, REASON).version
    pipeline.registry.promote(version, AS_OF, REASON)
    before = predicted(pipeline)
    after = without_sets_and_lookups(open_shops)
    with pytest.raises(IntegrityError, match=r"other features than feature_sets/clock/features.py:build"):
        score(after, LATER)
    kept = [file.relative_to(open_shops.folder).parent.as_posix() for file in keep(after, version)]
    assert kept == ["feature_sets/clock/former", "feature_sets/demand/former", "sales/former"]
    assert predicted(after) == before
    trained = stage.train(after, LATER, REASON)
    content = json.loads(after.registry.read(trained.version, "metrics.json"))["evaluation"]
    found = Evaluation.from_dict(content)
    assert found.champion is not None
    assert (found.champion["version"], found.champion["problem"]) == (version, None)
    assert found.comparison is not None


def test_what_does_not_bear_on_features_is_no_change(stored_shops: Shops) -> None:
    pipeline = stored_shops.open()
    version = "2024-04-01-0123456789ab"
    pipeline.registry.commit(version, feature_files(pipeline.spec, ["a"]))
    file = stored_shops.folder / "feature_sets" / "clock" / "feature_set.yaml"
    file.write_text(file.read_text().replace("owner: o", "owner: somebody else"))
    opened = stored_shops.open()
    own = own_features(opened, version)
    assert own.pipeline is opened
    assert set(own.where.values()) == {"as deployed"}


def test_what_was_hidden_from_a_version_is_hidden_still_and_nothing_else(stored_shops: Shops) -> None:
    pipeline = stored_shops.open()
    for known, (now, version) in {
        (): (("returned",), "2024-04-01-0123456789ab"),
        ("returned", "stolen"): ((), "2024-04-02-0123456789ab"),
    }.items():
        then = pipeline.spec.model_copy(update={"other_targets": known})
        pipeline.registry.commit(version, feature_files(then, ["a"]))
        opened = pipeline.described_by(pipeline.spec.model_copy(update={"other_targets": now}))
        assert own_features(opened, version).pipeline.spec.other_targets == known


def test_a_version_of_an_older_release_has_the_features_of_today(stored_shops: Shops) -> None:
    pipeline = stored_shops.open()
    pipeline.registry.commit("2024-04-01-0123456789ab", {"model.skops": b""})
    own = own_features(pipeline, "2024-04-01-0123456789ab")
    assert (own.pipeline, own.where, own.problem) == (pipeline, {}, None)


def test_what_is_no_description_of_features_is_refused_in_one_line(stored_shops: Shops) -> None:
    pipeline, known = stored_shops.open(), {"form": FORM, "features": {}, "sets": {}, "sources": {}}
    wrong = [
        {},
        {"form": FORM + 1},
        {**known, "sets": {"../x": {}}},
        {**known, "columns": 3, "target": "sold"},
    ]
    for number, content in enumerate(wrong):
        pipeline.registry.commit(f"v{number}", {"features.json": json.dumps(content).encode()})
        with pytest.raises(IntegrityError, match=r"^sales: .*features.json .*train a new version") as no:
            own_features(pipeline, f"v{number}")
        assert "\n" not in str(no.value)


def test_a_commit_that_is_cut_off_at_any_file_leaves_no_version_and_the_next_completes_it(
    stored_shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = stored_shops.open()
    files = feature_files(pipeline.spec, ["a"])
    create = Storage.create
    for number, cut in enumerate([*files, "manifest.json"]):
        version = f"2024-04-{number + 1:02d}-0123456789ab"

        def dies(self: Storage, key: str, *rest: object, cut: str = cut, **more: object) -> object:
            if key.endswith(f"/{cut}"):
                raise KeyboardInterrupt
            return create(self, key, *rest, **more)  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(Storage, "create", dies)
            with pytest.raises(KeyboardInterrupt):
                pipeline.registry.commit(version, files)
        assert not pipeline.registry.has(version)
        assert pipeline.registry.commit(version, files)
        assert set(pipeline.registry.files(version)) == set(files)
        assert own_features(pipeline, version).problem is None
    assert pipeline.registry.verify() == []


def test_a_process_keeps_only_the_modules_that_it_used_last(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "_MOST", 4)
    own = shops.folder / "sales" / "features.py"
    spec = shops.open().spec
    for number in range(6):
        own.write_text(f"def build(rows):\n    return rows[[]].assign(a={number})\n")
        load_functions(spec)
    loaded = {name for name in sys.modules if name.startswith("evergreen_features_")}
    assert len(functions._loaded) == 4
    assert set(functions._loaded) == loaded
