"""What the operators' commands have in common: how one is called, and who is said to have called it."""

import argparse
import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import Final

from shared.backup.backup import SERVICES
from shared.environment import parse_timestamp, timestamp
from shared.errors import BrokerUnavailable
from shared.kafka.client import KafkaPublisher
from shared.settings import CommonSettings
from shared.store.mongo import Database

Command = Callable[[argparse.Namespace, CommonSettings, Database], Awaitable[int]]
"""Return the exit code: 0 fine, 1 something was found or is left to do."""

CONNECT_SECONDS: Final = 20.0
"""A role waits for Kafka as long as it takes; who types a command wants to know."""


def misplaced(options: argparse.Namespace, settings: CommonSettings) -> str | None:
    """Return a sentence if the command is about another service than the one whose settings it runs with.

    Another service's database holds none of its journals and markers: the answer would be that all is well.
    Settings that carry a name of the installation's own, which traces may, are believed.
    """
    named: str = getattr(options, "service", None) or getattr(options, "group", None) or ""
    wanted, present = named.partition("-")[0], settings.otel_service_name
    if not named or present not in SERVICES or present == wanted:
        return None
    return f"These are the settings of {present}; {named} needs those of {wanted}: run it beside {wanted}-worker."


async def connected(publisher: KafkaPublisher) -> None:
    """Return once the publisher is connected. Raises BrokerUnavailable after 20 s."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await publisher.connect()
    except TimeoutError:
        raise BrokerUnavailable("Kafka does not answer") from None


def name_of_operator(options: argparse.Namespace) -> str:
    """Return who acts, for the log of deeds: as told, else the login's name."""
    if options.operator:
        return f"cli:{options.operator}"
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return "cli:unknown"


def moment(text: str) -> str:
    """Read a time given as an option. Raises ValueError for anything but RFC 3339."""
    return timestamp(parse_timestamp(text))
