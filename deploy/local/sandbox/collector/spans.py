"""OTLP trace exports as plain spans. No storage, no HTTP."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class Span:
    """One finished span; ids in hex, times in nanoseconds since the epoch, `events` and `links` as plain data."""

    trace_id: str
    span_id: str
    parent_span_id: str
    service: str
    name: str
    kind: str
    start: int
    end: int
    status: str
    status_message: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[dict[str, Any]]
    links: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """All members, times as RFC 3339 beside a duration in milliseconds."""
        shown = asdict(self)
        return shown | {
            "start": _time(self.start),
            "end": _time(self.end),
            "duration_ms": (self.end - self.start) / 1e6,
        }

    def texts(self) -> Iterator[str]:
        """Every text an exporter could put personal data in: `where<TAB>key<TAB>value`."""
        yield f"name\t\t{self.name}"
        if self.status_message:
            yield f"status\t\t{self.status_message}"
        places = [("attribute", self.attributes), ("resource", self.resource)]
        places += [("event", event["attributes"] | {"name": event["name"]}) for event in self.events]
        places += [("link", link["attributes"]) for link in self.links]
        for place, values in places:
            yield from (f"{place}\t{key}\t{value}" for key, value in values.items())


def read_export(body: bytes) -> list[Span]:
    """The spans of an ExportTraceServiceRequest; raises google.protobuf's DecodeError for anything else."""
    request = ExportTraceServiceRequest.FromString(body)
    spans = []
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        spans += [_span(span, resource) for scope in group.scope_spans for span in scope.spans]
    return spans


def _span(span: WireSpan, resource: dict[str, Any]) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        service=str(resource.get("service.name", "")),
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        status=Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_").lower(),
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        resource=resource,
        events=[{"name": event.name, "attributes": _attributes(event.attributes)} for event in span.events],
        links=[
            {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex(), "attributes": _attributes(link.attributes)}
            for link in span.links
        ],
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: AnyValue) -> Any:
    """The JSON form of an attribute value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_plain(member) for member in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind)


def _time(nanoseconds: int) -> str:
    whole = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{nanoseconds % 1_000_000_000 // 1000:06d}Z"
