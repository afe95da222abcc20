"""The board of what citizens feel: how many come, who waits and how late, how long a decision takes, what fails."""

from typing import Final

from deploy.grafana.model import Board, Panel, Query, Row, Variable

_SERVICE: Final = '{service=~"$service"}'
_SUBMITTED: Final = 'method="POST", route="/v1/dossiers", service="intake"'


def _count(by: str, metric: str) -> str:
    return f"sum by ({by}) (max by (service, waiting_for) ({metric}{_SERVICE}))"


def _quantile(q: float, metric: str) -> str:
    return f"histogram_quantile({q}, sum by (le) (max by (service, le) ({metric}{_SERVICE})))"


def _steps(metric: str) -> str:
    return f"sum by (step, authority) (max by (service, step, authority) ({metric}{_SERVICE}))"


def _stat(title: str, text: str, expression: str, unit: str = "short", limit: float | None = None) -> Panel:
    limits = () if limit is None else ((limit, "red"),)
    return Panel(title, text, (Query(expression),), unit, "stat", 4, limits)


_NOW: Final = Row(
    "Now",
    (
        _stat(
            "Submitted in 24 hours",
            "Dossiers handed in. Normal: the usual number of the weekday; 0 in office hours is suspicious.",
            "max(dossierbus_kpi_submitted_dossiers) - (max(dossierbus_kpi_submitted_dossiers offset 24h) or vector(0))",
        ),
        _stat(
            "Open",
            "Dossiers that have not ended. Normal: a few days' submissions.",
            "sum(max by (service, waiting_for) (dossierbus_open_dossiers" + _SERVICE + "))",
        ),
        _stat(
            "Beyond expectation",
            "Open dossiers later than the applicant was told. Normal: 0.",
            "sum(max by (service, waiting_for) (dossierbus_overdue_dossiers" + _SERVICE + "))",
            limit=1,
        ),
        _stat(
            "Paid, not advanced",
            "The fee is paid and the status still asks for it. Normal: 0, for seconds 1.",
            "sum(max by (service) (dossierbus_kpi_paid_waiting_dossiers" + _SERVICE + "))",
            limit=1,
        ),
        _stat(
            "Messages that failed",
            "Messages that will never arrive, since the beginning. Normal: hardly grows.",
            'max(dossierbus_kpi_messages{state="failed"})',
        ),
        _stat(
            "Age of these figures",
            "How old the oldest part of the KPIs is. Normal: below 10 s.",
            "max(dossierbus_kpi_age_seconds)",
            "s",
            60,
        ),
    ),
)

