"""Notifications against a mail server that defers, hangs, drops the line or refuses us."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from shared.testing.telemetry import recorded_logs
from tests.integration.notifications_town import USEFUL, Sandbox, Town, running_mail_server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One mail server for all tests of the module."""
    with running_mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The mail server, empty and well behaved before each test and well behaved after it."""
    running.reset()
    yield running
    running.recover()


@pytest.fixture
def town(sandbox: Sandbox) -> Town:
    """The service with the sandbox as its mail server."""
    return Town(sandbox.smtp_port)


async def test_server_that_defers_gets_the_mail_later(town: Town, sandbox: Sandbox) -> None:
    """A 4xx after DATA loses nothing: the mail arrives once the server is well."""
    sandbox.break_down(error_rate=1, status=451)
    message = await town.tell()
    await town.work()
    assert await town.told(message) == []
    sandbox.recover()
    await town.work(timedelta(minutes=1))
    assert await town.told(message) == [("message_sent", 2)]
    assert len(sandbox.mails()) == 1


async def test_lost_answer_repeats_the_same_mail(town: Town, sandbox: Sandbox) -> None:
    """When the line dies after the text was taken, the second copy carries the same Message-ID."""
    sandbox.break_down(drop_after_data=1)
    message = await town.tell()
    await town.work()
    await town.work(timedelta(minutes=1))
    first, second = sandbox.mails()
    assert first["message_id"] == second["message_id"]
    assert await town.told(message) == [("message_sent", 2)]


async def test_busy_mailbox_holds_up_nobody_else(town: Town, sandbox: Sandbox) -> None:
    """However many mailboxes are busy, mails to others go out at once: the server counts as well."""
    sandbox.break_down(defer_recipients="busy*")
    busy = [await town.tell(f"b{number}", email=f"busy{number}@example.ch") for number in range(8)]
    await town.work()
    other = await town.tell("d9")
    await town.work()
    assert await town.told(other) == [("message_sent", 1)]
    sandbox.recover()
    await town.work(timedelta(minutes=1))
    assert [await town.told(message) for message in busy] == [[("message_sent", 2)]] * 8


async def test_hanging_server_is_given_up_in_time(sandbox: Sandbox) -> None:
    """A server that never answers costs each mail a bounded time, and the mail is tried again."""
    town = Town(sandbox.smtp_port, total_seconds=0.2)
    sandbox.break_down(hang_seconds=0.6)
    message = await town.tell()
    async with asyncio.timeout(5):
        await town.work()
    assert await town.told(message) == []
    sandbox.recover()
    await town.work(timedelta(minutes=1))
    assert await town.told(message) == [("message_sent", 2)]


async def test_silent_server_does_not_stall_the_consumer() -> None:
    """While a server accepts connections and says nothing, further events are still taken, eight mails at a time."""
    held = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    town = Town(server.sockets[0].getsockname()[1], total_seconds=0.3)
    for number in range(20):
        await town.tell(f"d{number}")
    assert await town.loop.start_due() == 8
    late = await town.tell("late")
    assert await town.told(late) == []
    await town.loop.settle()
    assert await town.told("d0:2") == []
    held.set()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("greeting", [b"554 no service here\r\n", b"421 busy\r\n", b"what?\r\n"])
async def test_server_that_refuses_us_costs_no_mail(greeting: bytes) -> None:
    """A 5xx in the greeting is about the server, not about the mail: it waits, and an operator is told of a refusal."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    town = Town(server.sockets[0].getsockname()[1])
    message = await town.tell()
    await town.work()
    assert await town.told(message) == []
    server.close()
    await server.wait_closed()


async def test_refused_login_alarms_without_names(sandbox: Sandbox) -> None:
    """Asking for encryption or a login that the server does not have waits and alarms; no address is logged."""
    with recorded_logs() as lines:
        for wrong in ({"starttls": True}, {"username": "counter", "password": "secret"}):
            town = Town(sandbox.smtp_port, **wrong)
            message = await town.tell()
            await town.work()
            assert await town.told(message) == []
    assert [line["event"] for line in lines if line["level"] == "ERROR"] == ["mail_server_refuses_us"] * 2
    assert not [word for word in ("muster", "secret", "Muster") if word in str(lines)]


async def test_too_old_is_suppressed(town: Town, sandbox: Sandbox) -> None:
    """After 48 hours without a mail server the message is suppressed, and stays so when the server is back."""
    sandbox.break_down(error_rate=1, status=421)
    message = await town.tell()
    await town.work()
    sandbox.recover()
    await town.work(USEFUL + timedelta(minutes=6))
    assert await town.told(message) == [("message_suppressed", "too_old")]
    assert sandbox.mails() == []
