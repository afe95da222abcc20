"""Which port each process of a local stack listens on. Owns the derivation and nothing else; opens no socket.

Every port is `base + offset`, also MongoDB and Kafka, so that two stacks run side by side when their bases are at least
`SPAN` apart. `./dev up` uses base 8100: intake 8100, live page 8140, Kafka 8190, MongoDB 8192, sandboxes 8200-8204.
"""

DEFAULT_BASE = 8100
SPAN = 130

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


def port_of(name: str, base: int = DEFAULT_BASE) -> int:
    """TCP port of the process called `name` in the stack that starts at `base`. Raises KeyError for an unknown name."""
    return base + OFFSETS[name]


def check_base(base: int) -> int:
    """`base` itself when all derived ports are valid and unprivileged, else ValueError that says the allowed range."""
    highest = 65535 - SPAN
    if not 1024 <= base <= highest:
        raise ValueError(f"The base port must be between 1024 and {highest}, not {base}.")
    return base
