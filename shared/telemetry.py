"""Traces: setting up logs and the exporter, starting spans, carrying W3C trace context across the bus.

It never blocks for a collector that is away, and spans carry allowed attributes only: ids, codes and numbers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.logs import FIELDS, configure_logs, error_types
from shared.settings import CommonSettings

log = logging.getLogger(__name__)

EXPORT_TIMEOUT_SECONDS: Final = 2
_SEMANTIC: Final = frozenset(
    {
        "http.request.method", "http.route", "http.response.status_code", "error.type", "messaging.system",
        "messaging.destination.name", "messaging.operation.type", "db.system.name",
    }
)  # fmt: skip
ATTRIBUTES: Final = FIELDS | _SEMANTIC
"""The span attributes that may be set; others are dropped."""

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("dossierbus")
_ids = RandomIdGenerator()


class QuietExporter(SpanExporter):
    """Tells once that the collector is away and once that it is back, instead of with every batch."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand on the spans; a failure drops them."""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - tracing must never break what it watches
            log.debug("trace_export_raised", extra={"error_type": error_types(error)})
            result = SpanExportResult.FAILURE
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning("trace_export_failing")
        if self._failing and not failing:
            log.info("trace_export_recovered")
        self._failing = failing
        return result

    def shutdown(self) -> None:
        """Close the exporter."""
        self._exporter.shutdown()


def configure(settings: CommonSettings, role: str) -> None:
    """Set up JSON logs and traces for the process; call once, first. `role`: `<service>.<role>`."""
    configure_logs(role, settings.log_level)
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None:
        trace.set_tracer_provider(IdsOnly())
        return
    resource = Resource.create(
        {"service.name": settings.otel_service_name or role, "deployment.environment.name": settings.environment}
    )
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint.rstrip("/") + "/v1/traces", timeout=EXPORT_TIMEOUT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(QuietExporter(exporter), schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)


class IdsOnly(trace.TracerProvider):
    """Where nobody collects spans: a trace has its ids, which go on with logs and events, and nothing is recorded.

    Inside a trace everything carries the ids of the caller, as OpenTelemetry asks of whoever does not record.
    """

    def get_tracer(self, *_args: Any, **_kwargs: Any) -> trace.Tracer:
        """Return a tracer that makes no spans."""
        return _IdsOnlyTracer()


class _IdsOnlyTracer(trace.Tracer):
    def start_span(self, name: str, context: Context | None = None, *_args: Any, **_kwargs: Any) -> Span:
        known = trace.get_current_span(context).get_span_context()
        return NonRecordingSpan(known if known.is_valid else _new_ids())

    @contextmanager
    def start_as_current_span(  # type: ignore[override]  # theirs can also decorate, which nobody here does
        self, name: str, context: Context | None = None, *_args: Any, **_kwargs: Any
    ) -> Iterator[Span]:
        with trace.use_span(self.start_span(name, context)) as span:
            yield span


def _new_ids() -> SpanContext:
    return SpanContext(_ids.generate_trace_id(), _ids.generate_span_id(), is_remote=False)


def traceparent() -> str | None:
    """The current span's context as a W3C `traceparent`, or None outside of any span."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def trace_id() -> str | None:
    """The current trace id in 32 hexadecimal digits, or None outside of any span."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def exemplar(parent: str | None = None) -> dict[str, str] | None:
    """The trace of a W3C traceparent, else the current one, as label of a histogram's exemplar; None without any.

    None also where nobody collects spans: the exemplar would lead nowhere.
    """
    if isinstance(trace.get_tracer_provider(), IdsOnly):
        return None
    found = parent.split("-")[1] if parent and _TRACEPARENT.fullmatch(parent) else trace_id()
    return {"trace_id": found} if found else None


@contextmanager
def span_from(
    parent: str | None, name: str, kind: SpanKind = SpanKind.CONSUMER, **attributes: str | int | None
) -> Iterator[Span]:
    """Run a block inside a span that continues `parent` (a W3C traceparent; None or nonsense: the current span).

    An exception leaves its type on the span, never its message. Attributes outside `ATTRIBUTES` are dropped.
    """
    context = _propagator.extract({"traceparent": parent}) if parent else None
    kept = {key: value for key, value in attributes.items() if key in ATTRIBUTES and value is not None}
    started = _tracer.start_span(name, context, kind, kept)
    with trace.use_span(started, end_on_exit=True, record_exception=False, set_status_on_exception=False) as span:
        try:
            yield span
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
