"""The types a model file may hold beside those that skops itself trusts.

skops builds only types that it is allowed to. By itself it trusts scikit-learn's public estimators, numpy's
arrays and ufuncs (so `log1p` and `expm1` need no entry), and plain containers. Listed here are the internal
types of estimators that it does not know. Each was reviewed: none runs code from the file when it is built.
For an estimator with other internals, read how the type builds itself and add its full name with the reason.

A team's own classes stand in `allowed_estimators.txt` in the folder of pipelines, one full name a line. They
may be a candidate's estimator or step, and may be in a model file.
"""

from __future__ import annotations

import re
from pathlib import Path

from evergreen.description import pipelines_folder
from evergreen.errors import SpecError

TRUSTED_TYPES: frozenset[str] = frozenset(
    {
        # A tree of HistGradientBoosting*: two arrays of nodes and bit sets, set as plain attributes.
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        # How HistGradientBoosting* checks the numbers beside its columns of categories: a function with named
        # settings, both of scikit-learn. Reading puts them together and calls nothing, and a file can name
        # no function for it but those that are trusted here or by skops.
        "functools.partial",
        "sklearn.utils.validation.check_array",
        # A tree of RandomForest*, ExtraTrees*, GradientBoosting*, DecisionTree*: its state is arrays only,
        # and their types and shapes are checked when it is set.
        "sklearn.tree._tree.Tree",
        # SimpleImputer keeps the type of the numbers it was fit on: a name such as `float64`.
        "numpy.dtype",
        # Which columns a step works on, by their type: three plain attributes (a pattern and two lists of
        # names), set without calling anything. It is called in fitting alone, and only selects.
        "sklearn.compose._column_transformer.make_column_selector",
        # The last updates of the weights of MLP*: lists of arrays and numbers, set as plain attributes. Only
        # fitting calls it.
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        # What SelectKBest and its like score features by: functions of scikit-learn, found by name and not
        # called when the file is read. Fitting calls them with features and target, nothing from the file.
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.feature_selection._univariate_selection.r_regression",
        # How TargetEncoder splits rows while it is fit: a number, a yes or no and a seed, set as plain
        # attributes.
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        # Times as days: the number and names of its columns, set as plain attributes.
        "evergreen.days.DaysOfTimes",
        # A pretrained graph: bytes in an array and a tuple of classes, set as plain attributes. The graph is
        # interpreted by onnxruntime, which has no operators but its own, when the model first predicts.
        "evergreen.candidates.pretrained.OnnxModel",
        # A regression with intervals: a model of trusted types, numbers and arrays, set as plain attributes.
        "evergreen.intervals.conformal.ConformalRegressor",
        # A classifier with prediction sets: a model of trusted types, numbers and arrays, set as attributes.
        "evergreen.intervals.sets.ConformalClassifier",
        # A classifier with calibrated probabilities: a model and maps of trusted types, set as attributes.
        "evergreen.decisions.calibrated.Calibrated",
        # Models of boosting libraries: bytes in an array, parameters, categories and classes. What is not of
        # these kinds is refused. The bytes are parsed by the library that wrote them, after a check of their
        # own (see docs/adr/0044).
        "evergreen.boosters.lightgbm.LGBMRegressor",
        "evergreen.boosters.lightgbm.LGBMClassifier",
        "evergreen.boosters.xgboost.XGBRegressor",
        "evergreen.boosters.xgboost.XGBClassifier",
        "evergreen.boosters.catboost.CatBoostRegressor",
        "evergreen.boosters.catboost.CatBoostClassifier",
    }
)

_FILE = "allowed_estimators.txt"
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def allowed_estimators(folder: Path | None = None) -> frozenset[str]:
    """The full names of classes in a folder's `allowed_estimators.txt`; none where there is no file.

    The folder is that of the pipelines, by default the configured one.

    A line is a class's name with the module that defines it, as in `my_models.Seasonal`; `#`
    starts a comment. Raises `SpecError` naming file and line for anything else.
    """
    file = (folder or pipelines_folder()) / _FILE
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{file}: cannot be read ({type(error).__name__}): write it in UTF-8") from None
    names = set()
    for number, line in enumerate(lines, start=1):
        name = line.partition("#")[0].strip()
        if name and not _NAME.fullmatch(name):
            raise SpecError(
                f"{file}: line {number}: '{name}' is no full name of a class: write it like "
                "'my_models.Seasonal'"
            )
        names |= {name} - {""}
    return frozenset(names)


def trusted_types(folder: Path | None = None) -> frozenset[str]:
    """The types that a model file of a folder of pipelines may hold beside those that skops itself trusts."""
    return TRUSTED_TYPES | allowed_estimators(folder)
