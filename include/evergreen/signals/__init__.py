"""The signals that ask for a training: each in one module, all in one registry. See docs/signals.md.

To add one, write a module that registers it and import it here; no other module changes.
"""

# These modules register what they define. Their order is the order of clauses in a sentence.
from evergreen.signals import performance, cusum, bias, coverage, estimate  # noqa: F401, I001
from evergreen.signals import drift, prediction_drift, renewal, skew, staleness  # noqa: F401
from evergreen.signals.signal import (
    SIGNALS,
    Finding,
    Nights,
    Signal,
    Terms,
    Watched,
    of_time,
    register,
    words_of,
)

__all__ = [
    "SIGNALS",
    "Finding",
    "Nights",
    "Signal",
    "Terms",
    "Watched",
    "of_time",
    "register",
    "words_of",
]
