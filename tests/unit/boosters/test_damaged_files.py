"""A byte that was changed in the storage is refused by the manifest's digest, before any library reads it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from evergreen.errors import IntegrityError
from evergreen.registry.model_file import dump_model
from evergreen.registry.registry import Registry
from evergreen.storage import Credentials, Storage
from tests.campaign import rounds, seed
from tests.faults.memory_client import MemoryClient
from tests.unit.boosters.made import PATHS, answers, kind_of, model, rows

PLACES = rounds(100, 5_000)
VERSION = "2024-01-12-0123456789ab"


@pytest.mark.parametrize("path", PATHS)
def test_a_changed_byte_is_never_read_by_the_library(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = model(path, n_estimators=3).fit(rows(), kind_of(path))
    storage = Storage("damaged", "", Credentials())
    vars(storage)["_client"] = MemoryClient()
    registry = Registry(storage, "sales")
    registry.commit(VERSION, {"model.skops": dump_model(fitted)})
    (stored,) = [found for key, found in storage._client.objects.items() if key.endswith("model.skops")]
    whole = stored.body
    read: list[int] = []
    library = type(fitted.library)
    parsed = library.load

    def noted(*given: Any) -> Any:
        read.append(1)
        return parsed(*given)

    monkeypatch.setattr(library, "load", noted)
    assert (answers(registry.load(VERSION), rows()) == answers(fitted, rows())).all()
    assert read == [1]
    draw = random.Random(seed(5))
    # Where the bytes of the model begin and end, and all over the file.
    places = [0, 1, len(whole) // 2, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(PLACES))]
    damaged = [whole[:at] + bytes([whole[at] ^ draw.randrange(1, 256)]) + whole[at + 1 :] for at in places]
    for body in [*damaged, whole[:-1], whole + b"\0", b""]:
        stored.body = body
        with pytest.raises(IntegrityError, match=r"sales: .*model\.skops"):
            registry.load(VERSION)
    assert read == [1]
