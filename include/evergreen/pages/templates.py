"""The templates of pages, which may include the styles that pages share."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

_SHARED = Path(__file__).resolve().parent


@lru_cache
def template(folder: Path, name: str) -> Template:
    """The template `name` of a folder, which may include the shared styles. It escapes all text."""
    return _environment(folder).get_template(name)


@lru_cache
def _environment(folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader([folder, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
