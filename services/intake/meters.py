"""The instruments of intake: what waits, for whom, and how late. Every worker tells the same: queries take `max by`."""

from shared.metrics import age, gauge

_open = gauge("dossierbus_open_dossiers", "Dossiers that have not ended.", ["service", "waiting_for"])
_overdue = gauge("dossierbus_overdue_dossiers", "Open ones beyond what was expected.", ["service", "waiting_for"])
_paid = gauge("dossierbus_paid_overdue_dossiers", "Overdue ones whose fee is paid.", ["service", "waiting_for"])
_oldest = age("dossierbus_open_dossier_oldest_seconds", "Age of the oldest open one.", ["service", "waiting_for"])
_latest = age("dossierbus_overdue_dossier_oldest_seconds", "Lateness of the latest.", ["service", "waiting_for"])
_steps = gauge("dossierbus_open_steps", "Open steps of open dossiers.", ["service", "step", "authority"])
_late_steps = gauge("dossierbus_overdue_steps", "Those of overdue dossiers.", ["service", "step", "authority"])


def record_open(
    labels: tuple[str, str],
    *,
    dossiers: int,
    overdue: int,
    paid: int,
    since: float | None,
    overdue_since: float | None,
) -> None:
    """Note how many dossiers of (service, who is waited on) are open, overdue, overdue though paid, and since when."""
    _open.labels(*labels).set(dossiers)
    _overdue.labels(*labels).set(overdue)
    _paid.labels(*labels).set(paid)
    _oldest.set(labels, since)
    _latest.set(labels, overdue_since)


def record_steps(labels: tuple[str, str, str], open_: int, overdue: int) -> None:
    """Note how often the step of (service, step, authority) is open, and in how many overdue dossiers."""
    _steps.labels(*labels).set(open_)
    _late_steps.labels(*labels).set(overdue)
