"""A pipeline: its description together with the storage and connections it uses.

Slow imports (the lake takes half a second) happen at first use.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evergreen.connections import Connect, from_environment
from evergreen.spec import Spec, load_spec
from evergreen.storage import Storage

if TYPE_CHECKING:
    from evergreen.lake import Lake
    from evergreen.registry.registry import Registry
    from evergreen.staging import Staging


@dataclass(frozen=True)
class Pipeline:
    """The input of every stage: the description, the storage, and the lookup of connections."""

    spec: Spec
    storage: Storage = field(repr=False)
    connect: Connect = field(default=from_environment, repr=False)

    @classmethod
    def open(cls, name: str, connect: Connect = from_environment, storage: Storage | None = None) -> Pipeline:
        """The pipeline called `name` at the configured storage. Nothing is contacted yet.

        Raises `NotFoundError`, `SpecError` or `StorageError`.
        """
        return cls(load_spec(name), storage or Storage.open(), connect)

    def __reduce__(self) -> tuple[Any, ...]:
        # What has been opened stays here, and so do the keys: another process has its own variables.
        return (_opened_again, (self.spec, self.storage.uri(), self.connect))

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.spec.name

    def described_by(self, spec: Spec) -> Pipeline:
        """The same pipeline, with what it has opened, under another description of the same name."""
        other = replace(self, spec=spec)
        vars(other).update({name: vars(self)[name] for name in ("lake", "registry") if name in vars(self)})
        return other

    @cached_property
    def lake(self) -> Lake:
        """The pipeline's Delta tables."""
        from evergreen.lake import Lake

        return Lake(self.storage, self.name)

    @cached_property
    def registry(self) -> Registry:
        """The pipeline's models: versions, champion and history.

        Raises `SpecError` where signatures are required and no connection has a key for them.
        """
        from evergreen.registry.registry import Registry
        from evergreen.registry.signature import Signatures

        signatures = Signatures.of(self.spec.models, self.connect)
        return Registry(self.storage.child(self.name), self.name, signatures, self.spec.folder.parent)

    def staging(self, run: str) -> Staging:
        """The files that tasks of one run pass on to one another."""
        from evergreen.staging import Staging

        return Staging(self.storage, self.name, run)


def _opened_again(spec: Spec, uri: str, connect: Connect) -> Pipeline:
    """A pipeline that was sent to this process."""
    return Pipeline(spec, Storage.open(uri), connect)
