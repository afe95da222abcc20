"""Logs, traces and metrics: what they carry, and that personal data has no way in."""

import logging
import threading
import time
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.logs import Sparing, event_text
from shared.metrics import counter, gauge
from shared.telemetry import IdsOnly, QuietExporter, span_from, trace_id, traceparent
from shared.testing.telemetry import recorded_logs, recorded_spans

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
log = logging.getLogger("services.test")


def test_a_line_holds_event_role_and_allowed_fields_only() -> None:
    """Ids and codes pass; other fields are dropped, and their names are shown to the developer."""
    with recorded_logs("intake.worker") as lines:
        log.info("dossier_submitted", extra={"dossier": "d1", "attempts": 2, "email": "lea@example.ch"})
    (line,) = lines
    assert (line["event"], line["level"], line["role"]) == ("dossier_submitted", "INFO", "intake.worker")
    assert (line["dossier"], line["attempts"], line["dropped"]) == ("d1", 2, ["email"])
    assert "lea@" not in str(line)
    assert line["time"].endswith("Z")


def test_kafkas_client_repeats_itself_every_ten_seconds_only() -> None:
    """The same sentence again is left out for ten seconds; other sentences and our own lines are not."""
    sparing = Sparing()

    def shown(name: str, text: str, at: float) -> bool:
        record = logging.LogRecord(name, logging.ERROR, "", 0, text, (), None)
        record.created = at
        return sparing.filter(record)

    client = "aiokafka.client"
    said = [(client, "away", 0.0), (client, "away", 9.9), (client, "late", 9.9), (client, "away", 10.0)]
    assert [shown(*one) for one in said] == [True, False, True, True]
    assert [shown("shared.relay", "publish_failed", at) for at in (0.0, 0.1)] == [True, True]


def test_what_is_said_of_another_node_is_another_sentence() -> None:
    """Arguments and level count, so that one node does not hide the other; what is remembered is bounded."""
    sparing = Sparing()

    def shown(node: int, level: int = logging.ERROR) -> bool:
        text = "Unable connect to node with id %s: %s"
        return sparing.filter(logging.LogRecord("aiokafka", level, "", 0, text, (node, OSError(111, "x")), None))

    assert [shown(1), shown(2), shown(1), shown(1, logging.WARNING)] == [True, True, False, True]
    assert all(shown(node) for node in range(3, 5_000))
    assert len(sparing._last) <= 1_000


def test_without_a_collector_nothing_is_recorded_but_ids_go_on() -> None:
    """A caller's trace goes on under the caller's own ids; what nobody has traced gets new ids, each its own."""
    tracer = IdsOnly().get_tracer("test")
    known = TraceContextTextMapPropagator().extract({"traceparent": PARENT})
    with tracer.start_as_current_span("request", known) as outer, tracer.start_as_current_span("save") as inner:
        assert not inner.is_recording()
        assert inner.get_span_context() == outer.get_span_context()
        assert traceparent() == PARENT
    first, second = (tracer.start_span("request").get_span_context() for _ in range(2))
    assert first.is_valid
    assert first.trace_id != second.trace_id


def test_an_exception_is_its_type_and_stack() -> None:
    """Messages of exceptions may hold data, so they never reach the log; the causes' types do."""

    def fail() -> None:
        raise ValueError("Lea Muster") from KeyError("756.9217.0769.85")

    with recorded_logs() as lines:
        try:
            fail()
        except ValueError:
            log.exception("failed", extra={"subject": {"name": "Lea"}})
    (line,) = lines
    assert line["error"] == "ValueError < KeyError"
    assert line["stack"][-1].endswith(" fail")
    assert line["subject"] == "dict"
    assert not [word for word in ("756.9217", "Lea", "Muster") if word in str(line)]


