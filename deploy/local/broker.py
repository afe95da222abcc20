"""Which broker a stack runs, and why: Apache Kafka wherever it can be had, else the embedded one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from deploy.local import embedded, kafka
from deploy.local.errors import LocalError
from deploy.local.ports import detour_of, port_of

Wish = Literal["auto", "kafka", "embedded"]
Kind = Literal["kafka", "embedded"]
WISHES: tuple[str, ...] = get_args(Wish)


@dataclass(frozen=True)
class Broker:
    """The broker of a stack: which one, the sentence about why, and how to run it."""

    kind: Kind
    reason: str
    program: kafka.Kafka | embedded.Embedded


def prepare(wish: str, directory: Path, base_port: int, nodes: int = 1, *, detours: bool = False) -> Broker:
    """The broker for this machine and wish, `nodes` of them where it is Kafka. Raises LocalError when there is none."""
    members = [kafka_node(number, base_port, alone=nodes == 1, detours=detours) for number in range(1, nodes + 1)]
    return choose(
        wish,
        lambda: kafka.prepare(directory / "kafka", members),
        lambda: embedded.prepare(directory / "embedded", port_of("broker", base_port)),
    )


def kafka_node(number: int, base_port: int, *, alone: bool, detours: bool) -> kafka.Node:
    """Name and ports of one node: `broker`, `broker-2`, `broker-3`."""
    name = "broker" if number == 1 else f"broker-{number}"
    port = port_of(name, base_port)
    return kafka.Node(
        name,
        number,
        port,
        port_of(f"{name}-controller", base_port),
        detour_of(name, base_port) if detours else port,
        None if alone else port_of(f"{name}-replication", base_port),
    )


def choose(wish: str, genuine: Callable[[], kafka.Kafka], fallback: Callable[[], embedded.Embedded]) -> Broker:
    """Turn a wish into a broker: `auto` falls back and keeps the reason, the other wishes never fall back."""
    if wish not in WISHES:
        raise LocalError(f"There is no broker {wish!r}: choose one of {', '.join(WISHES)}.")
    if wish == "embedded":
        return Broker("embedded", "Embedded broker, as asked: in memory, for a first look only.", fallback())
    try:
        program = genuine()
    except LocalError as error:
        if wish == "kafka":
            raise LocalError(
                f"Apache Kafka cannot be had here. {error}: give this machine access to repo1.maven.org, "
                "or name a mirror in DOSSIERBUS_MAVEN_URL, or use --broker auto."
            ) from error
        return Broker("embedded", f"Embedded broker (in memory, for a first look only), because: {error}.", fallback())
    return Broker("kafka", f"Apache Kafka {program.version}.", program)
