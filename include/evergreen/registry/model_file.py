"""Estimators to bytes and back, with skops: a format that holds data and no code, unlike pickle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.errors import EvergreenError, IntegrityError
from evergreen.registry.trusted_types import trusted_types

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


def dump_model(estimator: BaseEstimator) -> bytes:
    """The estimator as a skops file.

    Raises `IntegrityError`, naming the type, if `load_model` would refuse it: better now than once it has
    been promoted.
    """
    import skops.io

    data: bytes = skops.io.dumps(estimator)
    _check_types(skops.io.get_untrusted_types(data=data), trusted_types(), "cannot be stored")
    return data


def load_model(data: bytes, pipelines: Path | None = None) -> Any:
    """The estimator in a skops file.

    A team's own classes may be in it if they are on the list in the folder `pipelines`, by default the
    configured one. Raises `IntegrityError` if it is not one, or holds a type that is not on the reviewed
    list; nothing of it has been built then.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    trusted = trusted_types(pipelines)
    try:
        # The list itself, not what of it the file holds: to ask for that first reads every array twice.
        return skops.io.loads(data, trusted=sorted(trusted))
    except UntrustedTypesFoundException:
        types = skops.io.get_untrusted_types(data=data)
    except EvergreenError:
        raise  # a type of our own has said what is wrong with its state
    except Exception as error:
        # skops reports a damaged file by whatever its parser tripped over: zip, JSON, keys, types.
        raise IntegrityError(
            f"not a model file ({type(error).__name__}): train the version again or restore it from a backup"
        ) from error
    _check_types(types, trusted, "is not loaded")
    raise IntegrityError("the model is not loaded: skops does not trust it: train the version again")


def types_beside_scikit_learn(data: bytes) -> list[str]:
    """The types that a skops file holds and that neither skops trusts nor scikit-learn defines."""
    import skops.io

    own = ("sklearn.", "numpy.", "scipy.")
    return [name for name in skops.io.get_untrusted_types(data=data) if not name.startswith(own)]


def _check_types(types: list[str], trusted: frozenset[str], verdict: str) -> None:
    if unknown := sorted(set(types) - trusted):
        raise IntegrityError(
            f"the model {verdict}: it holds {', '.join(unknown)}, not on the reviewed list: use another "
            "estimator, or review the type and add it to evergreen/registry/trusted_types.py (a class of "
            "your own: to allowed_estimators.txt in the folder of the pipelines)"
        )
