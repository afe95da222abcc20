"""The instruments of payments. Each is updated through one function, nowhere else."""

from collections.abc import Mapping

from shared.contracts.event import event_class
from shared.journal.model import Document, Watermark, Work
from shared.metrics import counter

_recorded = counter("dossierbus_payment_events_total", "Recorded facts of payments, by word.", ["event_type"])
_webhooks = counter(
    "dossierbus_payment_webhooks_total",
    "Webhooks: recorded, unchanged, unknown_payment, ignored (type), refused (signature).",
    ["outcome"],
)
_entries = counter(
    "dossierbus_bank_entries_total",
    "Entries of bank files: matched, unmatched, underpaid, overpaid, duplicate.",
    ["outcome"],
)


class PaymentCounter:
    """Listens to the journal, so that every fact is counted wherever it was decided."""

    def saved(
        self, _subject: str, _published: Watermark, events: tuple[Document, ...], _work: tuple[Work, ...]
    ) -> None:
        """Count the recorded events."""
        for document in events:
            kind = event_class(document["type"])
            if kind is not None:
                _recorded.labels(event_type=kind.word).inc()


def record_webhook(outcome: str) -> None:
    """Count a webhook by what became of it."""
    _webhooks.labels(outcome=outcome).inc()


def record_entries(outcomes: Mapping[str, int]) -> None:
    """Count the entries of a bank file."""
    for outcome, entries in outcomes.items():
        _entries.labels(outcome=outcome).inc(entries)
