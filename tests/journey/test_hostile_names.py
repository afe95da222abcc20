"""Names that are names by their form only: mails carry no link or header of theirs, PDFs print them as they are."""

import asyncio
import io
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

import pypdf
import pytest

from deploy.local.journeys.town import Citizen
from deploy.local.stack import Stack
from tests.journey.hostile import BANK, RESIDENCE, SLIP, Scene, scene_of

SMUGGLED: Final = (
    "Lea, siehe www.evil.example",
    "https://evil.example/lea",
    "Lea (gewinnen: evil.example)",
    "Lea%0d%0aBcc: b@evil.example",
    "Lea & evil.example",
    "{evil.example}",
)
PATIENCE_SECONDS: Final = 60.0


async def _mails(scene: Scene, dossier: str, count: int) -> list[EmailMessage]:
    """Return the mails about a dossier once there are so many."""
    until, url = time.monotonic() + PATIENCE_SECONDS, scene.stack.url("mail")
    while True:
        listed = await scene.town.http.get(f"{url}/sandbox/messages", params={"limit": 100_000})
        numbers = [one["number"] for one in listed.json()["messages"] if dossier in one["text"]]
        if len(numbers) >= count or time.monotonic() > until:
            sources = [await scene.town.http.get(f"{url}/messages/{number}/raw") for number in numbers]
            return [message_from_bytes(source.content, policy=policy.default) for source in sources]
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("name", SMUGGLED)
async def test_a_name_smuggles_nothing_into_a_mail(stack: Stack, name: str) -> None:
    """The mails go to the applicant alone, greet without the name, and link to the portal only."""
    async with scene_of(stack) as scene:
        citizen = Citizen(scene.town, scene.people[0])
        contact = {"email": "lea@example.ch", "name": name}
        await citizen.submit("payment-slips", SLIP, contact=contact, language="en")
        await citizen.until("completed")
        mails = await _mails(scene, citizen.dossier, 2)
        assert len(mails) == 2
        for mail in mails:
            assert mail.get_all("To") == ["lea@example.ch"]
            assert mail.get_all("Bcc") is None
            bodies = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
            assert len(bodies) == 2
            assert not [body for body in bodies if "evil" in body]
            assert all(body.count("http") == 1 for body in bodies)


async def test_a_certificate_bears_the_registers_name_whatever_was_typed(stack: Stack) -> None:
    """Signs that are markup elsewhere reach no certificate: it says the name that the register holds."""
    async with scene_of(stack) as scene:
        person = scene.people[0]
        citizen = Citizen(scene.town, person)
        typed = f"**{person['officialName']}** (&)"
        await citizen.submit(RESIDENCE, BANK, consents=["residence"], payment_method="card", official_name=typed)
        await scene.town.psp_session(await citizen.payable(), "pay", {"card": "4242424242424242"})
        await citizen.until("evidence_ready")
        await citizen.act("/evidence/residence", {"accepted": True})
        await citizen.until("completed")
        url = scene.town.portal + citizen.seen["documents"][0]["url"]
        pdf = (await scene.town.send("GET", url, await citizen.token())).content
        text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)
        assert person["officialName"] in text
        assert typed not in text
