"""`dossierbus dlq list|show|redrive|discard|log`: a group's dead letters from the command line. Decides nothing."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from services.operations.command import Command, connected, moment, name_of_operator
from shared.contracts.topics import GROUPS
from shared.dead_letters import NOTHING, DeadLetters, Held, Letter, NotHeld, Selection
from shared.environment import SystemEnvironment
from shared.kafka.client import KafkaPublisher
from shared.operations import dead_letters_of
from shared.redrive import Redriven
from shared.settings import CommonSettings
from shared.store.mongo import Database

SHOWN: Final = 50


async def list_letters(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Show which dossiers a group sets aside, and the records that nobody could read."""
    async with _opened(settings, database) as letters:
        held = await letters.held(options.group, _selection(options))
        unreadable = await letters.unreadable(options.group)
    for one in held:
        print(_told(one))
    for letter in unreadable[-SHOWN:]:
        print(f"unreadable: {letter.origin}: {letter.reason}")
    print(f"{options.group}: {len(held)} dossiers set aside, {len(unreadable)} unreadable records")
    return 0


async def show(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Show what is held of a dossier: what failed, and what waits behind it."""
    async with _opened(settings, database) as letters:
        held, found = await letters.show(options.group, options.key)
    print(_told(held))
    for place, letter in enumerate(found):
        print(f"  {'failed' if letter.id == held.event else 'waits ':6} {place + 1}. {_told_letter(letter)}")
    return 0


async def redrive(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Let a group handle held letters again, in order, of the selected dossiers or of all."""
    async with _opened(settings, database, connects=not options.dry_run) as letters:
        if options.origin:
            await letters.redrive_unreadable(options.group, options.origin, name_of_operator(options))
            print(f"{options.origin}: sent again")
            return 0
        if options.dry_run:
            return _planned(options.group, await letters.held(options.group, _selection(options)))
        done = await letters.redrive(options.group, _selection(options), name_of_operator(options))
    return _ended(options.group, done)


async def discard(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Drop one held event for good, with a reason; those behind it go on."""
    who = name_of_operator(options)
    async with _opened(settings, database, connects=True) as letters:
        if options.origin:
            await letters.discard_unreadable(options.group, options.origin, options.reason, who)
            print(f"{options.origin}: listed no more")
            return 0
        done = await letters.discard(options.group, options.key, options.event, options.reason, who)
    return _ended(options.group, [done])


async def log(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Show what operators did, the newest first."""
    async with _opened(settings, database) as letters:
        for deed in await letters.log.page(None, SHOWN):
            outcome = ", ".join(f"{key} {ending}" for key, ending in deed.get("outcome") or ()) or "not ended"
            print(f"{deed['at']} {deed['who']}: {deed['what']} {deed['target']} {deed['reason']}: {outcome}")
    return 0


def refusing(command: Command) -> Command:
    """Return the command with a sentence instead of a traceback for what is not held."""

    async def call(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
        try:
            return await command(options, settings, database)
        except NotHeld as error:
            print(f"{error}.")
            return 1

    return call


def add_to(commands: Any) -> None:
    """Add `dlq` and its actions to the parser's commands."""
    dead = commands.add_parser("dlq", help="Look at a group's dead letters, handle them again or drop them.")
    actions = dead.add_subparsers(required=True, metavar="action")
    every = {"list": list_letters, "show": show, "redrive": redrive, "discard": discard, "log": log}
    made = {name: _action(actions, name, command) for name, command in every.items()}
    for name in ("list", "redrive"):
        made[name].add_argument("--key", help="a dossier's id")
        made[name].add_argument("--id", action="append", default=[], help="a dossier's or a failed event's id; repeat")
        made[name].add_argument("--reason", default="", help="words that the reason contains")
        made[name].add_argument("--since", type=moment, help="set aside since (RFC 3339)")
        made[name].add_argument("--until", type=moment, help="set aside until (RFC 3339)")
    made["redrive"].add_argument("--dry-run", action="store_true", help="only tell which ones, in which order")
    made["show"].add_argument("--key", required=True, help="the dossier's id")
    made["discard"].add_argument("--reason", required=True, help="why; kept with your name")
    made["discard"].add_argument("--key", default="", help="the dossier's id")
    made["discard"].add_argument("--event", default="", help="the id of the event to drop")
    for name in ("redrive", "discard"):
        made[name].add_argument("--origin", help="an unreadable record, as <topic>/<partition>/<offset>")
        made[name].add_argument("--as", dest="operator", help="who you are, for the log of deeds")


def _action(actions: Any, name: str, command: Command) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = actions.add_parser(name, help=command.__doc__)
    one.add_argument("--group", required=True, choices=GROUPS)
    one.set_defaults(command=refusing(command))
    return one


def _selection(options: argparse.Namespace) -> Selection:
    ids = frozenset([*options.id, *([options.key] if options.key else [])])
    return Selection(ids, options.reason, options.since or "", options.until or "")


def _told(held: Held) -> str:
    tried = f"tried {held.attempts} times" if held.attempts > 1 else "tried once"
    return f"{held.dossier}: {held.waiting} letters since {held.since}, {tried}, failed {held.event}: {held.reason}"


def _told_letter(letter: Letter) -> str:
    return f"{letter.id} {letter.type} of {letter.time}, from {letter.origin}: {letter.reason}"


def _planned(group: str, held: list[Held]) -> int:
    for place, one in enumerate(held):
        print(f"{place + 1}. {_told(one)}")
    print(f"{group}: {len(held)} dossiers would be redriven in this order; nothing was done")
    return 0


def _ended(group: str, done: list[Redriven]) -> int:
    if not done:
        print(f"{group}: {NOTHING}")
        return 0
    for one in done:
        print(f"{one.key}: {one.letters} letters, {one.ending}")
    handled = sum(one.ending == "handled" for one in done)
    print(f"{group}: {handled} of {len(done)} dossiers handled")
    return 0 if handled == len(done) else 1


@asynccontextmanager
async def _opened(
    settings: CommonSettings, database: Database, *, connects: bool = False
) -> AsyncIterator[DeadLetters]:
    publisher = KafkaPublisher(settings)
    try:
        if connects:
            await connected(publisher)
        yield dead_letters_of(settings, database, publisher, SystemEnvironment())
    finally:
        await publisher.close()