_PORTAL: Final = Row(
    "The portal",
    (
        Panel(
            "Submissions",
            "Dossiers handed in per hour, by answer. Normal: 201 only; 4xx is a front end's mistake, 5xx ours.",
            (
                Query(
                    "sum by (status) (rate(dossierbus_http_requests_total{"
                    + _SUBMITTED
                    + "}[$__rate_interval])) * 3600",
                    "{{status}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Answers that failed",
            "Share of the portal's requests answered with 5xx. Normal: 0; the objective is below 0.1 %.",
            (
                Query(
                    '(sum(rate(dossierbus_http_requests_total{service="intake", status=~"5.."}[$__rate_interval]))'
                    ' or vector(0)) / sum(rate(dossierbus_http_requests_total{service="intake"}[$__rate_interval]))',
                    "share",
                ),
            ),
            "percentunit",
            limits=((0.001, "red"),),
        ),
        Panel(
            "Time to an answer",
            "Of the portal's requests. Normal: p95 below 0.5 s. A dot is one request: click it for its trace.",
            tuple(
                Query(
                    f"histogram_quantile({q}, sum by (le) (rate("
                    'dossierbus_http_request_seconds_bucket{service="intake"}[$__rate_interval])))',
                    f"p{round(q * 100)}",
                    exemplar=q == 0.95,
                )
                for q in (0.5, 0.95, 0.99)
            ),
            "s",
            limits=((0.5, "red"),),
        ),
    ),
)

_WAITING_ROW: Final = Row(
    "Waiting",
    (
        Panel(
            "Open dossiers by who is waited on",
            "Normal: mostly `applicant`. A growing `register`: a register is away; `authority`: staff are behind.",
            (Query(_count("waiting_for", "dossierbus_open_dossiers"), "{{waiting_for}}"),),
            stacked=True,
        ),
        Panel(
            "Beyond expectation by who is waited on",
            "Open dossiers later than the applicant was told. Normal: 0 for `authority` and `register`.",
            (Query(_count("waiting_for", "dossierbus_overdue_dossiers"), "{{waiting_for}}"),),
            limits=((1, "red"),),
        ),
        Panel(
            "Paid and beyond expectation",
            "Overdue dossiers whose fee is paid, by service. Normal: 0; these people call first.",
            (Query(_count("service", "dossierbus_paid_overdue_dossiers"), "{{service}}"),),
            limits=((1, "red"),),
        ),
        Panel(
            "Open steps by step and authority",
            "How many dossiers stand at a step, and with whom. A dossier with two open steps counts at both.",
            (Query(_steps("dossierbus_open_steps")),),
            kind="table",
        ),
        Panel(
            "Overdue steps by step and authority",
            "Open steps of dossiers beyond expectation. Normal: all 0; ask the authority that is not.",
            (Query(_steps("dossierbus_overdue_steps")),),
            kind="table",
            limits=((1, "red"),),
        ),
        Panel(
            "Longest waits",
            "Age of the oldest open dossier, and how far the latest is beyond what its applicant was told.",
            (
                Query("max(dossierbus_open_dossier_oldest_seconds" + _SERVICE + ")", "oldest open"),
                Query("max(dossierbus_overdue_dossier_oldest_seconds" + _SERVICE + ")", "latest overdue"),
            ),
            "s",
        ),
    ),
)

_DECIDED: Final = Row(
    "Decided",
    (
        Panel(
            "Time to decision",
            "From submission to decision, over all dossiers, estimated within fixed buckets. Compare with the targets.",
            tuple(
                Query(_quantile(q, "dossierbus_kpi_decision_seconds_dossiers"), f"p{round(q * 100)}")
                for q in (0.5, 0.9)
            ),
            "s",
        ),
        Panel(
            "Time to closing",
            "From submission to the end, however it ended, over all dossiers.",
            tuple(
                Query(_quantile(q, "dossierbus_kpi_closing_seconds_dossiers"), f"p{round(q * 100)}") for q in (0.5, 0.9)
            ),
            "s",
        ),
        Panel(
            "Decisions",
            "By outcome and how. Normal: `automatic` grows fastest; a jump of `by_hand` means rules stopped fitting.",
            (Query("max by (outcome, kind) (dossierbus_kpi_decided_dossiers)", "{{outcome}} {{kind}}"),),
        ),
        Panel(
            "Endings",
            "Closed dossiers by ending. Normal: `completed` grows fastest; `expired` shows forgotten applicants.",
            (Query("max by (state) (dossierbus_kpi_closed_dossiers)", "{{state}}"),),
        ),
        Panel(
            "Dossiers by public status",
            "What applicants read when they look.",
            (
                Query(
                    "sum by (status) (max by (service, status) (dossierbus_kpi_dossiers" + _SERVICE + "))", "{{status}}"
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Reused instead of typed",
            "Evidence that applicants accepted or rejected, and the fields they need not type.",
            (Query("max by (state) (dossierbus_kpi_reuse)", "{{state}}"),),
        ),
    ),
)

_MONEY: Final = Row(
    "Money and messages",
    (
        Panel(
            "Payments by state",
            "Attempts to collect a fee. Normal: `succeeded` grows; `open` is bounded by the time to pay.",
            (Query("max by (state) (dossierbus_kpi_payments)", "{{state}}"),),
        ),
        Panel(
            "Amounts by state",
            "In rappen. `refunded` grows with withdrawals and refusals.",
            (Query("max by (state) (dossierbus_kpi_payments_rappen)", "{{state}}"),),
        ),
        Panel(
            "Paid, not advanced",
            "The fee is paid and the status still asks for it, by service. Normal: 0, for seconds 1.",
            (Query("max by (service) (dossierbus_kpi_paid_waiting_dossiers" + _SERVICE + ")", "{{service}}"),),
            limits=((1, "red"),),
        ),
        Panel(
            "Messages by outcome",
            "Normal: `sent` grows, `queued` returns to 0, `failed` hardly grows.",
            (Query("max by (state) (dossierbus_kpi_messages)", "{{state}}"),),
        ),
        Panel(
            "Mails handed over per minute",
            "Attempts by outcome. Normal: `taken`; `unavailable` means the mail server is away and mails wait.",
            (Query("sum by (outcome) (rate(dossierbus_mail_deliveries_total[$__rate_interval])) * 60", "{{outcome}}"),),
        ),
        Panel(
            "Identity checks and evidence",
            "By outcome. A growing `open` means a register that does not answer.",
            (
                Query("max by (state) (dossierbus_kpi_identity)", "check {{state}}"),
                Query("max by (state) (dossierbus_kpi_evidence)", "evidence {{state}}"),
            ),
        ),
    ),
)

CITIZENS: Final = Board(
    "dossierbus-citizens",
    "Dossierbus: citizens",
    "What citizens feel. Look here first. Figures that replicas tell alike are taken once (max by), so that nothing "
    "is counted twice.",
    (_NOW, _PORTAL, _WAITING_ROW, _DECIDED, _MONEY),
    (Variable("service", "Municipal service", "label_values(dossierbus_open_dossiers, service)"),),
)
