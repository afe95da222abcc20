"""One board per service: its processes, its API, its events and work, and what only it knows."""

from typing import Final

from deploy.grafana import parts
from deploy.grafana.model import Board, Panel, Query, Row

_INTAKE: Final = (
    Panel(
        "Open dossiers",
        "By who is waited on; the citizens' board tells more.",
        (Query("sum by (waiting_for) (max by (service, waiting_for) (dossierbus_open_dossiers))", "{{waiting_for}}"),),
    ),
    Panel(
        "Beyond expectation",
        "By municipal service. Normal: 0.",
        (Query("sum by (service) (max by (service, waiting_for) (dossierbus_overdue_dossiers))", "{{service}}"),),
        limits=((1, "red"),),
    ),
    Panel(
        "Submitted",
        "Dossiers handed in since the beginning, as analytics counts them.",
        (Query("max(dossierbus_kpi_submitted_dossiers)", "dossiers"),),
    ),
)
_IDENTITY: Final = (
    Panel(
        "Calls to the register per second",
        "By operation and outcome. `not_found` is an answer; `refused` and `unavailable` are the register's trouble.",
        (Query(parts.rate("dossierbus_register_calls_total", "operation, outcome"), "{{operation}} {{outcome}}"),),
        "ops",
    ),
    Panel(
        "Checks",
        "Identity checks by outcome. A growing `open` means the register does not answer.",
        (Query("max by (state) (dossierbus_kpi_identity)", "{{state}}"),),
    ),
    Panel(
        "Evidence",
        "Fetches by outcome.",
        (Query("max by (state) (dossierbus_kpi_evidence)", "{{state}}"),),
    ),
)
_PAYMENTS: Final = (
    Panel(
        "Facts per minute",
        "Recorded facts of payments. `payment_declined` in numbers means a card network in trouble.",
        (
            Query(
                "sum by (event_type) (rate(dossierbus_payment_events_total[$__rate_interval])) * 60", "{{event_type}}"
            ),
        ),
    ),
    Panel(
        "Webhooks per minute",
        "By outcome. `refused` has a wrong signature; `unknown_payment` belongs to another installation.",
        (Query("sum by (outcome) (rate(dossierbus_payment_webhooks_total[$__rate_interval])) * 60", "{{outcome}}"),),
    ),
    Panel(
        "Entries of bank files",
        "In the last day. `unmatched`, `underpaid` and `overpaid` need a person of the accounts office.",
        (Query("sum by (outcome) (increase(dossierbus_bank_entries_total[24h]))", "{{outcome}}"),),
    ),
)
_NOTIFICATIONS: Final = (
    Panel(
        "Mails handed over per minute",
        "By outcome. `deferred`: one mailbox is busy; `unavailable`: the mail server is away.",
        (Query("sum by (outcome) (rate(dossierbus_mail_deliveries_total[$__rate_interval])) * 60", "{{outcome}}"),),
    ),
    Panel(
        "Messages",
        "By outcome. Normal: `queued` returns to 0, `failed` and `suppressed` hardly grow.",
        (Query("max by (state) (dossierbus_kpi_messages)", "{{state}}"),),
    ),
)
_ANALYTICS: Final = (
    Panel(
        "Age of the figures",
        "Of the oldest partition's share. Normal: below 10 s.",
        (Query("max(dossierbus_kpi_age_seconds)", "age"),),
        "s",
        limits=((60, "red"),),
    ),
    Panel(
        "Changelog",
        "Record changes that the broker has not acknowledged. Normal: returns to 0.",
        (Query("sum(dossierbus_analytics_unsettled_writes)", "writes"),),
    ),
    Panel(
        "Dossiers counted",
        "By municipal service. Never falls: a fall is a counting error.",
        (Query("sum by (service) (max by (service, status) (dossierbus_kpi_dossiers))", "{{service}}"),),
    ),
)


def _board(name: str, special: tuple[Panel, ...], *, journals: bool = True, works: bool = True) -> Board:
    only = f'job="{name}"'
    events = (parts.lag_seconds(only), parts.handled(only), parts.handling(only))
    letters = (parts.dead_letters(only), parts.letters_age(only))
    relay = (parts.relay_backlog(only), parts.relay_age(only), parts.database(only)) if journals else ()
    outside = (parts.work_waiting, parts.work_due, parts.work_done, parts.work_seconds)
    work = [panel(only) for panel in outside] if works else []
    if works and name != "intake":
        work.append(parts.circuits(only))
    rows = [
        Row(f"What only {name} knows", special),
        Row("Processes", (parts.replicas(only), parts.processor(only), parts.memory(only))),
        Row("API", (parts.requests(only), parts.answers(only), parts.refused(only))),
        Row("Events", (*events, *relay, *letters)),
    ]
    if work:
        rows.append(Row("Work outside", tuple(work)))
    return Board(
        f"dossierbus-{name}",
        f"Dossierbus: {name}",
        f"The service {name}: its roles, its API, its events and work.",
        tuple(rows),
        logs=f'{{service_name=\\"dossierbus\\"}} | role=~\\"{name}.*\\"',
    )


SERVICES: Final = (
    _board("intake", _INTAKE),
    _board("identity", _IDENTITY),
    _board("payments", _PAYMENTS),
    _board("notifications", _NOTIFICATIONS),
    _board("analytics", _ANALYTICS, journals=False, works=False),
)
