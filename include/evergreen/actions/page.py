"""The pages of actions: what can be done to a pipeline, and what one action will do. They hold no script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.actions.action import Action, Preview
from evergreen.pages.templates import template

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_LABELS = {
    "version": "Version, or the beginning of its id",
    "to": "Version to go back to (empty: the one before)",
    "partition": "Partition",
    "alert": "Alert",
    "until": "Until partition (empty: until it is over)",
}


def render_action(
    pipeline: str, action: Action, preview: Preview, *, token: str, address: str, up: str, changed: str = ""
) -> str:
    """The page that shows what an action will do, with a form that asks once.

    `changed` says why the action that was asked for was not done.
    """
    return _render(
        title=preview.title,
        pipeline=pipeline,
        label=action.label,
        sentences=preview.sentences,
        token=token if preview.possible else "",
        address=address,
        up=up,
        said=changed,
        changed=bool(changed),
    )


def render_actions(
    pipeline: str,
    actions: Iterable[Action],
    known: Callable[[str], Sequence[str]],
    address: Callable[[Action], str],
    said: str = "",
) -> str:
    """The page of a pipeline: a form for each action, and a sentence on what was done last.

    `known` gives the values that are proposed for a field, of the name that the action takes.
    """
    forms = [
        {
            "name": action.name,
            "label": action.label,
            "address": address(action),
            "fields": [
                {
                    "name": name,
                    "label": _LABELS[name],
                    "required": name in action.takes,
                    "known": known(name),
                }
                for name in (*action.takes, *action.may_take)
            ],
        }
        for action in actions
    ]
    return _render(title=f"Actions of {pipeline}", pipeline=pipeline, actions=forms, said=said)


def render_refusal(pipeline: str, title: str, text: str, up: str) -> str:
    """The page that says why there is nothing to see, or nothing was done."""
    return _render(title=title, pipeline=pipeline, said=text, changed=True, up=up)


def known_values(pipeline: Pipeline, name: str) -> list[str]:
    """What may be named for a field: versions or quarantined partitions, newest first, or open alerts."""
    if name in ("version", "to"):
        return pipeline.registry.versions()[:100]
    if name == "partition":
        from evergreen.lake import Table

        return pipeline.lake.partitions(Table.QUARANTINE)[::-1][:100]
    if name == "alert":
        from evergreen.alerts.book import read_book

        return [alert.key for alert in read_book(pipeline.storage, pipeline.name)[0].open]
    return []


def _render(**values: Any) -> str:
    nothing: dict[str, Any] = dict.fromkeys(("label", "token", "address", "up", "said"), "")
    nothing |= {"sentences": (), "actions": (), "changed": False}
    return template(Path(__file__).parent, "action.html.jinja").render({**nothing, **values})
