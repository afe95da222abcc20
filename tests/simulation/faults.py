"""Letting drawn injections happen to a run, and healing everything in the end. See `scenario` for which there are."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from tests.simulation.broker import Place, SimBroker
from tests.simulation.people import People
from tests.simulation.processes import Fleet, Running
from tests.simulation.scenario import Injection
from tests.simulation.wires import Server
from tests.simulation.wiring import Parts


class Faults:
    """Lets injections happen to one run."""

    def __init__(self, parts: Parts, fleet: Fleet, people: People) -> None:
        self._parts = parts
        self._fleet = fleet
        self._people = people
        self._over = False

    def plan(self, injection: Injection) -> None:
        """Let an injection happen at its time."""
        self._parts.wires.later(injection.at, lambda: self._happen(injection))

    def heal(self) -> None:
        """End everything that is wrong, for good."""
        parts, self._over = self._parts, True
        for database in parts.databases.values():
            database.heal()
        for thing in (parts.broker.server, parts.register, parts.processor, parts.mail):
            thing.heal()
        parts.broker.refusing.clear()
        self._people.webhook_faults.clear()
        parts.wires.calm = True
        for place in self._fleet.places:
            if place.process is not None:
                place.process.clock_skew, place.process.dies_at = 0.0, None

    def _happen(self, one: Injection) -> None:
        if self._over:
            return
        self._parts.wires.log.note(f"inject {one.kind} {one.target}")
        first = one.kind.partition(" ")[0]
        if one.kind in _ON_PROCESSES:
            _ON_PROCESSES[one.kind](self, self._place(one.target), one)
        elif first == "database":
            self._database(one)
        elif first == "provider":
            self._serve_badly(self._provider(one.target).server, one)
        else:
            _OTHERS[one.kind](self, one)

    def _for_a_while(self, one: Injection, holder: Any, name: str, value: Any, good: Any) -> None:
        setattr(holder, name, value)
        self._parts.wires.later(one.length, lambda: setattr(holder, name, good))

    def _place(self, name: str) -> Running:
        return next(place for place in self._fleet.places if place.name == name)

    def _provider(self, name: str) -> Any:
        return {"register": self._parts.register, "psp": self._parts.processor, "smtp": self._parts.mail}[name]

    def _serve_badly(self, server: Server, one: Injection) -> None:
        how = one.kind.partition(" ")[2]
        if how == "away":
            self._for_a_while(one, server, "away", True, False)
        elif how == "loses answers":
            self._for_a_while(one, server, "loses", 0.1 + 0.7 * one.amount, 0.0)
        else:
            self._for_a_while(one, server, "slow", 40.0 * one.amount if how == "slow" else 0.0, 0.0)

    def _database(self, one: Injection) -> None:
        database = self._parts.databases[one.target]
        if one.kind == "database applies in part":
            self._for_a_while(one, database, "partial", 0.1 + 0.5 * one.amount, 0.0)
        elif one.kind == "database mistakes":
            self._for_a_while(one, database, "mistaken", 0.1 + 0.5 * one.amount, 0.0)
        elif one.kind == "database slow":
            self._for_a_while(one, database.server, "slow", 6.0 * one.amount, 0.0)
        else:
            self._serve_badly(database.server, one)

    def _kill(self, place: Running, one: Injection) -> None:
        if place.process is not None and place.process.alive:
            place.process.dies_at = place.process.steps + 1 + int(one.amount**2 * 300)

    def _storm(self, place: Running, one: Injection) -> None:
        """Kill whoever runs there again and again."""
        self._kill(place, one)
        left = replace(one, length=one.length - 1.5)
        if left.length > 0 and not self._over:
            self._parts.wires.later(1.5, lambda: self._storm(place, left))

    def _stop(self, place: Running, one: Injection) -> None:
        place.stop()

    def _pause(self, place: Running, one: Injection) -> None:
        process = place.process
        if process is not None and process.alive and not process.paused:
            self._fleet.loop.pause(process, one.length)
            self._parts.broker.watch(process)

    def _clock(self, place: Running, one: Injection) -> None:
        if place.process is not None:
            skew = (one.amount - 0.4) * 120 if one.length < 12 else one.amount * 7200
            self._for_a_while(one, place.process, "clock_skew", skew, 0.0)

    def _broker(self, one: Injection) -> None:
        self._serve_badly(self._parts.broker.server, one)

    def _refuse(self, one: Injection) -> None:
        broker = self._parts.broker
        refused: set[Place] = {(one.target, n) for n in range(broker.partitions) if n == 0 or one.amount < 0.5}
        broker.refusing |= refused
        self._parts.wires.later(one.length, lambda: broker.refusing.difference_update(refused))

    def _rebalance(self, one: Injection) -> None:
        self._parts.broker.plan(one.target)

    def _redeliver(self, one: Injection) -> None:
        broker = self._parts.broker
        group = broker.group(one.target)
        for place, offset in group.offsets.items():
            group.offsets[place] = int(offset * one.amount) if one.length > 2 else max(0, offset - 3)
        broker.plan(one.target)

    def _redeliver_all(self, one: Injection) -> None:
        broker = self._parts.broker
        for name, group in broker.groups.items():
            group.offsets.clear()
            broker.plan(name)

    def _recount(self, one: Injection) -> None:
        del one
        self._parts.databases["analytics"].recounts.wanted += 1

    def _empty(self, one: Injection) -> None:
        broker: SimBroker = self._parts.broker
        if any(database.filling is None for name, database in self._parts.databases.items() if name != "vault"):
            # A service that starts for the first time ever knows of no earlier cluster: not on the very same second.
            self._parts.wires.later(0.5, lambda: self._happen(one))
            return
        broker.empty()
        self._for_a_while(one, broker.server, "away", one.length < 5, False)

    def _lies(self, one: Injection) -> None:
        self._for_a_while(one, self._provider(one.kind.partition(" ")[0]), "lies", 0.2 + 0.6 * one.amount, 0.0)

    def _defer(self, one: Injection) -> None:
        self._for_a_while(one, self._parts.mail, "defers", 0.7, 0.0)
        if one.amount < 0.2:
            self._for_a_while(one, self._parts.mail, "denies", 0.3, 0.0)

    def _webhooks(self, one: Injection) -> None:
        faults = self._people.webhook_faults
        faults |= {"dropped": one.amount, "doubled": 1 - one.amount, "late": one.length * 2}
        self._parts.wires.later(one.length * 2, faults.clear)


_ON_PROCESSES: Final[dict[str, Callable[[Faults, Running, Injection], None]]] = {
    "kill": Faults._kill,
    "storm": Faults._storm,
    "stop": Faults._stop,
    "pause": Faults._pause,
    "clock": Faults._clock,
}
_OTHERS: Final[dict[str, Callable[[Faults, Injection], None]]] = {
    "broker away": Faults._broker,
    "broker loses answers": Faults._broker,
    "topic refuses": Faults._refuse,
    "rebalance": Faults._rebalance,
    "redelivery": Faults._redeliver,
    "everything comes again": Faults._redeliver_all,
    "broker comes back empty": Faults._empty,
    "recount": Faults._recount,
    "register lies": Faults._lies,
    "psp lies": Faults._lies,
    "webhooks fail": Faults._webhooks,
    "mailboxes defer": Faults._defer,
}
