"""The types a model file may hold beside those that skops itself trusts.

skops builds nothing but the types it is allowed to, and trusts scikit-learn's public estimators, numpy's
arrays and ufuncs (so `log1p` and `expm1` need no entry), and plain containers. What is here are the internals
of estimators that it does not know, each looked at: none runs code from the file when it is built. To use an
estimator with other internals, read how the type builds itself and add its full name with the reason.
"""

from __future__ import annotations

TRUSTED_TYPES: frozenset[str] = frozenset(
    {
        # A tree of HistGradientBoosting*: two arrays of nodes and bit sets, set as plain attributes.
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        # A tree of RandomForest*, ExtraTrees*, GradientBoosting*, DecisionTree*: its state is arrays only,
        # and their types and shapes are checked when it is set.
        "sklearn.tree._tree.Tree",
        # SimpleImputer keeps the type of the numbers it was fit on: a name such as `float64`.
        "numpy.dtype",
    }
)
