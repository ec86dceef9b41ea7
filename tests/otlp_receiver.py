"""A small OTLP receiver, which Airflow's metrics are sent to."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

Tags = tuple[tuple[str, str], ...]


class Receiver:
    """Takes metrics over HTTP at `address` while it is open; `gauges` has the newest by name and tags."""

    def __init__(self) -> None:
        receiver = self
        self.gauges: dict[tuple[str, Tags], float] = {}
        self.strange: list[str] = []

        class Takes(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = f"{self.path} {self.headers['Content-Type']}"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if told == "/v1/metrics application/x-protobuf":
                    receiver._take(ExportMetricsServiceRequest.FromString(body))
                else:
                    receiver.strange.append(told)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportMetricsServiceResponse().SerializeToString())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, request: ExportMetricsServiceRequest) -> None:
        found = (one for resource in request.resource_metrics for one in resource.scope_metrics)
        for metric in (one for scope in found for one in scope.metrics):
            for point in metric.gauge.data_points:
                tags = tuple(sorted((one.key, one.value.string_value) for one in point.attributes))
                self.gauges[metric.name, tags] = point.as_double

    def told(self, name: str, **tags: str) -> float:
        """The newest value of a gauge with just these tags."""
        return self.gauges[name, tuple(sorted(tags.items()))]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
