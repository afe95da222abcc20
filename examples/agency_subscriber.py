"""Follow the events that an authority gets, with nothing but a stock Kafka client.

    ./dev up                                                   # in one terminal
    ./dev run python examples/agency_subscriber.py             # in another

Every event is a CloudEvent in binary mode: attributes are headers that begin with `ce_`, the value is JSON. Per dossier
the agency's own `ce_sequence` counts 1, 2, 3… without a gap; an event that comes again has a number that was seen.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator

from confluent_kafka import Consumer, Message


def main() -> int:
    """Print the agency's events as they come, each once."""
    options = _options()
    seen: dict[str, int] = {}
    for message in _messages(options):
        headers = _headers(message)
        subject, sequence = headers["ce_subject"], int(headers["ce_sequence"])
        if sequence <= seen.get(subject, 0):
            continue
        seen[subject] = sequence
        word = headers["ce_type"].removeprefix("org.dossierbus.agency.")
        print(headers["ce_time"], subject, sequence, word, json.loads(message.value() or b"null"), flush=True)
    return 0


def _headers(message: Message[bytes, bytes]) -> dict[str, str]:
    headers = dict(message.headers() or ())
    return {name: value.decode() for name, value in headers.items() if isinstance(value, bytes)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agency", default="debt-office")
    parser.add_argument("--bootstrap", default=os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:8190"))
    parser.add_argument("--idle-seconds", type=float, default=None, help="end when nothing came for so long")
    return parser.parse_args()


def _messages(options: argparse.Namespace) -> Iterator[Message[bytes, bytes]]:
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": f"{options.agency}.example",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([f"agency.{options.agency}.events"])
    try:
        while (message := consumer.poll(options.idle_seconds or 3600)) is not None:
            if message.error():
                print(message.error(), file=sys.stderr)
                continue
            yield message
            consumer.commit(message=message)
    finally:
        consumer.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
