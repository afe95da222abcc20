"""Redriving dead letters: in order, before anything newer, again and again if need be."""

from shared.contracts.topics import IDENTITY_EVENTS
from shared.errors import Permanent
from shared.redrive import Redriven, redrive
from tests.unit.consumer_office import GROUP, MemoryLetters, Reader


async def stuck() -> Reader:
    """A reader whose dossier d1 is set aside: its first event could not be handled, two follow."""
    reader = Reader()
    reader.desk.errors["d1:2:1"] = [Permanent("not yet")]
    await reader.send(("d1:2", 1), ("d1:2", 2), ("d1:7", 1))
    await reader.read()
    assert reader.desk.handled == []
    return reader


async def again(reader: Reader, letters: MemoryLetters | None = None, number: int = 1) -> Redriven:
    """Redrive d1."""
    return await redrive(
        GROUP,
        "d1",
        token=f"t{number}",
        markers=reader.markers,
        letters=letters or MemoryLetters(reader),
        publisher=reader.broker,
    )


async def test_letters_are_handled_in_order_and_the_marker_goes() -> None:
    """Afterwards the dossier is as if nothing had happened."""
    reader = await stuck()
    assert await again(reader) == Redriven(GROUP, "d1", 3, "handled")
    assert reader.desk.handled == ["d1:2:1", "d1:2:2", "d1:7:1"]
    assert await reader.markers.list(GROUP) == []
    await reader.send(("d1:2", 3))
    await reader.read()
    assert reader.desk.handled[-1] == "d1:2:3"


async def test_newer_events_do_not_overtake_the_letters() -> None:
    """Events that are already on the topic, or come meanwhile, are handled behind the letters."""
    reader = await stuck()
    await reader.send(("d1:2", 3), ("d1:2", 4))
    assert (await again(reader)).ending == "handled"
    handled = reader.desk.handled
    assert [event for event in dict.fromkeys(handled) if event.startswith("d1:2:")] == [
        f"d1:2:{n}" for n in (1, 2, 3, 4)
    ]
    assert await reader.markers.list(GROUP) == []


async def test_a_letter_that_fails_again_stops_the_rest() -> None:
    """It and those after it are set aside as before, in order; a later redrive brings them all."""
    reader = await stuck()
    reader.desk.errors["d1:2:1"] = [Permanent("still not")]
    assert (await again(reader)).ending == "failed_again"
    assert reader.desk.handled == []
    assert await reader.markers.marked(GROUP, "d1")
    assert (await again(reader, number=2)).ending == "handled"
    assert reader.desk.handled[:3] == ["d1:2:1", "d1:2:2", "d1:7:1"]


async def test_a_process_that_takes_over_in_the_middle_keeps_the_order() -> None:
    """The end of a failed redrive is in the store: another member does not handle the letters behind the failed one."""
    reader = await stuck()
    letters = MemoryLetters(reader)
    letters.runs = False
    assert (await again(reader, letters)).ending == "not_consumed"
    reader.desk.errors["d1:2:1"] = [Permanent("still not")]
    place, records = next(iter(reader.broker.fetch(GROUP, [IDENTITY_EVENTS]).items()))
    await reader.dispatcher.dispatch(records[:1])
    reader.broker.commit(GROUP, {place: records[:1]})
    other = reader.another()
    await other.read()
    assert other.desk.handled == []


async def test_a_group_that_does_not_run_handles_the_letters_later() -> None:
    """The marker stays, the letters lie on the topic; the next redrive finds them handled."""
    reader = await stuck()
    letters = MemoryLetters(reader)
    letters.runs = False
    assert (await again(reader, letters)).ending == "not_consumed"
    letters.runs = True
    await reader.read()
    assert reader.desk.handled == ["d1:2:1", "d1:2:2", "d1:7:1"]
    assert await reader.markers.marked(GROUP, "d1")
    assert (await again(reader, letters, number=2)).ending == "handled"


async def test_a_dossier_without_marker_is_left_alone() -> None:
    """Nothing is sent for it."""
    reader = Reader()
    assert await again(reader) == Redriven(GROUP, "d1", 0, "not_marked")
    assert reader.broker.topic(IDENTITY_EVENTS) == []


async def test_repeated_letters_are_sent_once() -> None:
    """A crash before the commit wrote some letters twice; they are sent once, in their first order."""
    reader = Reader()
    reader.desk.broken.add("d1:2:1")
    await reader.send(("d1:2", 1), ("d1:2", 2))
    await reader.read(commit=False)
    await reader.read()
    assert reader.letters() == ["d1:2:1", "d1:2:2"] * 2
    reader.desk.broken.clear()
    assert await again(reader) == Redriven(GROUP, "d1", 2, "handled")
    assert reader.desk.handled == ["d1:2:1", "d1:2:2"]
