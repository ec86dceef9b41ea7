"""What a shell completes at the key TAB: names of pipelines, and versions of the one named before.

Nothing is completed where something is missing or broken: within a line a shell has no place for errors.
"""

from __future__ import annotations

from contextlib import suppress

import typer


def pipelines(begun: str) -> list[str]:
    """The names of pipelines that start like this."""
    from evergreen.front_door.opened import pipelines as names

    with suppress(Exception):
        return [name for name in names() if name.startswith(begun)]
    return []


def versions(context: typer.Context, begun: str) -> list[str]:
    """The versions that start like this, of the pipeline that is named before; newest first."""
    from evergreen.front_door.opened import find

    with suppress(Exception):
        # A line that ends with an option without its value is not parsed.
        words = (word for word in context.args if not word.startswith("-"))
        found = find(context.params.get("pipeline") or next(words)).registry.versions()
        return [version for version in found if version.startswith(begun)]
    return []
