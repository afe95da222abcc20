"""Circuits that people can see: open since the first failure, trying, closed; and the sentence about it."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from services.intake.delays import Delays, summed
from services.intake.state import Dossier, Request, StepState
from shared.circuit import CIRCUIT_FAILURES, CIRCUIT_SECONDS, Circuit, unreachable
from shared.contracts.status import Language
from shared.errors import ProviderUnavailable
from shared.journal import Task
from shared.store.journals import MongoJournalStore
from shared.testing.environment import FakeEnvironment
from shared.work import Done
from tests.unit.sample_journal import CALL, Tally
from tests.unit.work_office import Office

MORNING = datetime(2026, 11, 20, 9, 42, tzinfo=UTC)


def test_a_circuit_is_open_since_the_first_failure_and_tries_now_and_then() -> None:
    """Closed until the fifth failure; then open since the first one; trying while one call is under way."""
    circuit = Circuit("psp")
    for number in range(CIRCUIT_FAILURES):
        assert circuit.state == "closed"
        circuit.failed(MORNING + timedelta(minutes=number))
    assert (circuit.state, circuit.since) == ("open", MORNING)
    circuit.called()
    assert circuit.state == "trying"
    circuit.failed(MORNING + timedelta(minutes=9))
    assert (circuit.state, circuit.since) == ("open", MORNING)
    circuit.called()
    circuit.succeeded()
    assert (circuit.state, circuit.since) == ("closed", None)


async def test_a_loop_tells_what_is_held_back() -> None:
    """While a provider is away the loop names it, with the kinds of work that dossiers wait for; afterwards nothing."""
    office = Office(provider="psp")
    await office.open(*(f"d{number}" for number in range(CIRCUIT_FAILURES)))
    office.provider.fails_with(ProviderUnavailable("away"))
    await office.work()
    ((circuit, kinds),) = office.loop.held_back().items()
    assert (circuit.provider, circuit.state, kinds) == ("psp", "open", [CALL])
    states = []

    async def look(_task: Task[Tally]) -> Done[Tally]:
        states.append(circuit.state)
        return Done()

    office.provider.answer = look
    await office.work(CIRCUIT_SECONDS)
    assert (states, office.loop.held_back()) == (["trying"], {})


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Der Zahlungsanbieter ist seit 10:42 nicht erreichbar; 14 Dossiers warten."),
        ("fr", "Le prestataire de paiement est inaccessible depuis 10:42; 14 dossiers attendent."),
        ("it", "Il fornitore di pagamenti non è raggiungibile dalle 10:42; 14 pratiche sono in attesa."),
        ("en", "The payment provider has not been reachable since 10:42; 14 dossiers are waiting."),
    ],
)
def test_the_sentence_names_who_since_when_and_how_many(language: Language, text: str) -> None:
    """In each language, in Zurich's time."""
    assert unreachable("psp", MORNING, 14, MORNING + timedelta(hours=1))[language] == text


def test_the_sentence_names_the_day_when_it_is_another() -> None:
    """Since yesterday needs a date; one dossier is one."""
    text = unreachable("register", MORNING, 1, MORNING + timedelta(days=1))["en"]
    assert text == "The register has not been reachable since 20.11.2026 10:42; 1 dossier is waiting."


def waiting(number: int, kind: str, since: str | None, phase: str = "open") -> Dossier:
    """A dossier with one step of a kind, whose request was delayed since then."""
    step = StepState.model_validate({"kind": kind, "request": "r", "phase": phase})
    request = Request.model_validate({"step": "s", "kind": kind, "outcome": "delayed", "delayed_since": since})
    values: dict[str, Any] = {"id": f"d{number}", "steps": {"s": step}, "requests": {"r": request}}
    return Dossier.model_construct(**values)


def test_dossiers_tell_the_outage_they_feel() -> None:
    """Per provider: since the first dossier began to wait, and how many do; steps that are over wait no longer."""
    times = [f"2026-11-20T09:{minute}:00.000Z" for minute in (44, 42, 50)]
    dossiers = [waiting(number, "payment", since) for number, since in enumerate(times)]
    dossiers += [waiting(7, "identity", times[2]), waiting(8, "payment", times[0], "done"), waiting(9, "payment", None)]
    found = summed(dossiers)
    assert {name: (delay.since, delay.waiting) for name, delay in found.items()} == {
        "psp": (MORNING, 3),
        "register": (MORNING + timedelta(minutes=8), 1),
    }


def test_a_delay_that_was_not_counted_yet_is_told_all_the_same() -> None:
    """Who has just begun to wait reads of his own dossier; a dossier that waits for nobody outside reads nothing."""
    delays = Delays(cast("MongoJournalStore", None), FakeEnvironment(MORNING + timedelta(hours=1)))
    own = waiting(1, "payment", "2026-11-20T09:42:00.000Z")
    assert delays.sentence(own, "de") == "Der Zahlungsanbieter ist seit 10:42 nicht erreichbar; 1 Dossier wartet."
    assert delays.sentence(waiting(2, "payment", None), "de") is None
