"""A picture of answers over time, with the changes of the champion marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evergreen.pages.plots.svg import Plot, legend, spanned

STYLE = (
    "svg{background:#fff;font:12px system-ui,sans-serif}.grid{stroke:#dbe4dc}.axis{stroke:#5a695e}"
    ".mark{stroke:#c47a12;fill:#c47a12;stroke-opacity:.55}.p50{stroke:#2e9150;fill:none}"
    ".p99{stroke:#3b6fb5;fill:none}rect.p50{fill:#2e9150}rect.p99{fill:#3b6fb5}text{fill:#1d2a20}"
)


def drawn(taken: Sequence[tuple[float, float]], changes: Sequence[float]) -> str:
    """Median and 99th percentile of the milliseconds of requests, by the second in which they were sent.

    `taken` has when each was sent and its seconds, `changes` when the champion changed.
    """
    sent, seconds = np.array(taken).T
    start = sent.min()
    places = (sent - start).astype(int)
    whole = [place for place in np.unique(places) if (places == place).sum() > 1]
    tail, middle = (
        [(float(place), 1000 * float(np.quantile(seconds[places == place], share))) for place in whole]
        for share in (0.99, 0.5)
    )
    plot = Plot(
        "promotions",
        "Seconds until an answer while the champion changes",
        f"{len(taken):,} requests, {len(changes)} promotions and rollbacks",
        x=(0.0, float(places.max() + 1)),
        y=spanned((value for _, value in tail), 0.0),
        labels=("seconds", "milliseconds until an answer"),
        below=20,
    )
    plot.axes()
    for change in changes:
        plot.line(plot.x(change - start), plot.bottom, plot.x(change - start), plot.bottom - 10, "mark")
    plot.curve([(plot.x(place), plot.y(value)) for place, value in tail], "p99")
    plot.curve([(plot.x(place), plot.y(value)) for place, value in middle], "p50")
    legend(plot, [("p50", "median"), ("p99", "p99"), ("mark", "change")], 247)
    image = str(plot.svg()).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return image.replace("<title", f"<style>{STYLE}</style><title", 1)
