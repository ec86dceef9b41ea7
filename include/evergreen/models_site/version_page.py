"""The page of a version: its card as it was stored, and above it what is known of it now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from evergreen.explain.version import happened, is_now
from evergreen.pages.templates import template

if TYPE_CHECKING:
    from evergreen.models_site.read import VersionFacts
    from evergreen.spec import Spec

TEMPLATES = Path(__file__).resolve().parent


def render_version(spec: Spec, facts: VersionFacts) -> str:
    """The card with what is known now at its top; a page of its own where there is no card.

    The card's own text was escaped when it was made, and the site's policy lets no script of it run.
    """
    rendered = {
        "spec": spec,
        "facts": facts,
        "says": f"{facts.version} {is_now(facts.state)}",
        "happened": list(happened(facts.events, facts.version)),
        "data": facts.lineage.get("window") or {},
    }
    above, opening, below = (facts.card or "").partition("<main>")
    if not opening:
        return template(TEMPLATES, "version.html.jinja").render(**rendered)
    known = template(TEMPLATES, "known.html.jinja").render(**rendered)
    styles = template(TEMPLATES, "styles.html.jinja").render()
    return Markup("{}{}{}{}").format(  # the card is HTML already
        *map(Markup, (above.replace("</head>", f"{styles}</head>", 1), opening, known, below))
    )
