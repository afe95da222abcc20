"""Identity against a register that is down, slow, wrong or does not know our token."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from deploy.local.sandbox.testing import free_port
from services.identity.register import (
    Applicant,
    HttpRegister,
    RegisterRefused,
    open_register,
)
from shared.errors import ProviderUnavailable
from shared.testing.telemetry import recorded_logs
from tests.integration.identity_town import (
    LEA,
    TOKEN,
    Sandbox,
    Town,
    running_register,
    words,
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One register for all tests of the module."""
    with running_register(tmp_path_factory.mktemp("register")) as register:
        yield register


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The register, well behaved before and after each test."""
    running.recover()
    yield running
    running.recover()


@pytest.fixture
async def town(sandbox: Sandbox) -> AsyncIterator[Town]:
    """The service with the sandbox as its register."""
    async with open_register(sandbox.url, SecretStr(TOKEN)) as register:
        yield Town(register)


async def test_outage_delays_then_succeeds(town: Town, sandbox: Sandbox) -> None:
    """While the register answers 5xx nothing is lost: the delay is told once, then the check ends by itself."""
    sandbox.break_down(error_rate=1, status=503)
    subject = await town.request_check()
    await town.work()
    assert words(await town.told(town.checks, subject)) == ["identity_check_opened"]
    await town.work(timedelta(minutes=6))
    await town.work(timedelta(minutes=6))
    sandbox.recover()
    await town.work(timedelta(minutes=8))
    events = await town.told(town.checks, subject)
    assert words(events) == ["identity_check_opened", "identity_check_delayed", "identity_confirmed"]
    assert events[1].model_dump()["attempts"] == 2


async def test_lost_answers_are_asked_again(town: Town, sandbox: Sandbox) -> None:
    """An answer cut off in the middle is an outage, never half a record."""
    sandbox.break_down(lose_answers=1)
    subject = await town.request_evidence("residence_record")
    await town.work()
    sandbox.recover()
    await town.work(timedelta(minutes=1))
    assert words(await town.told(town.evidence, subject)) == ["evidence_fetch_opened", "evidence_fetched"]


async def test_outage_of_a_day_ends_visibly(town: Town, sandbox: Sandbox) -> None:
    """After 24 hours a check fails and evidence is unavailable, so that a person can step in; later news are void."""
    sandbox.break_down(error_rate=1, status=500)
    check, fetch = await town.request_check(), await town.request_evidence("debt_entries")
    await town.work()
    await town.work(timedelta(hours=23))
    sandbox.recover()
    await town.work(timedelta(hours=2))
    checked, fetched = await town.told(town.checks, check), await town.told(town.evidence, fetch)
    assert words(checked) == ["identity_check_opened", "identity_check_delayed", "identity_check_failed"]
    assert checked[-1].model_dump()["reason"] == "register_unavailable"
    assert words(fetched) == ["evidence_fetch_opened", "evidence_delayed", "evidence_unavailable"]
    assert fetched[-1].model_dump()["reason"] == "source_unavailable"
    assert await town.work(timedelta(days=3)) == 0


async def test_hanging_register_is_an_outage(sandbox: Sandbox) -> None:
    """A register that takes the request and never answers is given up in time."""
    sandbox.break_down(hang_seconds=0.5)
    async with open_register(sandbox.url, SecretStr(TOKEN)) as register:
        impatient = HttpRegister(register._http, total_seconds=0.1)
        with pytest.raises(ProviderUnavailable):
            await impatient.search(Applicant.model_validate(LEA))


async def test_register_that_is_not_there_is_an_outage() -> None:
    """A refused connection waits like every outage."""
    async with open_register(f"http://127.0.0.1:{free_port()}", SecretStr(TOKEN)) as register:
        with pytest.raises(ProviderUnavailable):
            await register.residence("1000000")


async def test_wrong_token_loses_nothing_and_alarms(sandbox: Sandbox) -> None:
    """With a token the register refuses, work waits, and an error is logged for the operator without any name."""
    async with open_register(sandbox.url, SecretStr("not-the-token")) as register:
        town = Town(register)
        with recorded_logs() as lines:
            subject = await town.request_check()
            await town.work()
    assert words(await town.told(town.checks, subject)) == ["identity_check_opened"]
    alarms = [line for line in lines if line["event"] == "register_refuses_our_token"]
    assert [line["level"] for line in alarms] == ["ERROR"]
    assert "Muster" not in str(lines)
    assert "7569217076985" not in str(lines).replace(".", "")


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"matches": [{"localPersonId": "1"}]}'])
async def test_unreadable_answer_is_an_outage(body: bytes) -> None:
    """What does not have the agreed shape is never taken for an answer."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=body))
    register = HttpRegister(httpx.AsyncClient(base_url="http://register.example", transport=transport))
    with pytest.raises(ProviderUnavailable):
        await register.search(Applicant.model_validate(LEA))


@pytest.mark.parametrize(
    ("status", "error"),
    [(302, ProviderUnavailable), (404, ProviderUnavailable), (429, ProviderUnavailable), (422, RegisterRefused)],
)
async def test_statuses_of_a_search(status: int, error: type[Exception]) -> None:
    """A search that does not exist or is held back waits; one that the register cannot accept does not."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(status))
    register = HttpRegister(httpx.AsyncClient(base_url="http://register.example", transport=transport))
    with pytest.raises(error):
        await register.search(Applicant.model_validate(LEA))


async def test_refused_question_fails_the_check(town: Town) -> None:
    """Personal values that the register cannot accept end the check visibly, and no value gets into the logs."""
    with recorded_logs() as lines:
        subject = await town.request_check(ahv=None, date_of_birth="17. Mai 1990")
        await town.work()
    events = await town.told(town.checks, subject)
    assert words(events)[1:] == ["identity_check_failed"]
    assert events[1].model_dump()["reason"] == "failed"
    assert "Mai 1990" not in str(lines)
