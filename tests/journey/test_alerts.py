"""Every alert fires at a real Alertmanager when its fault is caused for real, and clears when it is healed.

The delivered rules run in a real Prometheus over the real roles, with all time in them divided by FACTOR.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local import alertmanager, prometheus
from deploy.local.alertmanager import Alertmanager
from deploy.local.journeys.crowd import residents
from deploy.local.journeys.town import Citizen, Town
from deploy.local.prometheus import Plan, Prometheus, targets_of
from deploy.local.stack import CHECKOUT, Stack
from shared.contracts.envelope import attributes
from shared.contracts.topics import INTAKE_EVENTS
from tests.contract.runbooks import RULES, queries, rules, sections
from tests.journey.hostile_records import DECIDED, Hostile, told
from tests.journey.quickened import quickened

FACTOR = 30
PORT_OFFSET = 260
PATIENCE_SECONDS = 120.0
COMPARED_SECONDS = "3"
RECEIVERS = {"page": ("on-call",), "ticket": ("office-hours",)}
SLIPS = {"account": "fee", "count": 1}
RESIDENCE = {"purpose": "bank", "content": "simple"}
# Counted by no KPI, whatever becomes of it.
POISON = Hostile("forged decision", told(INTAKE_EVENTS, DECIDED, 99, time="yesterday"), {"analytics": "ValueError"})

pytestmark = pytest.mark.skipif(
    not (prometheus.installed() and alertmanager.installed()),
    reason="Prometheus and Alertmanager are not installed (apt-get install prometheus prometheus-alertmanager)",
)


@dataclass
class Watch:
    """What an operator sees; `seen` are the alerts that fired."""

    prometheus: Prometheus
    alertmanager: Alertmanager
    seen: set[str] = field(default_factory=set)

    async def fires(self, *alerts: str) -> None:
        """Wait until all of these fire, each sent to whom it concerns, and look first as their runbooks say."""
        await asyncio.to_thread(self.alertmanager.wait_firing, alerts, PATIENCE_SECONDS)
        told = {one.name: one for one in self.alertmanager.alerts() if one.name in alerts}
        assert {name: one.receivers for name, one in told.items()} == {
            name: RECEIVERS[one.labels["severity"]] for name, one in told.items()
        }
        for alert in alerts:
            answers = [self.prometheus.query(query) for query in queries(sections()[alert])]
            assert any(answers), f"no query of the runbook of {alert} has an answer while it fires"
        self.seen |= set(alerts)

    async def clears(self) -> None:
        """Wait until none of all delivered alerts fires any more."""
        await asyncio.to_thread(self.alertmanager.wait_clear, rules(), PATIENCE_SECONDS)


@pytest.fixture
def watch(stack: Stack, tmp_path: Path) -> Iterator[Watch]:
    """Prometheus with the quickened rules, and Alertmanager with the delivered configuration, over the whole stack."""
    port = stack.base_port + PORT_OFFSET
    quick = tmp_path / "rules.yml"
    quick.write_text(quickened(RULES.read_text(), FACTOR))
    manager = Alertmanager(tmp_path / "alertmanager", port + 1)
    server = Prometheus(tmp_path / "prometheus", port, Plan(1.0, 1.0, [quick], manager.address))
    try:
        manager.start()
        server.start(targets_of(stack))
        yield Watch(server, manager)
    finally:
        server.stop()
        manager.stop()


@contextmanager
def _frozen(stack: Stack, name: str) -> Iterator[None]:
    """A process that hangs: its connections stay open and nothing answers."""
    stack.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        stack.kill(name, signal.SIGCONT)


@asynccontextmanager
async def _faulty(stack: Stack, sandbox: str, **faults: object) -> AsyncIterator[None]:
    async with httpx.AsyncClient(timeout=10) as http:
        url = f"{stack.url(sandbox)}/sandbox/faults"
        (await http.put(url, json=faults)).raise_for_status()
        try:
            yield
        finally:
            (await http.delete(url)).raise_for_status()


@asynccontextmanager
async def _readers(citizen: Citizen) -> AsyncIterator[None]:
    """People who look at a dossier again and again, whatever they are answered."""
    url = f"{citizen.town.portal}/v1/dossiers/{citizen.dossier}"
    headers = {"Authorization": f"Bearer {await citizen.token()}"}

    async def read() -> None:
        while True:
            await citizen.town.http.get(url, headers=headers)
            await asyncio.sleep(0.2)

    readers = [asyncio.create_task(read()) for _ in range(4)]
    try:
        yield
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def _submitted(town: Town, place: int, count: int = 1) -> Citizen:
    """Hand in requests that nobody has to do anything for; return the last one's applicant."""
    citizen = Citizen(town, (await residents(town))[place])
    for _ in range(count):
        await citizen.submit("payment-slips", SLIPS)
    return citizen


def _dossierbus(stack: Stack, role: str, *arguments: str) -> None:
    """Run a command with the settings of a role, as its runbook says."""
    command = [sys.executable, "-m", "services.cli", *arguments]
    subprocess.run(command, env=stack.env_for(role), cwd=CHECKOUT, check=True)


def _discard(stack: Stack) -> None:
    """Do what the runbook says of a record that nobody can ever handle."""
    poison = attributes(POISON.message.headers)
    which = ["--key", poison["partitionkey"], "--event", poison["id"], "--reason", "forged"]
    _dossierbus(stack, "analytics-worker", "dlq", "discard", "--group", "analytics", *which)


