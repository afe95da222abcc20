"""Bugs that the simulation found in the product: each is mended, and stays found if somebody brings it back."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.environment import Environment, timestamp
from tests.simulation.plans import Plan
from tests.simulation.scenario import Injection, Scenario, scenario
from tests.simulation.small import SimLeases
from tests.simulation.store import SimDatabase
from tests.simulation.wiring import plugged
from tests.simulation.world import World, live

ONE_EACH = dict.fromkeys(scenario(0).replicas, 1)
CARDS = tuple(
    Plan(number, "residence-by-card", "residence-certificate", start=1.3 + 0.2 * number) for number in range(3)
)
WELL = range(6)
BADLY = range(30)

Bug = Callable[[pytest.MonkeyPatch], None]


def talk_to_any_cluster(patch: pytest.MonkeyPatch) -> None:
    """Let a client go on with the broker that took the place of its own."""
    patch.setattr("shared.kafka.client.keep_to", lambda _client, _cluster: None)
    patch.setattr("shared.kafka.reader.keep_to", lambda _client, _cluster: None)


def wait_for_a_clock_that_was_ahead(patch: pytest.MonkeyPatch) -> None:
    """Believe every lease to its end."""

    class BelievedLeases:
        def __init__(self, database: SimDatabase, environment: Environment) -> None:
            self._honest, self._database, self._environment = SimLeases(database, environment), database, environment

        async def acquire(self, name: str, holder: str, length: timedelta) -> bool:
            held, until = self._database.leases.get(name, (holder, ""))
            believed = held == holder or until < timestamp(self._environment.now())
            return believed and await self._honest.acquire(name, holder, length)

    patch.setattr("shared.runtime.MongoLeases", BelievedLeases)


def happens(at: float, kind: str, target: str = "", length: float = 1.0, amount: float = 0.5) -> Injection:
    """Return an injection."""
    return Injection(at, kind, target, length, amount)


FOUND: tuple[tuple[Bug, int, tuple[Injection, ...]], ...] = (
    # A role sleeps while the broker is replaced and filled again; it wakes with a new event.
    (talk_to_any_cluster, 8, (happens(4.0, "pause", "intake-worker-0", 9.0), happens(4.5, "broker comes back empty"))),
    # The sweeper's clock is two hours ahead when it dies; another is needed for what could not be published.
    (
        wait_for_a_clock_that_was_ahead,
        0,
        (
            happens(1.5, "clock", "intake-worker-0", 13.0, 1.0),
            happens(2.0, "topic refuses", "intake.events", 8.0, 0.1),
            happens(5.0, "kill", "intake-worker-0", 1.0, 0.1),
        ),
    ),
)
"""The remedy taken away, a seed at which that shows, and what has to happen."""


@pytest.mark.parametrize(("bug", "known", "injections"), FOUND, ids=[bug.__name__ for bug, _, _ in FOUND])
def test_bug_is_gone(bug: Bug, known: int, injections: tuple[Injection, ...]) -> None:
    """What went wrong goes well now, and would go wrong again without the remedy."""
    chosen = Scenario(1, True, ONE_EACH, CARDS, injections)
    with pytest.MonkeyPatch.context() as patch, plugged():
        assert [seed for seed in (known, *WELL) if live(seed, chosen, plug=False).violations] == []
        bug(patch)
        assert any(live(seed, chosen, plug=False).violations for seed in (known, *BADLY))


def test_groups_read_again_what_a_late_commit_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka stores a commit repeated after a rebalance though others have read on: nothing happens twice for it."""
    rest = World._rest

    async def set_back_and_rest(world: World) -> bool:
        offsets = world.broker.group("intake").offsets
        offsets.update(dict.fromkeys(offsets, 0))
        return await rest(world)

    monkeypatch.setattr(World, "_rest", set_back_and_rest)
    found = live(3, Scenario(1, True, ONE_EACH, CARDS, (happens(40.0, "pause", "intake-worker-0"),)))
    assert any("intake reads again what a late commit set back" in line for line in found.log)
    assert found.violations == ()
