"""Panels that several boards share; `only` narrows them to a service, as in `job="intake"`. Describes no board."""

from deploy.grafana.model import Panel, Query


def quantile(q: float, histogram: str, by: str, only: str = "") -> str:
    """Return the query of a quantile of a histogram over the rate interval, one line per value of `by`."""
    rate = f"rate({histogram}_bucket{{{only}}}[$__rate_interval])"
    return f"histogram_quantile({q}, sum by (le, {by}) ({rate}))"


def rate(metric: str, by: str, only: str = "") -> str:
    """Return the query of a counter's rate per second, one line per value of `by`."""
    return f"sum by ({by}) (rate({metric}{{{only}}}[$__rate_interval]))"


def lag_seconds(only: str = "") -> Panel:
    """How late each consumer group is."""
    return Panel(
        "Lag in seconds",
        "Age of the oldest event that a group has not dealt with. Normal: below 1 s; growing means it stands still.",
        (Query(f"max by (group) (dossierbus_consumer_lag_seconds{{{only}}})", "{{group}}"),),
        "s",
        limits=((60, "red"),),
    )


def lag_events(only: str = "") -> Panel:
    """How many events each consumer group is behind."""
    query = f"sum by (group) (max by (group, topic, partition) (dossierbus_consumer_lag_events{{{only}}}))"
    return Panel("Lag in events", "Events behind the ends of the topics. Normal: near 0.", (Query(query, "{{group}}"),))


def handled(only: str = "") -> Panel:
    """What becomes of consumed events."""
    return Panel(
        "Events handled per second",
        "By group and outcome. `skipped` are of no concern to the group; `dead_lettered` is never normal.",
        (Query(rate("dossierbus_events_handled_total", "group, outcome", only), "{{group}} {{outcome}}"),),
        "ops",
    )


def handling(only: str = "") -> Panel:
    """How long handling an event takes."""
    query = quantile(0.95, "dossierbus_event_handling_seconds", "group", only)
    return Panel(
        "Handling an event, p95",
        "From decoding to the save. Normal: below 0.1 s. A dot is one event: click it for its trace.",
        (Query(query, "{{group}}", exemplar=True),),
        "s",
    )


def relay_backlog(only: str = "") -> Panel:
    """What is saved and not published."""
    return Panel(
        "Relay backlog",
        "Aggregates with unpublished events. Normal: near 0; it grows while the broker is away.",
        (Query(f"max by (kind) (dossierbus_relay_backlog{{{only}}})", "{{kind}}"),),
    )


def relay_age(only: str = "") -> Panel:
    """For how long the oldest has been unpublished."""
    return Panel(
        "Oldest unpublished event",
        "Normal: below 5 s. Citizens' statuses are late by this.",
        (Query(f"max by (kind) (dossierbus_relay_oldest_seconds{{{only}}})", "{{kind}}"),),
        "s",
        limits=((60, "red"),),
    )


def work_waiting(only: str = "") -> Panel:
    """Work to do outside."""
    query = f"max by (provider, kind, state) (dossierbus_work_waiting{{{only}}})"
    return Panel(
        "Work waiting",
        "By provider, kind and whether it is due. `later` of a provider's kind was tried before, or polls.",
        (Query(query, "{{provider}} {{kind}} {{state}}"),),
    )


def work_due(only: str = "") -> Panel:
    """For how long the oldest has been due."""
    return Panel(
        "Oldest due work",
        "For how long it has been due. Normal: below 1 s; more means no place is free or its circuit is open.",
        (Query(f"max by (provider, kind) (dossierbus_work_oldest_due_seconds{{{only}}})", "{{provider}} {{kind}}"),),
        "s",
        limits=((60, "red"),),
    )


def work_done(only: str = "") -> Panel:
    """What becomes of work."""
    return Panel(
        "Work per second",
        "By kind and outcome. Normal: `done`; `again` is a provider that fails, `too_old` and `failed` are given up.",
        (Query(rate("dossierbus_work_total", "kind, outcome", only), "{{kind}} {{outcome}}"),),
        "ops",
    )


def work_seconds(only: str = "") -> Panel:
    """How long an attempt takes."""
    query = quantile(0.95, "dossierbus_work_seconds", "kind", only)
    return Panel(
        "An attempt at work, p95",
        "Call and save together. Normal: what the provider takes. A dot is one attempt: click it for its trace.",
        (Query(query, "{{kind}}", exemplar=True),),
        "s",
    )


def circuits(only: str = "") -> Panel:
    """Providers that are held back."""
    return Panel(
        "Providers not reachable",
        "For how long calls have been held back. Normal: 0.",
        (Query(f"max by (provider) (dossierbus_circuit_open_seconds{{{only}}})", "{{provider}}"),),
        "s",
        limits=((60, "red"),),
    )


