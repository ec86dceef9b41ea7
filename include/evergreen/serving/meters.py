"""The figures of a server for Prometheus."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from evergreen.serving.told import Pipelines, Told, by_pipeline

CONTENT_TYPE = CONTENT_TYPE_LATEST
CHAMPION = "champion"
"""The role of the version that answers."""
CANARY = "canary"
"""The role of the version that answers for a share of the keys."""
SHADOW = "shadow"
"""The role of the version that is asked beside the champion and answers nothing."""

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_OF = ("pipeline", "version", "role")
_FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR")


class Meters:
    """What is answered and served; `read` gives all of it as Prometheus reads it.

    `told` says what each worker serves. Where there are several, their figures are in files in the folder
    that `PROMETHEUS_MULTIPROC_DIR` named when this module was imported; those of workers that died count on.
    """

    def __init__(self, told: Callable[[], Iterable[Pipelines]]) -> None:
        own = CollectorRegistry()
        self.requests = Counter(
            "evergreen_serving_requests", "Requests by status.", (*_OF, "status"), registry=own
        )
        self.rows = Counter(
            "evergreen_serving_rows",
            "Rows asked for, and whether they were predicted.",
            (*_OF, "outcome"),
            registry=own,
        )
        self.seconds = Histogram(
            "evergreen_serving_seconds",
            "From the first byte of a request to its answer.",
            _OF,
            buckets=_SECONDS,
            registry=own,
        )
        self.logged = Counter(
            "evergreen_serving_logged_rows",
            "Rows for the log of requests, and whether they were written or dropped.",
            ("pipeline", "outcome"),
            registry=own,
        )
        self.not_shadowed = Counter(
            "evergreen_serving_shadow_dropped_rows",
            "Rows that the shadow was not asked, since too many waited or it was out of reach.",
            ("pipeline",),
            registry=own,
        )
        self.failed = Counter(
            "evergreen_serving_failed_loads",
            "Loads of a champion, canary or shadow that failed.",
            ("pipeline",),
            registry=own,
        )
        self._registry = CollectorRegistry() if _FOLDER else own
        if _FOLDER:
            MultiProcessCollector(self._registry, _FOLDER)  # type: ignore[no-untyped-call]
        self._registry.register(_Versions(told))

    def count_failed(self, pipeline: str) -> None:
        """Count a version that could not be loaded."""
        self.failed.labels(pipeline).inc()

    def count(self, pipeline: str, version: str, role: str, status: int, seconds: float) -> None:
        """Count a request that was answered with a status."""
        self.requests.labels(pipeline, version, role, status).inc()
        self.seconds.labels(pipeline, version, role).observe(seconds)

    def count_rows(self, pipeline: str, version: str, role: str, predicted: int, failed: int) -> None:
        """Count the rows of a request."""
        self.rows.labels(pipeline, version, role, "predicted").inc(predicted)
        if failed:
            self.rows.labels(pipeline, version, role, "failed").inc(failed)

    def count_logged(self, pipeline: str, outcome: str, rows: int) -> None:
        """Count rows of a log that were written or dropped."""
        self.logged.labels(pipeline, outcome).inc(rows)

    def count_not_shadowed(self, pipeline: str, rows: int) -> None:
        """Count rows that the shadow was not asked."""
        self.not_shadowed.labels(pipeline).inc(rows)

    def read(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)


class _Versions(Collector):
    """What is served of each pipeline at the moment; where workers differ, what the last of them says."""

    def __init__(self, told: Callable[[], Iterable[Pipelines]]) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        now = time.monotonic()
        up = GaugeMetricFamily("evergreen_serving_up", "Whether a version answers.", labels=["pipeline"])
        current = GaugeMetricFamily(
            "evergreen_serving_current", "Whether the champion is the one that answers.", labels=["pipeline"]
        )
        seen = GaugeMetricFamily(
            "evergreen_serving_storage_age_seconds", "Since the pointer was read last.", labels=["pipeline"]
        )
        age = GaugeMetricFamily(
            "evergreen_serving_model_age_seconds", "Since the version began to answer.", labels=_OF
        )
        newest = GaugeMetricFamily(
            "evergreen_serving_look_back_end_seconds",
            "When the newest published partition ended, in Unix time.",
            labels=["pipeline"],
        )
        share = GaugeMetricFamily(
            "evergreen_serving_canary_share",
            "The share of the keys that the canary answers for; 0 if it is not loaded.",
            labels=["pipeline", "version"],
        )
        asked = GaugeMetricFamily(
            "evergreen_serving_shadow_asked",
            "Whether the champion's shadow is loaded, so that it is asked too.",
            labels=["pipeline", "version"],
        )
        for name, told in by_pipeline(self._told()).items():
            up.add_metric([name], all(one.version is not None for one in told))
            current.add_metric([name], all(one.is_current for one in told))
            seen.add_metric([name], now - min(one.seen for one in told))
            for version, loaded in _loaded(told).items():
                age.add_metric([name, version, CHAMPION], now - loaded)
            if ends := [one.newest_ends for one in told if one.newest_ends is not None]:
                newest.add_metric([name], min(ends))
            for version, taken in _shares(told).items():
                share.add_metric([name, version], taken)
            for version, is_asked in _asked(told).items():
                asked.add_metric([name, version], is_asked)
        yield from (up, current, seen, age, newest, share, asked)

    def describe(self) -> Iterable[Metric]:
        return []


def _loaded(told: Iterable[Told]) -> dict[str, float]:
    """When each version that answers began to."""
    found: dict[str, float] = {}
    for one in told:
        if one.version is not None:
            found[one.version] = min(one.loaded, found.get(one.version, one.loaded))
    return found


def _shares(told: Iterable[Told]) -> dict[str, float]:
    """The share that each canary takes with every worker."""
    found: dict[str, float] = {}
    for one in told:
        if (canary := one.canary) is not None:
            taken = canary.share if canary.answers else 0.0
            found[canary.version] = min(taken, found.get(canary.version, taken))
    return found


def _asked(told: Iterable[Told]) -> dict[str, bool]:
    """Whether each shadow is asked by every worker."""
    found: dict[str, bool] = {}
    for one in told:
        if (shadow := one.shadow) is not None:
            found[shadow.version] = shadow.asked and found.get(shadow.version, True)
    return found
