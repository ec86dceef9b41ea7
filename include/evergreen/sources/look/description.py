"""The YAML of a source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

_WIDTH = 110


def source_yaml(name: str, kind: str, config: Mapping[str, Any]) -> str:
    """The part of `pipeline.yaml` that describes a source."""
    described = {"sources": {name: {kind: {key: value for key, value in config.items() if value != {}}}}}
    return str(
        yaml.safe_dump(described, sort_keys=False, allow_unicode=True, default_flow_style=None, width=_WIDTH)
    )


def source_name(text: str) -> str:
    """A name that a source may have, made of another one: of a file's or a table's."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return name if name and name[0].isalpha() else f"source_{name}".rstrip("_")
