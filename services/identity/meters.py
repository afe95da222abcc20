"""What is worth watching of the register. Counts calls, never names whom they were about."""

from shared.metrics import counter

_calls = counter("dossierbus_register_calls_total", "Calls to the register, by outcome.", ["operation", "outcome"])


def record_register_call(operation: str, outcome: str) -> None:
    """Count a call: answered, not_found, refused or unavailable."""
    _calls.labels(operation=operation, outcome=outcome).inc()
