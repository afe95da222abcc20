"""The figures and verdicts of a soak: which rate is held, what counts as growing, what a dossier takes."""

from dataclasses import replace

import pytest

from deploy.local.soak.figures import BOUNDED, BY_DESIGN, GROWS, PREDICTED_MB, UNKNOWN, account, memory, waiting
from deploy.local.soak.picture import draw
from deploy.local.soak.probe import summed
from deploy.local.soak.rate import FIRST_RATE, Search, highest, overrun
from deploy.local.soak.samples import Look, Phase, Sample, steady
from deploy.local.stack import CHECKOUT
from deploy.local.tools.soak import text

MB = 1_000_000


def _sample(number: int, phase: Phase = "holding", rate: float = 1.0, grown: int = 0) -> Sample:
    """The look number so and so, one every five seconds, at one dossier a second, with each role grown by so much."""
    seconds = 5.0 * number
    rss = {"intake-worker": 200 * MB + grown, "analytics-worker": 100 * MB + grown, "mongo": 300 * MB + 9 * grown}
    cpu = dict.fromkeys(rss, 0.25 * seconds)
    done = 5 * number
    data, topics = (int(100 * PREDICTED_MB[name] * done) for name in ("mongo_data", "topics"))
    look = Look(rss, cpu, 0.5, 0.2, 3, (), data // 2, data, topics)
    return Sample(**vars(look), seconds=seconds, phase=phase, rate=rate, begun=done + 6, ended=done)


def _soak(count: int = 61, bytes_per_dossier: int = 0) -> list[Sample]:
    return [_sample(number, grown=bytes_per_dossier * 5 * number) for number in range(count)]


def test_a_search_raises_the_rate_step_by_step() -> None:
    """Before 20 minutes four are spent on twelve steps, each a quarter above the last; short soaks search for 80 s."""
    search = Search.within(20)
    assert (search.seconds, search.step_seconds) == (240, 20)
    assert [search.rate(passed) for passed in (0, 19.9, 20, 40)] == [FIRST_RATE, FIRST_RATE, 0.625, 0.78125]
    assert Search.within(2) == Search(80, 10)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"lag": 10.5}, "events waited 10 s"),
        ({"due": 39.0}, None),
        ({"due": 42.0}, "work waited 42 s"),
        ({"silent": ["intake-worker (ReadTimeout)"]}, "no figures from intake-worker (ReadTimeout)"),
        ({"begun": 26, "ended": 5}, "a journey took 21 s"),
    ],
)
def test_a_rate_is_too_high_when_something_waits_too_long(changes: dict[str, float], told: str | None) -> None:
    """Events, due work, a worker's own figures, or citizens, by Little's law."""
    assert overrun(replace(_sample(1, "seeking"), **changes)) == told  # type: ignore[arg-type]


def test_highest_rate_is_what_ended_not_what_was_offered() -> None:
    """Of 3 a second offered at last, 1.6 a second ended over the best 40 s: that is what the machine can do."""
    ended = [0, 2, 5, 9, 14, 21, 29, 36, 40, 60, 70]
    samples = [replace(_sample(number, "seeking", 3.0), ended=count) for number, count in enumerate(ended)]
    assert highest(samples) == (70 - 5) / 40
    assert highest(samples[:8]) == 0
    assert highest([replace(sample, rate=1.0) for sample in samples]) == 1.0


def test_warm_up_and_search_count_for_nothing() -> None:
    """The first fifth of the held time is left out, and all that came before."""
    samples = [_sample(0, "seeking"), _sample(1, "draining"), *(_sample(number) for number in range(2, 13))]
    assert [sample.seconds for sample in steady(samples)] == [5.0 * number for number in range(4, 13)]


def test_a_role_that_keeps_something_of_each_dossier_grows() -> None:
    """50 kB a dossier over 240 dossiers are 12 MB and more than noise: 50 kB a dossier, 3 MB a minute."""
    found = memory(steady(_soak(bytes_per_dossier=50_000)), "intake-worker")
    assert (found.bytes_per_dossier, found.kb_per_minute, found.verdict) == (50_000, 3000.0, GROWS)
    assert found.rss_end - found.rss_start == 12 * MB
    assert found.noise_per_dossier == pytest.approx(25_375)
    assert found.cpu_percent == 25.0


def test_noise_and_what_levels_off_are_bounded() -> None:
    """10 kB a dossier are within the noise of so short a soak; what stops growing half-way is a cache that is full."""
    assert memory(steady(_soak(bytes_per_dossier=10_000)), "intake-worker").verdict == BOUNDED
    filling = [_sample(number, grown=min(20, number) * MB) for number in range(61)]
    assert memory(filling, "intake-worker").bytes_per_dossier > 0
    assert memory(filling, "intake-worker").verdict == BOUNDED


