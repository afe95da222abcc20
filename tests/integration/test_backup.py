"""Backup and restore of real databases by the operators' command: one moment, everything back, erased stays erased."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services import cli
from services.identity.domain import CHECK, Check, open_check
from shared.backup.archive import archives
from shared.contracts.dossier import IdentityCheckRequested
from shared.environment import SystemEnvironment
from shared.journal import Journal
from shared.journal.model import Filling
from shared.journal.verify import verify_all
from shared.store.dump import administer, clear, cut
from shared.store.journals import open_journals
from shared.store.mongo import Database
from shared.store.small import MongoEpochs, MongoInstallation, MongoKeyStore, MongoLeases, MongoMarkers
from shared.vault import Erased, Vault
from tests.integration.conftest import KEY, Mongo
from tests.unit.sample_journal import command, noted

REQUEST = IdentityCheckRequested(step="identity", register_name="residents", person="sealed:v1:person:AAAA")
WRAPPING = {"person": b"w" * 32}


@pytest.fixture
async def identity(mongo: Mongo, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The identity service's database; the command finds all databases by the administrator's login."""
    settings = {
        "BACKUP_MONGODB_URI": mongo.uri("admin"),
        "MONGODB_URI": mongo.uri("identity"),
        "VAULT_MONGODB_URI": mongo.uri("vault"),
        "JOURNAL_KEY": KEY,
        "HASH_KEY": KEY,
        "OIDC_ISSUER": "https://login.example",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return await mongo.database("identity")


@pytest.fixture
async def vault(mongo: Mongo, identity: Database) -> AsyncIterator[Database]:
    """The vault's database, beside three identity checks, the first wholly published."""
    database = await mongo.database("vault")
    for number in range(3):
        await _check(identity, f"d{number}:1")
        await Vault(MongoKeyStore(database), WRAPPING, SystemEnvironment()).create(f"d{number}", ["person"])
    await MongoInstallation(identity).remember(Filling("cluster-1", 0))
    await MongoLeases(identity, SystemEnvironment()).acquire("sweep", "me", timedelta(seconds=5))
    await MongoMarkers(identity).mark("identity", "d1", "broken", "d1:1", "2026-11-21T00:00:00.000Z")
    yield database
    for one in (identity, database):
        await clear(one)


async def _journal(identity: Database) -> Journal[Check]:
    store = await open_journals(identity, "checks", ("state.status",))
    return Journal(CHECK, store, SystemEnvironment(), tenant="emmen", key=base64.b64decode(KEY))


async def _check(identity: Database, subject: str) -> None:
    opened = open_check(REQUEST, timedelta(hours=1))
    await (await _journal(identity)).record(subject, opened, command("k"), creates=True)


async def run(*arguments: object) -> int:
    """Run the command as a process would, on a loop of its own."""
    return await asyncio.to_thread(cli.main, [str(argument) for argument in arguments])


async def _backed_up(tmp_path: Path) -> tuple[Path, Path]:
    assert await run("backup", "--to", tmp_path / "data", "--vault-to", tmp_path / "keys") == 0
    return archives(tmp_path / "data")[-1], archives(tmp_path / "keys")[-1]


async def _opens(vault: Database, owner: str) -> bool:
    keyring = await Vault(MongoKeyStore(vault), WRAPPING, SystemEnvironment()).open(owner)
    return keyring.unseal("name", keyring.seal("person", "name", "x")) is not Erased if keyring._keys else False


async def test_everything_comes_back_and_erased_stays_erased(
    identity: Database, vault: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Documents, validators and indexes are as before; keys erased since are gone; a new epoch and refill begin."""
    log = tmp_path / "erasures.jsonl"
    assert await run("erase", "--owner", "d2", "--log", log) == 0
    data, keys = await _backed_up(tmp_path)
    before = await identity["checks"].find().sort("_id", 1).to_list(None)
    assert await run("erase", "--owner", "d1", "--log", log) == 0
    arguments = ("restore", "--from", data, "--vault-from", keys, "--erasures", log)
    assert await run(*arguments) == 1
    assert "holds" in capsys.readouterr().err
    assert await run(*arguments, "--replace") == 0
    assert await identity["checks"].find().sort("_id", 1).to_list(None) == before
    assert [await _opens(vault, owner) for owner in ("d0", "d1", "d2")] == [True, False, False]
    assert {"pending", "due", "state.status"} <= set(await identity["checks"].index_information())
    assert (await identity["checks"].options())["validator"]
    assert await identity["leases"].find_one() is None
    assert await identity["dead_letters"].find_one() is None
    assert await MongoInstallation(identity).filling() == Filling("", 0)
    journal = await _journal(identity)
    recorded = await journal.record("d0:1", lambda _s, _n: (noted(1),), command("later"))
    epoch = await MongoEpochs(identity).epoch()
    assert epoch > 0
    events = await journal.store.events("d0:1")
    assert [event["id"] for event in events] == ["d0:1:1", f"d0:1:2@{epoch}"]
    assert recorded.sequence == 2
    assert [checked.findings async for checked in verify_all(journal)] == [(), (), ()]


async def test_a_second_restore_begins_another_epoch(identity: Database, vault: Database, tmp_path: Path) -> None:
    """Also from a backup that was made after the first one, at the same minute."""
    data, _ = await _backed_up(tmp_path)
    assert await run("restore", "--from", data, "--only", "identity", "--replace") == 0
    first = await MongoEpochs(identity).epoch()
    data, _ = await _backed_up(tmp_path / "again")
    assert await run("restore", "--from", data, "--only", "identity", "--replace") == 0
    assert await MongoEpochs(identity).epoch() > first
    assert await _opens(vault, "d0")


async def test_a_broken_archive_changes_nothing(
    identity: Database, vault: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sums are compared before databases are emptied; a missing log of erasures stops the restore too."""
    data, keys = await _backed_up(tmp_path)
    missing = ("restore", "--vault-from", keys, "--erasures", tmp_path / "none", "--replace")
    assert await run(*missing) == 1
    assert await run(*missing[:3]) == 2
    with (data / "identity" / "checks.bson.gz").open("ab") as file:
        file.write(b"?")
    assert await run("restore", "--from", data, "--replace") == 1
    assert "is not what was written" in capsys.readouterr().err
    assert await identity["checks"].count_documents({}) == 3
    assert await _opens(vault, "d0")


async def test_all_databases_are_read_as_of_one_moment(identity: Database, vault: Database, mongo: Mongo) -> None:
    """What is written while a backup reads is in none of the databases it has not come to yet."""
    async with administer(mongo.uri("admin")) as database, cut(database) as moment:
        assert len([one async for one in moment.documents("vault", "keys")]) == 3
        await _check(identity, "d9:1")
        await MongoKeyStore(vault).delete("d0")
        assert len([one async for one in moment.documents("identity", "checks")]) == 3
        assert len([one async for one in moment.documents("vault", "keys")]) == 3
    assert await identity["checks"].count_documents({}) == 4


async def test_manifests_name_what_they_hold(identity: Database, vault: Database, tmp_path: Path) -> None:
    """The vault's keys lie in the vault's archive and nowhere in the services' one."""
    data, keys = await _backed_up(tmp_path)
    assert _held(data) == {"identity.checks": 3, "identity.checks_segments": 0, "identity.installation": 1}
    assert _held(keys) == {"vault.keys": 3}


def _keys(monkeypatch: pytest.MonkeyPatch, *wrapping: bytes) -> None:
    """Give the command these keys of purpose `person`: the one to wrap under, and the other one."""
    for name, key in zip(("VAULT_KEYS", "VAULT_OTHER_KEYS"), wrapping, strict=True):
        monkeypatch.setenv(name, json.dumps({"person": base64.b64encode(key).decode()}))


async def test_wrapping_keys_are_rotated_by_command(
    vault: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Old values open with the new key alone, the erased stay erased, a second run changes nothing."""
    store, environment, new = MongoKeyStore(vault), SystemEnvironment(), b"n" * 32
    sealed = (await Vault(store, WRAPPING, environment).open("d0")).seal("person", "name", "Muster")
    await store.delete("d1")
    _keys(monkeypatch, new, WRAPPING["person"])
    for changed in (2, 0):
        assert await run("keys", "rotate") == 0
        assert capsys.readouterr().out == f"{changed} keys of 3 owners wrapped anew, 0 owners' keys open with neither\n"
    alone = Vault(store, {"person": new}, environment)
    assert (await alone.open("d0")).unseal("name", sealed) == "Muster"
    assert (await alone.open("d1")).unseal("name", sealed) is Erased


async def test_a_rotation_goes_on_past_keys_that_nothing_opens(
    vault: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The owner whose wrapping key is lost is named, all others are wrapped anew, and the exit code says so."""
    store = MongoKeyStore(vault)
    await Vault(store, {"person": b"l" * 32}, SystemEnvironment()).create("d1-lost", ["person"])
    _keys(monkeypatch, b"n" * 32, WRAPPING["person"])
    assert await run("keys", "rotate") == 1
    said = capsys.readouterr()
    assert said.out == "3 keys of 4 owners wrapped anew, 1 owners' keys open with neither\n"
    assert "d1-lost" in said.err


def _held(archive: Path) -> dict[str, int]:
    collections = json.loads((archive / "manifest.json").read_text())["collections"]
    return {f"{one['database']}.{one['collection']}": one["documents"] for one in collections}
