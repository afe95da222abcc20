"""Received spans in SQLite, the newest SPANS_KEPT of them. Knows nothing of OTLP."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from deploy.local.sandbox.collector.spans import Span
from deploy.local.sandbox.database import open_database, transaction

SPANS_KEPT = 200_000
_PRUNE_EVERY = 2_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spans (
    number INTEGER PRIMARY KEY AUTOINCREMENT, trace_id TEXT NOT NULL, span_id TEXT NOT NULL,
    service TEXT NOT NULL, name TEXT NOT NULL, start INTEGER NOT NULL, body TEXT NOT NULL,
    UNIQUE (trace_id, span_id));
CREATE INDEX IF NOT EXISTS spans_by_service ON spans (service, name);
"""


class SpanStore:
    """All spans of all services; a span exported twice is kept once."""

    def __init__(self, data_dir: Path, kept: int = SPANS_KEPT) -> None:
        self._db: sqlite3.Connection = open_database(data_dir, "spans", _SCHEMA)
        self._kept = kept
        self._since_prune = 0

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, spans: Sequence[Span]) -> None:
        """Keep spans; durable when this returns."""
        rows = [(s.trace_id, s.span_id, s.service, s.name, s.start, json.dumps(asdict(s))) for s in spans]
        with transaction(self._db):
            self._db.executemany(
                "INSERT INTO spans (trace_id, span_id, service, name, start, body) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                rows,
            )
        self._since_prune += len(rows)
        if self._since_prune >= _PRUNE_EVERY:
            self._since_prune = 0
            self._db.execute("DELETE FROM spans WHERE number <= (SELECT max(number) FROM spans) - ?", (self._kept,))

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of a trace by start time."""
        return self._spans("WHERE trace_id = ? ORDER BY start, number", (trace_id.lower(),))

    def find(self, service: str = "", name: str = "", limit: int = 100) -> list[Span]:
        """Spans newest first; an empty `service` or `name` matches all."""
        wanted = (service, service, name, name, limit)
        return self._spans(
            "WHERE (? = '' OR service = ?) AND (? = '' OR name = ?) ORDER BY number DESC LIMIT ?", wanted
        )

    def everything(self) -> Iterator[Span]:
        """Every span, oldest first, without holding all of them in memory."""
        last = 0
        while rows := self._db.execute(
            "SELECT number, body FROM spans WHERE number > ? ORDER BY number LIMIT 500", (last,)
        ).fetchall():
            last = rows[-1]["number"]
            yield from (Span(**json.loads(row["body"])) for row in rows)

    def count(self) -> dict[str, int]:
        """How many spans and traces there are."""
        row = self._db.execute("SELECT count(*) AS n, count(DISTINCT trace_id) AS t FROM spans").fetchone()
        return {"spans": row["n"], "traces": row["t"]}

    def clear(self) -> None:
        """Forget everything."""
        self._db.execute("DELETE FROM spans")

    def _spans(self, clause: str, values: Sequence[str | int]) -> list[Span]:
        query = f"SELECT body FROM spans {clause}"  # noqa: S608 - clauses are constants of this class
        return [Span(**json.loads(row["body"])) for row in self._db.execute(query, values)]
