"""A real collector of traces: an HTTP server that takes OTLP and keeps the spans."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from store.traces import ENDPOINT
from tests.receiver import Receiver, receiving, status


@dataclass(frozen=True)
class Told:
    """A span as a collector knows it."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str  # empty: none
    failed: bool
    attributes: dict[str, Any]


class Collector:
    """What has been sent so far."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    @property
    def spans(self) -> list[Told]:
        """All of them, in order of arrival."""
        return [span for each in self._receiver.received for span in _spans(each.headers, each.body)]


@contextmanager
def collecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Whatever begins inside the block sends its spans here."""
    with receiving(status(200)) as receiver:
        monkeypatch.setenv(ENDPOINT, receiver.url(path=""))
        yield Collector(receiver)
        monkeypatch.delenv(ENDPOINT)
    assert {each.path for each in receiver.received} <= {"/v1/traces"}


def _spans(headers: dict[str, str], body: bytes) -> Iterator[Told]:
    plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
    for of_resource in ExportTraceServiceRequest.FromString(plain).resource_spans:
        service = _attributes(of_resource.resource.attributes)["service.name"]
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                yield Told(service, span.name, *ids, span.status.code == 2, _attributes(span.attributes))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in pairs}