async def _skip(stack: Stack, group: str, topic: str) -> None:
    """Move the offsets of a group that nobody is in to the end, as a hand too quick does."""
    partitions = int(stack.env_for("notifications-worker")["KAFKA_PARTITIONS"])
    parts = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(parts)
        await consumer.commit(await consumer.end_offsets(parts))
    finally:
        await consumer.stop()


async def mails_are_refused(stack: Stack, town: Town, watch: Watch) -> None:
    """The mail server refuses every recipient."""
    async with _faulty(stack, "mail", reject_recipients="*"):
        await _submitted(town, 20, 8)
        await watch.fires("MessagesFailing")


async def counting_hangs(stack: Stack, town: Town, watch: Watch) -> None:
    """The process that counts hangs."""
    with _frozen(stack, "analytics-worker"):
        await watch.fires("KpisStale")


async def nobody_looks_at_a_dead_letter(stack: Stack, town: Town, watch: Watch) -> None:
    """A record that no handler can take lies in the dead letters until somebody discards it."""
    message = POISON.message
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(message.topic, message.value, key=message.key, headers=message.headers)
    finally:
        await producer.stop()
    await watch.fires("DeadLettersUnattended")
    await asyncio.to_thread(_discard, stack)


async def events_are_skipped(stack: Stack, town: Town, watch: Watch) -> None:
    """A group's offsets are set past events that it never read; the comparison of the books notices and repairs."""
    role = "notifications-worker"
    repair = ("parity", "--service", "notifications", "--repair", "--as", "on-call")
    await asyncio.to_thread(stack.stop_role, role)
    try:
        await (await _submitted(town, 26)).until("completed")
        await _skip(stack, "notifications", INTAKE_EVENTS)
        await asyncio.to_thread(stack.start_role, role, {"PARITY_SECONDS": COMPARED_SECONDS})
        await watch.fires("JournalsDiverge")
        await asyncio.to_thread(_dossierbus, stack, role, *repair)
        await asyncio.to_thread(watch.alertmanager.wait_clear, ("JournalsDiverge",), PATIENCE_SECONDS)
    finally:
        await asyncio.to_thread(stack.stop_role, role)
        await asyncio.to_thread(stack.start_role, role)


async def the_register_is_away(stack: Stack, town: Town, watch: Watch) -> None:
    """Calls to the register fail, and a dossier waits for it longer than its applicant was told."""
    citizen = Citizen(town, (await residents(town))[21])
    async with _faulty(stack, "register", error_rate=1.0, status=503):
        await citizen.submit("hasty-residence-certificate", RESIDENCE, payment_method="card")
        await watch.fires("ProviderUnavailable", "DossiersOverdue")


async def news_of_money_does_not_arrive(stack: Stack, town: Town, watch: Watch, payer: Citizen) -> None:
    """Somebody pays while the process hangs that would take note of it; then the dossier goes on to its end."""
    page = await payer.payable()
    with _frozen(stack, "intake-worker"):
        await town.psp_session(page, "pay", {"card": "4242424242424242"})
        await watch.fires("PaidNotAdvanced", "RoleMissing")
    await payer.until("completed")


async def the_broker_hangs(stack: Stack, town: Town, watch: Watch) -> None:
    """Nothing that is handed in is published."""
    with _frozen(stack, "broker"):
        citizen = await _submitted(town, 22)
        await watch.fires("EventsNotPublished")
    await citizen.until("completed")


async def the_database_hangs(stack: Stack, town: Town, watch: Watch) -> None:
    """Events that are there are not handled, and the portal makes people wait and then says that it cannot."""
    with _frozen(stack, "notifications-worker"):
        citizen = await _submitted(town, 23, 3)
        await citizen.until("completed")
        stack.kill("mongo", signal.SIGSTOP)
    try:
        async with _readers(citizen):
            await watch.fires("SubmissionsFailing", "SubmissionsSlow", "UpdatesLate")
    finally:
        stack.kill("mongo", signal.SIGCONT)


async def _payer(town: Town) -> Citizen:
    """Return somebody whose dossier waits for the payment and nothing else."""
    citizen = Citizen(town, (await residents(town))[24])
    await citizen.submit("residence-certificate", RESIDENCE, consents=["residence"], payment_method="card")
    await citizen.until("evidence_ready")
    await citizen.act("/evidence/residence", {"accepted": True})
    await citizen.until("payment_due")
    return citizen


async def test_every_alert_fires_on_its_fault_and_clears(stack: Stack, town: Town, watch: Watch) -> None:
    """No alert fires at first; each fires at its fault, is sent to whom it concerns, and clears after the fault."""
    await watch.clears()
    payer = await _payer(town)
    await the_database_hangs(stack, town, watch)
    overdue = asyncio.create_task(the_register_is_away(stack, town, watch))
    beside = (mails_are_refused, counting_hangs, nobody_looks_at_a_dead_letter)
    await asyncio.gather(*(fault(stack, town, watch) for fault in beside))
    await news_of_money_does_not_arrive(stack, town, watch, payer)
    await overdue
    await events_are_skipped(stack, town, watch)
    await the_broker_hangs(stack, town, watch)
    assert watch.seen == set(rules())
    await watch.clears()
