"""Received messages in SQLite, as they came and as they read. Sends nothing."""

import email
import email.policy
import json
import sqlite3
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from pathlib import Path

from deploy.local.sandbox.database import open_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, received_at TEXT NOT NULL, message_id TEXT NOT NULL,
    sender TEXT NOT NULL, recipients TEXT NOT NULL, subject TEXT NOT NULL, language TEXT NOT NULL,
    text TEXT NOT NULL, raw BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS messages_by_id ON messages (message_id);
"""
_SHOWN = "number, received_at, message_id, sender, recipients, subject, language, text"


@dataclass(frozen=True)
class Message:
    """One received message; `recipients` are those of the envelope, `language` its Content-Language."""

    number: int
    received_at: str
    message_id: str
    sender: str
    recipients: list[str]
    subject: str
    language: str
    text: str

    @property
    def recipient(self) -> str:
        """The first recipient."""
        return self.recipients[0] if self.recipients else ""

    def as_json(self) -> dict[str, object]:
        """All members and `recipient`."""
        return asdict(self) | {"recipient": self.recipient}


class Mailbox:
    """All mail of all recipients."""

    def __init__(self, data_dir: Path) -> None:
        self._db: sqlite3.Connection = open_database(data_dir, "mail", _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def keep(self, raw: bytes, sender: str, recipients: list[str], received_at: str) -> None:
        """Store a message; durable when this returns."""
        parsed = email.message_from_bytes(raw, policy=email.policy.default)
        self._db.execute(
            "INSERT INTO messages (received_at, message_id, sender, recipients, subject, language, text, raw) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                received_at,
                str(parsed.get("Message-ID", "")).strip(),
                sender,
                json.dumps(recipients),
                str(parsed.get("Subject", "")),
                _language(parsed),
                _readable(parsed),
                raw,
            ),
        )

    def find(self, recipient: str = "", limit: int = 100) -> list[Message]:
        """Messages newest first, of one recipient (whatever the letter case) or of all."""
        rows = self._db.execute(
            f"SELECT {_SHOWN} FROM messages WHERE ? = '' OR EXISTS "  # noqa: S608 - a constant list of columns
            "(SELECT 1 FROM json_each(recipients) WHERE lower(value) = lower(?)) ORDER BY number DESC LIMIT ?",
            (recipient, recipient, limit),
        )
        return [_message(row) for row in rows]

    def get(self, number: int) -> Message | None:
        """The message of that number."""
        row = self._db.execute(
            f"SELECT {_SHOWN} FROM messages WHERE number = ?",  # noqa: S608 - a constant list of columns
            (number,),
        ).fetchone()
        return _message(row) if row else None

    def raw(self, number: int) -> bytes | None:
        """The message exactly as it was received."""
        row = self._db.execute("SELECT raw FROM messages WHERE number = ?", (number,)).fetchone()
        return bytes(row["raw"]) if row else None

    def count(self) -> dict[str, int]:
        """How many messages came, and how many different Message-IDs they carried."""
        row = self._db.execute("SELECT count(*) AS n, count(DISTINCT message_id) AS d FROM messages").fetchone()
        return {"messages": row["n"], "distinct_message_ids": row["d"]}

    def clear(self) -> None:
        """Forget everything."""
        self._db.execute("DELETE FROM messages")


def _message(row: sqlite3.Row) -> Message:
    return Message(**{**dict(row), "recipients": json.loads(row["recipients"])})


def _language(parsed: EmailMessage) -> str:
    """Content-Language of the message, else of its text: mail libraries move it there in multipart messages."""
    places = (parsed, parsed.get_body(("plain", "html")))
    return next((str(place["Content-Language"]) for place in places if place and place["Content-Language"]), "")


def _readable(parsed: EmailMessage) -> str:
    """The plain text part, else the HTML source, else nothing."""
    part = parsed.get_body(("plain", "html"))
    try:
        return str(part.get_content()) if part is not None else ""
    except (LookupError, KeyError):
        return ""
