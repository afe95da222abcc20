"""The fold of analytics: order across subjects, repeats and incremental counting never change a KPI."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.domain import (
    NOTHING,
    Record,
    add,
    apply,
    contribution,
    difference,
    dump,
    load,
    merge,
    relevant_events,
    subtract,
    total,
)
from services.analytics.parity import differences, totals_of
from shared.contracts import dossier, identity, notifications, payments
from shared.contracts.envelope import Received
from shared.contracts.event import events as all_events
from tests.unit.analytics_samples import Story, made, stories

seeds = st.integers(min_value=0, max_value=2**32)


def folded(events: list[Received], record: Record = NOTHING) -> Record:
    """Return the record after these events."""
    for received in events:
        record = apply(record, received.envelope, received.event)
    return record


def interleaved(events: list[Received], chance: random.Random) -> list[Received]:
    """Return the events in another order that keeps each subject's own, with repeats of what came before."""
    subjects = [event.envelope.subject for event in events]
    chance.shuffle(subjects)
    waiting = {subject: [e for e in events if e.envelope.subject == subject] for subject in subjects}
    arrived: list[Received] = []
    for subject in subjects:
        arrived.append(waiting[subject].pop(0))
        arrived += chance.sample(arrived, chance.randrange(min(3, len(arrived)) + 1))
    return arrived


@settings(deadline=None)  # the machine is shared
@given(seed=seeds, order=seeds)
def test_any_interleaving_with_any_repeats_gives_the_same_record(seed: int, order: int) -> None:
    """Arrival order across subjects and repeats, also of older events, leave no trace in the record."""
    events = Story(seed).happen()
    assert folded(interleaved(events, random.Random(order))) == folded(events)


@settings(deadline=None)
@given(seed=seeds, cut=st.integers(0, 40), other=st.integers(0, 40))
def test_merged_records_know_what_the_longer_one_knows(seed: int, cut: int, other: int) -> None:
    """Whichever of two states of a dossier is read first on recovery, the newer parts win."""
    events = Story(seed).happen()
    one, two = folded(events[:cut]), folded(events[:other])
    assert merge(one, two) == merge(two, one) == folded(events[: max(cut, other)])


@settings(deadline=None)
@given(seed=seeds)
def test_taking_off_and_putting_on_equals_counting_anew(seed: int) -> None:
    """Totals kept event by event equal the sum over the final records, to the last key."""
    records: dict[str, Record] = {}
    running: dict[str, int] = {}
    for received in interleaved([e for story in stories(4, seed % 1000) for e in story], random.Random(seed)):
        before = records.get(received.envelope.dossier, NOTHING)
        after = records[received.envelope.dossier] = apply(before, received.envelope, received.event)
        subtract(running, contribution(before))
        add(running, contribution(after))
    assert running == total(records.values())


@settings(deadline=None)
@given(seed=seeds)
def test_a_stored_record_is_read_back_the_same(seed: int) -> None:
    """The changelog keeps everything that counts, in integers and words."""
    record = folded(Story(seed).happen())
    assert load(dump(record)) == record
    assert load(None) == NOTHING


def test_a_repeat_is_told_by_the_same_object() -> None:
    """What changes nothing is not written again."""
    events = Story(1).happen()
    record = folded(events)
    assert all(apply(record, received.envelope, received.event) is record for received in events)


def test_an_event_that_does_not_count_changes_nothing() -> None:
    """Steps and delays are no KPI and cost no write."""
    story = Story(1)
    story.tell(made(dossier.StepCompleted))
    assert folded(story.events) is NOTHING


