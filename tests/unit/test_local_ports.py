"""Ports of a local stack: derived, distinct, and side by side for two stacks."""

import pytest

from deploy.local.ports import (
    DEFAULT_BASE,
    DETOUR_OFFSETS,
    MEMBER_OFFSETS,
    OFFSETS,
    REPLICA_OFFSET,
    SPAN,
    check_base,
    detour_of,
    port_of,
)
from deploy.local.roles import ROLES, SANDBOXES


def test_every_process_has_its_own_port() -> None:
    """No two processes of a stack listen on the same port, and none is without one."""
    assert len(set(OFFSETS.values())) == len(OFFSETS)
    assert set(OFFSETS) >= {*ROLES, *SANDBOXES, "broker", "broker-controller", "mongo", "smtp"}


def test_documented_ports() -> None:
    """`./dev up` serves the portal page on 8100, the live page on 8140 and the mails on 8203."""
    assert [port_of(name) for name in ("intake-api", "analytics-api", "mail", "smtp")] == [8100, 8140, 8203, 8225]


def test_two_stacks_do_not_overlap() -> None:
    """Two bases that are SPAN apart share no port."""
    first = {port_of(name, DEFAULT_BASE) for name in OFFSETS}
    second = {port_of(name, DEFAULT_BASE + SPAN) for name in OFFSETS}
    assert not first & second


def test_nodes_replicas_and_detours_have_their_own_ports() -> None:
    """Second nodes, second replicas of workers and the fault proxy's listeners share no port with anything."""
    workers = [name for name in ROLES if not name.endswith("-api")]
    replicas = [OFFSETS[name] + REPLICA_OFFSET for name in workers]
    used = [*OFFSETS.values(), *MEMBER_OFFSETS.values(), *DETOUR_OFFSETS.values(), *replicas]
    assert len(set(used)) == len(used)
    assert max(used) < SPAN
    assert (port_of("broker-2"), port_of("intake-worker+2"), detour_of("mongo")) == (8195, 8105, 8210)


@pytest.mark.parametrize("base", [0, 80, 1023, 32639, 65500, 70000])
def test_impossible_base_is_refused(base: int) -> None:
    """A base that leads to privileged ports, or to ports of connections, is refused with the allowed range."""
    with pytest.raises(ValueError, match="between 1024 and 32638"):
        check_base(base)
