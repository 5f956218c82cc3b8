"""The tracer that sends spans by OTLP over HTTP; `store.traces` imports this where they are wanted."""

import os
import threading
from typing import Literal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from store.traces import Attributes

_LEAVE_S = 3.0  # a collector that hangs does not keep a process from ending
_KINDS = {"server": SpanKind.SERVER, "internal": SpanKind.INTERNAL}


class Exporting:
    """A tracer of its own provider; the collector, its headers and the sampler are as `OTEL_…` variables say."""

    def __init__(self, service: str) -> None:
        named = "OTEL_SERVICE_NAME" in os.environ
        resource = Resource.create({} if named else {"service.name": service})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("pskd")
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, name: str, *, parent: str | None, kind: Literal["server", "internal"]) -> "Opened":
        """See `Tracer`. A parent that cannot be read is none."""
        context = self._propagator.extract({"traceparent": parent} if parent else {}, Context())
        return Opened(self._tracer.start_span(name, context=context, kind=_KINDS[kind]))

    def close(self) -> None:
        """See `Tracer`."""
        leaving = threading.Thread(target=self._provider.shutdown, daemon=True)
        leaving.start()
        leaving.join(_LEAVE_S)


class Opened:
    """A span that is open."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        """See `Span`."""
        about = self._span.get_span_context()
        return f"00-{about.trace_id:032x}-{about.span_id:016x}-{about.trace_flags:02x}"

    def name(self, name: str) -> None:
        """See `Span`."""
        self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        """See `Span`."""
        self._span.set_attributes(dict(attributes))

    def fail(self, reason: str) -> None:
        """See `Span`."""
        self._span.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        """See `Span`."""
        self._span.end()