def test_a_whole_dossier_counts_where_it_should() -> None:
    """Submitted, checked, paid, refunded, decided by two authorities, closed: each once, under its last state."""
    story = Story(7)
    submitted = story.tell(made(dossier.DossierSubmitted, service="dogs"))
    for kind in (identity.IdentityCheckOpened, identity.IdentityConfirmed):
        story.tell(made(kind), ":9")
    story.tell(made(payments.PaymentOpened, amount=1500), ":10")
    story.tell(made(payments.PaymentSucceeded, amount=1500), ":10")
    story.tell(made(payments.PaymentRefunded, amount=1500), ":10")
    story.tell(made(payments.PaymentOpened, amount=2000), ":11")
    story.tell(made(notifications.MessageQueued), submitted)
    story.tell(made(dossier.EvidenceAccepted, fields_reused=4))
    story.tell(made(dossier.EvidenceAccepted, fields_reused=3))
    story.tell(made(dossier.DossierDecided, outcome="granted", automatic=False))
    story.tell(made(dossier.DossierDecided, outcome="granted", automatic=True))
    story.tell(made(dossier.DossierClosed, ending="completed"))
    counted = contribution(folded(story.events))
    durations = {path for path in counted if path.startswith(("decision/dogs/", "closing/dogs/"))}
    assert len(durations) == 2
    assert {path: n for path, n in counted.items() if path not in durations} == {
        "dossiers/dogs/completed": 1,
        "submitted": 1,
        "closed/completed": 1,
        "decided/granted/by_hand": 1,
        "reuse/accepted": 2,
        "reuse/fields": 7,
        "identity/confirmed": 1,
        "payments/refunded/count": 1,
        "payments/refunded/rappen": 1500,
        "payments/open/count": 1,
        "payments/open/rappen": 2000,
        "messages/queued": 1,
    }


def test_late_facts_still_count_after_the_end() -> None:
    """A refund and a bounced message after closing move their payment and message."""
    story = Story(3)
    story.tell(made(payments.PaymentSucceeded, amount=500), ":5")
    story.tell(made(dossier.DossierClosed, ending="withdrawn"))
    story.tell(made(payments.PaymentRefunded, amount=500), ":5")
    story.tell(made(notifications.MessageFailed), ":6")
    counted = contribution(folded(story.events))
    assert counted["payments/refunded/rappen"] == 500
    assert "payments/succeeded/count" not in counted
    assert counted["messages/failed"] == 1


def test_a_dossier_known_by_its_later_events_only_still_counts() -> None:
    """When its submission was set aside, a dossier counts by what is known, without an invented duration."""
    story = Story(3)
    story.tell(made(dossier.DossierDecided, outcome="refused", automatic=False))
    assert contribution(folded(story.events)) == {"dossiers/unknown/received": 1, "decided/refused/by_hand": 1}


def test_a_record_holds_no_personal_or_sealed_value() -> None:
    """Nothing of a person, not even encrypted, gets into the table."""
    stored = b"".join(dump(folded(story)) for story in stories(50))
    assert b"sealed:" not in stored
    assert b"token" not in stored


def test_parity_names_what_differs() -> None:
    """A lost event shows as its KPI with both figures."""
    events = Story(7).happen()
    exact = totals_of(events)
    assert differences(exact, totals_of(events, events)) == {}
    lost = [event for event in events if not isinstance(event.event, dossier.DossierSubmitted)]
    assert differences(totals_of(lost), exact)["submitted"] == (0, 1)


def test_every_event_of_an_outcome_is_counted() -> None:
    """A new event on the topics must be counted or be listed here as one that is no KPI."""
    no_kpi = {
        "StepOpened", "StepCompleted", "StepCancelled", "IdentityCheckRequested", "ConsentRequested", "ConsentGiven",
        "ConsentRefused", "EvidenceRequested", "PaymentRequested", "ReviewRequested", "ReviewCompleted",
        "RulesEvaluated", "RefundRequested", "RefundReferred", "CheckoutClosureRequested", "OutcomeRecorded",
        "DocumentIssued", "ApplicantNotified", "DossierWithdrawn", "DossierExpired",
        "IdentityCheckDelayed", "EvidenceDelayed", "CheckoutCreated", "InvoiceIssued", "PaymentDelayed",
    }  # fmt: skip
    modules = {event.__module__ for event in relevant_events()}
    known = {event.__name__ for event in all_events().values() if event.__module__ in modules}
    assert known - no_kpi == {event.__name__ for event in relevant_events()} & known


@settings(deadline=None)  # the machine is shared
@given(seed=seeds, order=seeds)
def test_the_difference_of_two_records_is_that_of_their_contributions(seed: int, order: int) -> None:
    """Looking at the changed parts alone takes off and adds what looking at everything would, read anew or not."""
    (story,) = stories(1, seed)
    record: Record = NOTHING
    for received in interleaved(list(story), random.Random(order)):
        after = apply(record, received.envelope, received.event)
        for one, other in ((record, after), (load(dump(record)), after), (after, record)):
            totals = contribution(one)
            less, more = difference(one, other)
            subtract(totals, less)
            add(totals, more)
            assert totals == contribution(other)
        record = after
