"""`dossierbus backup|restore|erase|keys`: for operators and timers. Progress on standard error, results on output.

Backup and restore run with a login of their own (BACKUP_MONGODB_URI), never with a service's.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.backup import erasures, retention
from shared.backup.archive import Manifest, Part, checked
from shared.backup.backup import SERVICES, VAULT, back_up, sources
from shared.backup.restore import begin, erase_again, load, prepare
from shared.environment import SystemEnvironment, timestamp
from shared.errors import Permanent, SealBroken
from shared.settings import CommonSettings
from shared.settings import load as load_settings
from shared.store.dump import administer, beside
from shared.store.mongo import connect
from shared.store.small import MongoKeyStore
from shared.vault import Vault

KEPT: Final = "remove older archives; of those older than two days the newest of each day stays"
DATA_DAYS: Final = 35
VAULT_DAYS: Final = 7

Alone = Callable[[argparse.Namespace], Awaitable[int]]


class BackupSettings(BaseSettings):
    """What backing up needs beside its arguments."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    backup_mongodb_uri: SecretStr = Field(
        description="mongodb://… of a login with the roles backup, restore and readWriteAnyDatabase"
    )


async def backup(options: argparse.Namespace) -> int:
    """Write all services' databases, and apart from them the vault, as they are at one moment."""
    environment = SystemEnvironment()
    now = environment.now()
    name = now.strftime("%Y-%m-%dT%H-%M-%SZ")
    places = ((options.to, options.keep_days), (options.vault_to, options.vault_keep_days))
    for place in places:
        # Before too, or a place that is full would stay so for ever.
        try:
            _make_room(*place, now)
        except OSError as error:
            _say(f"Nothing more could be removed beforehand: {error}")
    async with administer(_uri()) as database:
        wanted = sources(options.to / name, options.vault_to / name)
        manifests = await back_up(database, wanted, environment, _say)
    for place in places:
        _make_room(*place, now)
    for source, manifest in zip(wanted, manifests, strict=True):
        print(f"{source.part}: {manifest.documents} documents in {source.directory}")
    seconds = (environment.now() - now).total_seconds()
    print(f"backed up as of {manifests[0].made_at} in {seconds:.1f} s")
    return 0


def _make_room(directory: Path, days: int, now: datetime) -> None:
    for draft in retention.clear_drafts(directory, now):
        _say(f"{draft}: removed, its backup broke off")
    for old in retention.prune(directory, now, timedelta(days=days)):
        _say(f"{old}: removed")


async def restore(options: argparse.Namespace) -> int:
    """Write a backup into empty databases, erase again who was erased since, and begin an epoch."""
    environment = SystemEnvironment()
    started = environment.now()
    services = _checked(options.source, "services")
    vault = _checked(options.vault_source, "vault")
    # Read before anything is written: without it nobody would know whose keys must not come back.
    owners = list(erasures.erased(options.erasures)) if vault else []
    async with administer(_uri()) as database:
        names = options.only or (SERVICES if services else ())
        found = {name: beside(database, name) for name in names}
        keys = {VAULT: beside(database, VAULT)} if vault else {}
        await prepare({**found, **keys}, replace=options.replace)
        documents = 0
        if vault:
            documents += await load(options.vault_source, vault, keys, _say)
            await erase_again(keys[VAULT], owners)
        if services:
            documents += await load(options.source, services, found, _say)
            print(f"epoch {await begin(found, services, environment)}")
    seconds = (environment.now() - started).total_seconds()
    print(f"restored {documents} documents in {seconds:.1f} s; {len(owners)} erasures applied again")
    print("Start the broker empty, then the roles; then `dossierbus verify` for each service.")
    return 0


async def erase(options: argparse.Namespace) -> int:
    """Delete the keys of a dossier (or person), after noting it in the log that a restore goes by."""
    settings = load_settings(CommonSettings)
    if settings.vault_mongodb_uri is None:
        print("VAULT_MONGODB_URI is not set: this runs with the settings of intake.", file=sys.stderr)
        return 2
    environment = SystemEnvironment()
    async with connect(settings.vault_mongodb_uri.get_secret_value()) as database:
        erasures.note(options.log, options.owner, timestamp(environment.now()))
        await Vault(MongoKeyStore(database), {}, environment).erase(options.owner)
    print(f"{options.owner}: erased; processes forget its keys within 30 seconds")
    return 0