def dead_letters(only: str = "") -> Panel:
    """Dossiers set aside."""
    query = f"max by (group, reason) (dossierbus_dead_letter_dossiers{{{only}}})"
    return Panel(
        "Dossiers set aside",
        "By group and reason: `refused` by our own rule, `failed` by a program's fault. Normal: 0.",
        (Query(query, "{{group}} {{reason}}"),),
        limits=((1, "red"),),
    )


def parity(only: str = "") -> Panel:
    """What the last comparison of the books found."""
    return Panel(
        "Books that differ",
        "Differences that the last hourly comparison found, by kind. Normal: 0; see docs/dead-letters.md.",
        (Query(f"max by (kind) (dossierbus_parity_drift{{{only}}})", "{{kind}}"),),
        limits=((1, "red"),),
    )


def letters_age(only: str = "") -> Panel:
    """For how long dossiers have been set aside."""
    query = f"max by (group, reason) (dossierbus_dead_letter_oldest_seconds{{{only}}})"
    return Panel(
        "Oldest dead letter",
        "For how long the first dossier of a group has been set aside. Normal: 0; redrive within a working day.",
        (Query(query, "{{group}} {{reason}}"),),
        "s",
        limits=((14_400, "red"),),
    )


def database(only: str = "") -> Panel:
    """Round trips to MongoDB."""
    query = quantile(0.95, "dossierbus_mongo_seconds", "collection, operation", only)
    return Panel(
        "MongoDB round trips, p95",
        "Durable grouped writes and grouped reads of journals. Normal: writes below 50 ms, reads below 10 ms.",
        (Query(query, "{{collection}} {{operation}}"),),
        "s",
    )


def group_commits(only: str = "") -> Panel:
    """How well writes share."""
    size = f"dossierbus_group_commit_size_{{part}}{{{only}}}"
    total, count = (
        f"sum by (collection) (rate({size}[$__rate_interval]))".replace("{part}", p) for p in ("sum", "count")
    )
    return Panel(
        "Writes per bulk write",
        "1 while there is room; it grows with the load, which keeps the cost of each write down.",
        (Query(f"{total} / {count}", "{{collection}}"),),
    )


def not_queued(only: str = "") -> Panel:
    """Reads and writes sent away."""
    total = rate("dossierbus_mongo_refused_total", "collection, operation", only)
    return Panel(
        "Reads and writes not queued",
        "Per second: too many wait for MongoDB already, and the caller is told to come again. Normal: 0.",
        (Query(f"{total} or vector(0)", "{{collection}} {{operation}}"),),
        "ops",
        limits=((0.1, "red"),),
    )


def replicas(only: str) -> Panel:
    """Who runs."""
    return Panel(
        "Replicas",
        "Processes that answer Prometheus, by role. Normal: as many as are wanted.",
        (Query(f"sum by (job, role) (up{{{only}}})", "{{job}} {{role}}"),),
    )


def processor(only: str) -> Panel:
    """Processor time by role."""
    return Panel(
        "Processor",
        "Cores in use by role. A role uses at most one: at 0.8 add a replica.",
        (Query(rate("process_cpu_seconds_total", "job, role", only), "{{job}} {{role}}"),),
        limits=((0.8, "red"),),
    )


def memory(only: str) -> Panel:
    """Resident memory by role."""
    query = f"max by (job, role) (process_resident_memory_bytes{{{only}}})"
    return Panel("Memory", "Of the largest replica.", (Query(query, "{{job}} {{role}}"),), "bytes")


def requests(only: str) -> Panel:
    """Answers by route and status."""
    return Panel(
        "Requests per second",
        "By route and status. Probes and scrapes are not counted.",
        (Query(rate("dossierbus_http_requests_total", "route, status", only), "{{route}} {{status}}"),),
        "reqps",
    )


def answers(only: str) -> Panel:
    """Time to the answer by route."""
    query = quantile(0.95, "dossierbus_http_request_seconds", "route", only)
    return Panel(
        "Time to an answer, p95",
        "By route. Normal: below 0.5 s. A dot is one request: click it for its trace.",
        (Query(query, "{{route}}", exemplar=True),),
        "s",
    )


def refused(only: str) -> Panel:
    """Requests sent away."""
    total = rate("dossierbus_http_refused_total", "reason", only)
    return Panel(
        "Requests sent away per second",
        "Before they were read, by reason: the role protects itself. Normal: 0.",
        (Query(f"{total} or vector(0)", "{{reason}}"),),
        "reqps",
    )
