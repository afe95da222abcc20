"""Operators ask for a recount and wait for it: how long, what they read, and what the log of deeds says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from services import cli
from services.operations import kpis, parity
from shared.errors import RecountPending, StorageUnavailable
from shared.parity import Drift
from shared.recounts import PATIENCE, until_done
from shared.store.mongo import Database
from shared.store.recounts import Recounts
from shared.testing.environment import START
from shared.testing.recounts import MemoryRecounts
from shared.testing.web import settings
from tests.unit.sample_journal import QuickEnvironment

PARTITIONS = 6
NO_DATABASE = cast("Database", None)


class Moody(MemoryRecounts):
    """Recounts in a database that is away for a while; one more partition is done whenever it answers."""

    def __init__(self, away: int) -> None:
        super().__init__()
        self.away, self.asked = away, 0

    async def state(self) -> Recounts:
        """What is done, or nothing."""
        self.asked += 1
        if 1 < self.asked <= self.away + 1:
            raise StorageUnavailable("AutoReconnect")
        self.done[len(self.done)] = self.wanted
        return await super().state()


@dataclass
class Deeds:
    """The log of deeds in memory."""

    ended: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    async def begin(self, _who: str, what: str, _target: Mapping[str, Any], _reason: str) -> str:
        """A note, which its deed names."""
        return what

    async def end(self, note: str, outcome: Mapping[str, Any]) -> None:
        """What became of it."""
        self.ended[note] = outcome


async def recount(recounts: MemoryRecounts, deeds: Deeds, patch: pytest.MonkeyPatch, *more: str) -> int:
    """Run `dossierbus kpis recount`."""
    patch.setattr(kpis, "MongoRecounts", lambda _: recounts)
    patch.setattr(kpis, "MongoOperations", lambda *_: deeds)
    patch.setattr(kpis, "SystemEnvironment", QuickEnvironment)
    options = cli._parser().parse_args(["kpis", "recount", "--as", "olga", *more])
    chosen = settings().model_copy(update={"kafka_partitions": PARTITIONS})
    return await kpis.recount(options, chosen, NO_DATABASE)


async def test_a_recount_is_waited_for_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recount goes on without the command, so the command goes on too; the deed is noted as done."""
    deeds = Deeds()
    assert await recount(Moody(away=40), deeds, monkeypatch) == 0
    assert capsys.readouterr().out.splitlines() == [
        "recount 1 is asked for",
        *(f"{ready} of 6 partitions recounted" for ready in range(1, 7)),
    ]
    assert deeds.ended == {"kpis recount": {"analytics": "recounted"}}


async def test_waiting_for_workers_that_do_not_run_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten minutes it says what to look at, and the log of deeds that it was asked for."""
    deeds = Deeds()
    with pytest.raises(RecountPending, match="is analytics-worker running"):
        await recount(MemoryRecounts(), deeds, monkeypatch)
    assert deeds.ended == {"kpis recount": {"analytics": "asked for"}}


async def test_who_does_not_wait_only_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--no-wait` ends at once, and the log of deeds says so."""
    deeds, recounts = Deeds(), MemoryRecounts()
    assert await recount(recounts, deeds, monkeypatch, "--no-wait") == 0
    assert (recounts.wanted, deeds.ended) == (1, {"kpis recount": {"analytics": "asked for"}})


async def test_a_request_that_is_not_noted_is_a_deed_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database went away before the recount was asked for: nobody will do it."""

    class Away(MemoryRecounts):
        async def ask(self) -> int:
            raise StorageUnavailable("AutoReconnect")

    deeds = Deeds()
    with pytest.raises(StorageUnavailable):
        await recount(Away(), deeds, monkeypatch)
    assert deeds.ended == {"kpis recount": {"analytics": "not asked for"}}


async def test_patience_is_ten_minutes_however_the_time_goes_by() -> None:
    """A database that takes two seconds to be found missing is given up as soon as an empty one."""
    environment = QuickEnvironment()

    class Slow(MemoryRecounts):
        async def state(self) -> Recounts:
            environment.advance(timedelta(seconds=2))
            raise StorageUnavailable("ServerSelectionTimeoutError")

    with pytest.raises(RecountPending):
        await until_done(Slow(), environment, 1, PARTITIONS)
    assert PATIENCE <= environment.now() - START < PATIENCE + timedelta(seconds=5)


async def test_a_repair_that_is_not_done_in_time_is_a_deed_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """`parity --repair` gives up, too; the log of deeds says that it is not repaired yet, and why."""

    class Drifting:
        async def find(self, _since: object) -> list[Drift]:
            return [Drift("kpi", "somebody", "is 1, must be 0")]

        async def repair(self, _drifts: object, _since: object) -> int:
            raise RecountPending("the recount is asked for")

    deeds = Deeds()
    monkeypatch.setattr(parity, "MongoOperations", lambda *_: deeds)
    options = cli._parser().parse_args(["parity", "--service", "analytics", "--repair", "--as", "olga"])
    with pytest.raises(RecountPending):
        await parity.compare("analytics", [Drifting()], options, NO_DATABASE)
    assert deeds.ended == {"parity repair": {"analytics": "not repaired yet: RecountPending"}}
