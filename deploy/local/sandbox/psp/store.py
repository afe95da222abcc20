"""The processor's books in SQLite: Stripe objects, idempotency keys, events and their deliveries.

Decides nothing. Everything done inside `transaction()` happens together or not at all, also when killed.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.sandbox.database import open_database, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_by_intent ON objects (kind, json_extract(body, '$.payment_intent'));
CREATE INDEX IF NOT EXISTS open_sessions ON objects (json_extract(body, '$.expires_at'))
    WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open';
CREATE TABLE IF NOT EXISTS idempotency (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, due REAL NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, last_result TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS waiting_deliveries ON deliveries (due) WHERE state = 'waiting';
"""


@dataclass(frozen=True)
class Delivery:
    """One event on its way to the webhook address."""

    number: int
    event: str
    payload: str
    attempts: int


class Store:
    """One open book; used from one thread."""

    def __init__(self, data_dir: Path) -> None:
        self._db: sqlite3.Connection = open_database(data_dir, "psp", _SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; no `await` inside."""
        with transaction(self._db):
            yield

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def save(self, body: dict[str, Any]) -> None:
        """Insert or replace a Stripe object by its `id`."""
        self._db.execute(
            "INSERT INTO objects (id, kind, body) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (body["id"], body["object"], json.dumps(body)),
        )

    def find(self, identifier: str, kind: str) -> dict[str, Any] | None:
        """The object of that id and kind."""
        row = self._db.execute("SELECT body FROM objects WHERE id = ? AND kind = ?", (identifier, kind)).fetchone()
        return json.loads(row["body"]) if row else None

    def of_intent(self, kind: str, payment_intent: str) -> list[dict[str, Any]]:
        """All objects of a kind that belong to a payment intent, newest first."""
        rows = self._db.execute(
            "SELECT body FROM objects WHERE kind = ? AND json_extract(body, '$.payment_intent') = ? "
            "ORDER BY number DESC",
            (kind, payment_intent),
        )
        return [json.loads(row["body"]) for row in rows]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind, newest first."""
        rows = self._db.execute("SELECT body FROM objects WHERE kind = ? ORDER BY number DESC", (kind,))
        return [json.loads(row["body"]) for row in rows]

    def overdue_sessions(self, now: int) -> list[dict[str, Any]]:
        """Open sessions whose `expires_at` has come."""
        rows = self._db.execute(
            "SELECT body FROM objects WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open' "
            "AND json_extract(body, '$.expires_at') <= ?",
            (now,),
        )
        return [json.loads(row["body"]) for row in rows]

    def recall(self, key: str) -> tuple[str, dict[str, Any]] | None:
        """Fingerprint and answer remembered under an idempotency key."""
        row = self._db.execute("SELECT fingerprint, body FROM idempotency WHERE key = ?", (key,)).fetchone()
        return (row["fingerprint"], json.loads(row["body"])) if row else None

    def remember(self, key: str, fingerprint: str, body: dict[str, Any]) -> None:
        """Keep an answer under an idempotency key."""
        self._db.execute("INSERT INTO idempotency VALUES (?, ?, ?)", (key, fingerprint, json.dumps(body)))

    def add_event(self, event: dict[str, Any]) -> None:
        """Keep an event; its deliveries are added apart."""
        self._db.execute(
            "INSERT INTO events (id, type, body) VALUES (?, ?, ?)", (event["id"], event["type"], json.dumps(event))
        )

    def add_delivery(self, event: str, due: float, state: str = "waiting") -> None:
        """Plan a delivery (`waiting`) or note that it will never happen (`dropped`)."""
        self._db.execute("INSERT INTO deliveries (event, due, state) VALUES (?, ?, ?)", (event, due, state))

    def due_deliveries(self, now: float, limit: int) -> list[Delivery]:
        """Waiting deliveries whose time has come, oldest first."""
        rows = self._db.execute(
            "SELECT d.number, d.event, d.attempts, e.body FROM deliveries d JOIN events e ON e.id = d.event "
            "WHERE d.state = 'waiting' AND d.due <= ? ORDER BY d.due, d.number LIMIT ?",
            (now, limit),
        )
        return [Delivery(row["number"], row["event"], row["body"], row["attempts"]) for row in rows]

    def note_attempt(self, number: int, state: str, due: float, result: str) -> None:
        """Record one delivery attempt: `delivered`, `waiting` (until `due`) or `given_up`."""
        self._db.execute(
            "UPDATE deliveries SET attempts = attempts + 1, state = ?, due = ?, last_result = ? WHERE number = ?",
            (state, due, result, number),
        )

    def events(self) -> list[dict[str, Any]]:
        """Every event with its deliveries, oldest first."""
        found = {row["id"]: {"event": json.loads(row["body"]), "deliveries": []} for row in self._rows("events")}
        for row in self._rows("deliveries"):
            shown = {name: row[name] for name in ("state", "attempts", "last_result")}
            found[row["event"]]["deliveries"].append(shown)
        return list(found.values())

    def _rows(self, table: str) -> list[sqlite3.Row]:
        queries = {
            "events": "SELECT id, body FROM events ORDER BY number",
            "deliveries": "SELECT event, state, attempts, last_result FROM deliveries ORDER BY number",
        }
        return self._db.execute(queries[table]).fetchall()
