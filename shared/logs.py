"""One JSON line per log record, with ids only.

A line holds: time, level, logger, event, role, trace_id and the allowed extra fields. It never holds arguments of
foreign libraries that may carry data, nor the message of an exception: type and stack say where to look.
"""

from __future__ import annotations

import errno
import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from cachetools import LRUCache
from opentelemetry import trace

from shared.environment import timestamp

FIELDS: Final = frozenset(
    """agency aggregate attempts check collection count dossier due_at duration_ms epoch error_type event_id event_type
    exit_code group head kind lag lease member message_id method offset operation partition pending port problem
    provider reason role route scope sequence service state status step subject tenant topic version work work_id
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""The `extra` fields that may be logged: ids, codes and numbers. Others are dropped, and their names are shown."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
# These libraries log addresses and states of infrastructure, which operators need; all others show the template only.
_INFRASTRUCTURE: Final = ("aiokafka", "uvicorn", "faust", "mode", "pymongo.topology")
_QUIET: Final = (
    "httpx", "httpcore", "aiokafka", "pymongo", "asyncio", "urllib3", "stripe", "faust", "mode", "fontTools",
)  # fmt: skip
_REPETITIVE: Final = "aiokafka"
_AGAIN_SECONDS: Final = 10.0
_MOST_SENTENCES: Final = 1_000
_MAX_TEXT: Final = 200


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object; `role` names the process, such as `intake.worker`."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of JSON."""
        line: dict[str, Any] = {
            "time": timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "event": event_text(record),
            "role": self._role,
        }
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = trace.format_trace_id(span.trace_id)
        line.update(_extra(record))
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = error_types(record.exc_info[1])
            line["stack"] = stack(record.exc_info[2])
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


class Sparing(logging.Filter):
    """Lets each sentence of Kafka's client, as it is told, through once in ten seconds.

    While no broker answers it repeats itself eighty times a second, and kept logs would soon hold nothing else. What it
    says of another node is another sentence.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: LRUCache[tuple[str, int, str], float] = LRUCache(_MOST_SENTENCES)
        # Faust has Kafka's client in a thread of its own, beside the publisher's.
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown."""
        if not record.name.startswith(_REPETITIVE):
            return True
        sentence = (record.name, record.levelno, event_text(record))
        with self._lock:
            shown = record.created - self._last.get(sentence, float("-inf")) >= _AGAIN_SECONDS
            if shown:
                self._last[sentence] = record.created
        return shown


def configure_logs(role: str, level: str) -> None:
    """Send all logs of the process to standard output as JSON; noisy libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(role))
    handler.addFilter(Sparing())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Failed exports are told once by `shared.telemetry`.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


def event_text(record: logging.LogRecord) -> str:
    """What happened, in one line; arguments are filled in for infrastructure libraries only, exceptions by type."""
    template = str(_no_exception(record.msg))
    if record.args and record.name.startswith(_INFRASTRUCTURE):
        try:
            template = template % _harmless(record.args)
        except (TypeError, ValueError, KeyError):
            template = str(record.msg)
    return template.split("\n", 1)[0][: 2 * _MAX_TEXT]


def error_types(error: BaseException) -> str:
    """The type of an error and of its causes: `RuntimeError < KeyError`."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < 5:
        names.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return " < ".join(names)


def stack(tb: TracebackType | None) -> list[str]:
    """The innermost 30 frames as `file:line function`, without source lines or values."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(tb), lookup_lines=False)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames][-30:]


def _harmless(args: Any) -> Any:
    if isinstance(args, dict):
        return {name: _no_exception(value) for name, value in args.items()}
    return tuple(_no_exception(value) for value in args)


def _no_exception(value: object) -> object:
    if isinstance(value, OSError) and value.errno is not None:
        return f"{type(value).__name__} {errno.errorcode.get(value.errno, value.errno)}"
    return type(value).__name__ if isinstance(value, BaseException) else value


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    fields = {name: _plain(value) for name, value in given.items() if name in FIELDS}
    dropped = sorted(given.keys() - FIELDS)
    return {**fields, "dropped": dropped} if dropped else fields


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return value[:_MAX_TEXT] if isinstance(value, str) else type(value).__name__
