"""Keeps a client to the cluster it was made for, however long its process slept. Decides nothing about what is sent.

A client of aiokafka goes on retrying at the same address, and would send its newest event to a broker that came back
empty before anybody published the older ones. A check of the time would not do: a process may be stopped right after
it. A connection, though, belongs to one cluster for all its life, so each is asked once which cluster that is.
"""

import logging
from typing import Any
from weakref import WeakSet

from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

log = logging.getLogger(__name__)


def keep_to(client: Any, cluster: str) -> None:
    """Let an `AIOKafkaClient` use connections to this cluster only; others count as a node that is not ready."""
    # aiokafka has no hook for this. Every request passes `_get_conn`; tests/integration/test_broker_guard.py says so.
    connect, known = client._get_conn, WeakSet[Any]()  # noqa: SLF001

    async def connected(node_id: Any, **how: Any) -> Any:
        while (connection := await connect(node_id, **how)) is not None and connection not in known:
            if await _cluster_of(connection) != cluster:
                log.warning("connection_refused_by_fence")
                connection.close()
                return None
            known.add(connection)
        return connection

    client._get_conn = connected  # noqa: SLF001


def named(cluster_id: str | None) -> str:
    """Return a cluster's id; old and embedded brokers may have none."""
    return cluster_id or "unnamed"


async def _cluster_of(connection: Any) -> str | None:
    try:
        answer = await connection.send(MetadataRequest([]))
    except (KafkaError, OSError, TimeoutError):
        return None
    return named(answer.cluster_id)
