"""SQLite files that survive `kill -9`, one per stand-in. Knows no table of any of them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def open_database(data_dir: Path, name: str, schema: str) -> sqlite3.Connection:
    """Open (or create) `<data_dir>/<name>.sqlite` in WAL mode; statements commit at once unless in `transaction`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(data_dir / f"{name}.sqlite", isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA journal_mode = WAL")
    # With a write-ahead log NORMAL loses nothing when the process is killed, only when the machine is.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(schema)
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing for the statements inside; must not span an `await`."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
