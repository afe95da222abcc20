"""Which port each process of a local stack listens on. Owns the derivation and nothing else; opens no socket.

Every port is `base + offset`, also MongoDB and Kafka, so that two stacks run side by side when their bases are at least
`SPAN` apart. `./dev up` uses base 8100: intake 8100, live page 8140, Kafka 8190, MongoDB 8192, sandboxes 8200-8204.
A detour is a port on which others reach a process by way of a fault proxy instead of directly.
"""

DEFAULT_BASE = 8100
SPAN = 130

FIRST_PASSING = 32_768
"""From here Linux gives ports to whoever connects (`ip_local_port_range`): a listener may find its own taken."""

OFFSETS: dict[str, int] = {
    "intake-api": 0,
    "intake-worker": 1,
    "identity-api": 10,
    "identity-worker": 11,
    "identity-reuse": 12,
    "payments-api": 20,
    "payments-worker": 21,
    "notifications-api": 30,
    "notifications-worker": 31,
    "analytics-api": 40,
    "analytics-worker": 41,
    "broker": 90,
    "broker-controller": 91,
    "mongo": 92,
    "psp": 100,
    "register": 101,
    "oidc": 102,
    "mail": 103,
    "collector": 104,
    "smtp": 125,
}

MEMBER_OFFSETS: dict[str, int] = {
    "mongo-2": 93,
    "mongo-3": 94,
    "broker-2": 95,
    "broker-2-controller": 96,
    "broker-3": 97,
    "broker-3-controller": 98,
    "broker-replication": 105,
    "broker-2-replication": 106,
    "broker-3-replication": 107,
}
"""What a stack with three nodes has beside the others."""

DETOUR_OFFSETS: dict[str, int] = {
    "mongo": 110,
    "mongo-2": 111,
    "mongo-3": 112,
    "broker": 113,
    "broker-2": 114,
    "broker-3": 115,
    "psp": 116,
    "register": 117,
    "smtp": 118,
    "payments-api": 119,
    "proxy": 120,
}
"""Where a fault proxy listens in the place of a process; `proxy` is where it takes its orders."""

REPLICA_OFFSET = 4
"""From a worker's port to that of its second replica, as in `intake-worker+2`."""


def port_of(name: str, base: int = DEFAULT_BASE) -> int:
    """TCP port of the process called `name` in the stack that starts at `base`. Raises KeyError for an unknown name."""
    role, _, replica = name.partition("+")
    offset = OFFSETS[role] if role in OFFSETS else MEMBER_OFFSETS[role]
    return base + offset + (REPLICA_OFFSET if replica else 0)


def detour_of(name: str, base: int = DEFAULT_BASE) -> int:
    """TCP port of the fault proxy's listener for `name`. Raises KeyError for what has none."""
    return base + DETOUR_OFFSETS[name]


def check_base(base: int) -> int:
    """`base` itself when all derived ports are unprivileged and no client's, else ValueError with the allowed range."""
    highest = FIRST_PASSING - SPAN
    if not 1024 <= base <= highest:
        raise ValueError(f"The base port must be between 1024 and {highest}, not {base}.")
    return base
