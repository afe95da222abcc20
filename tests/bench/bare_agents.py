"""The limits of `kpi`: Faust with one table of records and nothing else, and Faust with three naive counters.

`python -m tests.bench.bare_agents record|counters`; says in PROGRESS how many events it has counted.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import faust
import orjson

from shared.contracts.topics import EVENT_TOPICS

SOURCES = [topic.name for topic in EVENT_TOPICS]
PARTITIONS = int(os.environ["KAFKA_PARTITIONS"])


def application(name: str) -> faust.App:
    """A Faust application with the session times of ours."""
    session = float(os.environ["KAFKA_SESSION_TIMEOUT_MS"]) / 1000
    return faust.App(
        name,
        broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
        store="memory://",
        datadir=tempfile.mkdtemp(prefix=f"{name}-", dir=os.environ["DATA_DIR"]),
        autodiscover=False,
        web_enabled=False,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 3,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
    )


class Progress:
    """Writes the count every hundred events: often enough to find the last one."""

    def __init__(self) -> None:
        self._file = Path(os.environ["PROGRESS"])
        self._counted = 0

    def count(self) -> None:
        """One more."""
        self._counted += 1
        if self._counted % 100 == 0:
            self._file.write_text(str(self._counted))


def record(app: faust.App, progress: Progress) -> None:
    """One table keyed like the source: raw bytes, orjson, one record per dossier."""
    table = app.Table("records", key_type=bytes, value_type=bytes, partitions=PARTITIONS)
    source = app.topic(*SOURCES, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def count(stream: Any) -> None:
        async for event in stream.events():
            known = orjson.loads(table.get(event.key) or b"{}")
            data = orjson.loads(event.value)
            known[event.message.topic] = known.get(event.message.topic, 0) + len(data)
            table[event.key] = orjson.dumps(known)
            progress.count()

    app.agent(source, name="count")(count)


def counters(app: faust.App, progress: Progress) -> None:
    """Three tables of counters with the JSON serializer, as a tutorial has it: wrong after a crash."""
    tables = [app.Table(f"counter-{number}", default=int, partitions=PARTITIONS) for number in range(3)]
    source = app.topic(*SOURCES, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def count(stream: Any) -> None:
        async for event in stream.events():
            json.loads(event.value)
            for number, table in enumerate(tables):
                table[f"{event.message.topic}-{number}-{event.message.partition}"] += 1
            progress.count()

    app.agent(source, name="count")(count)


if __name__ == "__main__":
    kind = sys.argv[1]
    Path(os.environ["DATA_DIR"]).mkdir(parents=True, exist_ok=True)
    worker = application(f"bare-{kind}")
    {"record": record, "counters": counters}[kind](worker, Progress())
    Path(os.environ["READY"]).touch()
    faust.Worker(worker, loglevel="WARNING").execute_from_commandline()
