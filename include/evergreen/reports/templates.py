"""The templates of pages, and the styles that pages share."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

_SHARED = Path(__file__).resolve().parent


@lru_cache
def template(folder: Path, name: str) -> Template:
    """The template `name` of a folder, which may include the shared styles. It escapes all text."""
    return _environment(folder).get_template(name)


def styles(folder: Path, *names: str) -> str:
    """The text of style sheets, those of the folder and shared ones, in this order."""
    environment = _environment(folder)
    assert environment.loader is not None
    return "".join(environment.loader.get_source(environment, name)[0] for name in names)


@lru_cache
def _environment(folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader([folder, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
