"""The figures of a server for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from evergreen.serving.follow import Follower

CONTENT_TYPE = CONTENT_TYPE_LATEST
CHAMPION = "champion"
"""The role of the version that answers."""
CANARY = "canary"
"""The role of the version that answers for a share of the keys."""
SHADOW = "shadow"
"""The role of the version that is asked beside the champion and answers nothing."""

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_OF = ("pipeline", "version", "role")


class Meters:
    """What a server has answered and what it serves; `read` gives all of it as Prometheus reads it."""

    def __init__(self, followers: Mapping[str, Follower]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "evergreen_serving_requests", "Requests by status.", (*_OF, "status"), registry=self._registry
        )
        self.rows = Counter(
            "evergreen_serving_rows",
            "Rows asked for, and whether they were predicted.",
            (*_OF, "outcome"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "evergreen_serving_seconds",
            "From the first byte of a request to its answer.",
            _OF,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.logged = Counter(
            "evergreen_serving_logged_rows",
            "Rows for the log of requests, and whether they were written or dropped.",
            ("pipeline", "outcome"),
            registry=self._registry,
        )
        self.not_shadowed = Counter(
            "evergreen_serving_shadow_dropped_rows",
            "Rows that the shadow was not asked, since too many waited or it was out of reach.",
            ("pipeline",),
            registry=self._registry,
        )
        self._registry.register(_Versions(followers))

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
    """What is served of each pipeline at the moment."""

    def __init__(self, followers: Mapping[str, Follower]) -> None:
        self._followers = followers

    def collect(self) -> Iterator[Metric]:
        states = [
            (name, follower.state, follower.challenger.shadow) for name, follower in self._followers.items()
        ]
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
        failed = CounterMetricFamily(
            "evergreen_serving_failed_loads",
            "Loads of a champion, canary or shadow that failed.",
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
        for name, state, shadow in states:
            if shadow.version is not None:
                asked.add_metric([name, shadow.version], shadow.served is not None)
            if state.beside is not None:
                taken = state.beside.share if state.canary_answers else 0
                share.add_metric([name, state.beside.version], taken)
            up.add_metric([name], state.served is not None)
            current.add_metric([name], state.is_current)
            seen.add_metric([name], now - state.seen)
            failed.add_metric([name], state.failed + shadow.failed)
            if state.served is not None:
                age.add_metric([name, state.served.version, CHAMPION], now - state.loaded)
                calendar, key = state.served.spec.calendar, state.served.look_back.newest
                if key is not None and calendar.has_time:
                    newest.add_metric([name], calendar.end(key).timestamp())
        yield from (up, current, seen, age, newest, failed, share, asked)

    def describe(self) -> Iterable[Metric]:
        return []
