"""`docs/events.md` tells the truth: its diagrams are played through the process, its arrows are subscriptions."""

import re
from itertools import pairwise

import pytest

from shared.contracts.event import events
from shared.contracts.flow import CONSUMERS, STEPS
from shared.contracts.generate import PAGE, ROOT
from shared.contracts.status import STATUS_CODES
from shared.contracts.topics import EVENT_TOPICS, events_of
from tests.contract.scenarios import CONFIRMED, FETCHED, SCENARIOS, Move, Play, play, rules, submit, told

TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
DIAGRAMS = re.findall(r"```mermaid\n(.*?)```", TEXT, re.DOTALL)
BY_SCENARIO = {found[1]: text for text in DIAGRAMS if (found := re.search(r"%% scenario: (\S+)", text))}
CLASSES = {event.__name__: event for event in events().values()}
WRITER = {event.__name__: topic.writer for topic in EVENT_TOPICS for event in events_of(topic.aggregates)}
SERVICE_OF = {"I": "intake", "B": "identity", "P": "payments", "N": "notifications"}


def _notes(diagram: str, participant: str) -> list[list[str]]:
    return [note.split(" · ") for note in re.findall(rf"Note over {participant}: (.*)", diagram)]


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_notes_over_intake_are_what_it_records(scenario: str) -> None:
    """Played with the real process, the scenario records exactly the diagram's notes, save by save."""
    assert _notes(BY_SCENARIO[scenario], "I") == await play(scenario)


def test_every_scenario_is_drawn_and_every_drawing_played() -> None:
    """No diagram in which intake decides is left unchecked."""
    assert set(BY_SCENARIO) == set(SCENARIOS)
    unchecked = [diagram for diagram in DIAGRAMS if "%% scenario" not in diagram]
    assert not any("Note over I" in diagram for diagram in unchecked)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_arrows_between_services_are_subscriptions(scenario: str) -> None:
    """An arrow with an event's name goes from the service that writes it to one whose group handles it."""
    arrows = re.findall(r"^\s*([IBPN])->>([IBPN]): (\w+)\s*$", BY_SCENARIO[scenario], re.MULTILINE)
    assert arrows
    for sender, receiver, name in arrows:
        readers = {group.partition("-")[0] for group in CONSUMERS[CLASSES[name]]}
        assert WRITER[name] == SERVICE_OF[sender], name
        assert SERVICE_OF[receiver] in readers, name


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_notes_over_other_services_name_their_own_events(scenario: str) -> None:
    """A note over identity, payments or notifications lists events that this service writes."""
    for participant in "BPN":
        for name in (word for note in _notes(BY_SCENARIO[scenario], participant) for word in note):
            assert WRITER[name] == SERVICE_OF[participant]


def test_every_ending_is_drawn() -> None:
    """Each kind of end and each status that a person can be left with appears in a diagram."""
    shown = {code for text in DIAGRAMS for code in re.findall(r"DossierStatusChanged (\w+)", text)}
    assert shown == set(STATUS_CODES)


OUTCOMES: list[tuple[str, tuple[Move, ...]]] = [
    ("IdentityConfirmed", (submit("residence"), CONFIRMED)),
    ("IdentityMismatched", (submit(), told("identity", "mismatched", "not_found"))),
    ("IdentityCheckDelayed", (submit(), told("identity", "delayed"))),
    ("IdentityCheckFailed", (submit(), told("identity", "failed", "register_unavailable"))),
    ("EvidenceFetched", (submit("residence"), CONFIRMED, FETCHED)),
    ("EvidenceDelayed", (submit("residence"), CONFIRMED, told("evidence", "delayed"))),
    ("EvidenceUnavailable", (submit("residence"), CONFIRMED, told("evidence", "unavailable", "not_found"))),
    ("CheckoutCreated", (submit("residence"), CONFIRMED, told("payment", "checkout_created", url="https://x.example"))),
    ("InvoiceIssued", (submit("residence"), CONFIRMED, told("payment", "invoiced", reference="0" * 27))),
    ("PaymentDelayed", (submit("residence"), CONFIRMED, told("payment", "delayed"))),
    ("PaymentSucceeded", (submit("residence"), CONFIRMED, told("payment", "succeeded"))),
    ("PaymentDeclined", (submit("residence"), CONFIRMED, told("payment", "declined", "card_declined"))),
    ("PaymentExpired", (submit("residence"), CONFIRMED, told("payment", "expired"))),
]


@pytest.mark.parametrize(("name", "moves"), OUTCOMES, ids=lambda value: value if isinstance(value, str) else "")
async def test_effect_on_a_step_is_what_the_table_says(name: str, moves: tuple[Move, ...]) -> None:
    """An outcome said to close a step completes it, one said to ask for a review does, any other does neither."""
    stage = Play()
    for move in moves:
        await move(stage)
    effect = STEPS[CLASSES[name]]
    recorded = stage.saves[-1]
    assert ("StepCompleted" in recorded) == effect.startswith("closes")
    assert ("ReviewRequested" in recorded) == ("asks for a review" in effect)


async def test_rules_ask_for_a_person_and_never_refuse() -> None:
    """Rules that do not hold lead to a review, not to a decision (DSG Art. 21)."""
    stage = Play()
    for move in (*SCENARIOS["success"][:6], rules("review", "residence_known")):
        await move(stage)
    assert "ReviewRequested" in stage.saves[-1]
    assert "DossierDecided" not in stage.saves[-1]


def test_headings_are_in_order() -> None:
    """The page has one title and no heading skips a level."""
    levels = [len(mark) for mark in re.findall(r"^(#+) ", TEXT, re.MULTILINE)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
