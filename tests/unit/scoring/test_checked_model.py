"""A champion is held to its golden predictions once, and again whenever what they follow from has changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evergreen.errors import IntegrityError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.scoring import checked_model as module
from evergreen.scoring.checked_model import load_checked_model
from evergreen.scoring.score import score

Commit = Callable[..., str]
DAY = "2024-01-20"


def test_the_check_is_made_once_for_the_same_files_and_features(
    kiosk: Pipeline, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, real = [], module.check_golden
    monkeypatch.setattr(module, "check_golden", lambda *given: (checked.append(given[2]), real(*given)))
    version = commit()
    for _ in range(3):
        load_checked_model(kiosk, version)
    assert checked == [version]
    other = commit("2024-01-13")
    load_checked_model(kiosk, other)
    assert checked == [version, other]
    file = kiosk.spec.folder / "features.py"
    file.write_text(file.read_text() + "\n# the same features in other words\n")
    load_checked_model(kiosk, version)
    assert checked == [version, other, version]


def test_features_changed_after_training_are_noticed_before_a_row_is_scored(
    kiosk: Pipeline, commit: Commit
) -> None:
    version = commit()
    kiosk.registry.promote(version, "2024-01-12", {})
    assert score(kiosk, DAY).rows == 4
    before = kiosk.lake.version(Table.PREDICTIONS)
    file = kiosk.spec.folder / "features.py"
    sound = file.read_text()
    file.write_text(sound.replace('rows["temperature"]', 'rows["temperature"] * 1.8 + 32'))
    with pytest.raises(
        IntegrityError,
        match=r"4 of 4 are predicted differently, .*: train a new one: evergreen train kiosk, or go back",
    ):
        score(kiosk, DAY)
    assert kiosk.lake.version(Table.PREDICTIONS) == before
    file.write_text(sound)
    assert score(kiosk, DAY).rows == 4


@pytest.mark.parametrize("place", [0, 100, 500, -30])
def test_a_flipped_bit_is_noticed_also_after_the_check(kiosk: Pipeline, commit: Commit, place: int) -> None:
    version = commit()
    kiosk.registry.promote(version, "2024-01-12", {})
    score(kiosk, DAY)
    key = f"kiosk/models/{version}/model.skops"
    damaged = bytearray(kiosk.storage.read(key).body)
    damaged[place] ^= 1
    kiosk.storage.stage(key, bytes(damaged))
    with pytest.raises(IntegrityError, match=f"kiosk: version {version}: .*model.skops"):
        score(Pipeline(kiosk.spec, kiosk.storage), DAY)