def test_the_kpi_worker_may_keep_its_records_and_no_more() -> None:
    """It keeps a record per dossier: 10 kB are allowed, 50 kB are not."""
    long = [replace(sample, ended=20 * sample.ended) for sample in _soak()]
    records = [replace(one, rss={"analytics-worker": 100 * MB + 2_000 * one.ended}) for one in long]
    assert memory(records, "analytics-worker").verdict == BY_DESIGN
    assert memory(steady(_soak(bytes_per_dossier=50_000)), "analytics-worker").verdict == GROWS


def test_a_queue_is_bounded_by_its_line_and_its_highest() -> None:
    """Lag that rises by 0.1 s every 5 s grows; one peak of 31 s is too much; a little up and down is neither."""
    rising = [replace(sample, lag=0.1 * number) for number, sample in enumerate(_soak())]
    found = waiting(rising, lambda one: one.lag, 2, 30)
    assert (found.max, found.per_minute, found.verdict) == (6.0, 1.2, GROWS)
    peak = [replace(sample, lag=31.0 if number == 30 else 0.5) for number, sample in enumerate(_soak())]
    assert waiting(peak, lambda one: one.lag, 2, 30).verdict == GROWS
    restless = [replace(sample, lag=float(number % 3)) for number, sample in enumerate(_soak())]
    assert waiting(restless, lambda one: one.lag, 2, 30).verdict == BOUNDED
    assert waiting(restless[:3], lambda one: one.lag, 2, 30).verdict == UNKNOWN


def test_account_of_a_good_soak() -> None:
    """Five minutes at one a second with sizes as predicted are fine; sandboxes and databases are told, not judged."""
    told = account(_soak(), [], None)
    assert (told["ok"], told["minutes"], told["rate"], told["dossiers"]) == (True, 5.0, 1.0, 300)
    assert (told["mongo_data_bytes_per_dossier"], told["topic_bytes_per_dossier"]) == (59_000, 44_000)
    assert (told["highest_rate"], told["limit"]) == (0, None)
    assert (told["journal_bytes_per_dossier"], told["lag_max_s"], told["ended_per_second"]) == (29_500, 0.5, 1.0)
    assert set(told["roles"]) == {"intake-worker", "analytics-worker"}
    assert set(told["others"]) == {"mongo"}
    assert {"rss_start", "rss_end", "bytes_per_dossier"} <= set(told["roles"]["intake-worker"])
    assert "| mongo | 300 to 300 |" in text(told, CHECKOUT)


@pytest.mark.parametrize("wrong", ["growth", "sizes", "failure", "stopped"])
def test_account_of_a_bad_soak(wrong: str) -> None:
    """A role that grows, sizes other than predicted, a journey that failed, an end before its time: none is fine."""
    samples = _soak(bytes_per_dossier=50_000 if wrong == "growth" else 0)
    if wrong == "sizes":
        samples = [replace(sample, topics=sample.topics * 2) for sample in samples]
    told = account(samples, ["x"] if wrong == "failure" else [], "interrupted" if wrong == "stopped" else None)
    assert told["ok"] is False


def test_account_of_a_soak_that_never_held() -> None:
    """Interrupted while the rate was still sought: no figures, but an account and no picture."""
    told = account([_sample(0, "seeking")], [], "interrupted")
    assert (told["ok"], told["dossiers"], told["stopped"]) == (False, 0, "interrupted")
    assert "not held for long enough" in text(told, CHECKOUT)
    assert draw([_sample(0, "seeking")]) == ""


def test_picture_has_a_panel_per_role_and_one_of_lag() -> None:
    """What is no role has no panel; the title tells rate and dossiers."""
    picture = draw(_soak(bytes_per_dossier=50_000))
    assert picture.count("<polyline") == 3
    assert "1.00 dossiers a second (300 dossiers" in picture
    assert "+50.0 kB a dossier" in picture


def test_replicas_tell_the_same_backlog() -> None:
    """Of pages of metrics the oldest event and work count, and of each kind of aggregate the largest backlog."""
    pages = [
        'dossierbus_consumer_lag_seconds{group="intake",topic="a",partition="1"} 2.5\n'
        'dossierbus_relay_backlog{kind="dossier"} 4.0\nother{x="y"} 99.0\n',
        'dossierbus_relay_backlog{kind="dossier"} 5.0\ndossierbus_relay_backlog{kind="check"} 1.0\n'
        'dossierbus_work_oldest_due_seconds{kind="mail",provider="smtp"} 1.5\n',
    ]
    assert summed(pages) == (2.5, 1.5, 6)


def test_predictions_are_those_of_the_page() -> None:
    """What sizes are compared with stands in docs/price.md."""
    page = (CHECKOUT / "docs" / "price.md").read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(): line.split("|")[2].strip() for line in page.splitlines() if line.count("|") == 4
    }
    found = {"mongo_data": "MongoDB data before", "topics": "event topics"}
    for name, begins in found.items():
        assert [value for row, value in rows.items() if row.startswith(begins)] == [str(PREDICTED_MB[name])]
