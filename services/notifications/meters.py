"""What is worth watching of the mail server. Counts deliveries, never names recipients."""

from shared.metrics import counter

_deliveries = counter("dossierbus_mail_deliveries_total", "Attempts to hand over a mail, by outcome.", ["outcome"])


def record_delivery(outcome: str) -> None:
    """Count an attempt: taken, refused, deferred (this mailbox is busy) or unavailable (the server is)."""
    _deliveries.labels(outcome=outcome).inc()
