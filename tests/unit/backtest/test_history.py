"""History cut by partition, and what its parts are known by."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from evergreen.backtest.history import History
from evergreen.scoring.predict import partition_features
from evergreen.spec import Spec

Sales = Callable[..., pd.DataFrame]


def test_history_cuts_by_partition(sales: Sales, kiosk: Spec, days: list[str]) -> None:
    history = History(kiosk, sales().sample(frac=1, random_state=1))
    assert history.partitions == days[:60]
    assert sorted(history.rows(days[3], days[5])["partition"].unique()) == days[3:5]
    assert history.rows("2023-01-01", days[0]).empty
    assert history.published(days[58], days[90]) == days[58:60]
    alone = partition_features(kiosk, sales(), days[20])
    pd.testing.assert_frame_equal(
        history.features(days[20]).reset_index(drop=True), alone.reset_index(drop=True)
    )
    assert history.before(days[55])["partition"].min() == days[12]  # 40 days of window, 3 of look-back


def test_a_digest_follows_from_its_rows_alone(sales: Sales, kiosk: Spec, days: list[str]) -> None:
    rows = sales()
    history, shuffled = History(kiosk, rows), History(kiosk, rows.sample(frac=1, random_state=1))
    known = history.digest(days[10], days[20])
    assert shuffled.digest(days[10], days[20]) == known
    assert History(kiosk, rows[rows["partition"] < days[30]]).digest(days[10], days[20]) == known
    others = {history.digest(days[10], days[19]), history.digest(days[9], days[20])}
    assert known not in others
    outside, inside, fewer, named = (rows.copy() for _ in range(4))
    outside.loc[rows["partition"] == days[20], "sold"] += 1
    inside.loc[(rows["partition"] == days[19]) & (rows["sold"] > 0), "sold"] += 1e-9
    fewer = fewer.drop(index=rows.index[rows["partition"] == days[15]][:1])
    named = named.rename(columns={"sold": "bought"})
    assert History(kiosk, outside).digest(days[10], days[20]) == known
    for changed in (inside, fewer, named, rows.astype({"sold": "float32"})):
        assert History(kiosk, changed).digest(days[10], days[20]) != known


def test_the_features_of_late_labels_hold_no_target(
    sales: Sales, kiosk: Spec, days: list[str], tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("late")
    (folder / "features.py").write_text(
        "def build(rows):\n    return rows[['temperature']].assign(seen=float('sold' in rows))\n"
    )
    from evergreen.spec import Labels

    labels = Labels.model_validate({"source": {"file": {"path": "labels.csv"}}, "delay": "2 partitions"})
    late = kiosk.model_copy(update={"folder": folder, "labels": labels})
    assert set(History(late, sales(20)).features(days[10])["seen"]) == {0.0}
    prompt = kiosk.model_copy(update={"folder": folder})
    assert set(History(prompt, sales(20)).features(days[10])["seen"]) == {1.0}
