"""The plan of a campaign: drawn from the seed alone, fair to everybody, and one thing at a time where it must be."""

from collections import Counter

import pytest

from deploy.local.chaos.plan import KINDS, LINKS, PROCESSES, WORKERS, Fault, plan


def test_the_same_seed_plans_the_same() -> None:
    """Two plans from one seed are equal, from another seed they differ."""
    assert plan(40, 7) == plan(40, 7)
    assert plan(40, 7) != plan(40, 8)


@pytest.mark.parametrize("kills", [1, 12, 34, 100])
def test_as_many_kills_as_asked_for_and_every_other_kind(kills: int) -> None:
    """The number is that of kill -9; every other kind comes beside them at least once."""
    faults = plan(kills, 3)
    kinds = Counter(fault.kind for fault in faults)
    assert kinds["kill"] == kills
    assert set(kinds) == set(KINDS)
    assert [fault.number for fault in faults] == list(range(len(faults)))


def test_no_load_is_disturbed_without_kills() -> None:
    """Zero kills mean no fault at all: the ground to compare with."""
    assert plan(0, 1) == ()


def test_everybody_is_killed_equally_often() -> None:
    """Each role, Kafka node and database member is killed as often as the others, but for one."""
    victims = Counter(fault.victim for fault in plan(100, 5) if fault.kind == "kill")
    assert set(victims) == set(PROCESSES)
    assert max(victims.values()) - min(victims.values()) <= 1


def test_victims_fit_their_kind() -> None:
    """Connections are disturbed where the proxy stands, consumers are added where there are some."""
    for fault in plan(100, 9):
        if fault.kind in ("delay", "cut", "half_open"):
            assert fault.victim in LINKS
        elif fault.kind == "replica":
            assert fault.victim in WORKERS
        else:
            assert fault.victim in PROCESSES


def test_moments_rise_within_the_load() -> None:
    """Faults begin in their order, after the load has begun and before it ends."""
    moments = [fault.at for fault in plan(100, 2)]
    assert moments == sorted(moments)
    assert moments[0] > 0
    assert moments[-1] < 1


def _fault(kind: str, victim: str) -> Fault:
    return Fault(0, kind, victim, 0.5, 1.0)  # type: ignore[arg-type]


def test_one_node_at_a_time() -> None:
    """All faults of one cluster share a lane, also those of the ways to it; roles have lanes of their own."""
    assert {_fault("kill", "broker-3").lane, _fault("cut", "broker").lane} == {"broker"}
    assert {_fault("freeze", "mongo").lane, _fault("step_down", "mongo").lane} == {"mongo"}
    assert _fault("kill", "intake-worker").lane != _fault("replica", "intake-worker").lane


@pytest.mark.parametrize(
    ("kind", "victim", "label"),
    [
        ("kill", "broker-2", "kill_kafka"),
        ("step_down", "mongo", "step_down_mongo"),
        ("freeze", "intake-api", "freeze_role"),
        ("replica", "intake-worker", "replica_role"),
        ("half_open", "smtp", "half_open_provider"),
        ("cut", "payments-api", "cut_provider"),
    ],
)
def test_figures_are_kept_by_kind_and_place(kind: str, victim: str, label: str) -> None:
    """A cut way to payments-api is that of the provider's webhooks, no harm to the role."""
    assert _fault(kind, victim).label == label
