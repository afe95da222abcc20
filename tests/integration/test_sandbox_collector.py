"""The trace collector, fed by OpenTelemetry's own exporter."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from deploy.local.sandbox.collector import CollectorSettings, create_app
from deploy.local.sandbox.collector.spans import Span
from deploy.local.sandbox.collector.store import SpanStore
from deploy.local.sandbox.testing import free_port, serving


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a running collector."""
    port = free_port()
    app = create_app(CollectorSettings(data_dir=tmp_path, http_port=port))
    with serving(app, port) as url, httpx.Client(base_url=url, timeout=5) as client:
        yield client


def _export(collector: httpx.Client, compression: Compression = Compression.NoCompression) -> str:
    """Send a parent and a child span; returns the trace id in hex."""
    provider = TracerProvider(resource=Resource({"service.name": "intake"}))
    endpoint = str(collector.base_url).rstrip("/") + "/v1/traces"
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint, compression=compression)))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("POST /v1/dossiers", attributes={"http.status_code": 201}) as parent:
        with tracer.start_as_current_span("save", attributes={"dossier": "d-1", "tags": ["a", "b"]}) as child:
            child.add_event("retried", {"reason": "stale"})
        trace_id = f"{parent.get_span_context().trace_id:032x}"
    provider.shutdown()
    return trace_id


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_exported_spans_can_be_read_back(collector: httpx.Client, compression: Compression) -> None:
    """A trace comes back with names, service, parentage, attributes and order, however it was compressed."""
    parent, child = collector.get(f"/sandbox/traces/{_export(collector, compression)}").json()
    assert (parent["name"], parent["service"], parent["parent_span_id"]) == ("POST /v1/dossiers", "intake", "")
    assert (child["name"], child["parent_span_id"]) == ("save", parent["span_id"])
    assert child["attributes"] == {"dossier": "d-1", "tags": ["a", "b"]}
    assert parent["start"] <= child["start"] <= child["end"] <= parent["end"]


def test_spans_are_found_by_service_and_name(collector: httpx.Client) -> None:
    """Filters select by service and name; a filter that fits nothing gives nothing."""
    _export(collector)
    found = collector.get("/sandbox/spans", params={"service": "intake", "name": "save"}).json()
    assert [span["name"] for span in found] == ["save"]
    assert collector.get("/sandbox/spans", params={"service": "payments"}).json() == []


def test_dump_holds_every_value(collector: httpx.Client) -> None:
    """The dump shows names, attributes, event attributes and resources, so that a search finds any leaked text."""
    _export(collector)
    dump = collector.get("/sandbox/dump").text
    for leaked in ("POST /v1/dossiers", "201", "d-1", "stale", "intake"):
        assert leaked in dump


def test_rubbish_is_refused(collector: httpx.Client) -> None:
    """A body that is no OTLP is 400, another content type 415, and neither is kept."""
    protobuf = {"Content-Type": "application/x-protobuf"}
    assert collector.post("/v1/traces", content=b"\xff\xff", headers=protobuf).status_code == 400
    squeezed = protobuf | {"Content-Encoding": "gzip"}
    assert collector.post("/v1/traces", content=b"no gzip", headers=squeezed).status_code == 400
    assert collector.post("/v1/traces", json={}).status_code == 415
    assert collector.get("/sandbox/spans/count").json() == {"spans": 0, "traces": 0}


def test_spans_outlive_the_process_and_repeats_count_once(tmp_path: Path) -> None:
    """Spans are there after the file is opened anew; a span exported twice is kept once; the oldest make room."""
    first = SpanStore(tmp_path, kept=1000)
    first.add([_span(number) for number in range(1500)])
    first.add([_span(number) for number in range(1500)])
    first.close()
    second = SpanStore(tmp_path)
    assert second.count()["spans"] == 1000
    assert [span.span_id for span in second.everything()][-1] == "1499"
    second.close()


def _span(number: int) -> Span:
    return Span("t", str(number), "", "intake", "save", "internal", number, number, "unset", "", {}, {}, [], [])