@pytest.mark.parametrize(
    ("name", "message", "args", "shown"),
    [
        (
            "asyncio",
            "Task exception was never retrieved\nfuture: ValueError('Lea')",
            (),
            "Task exception was never retrieved",
        ),
        ("stripe", "request failed for %s", ("lea@example.ch",), "request failed for %s"),
        (
            "aiokafka.conn",
            "Unable to connect to %s: %s",
            ("broker:9092", OSError("Lea")),
            "Unable to connect to broker:9092: OSError",
        ),
        ("uvicorn.error", "%d tasks", ("Lea",), "%d tasks"),
        ("services.x", ValueError("Lea"), (), "ValueError"),
        ("uvicorn.error", OSError(98, "Lea"), (), "OSError EADDRINUSE"),
    ],
)
def test_foreign_messages_bring_no_data(name: str, message: Any, args: tuple[object, ...], shown: str) -> None:
    """Arguments of libraries are left out, except addresses of infrastructure; only the first line is kept."""
    record = logging.LogRecord(name, logging.ERROR, "f", 1, message, args, None)
    assert event_text(record) == shown


def test_logs_inside_a_span_carry_its_trace_id() -> None:
    """A line can be found from its trace."""
    with recorded_spans(), span_from(PARENT, "handle"), recorded_logs() as lines:
        log.info("handled")
    assert lines[0]["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_spans_continue_a_trace_across_the_bus() -> None:
    """The traceparent of an event leads to one trace; what is sent on names the new span as parent."""
    with recorded_spans() as exporter, span_from(PARENT, "handle", SpanKind.CONSUMER, dossier="d1"):
        sent = traceparent()
        with span_from(None, "inner"):
            assert trace_id() == "0af7651916cd43dd8448eb211c80319c"
    inner, outer = exporter.get_finished_spans()
    assert outer.parent is not None
    assert outer.parent.span_id == 0xB7AD6B7169203331
    assert sent is not None
    assert sent.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id
    assert dict(outer.attributes or {}) == {"dossier": "d1"}


@pytest.mark.parametrize("parent", ["", "nonsense", "00-00000000000000000000000000000000-b7ad6b7169203331-01", None])
def test_a_broken_traceparent_starts_a_new_trace(parent: str | None) -> None:
    """Outside input cannot break the handling."""
    with recorded_spans() as exporter, span_from(parent, "handle"):
        assert traceparent() is not None
    assert exporter.get_finished_spans()[0].parent is None
    assert traceparent() is None


def test_a_failing_span_names_the_type_of_the_error_only() -> None:
    """No message, no stack with values, no attribute that is not on the list."""
    failing = span_from(None, "handle", email="lea@example.ch")
    with recorded_spans() as exporter, pytest.raises(ValueError, match="Lea"), failing:
        raise ValueError("Lea Muster")
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert not [word for word in ("Lea", "lea@") if word in span.to_json()]
    assert (span.attributes or {})["error.type"] == "ValueError"


class Collector(SpanExporter):
    """A collector that can be away."""

    def __init__(self) -> None:
        self.away = True
        self.received = 0

    def export(self, spans: list[ReadableSpan]) -> SpanExportResult:  # type: ignore[override]
        """Fail or count."""
        if self.away:
            raise ConnectionError
        self.received += len(spans)
        return SpanExportResult.SUCCESS


def test_a_collector_that_is_away_is_told_once() -> None:
    """Many failing batches give one warning, its return one line, and its next absence one more."""
    collector = Collector()
    exporter = QuietExporter(collector)
    with recorded_logs() as lines:
        for away in (True, True, True, False, False, True):
            collector.away = away
            exporter.export([])
    told = [line["event"] for line in lines if line["level"] != "DEBUG"]
    assert told == ["trace_export_failing", "trace_export_recovered", "trace_export_failing"]


def test_work_does_not_wait_for_the_collector() -> None:
    """With a collector that hangs, ending spans takes no time: the exporter has its own thread and drops."""

    class Hanging(Collector):
        def export(self, spans: list[ReadableSpan]) -> SpanExportResult:  # type: ignore[override]
            waiting.wait(5)
            return SpanExportResult.FAILURE

    waiting = threading.Event()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Hanging(), max_queue_size=8, max_export_batch_size=4))
    tracer = provider.get_tracer("t")
    began = time.perf_counter()
    for _ in range(1000):
        tracer.start_span("s").end()
    assert time.perf_counter() - began < 2
    waiting.set()
    provider.shutdown()


def test_metric_names_and_labels_come_from_a_closed_list() -> None:
    """A label such as `email` or a foreign name is refused where the instrument is made."""
    with pytest.raises(ValueError, match="email"):
        counter("dossierbus_test_total", "Test.", ("email",))
    with pytest.raises(ValueError, match="dossierbus_"):
        gauge("my_gauge", "Test.")
