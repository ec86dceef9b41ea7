"""A page as the API server sends it: with its only script, under a policy that lets no other run or load.

The script makes a page follow the theme chosen in Airflow, and lets its links leave Airflow's frame. Above
the page are links back to Airflow, where it knows any. Both are added when a page is served, not when it is
stored: a copy of the page has neither, and needs none.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8").encode()
_DIGEST = base64.b64encode(hashlib.sha256(_SCRIPT).digest()).decode()
_END, _BEGIN = b"</head>", b"<main>\n"

Link = tuple[str, str]
"""The words of a link, and where it leads."""


def with_script(body: str | bytes) -> bytes:
    """The page with the script at the end of its head; a body without a head stays as it is."""
    page = body.encode() if isinstance(body, str) else body
    return page.replace(_END, b"<script>" + _SCRIPT + b"</script>" + _END, 1)


def with_way_back(body: str | bytes, links: Sequence[Link]) -> bytes:
    """The page with links to pages of Airflow above it; a body without a `main` stays as it is."""
    page = body.encode() if isinstance(body, str) else body
    if not links:
        return page
    ways = " / ".join(f'<a href="{escape(to)}" target="_top">{escape(words)}</a>' for words, to in links)
    # The names of runs are long, and have no place for a break.
    shown = f'<span style="overflow-wrap: anywhere">&larr; {ways}</span>'
    nav = f'<nav aria-label="back to Airflow">{shown}</nav>\n'
    return page.replace(_BEGIN, _BEGIN + nav.encode(), 1)


def headers(forms: str = "'none'") -> dict[str, str]:
    """The headers of a page, which may send its forms to `forms`, a source of the policy."""
    return {
        "Content-Security-Policy": f"default-src 'none'; script-src 'sha256-{_DIGEST}'; "
        f"style-src 'unsafe-inline'; base-uri 'none'; form-action {forms}; frame-ancestors 'self'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-store",
    }
