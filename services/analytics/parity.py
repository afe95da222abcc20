"""The KPIs from all events of all journals, by the same fold as the live ones. Pure; reads no journal itself."""

from collections.abc import Iterable

from services.analytics.domain import NOTHING, Record, Totals, apply, total
from shared.contracts.envelope import Received


def totals_of(*journals: Iterable[Received]) -> Totals:
    """Return the KPIs of these events, in any order across subjects and with any repeats.

    Equal to the live totals once the worker has read as far; a difference is a lost or a foreign event.
    """
    records: dict[str, Record] = {}
    for events in journals:
        for received in events:
            dossier = received.envelope.dossier
            records[dossier] = apply(records.get(dossier, NOTHING), received.envelope, received.event)
    return total(records.values())


def differences(live: Totals, expected: Totals) -> dict[str, tuple[int, int]]:
    """Return every KPI that differs as path -> (live, expected); empty when the live KPIs are exact."""
    paths = sorted(live.keys() | expected.keys())
    return {path: (live.get(path, 0), expected.get(path, 0)) for path in paths if live.get(path) != expected.get(path)}
