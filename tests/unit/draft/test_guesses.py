"""A guess is a comment with what was written because of it, and is confirmed by its deletion."""

from __future__ import annotations

from pathlib import Path

from evergreen.draft.guesses import Unconfirmed, unconfirmed


def test_a_guess_is_told_until_its_comment_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(
        "# guess: nobody said\n# a note\nowner: unknown\ntraining:\n  # guess: few classes\n  metric: f1\n"
        'description: "# guess: no comment"\n'
    )
    (tmp_path / "features.py").write_text("X = 1  # guess: beside code it is a note\n# guess: at the end")
    assert unconfirmed(tmp_path) == [
        Unconfirmed("pipeline.yaml:1", "owner: unknown", "nobody said"),
        Unconfirmed("pipeline.yaml:5", "metric: f1", "few classes"),
        Unconfirmed("features.py:2", "", "at the end"),
    ]
    (tmp_path / "pipeline.yaml").write_text("owner: shop-team\n")
    (tmp_path / "features.py").unlink()
    assert unconfirmed(tmp_path) == []
