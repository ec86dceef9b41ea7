"""What is known of a drift statistic stands in `evergreen.drift` and nowhere else."""

from __future__ import annotations

from evergreen.drift import STATISTICS
from tests.unit.metrics.test_one_home import ROOT, literals
from tests.unit.signals.test_one_home import named_outside

HOME = ROOT / "include" / "evergreen" / "drift"

EXCEPTIONS = {
    "include/evergreen/alerts/conditions.py": {"missing"},  # the alert of missing partitions
    "include/evergreen/candidates/estimators.py": {"chi2"},  # scikit-learn's score function
    "include/evergreen/card/limits.py": {"missing"},  # partitions that were not published
    "include/evergreen/description.py": {"missing"},  # pydantic's word for a key that is not there
    "include/evergreen/evaluation/data_window.py": {"missing"},  # partitions that were not published
    "include/evergreen/evaluation/groups.py": {"missing"},  # what a group without a value is called
    "include/evergreen/monitoring/health.py": {"missing"},  # partitions that were not published
    "include/evergreen/monitoring/record.py": {"joint"},  # a column of a record
    "include/evergreen/reports/week.py": {"missing"},  # partitions that were not published
    "include/evergreen/side_by_side/compare.py": {"missing"},  # the same
    "include/evergreen/signals/bias.py": {"unseen"},  # partitions that no training has seen
    "include/evergreen/signals/renewal.py": {"unseen"},  # the same
    "include/evergreen/signals/staleness.py": {"unseen"},  # the same
    "include/evergreen/sources/extra.py": {"missing"},  # pydantic's word again
    "include/evergreen/sources/text/null_words.py": {"missing"},  # what people write for no value
    "include/evergreen/spec/spec.py": {"missing"},  # partitions that were not published
    "include/evergreen/validation/judge.py": {"missing"},  # values of a set that no row has
}
"""Other things of the same name."""


def test_no_other_module_names_a_statistic_or_writes_its_words() -> None:
    names = {text for one in STATISTICS.values() for text in (one.name, one.words)}
    assert named_outside(HOME, names) == EXCEPTIONS, "ask the statistic itself: evergreen.drift.STATISTICS"


def test_every_statistic_is_named_in_one_module_alone() -> None:
    home = {file.stem: set(literals(file)) for file in HOME.rglob("*.py")}
    for name in STATISTICS:
        assert len([module for module, named in home.items() if name in named]) == 1, name