async def rotate(options: argparse.Namespace) -> int:
    """Wrap every data key that VAULT_OTHER_KEYS opens under VAULT_KEYS; nothing sealed is written anew."""
    settings = load_settings(CommonSettings)
    if settings.vault_mongodb_uri is None or not settings.vault_other_keys:
        print("VAULT_MONGODB_URI, VAULT_KEYS and VAULT_OTHER_KEYS are needed.", file=sys.stderr)
        return 2
    changed, owners, broken, after = 0, 0, 0, ""
    async with connect(settings.vault_mongodb_uri.get_secret_value()) as database:
        store = MongoKeyStore(database)
        vault = Vault(store, settings.vault_keys, SystemEnvironment(), settings.vault_other_keys)
        while page := await store.owners(after):
            done = [await _rewrapped(vault, owner, store) for owner in page]
            changed += sum(count or 0 for count in done)
            broken += done.count(None)
            owners, after = owners + len(page), page[-1]
            _say(f"{owners} owners looked at")
    print(f"{changed} keys of {owners} owners wrapped anew, {broken} owners' keys open with neither")
    return 1 if broken else 0


async def _rewrapped(vault: Vault, owner: str, store: MongoKeyStore) -> int | None:
    """Return how many of an owner's keys were wrapped anew; None if one opens with neither wrapping key."""
    try:
        return await vault.rewrap(owner, store)
    except SealBroken as error:
        _say(f"{owner}: {error}")
        return None


def add_commands(commands: Any) -> None:
    """Add these commands to the operators' parser; each sets `alone`, which needs no service's settings."""
    one = _command(commands, "backup", backup)
    one.add_argument("--to", type=Path, required=True, metavar="DIR", help="where the services' archives lie")
    one.add_argument("--vault-to", type=Path, required=True, metavar="DIR", help="where the vault's lie: another place")
    one.add_argument("--keep-days", type=int, default=DATA_DAYS, help=f"{KEPT} (default %(default)s)")
    one.add_argument("--vault-keep-days", type=int, default=VAULT_DAYS, help="same for the vault's (%(default)s)")
    one = _command(commands, "restore", restore)
    one.add_argument("--from", dest="source", type=Path, metavar="ARCHIVE", help="an archive of the services")
    one.add_argument("--vault-from", dest="vault_source", type=Path, metavar="ARCHIVE", help="an archive of the vault")
    one.add_argument("--erasures", type=Path, metavar="FILE", help="the log of erasures; needed with --vault-from")
    one.add_argument("--only", nargs="+", choices=SERVICES, help="restore these services' databases alone")
    one.add_argument("--replace", action="store_true", help="empty the databases first")
    actions = commands.add_parser("keys", help="Change wrapping keys.").add_subparsers(required=True, metavar="action")
    _command(actions, "rotate", rotate)
    one = _command(commands, "erase", erase)
    one.add_argument("--owner", required=True, metavar="ID", help="the dossier whose personal values are to be erased")
    one.add_argument("--log", type=Path, required=True, metavar="FILE", help="the log of erasures, kept apart")


def _command(commands: Any, name: str, run: Alone) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
    one.set_defaults(alone=run)
    return one


def complaint(options: argparse.Namespace) -> str | None:
    """Return what is wrong with these arguments together, or nothing."""
    if options.alone is backup and options.to.resolve() == options.vault_to.resolve():
        return "The vault's archives must lie elsewhere: whoever has both can open what was erased."
    if options.alone is not restore:
        return None
    if options.source is None and options.vault_source is None:
        return "Name an archive: --from, --vault-from or both."
    if options.vault_source is not None and options.erasures is None:
        return "--vault-from needs --erasures: without it erased persons would come back."
    return "--only is about the services: it needs --from." if options.only and options.source is None else None


async def run(options: argparse.Namespace) -> int:
    """Run one of these commands; return the exit code. Raises `Transient`."""
    if (wrong := complaint(options)) is not None:
        print(wrong, file=sys.stderr)
        return 2
    try:
        code: int = await options.alone(options)
    except (Permanent, OSError) as error:
        print(f"Not possible: {error}.", file=sys.stderr)
        return 1
    return code


def _checked(directory: Path | None, part: Part) -> Manifest | None:
    return None if directory is None else checked(directory, part)


def _uri() -> str:
    return load_settings(BackupSettings).backup_mongodb_uri.get_secret_value()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
