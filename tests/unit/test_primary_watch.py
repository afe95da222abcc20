"""How fresh a read must be: what each greeting of a database member changes about it."""

from typing import Any

from bson import ObjectId, Timestamp
from pymongo.hello import Hello
from pymongo.monitoring import ServerHeartbeatSucceededEvent

from shared.store.primary import FreshMajority, PrimaryWatch


def _greeted(watch: PrimaryWatch, term: int | None, held: int, **role: Any) -> None:
    """A member says hello: elected in this term, with its last write at this second."""
    document: dict[str, Any] = {"ok": 1, "setName": "rs0", "lastWrite": {"opTime": {"ts": Timestamp(held, 1), "t": 1}}}
    document |= role or {"isWritablePrimary": True}
    if term is not None:
        document["electionId"] = ObjectId(f"7fffffff{term:016x}")
    watch.succeeded(ServerHeartbeatSucceededEvent(0.001, Hello(document), ("mongo", 27017)))


def _bound(watch: PrimaryWatch) -> int | None:
    bound = FreshMajority(watch).document.get("afterClusterTime")
    return bound.time if bound else None


def test_nothing_is_asked_for_before_a_primary_is_found() -> None:
    """A read concern is majority from the start; the bound comes with the first primary."""
    watch = PrimaryWatch()
    assert FreshMajority(watch).document == {"level": "majority"}
    _greeted(watch, None, 50, secondary=True)
    _greeted(watch, 1, 51, secondary=True)
    assert _bound(watch) is None
    _greeted(watch, 1, 52)
    assert FreshMajority(watch).document == {"level": "majority", "afterClusterTime": Timestamp(52, 1)}


def test_the_bound_moves_with_elections_only() -> None:
    """Under one primary an acknowledged write is visible: its later greetings need not be waited for."""
    watch = PrimaryWatch()
    _greeted(watch, 1, 50)
    _greeted(watch, 1, 60)
    assert _bound(watch) == 50
    _greeted(watch, 2, 70)
    assert _bound(watch) == 70


def test_a_deposed_primary_does_not_take_the_bound_back() -> None:
    """Whoever was elected earlier is as little believed as the driver believes it."""
    watch = PrimaryWatch()
    _greeted(watch, 3, 70)
    _greeted(watch, 2, 65)
    assert _bound(watch) == 70


def test_one_read_concern_follows_its_watch() -> None:
    """Collections keep the object they were made with; what it asks for is looked up for each command."""
    watch = PrimaryWatch()
    concern = FreshMajority(watch)
    _greeted(watch, 1, 50)
    before = concern.document
    _greeted(watch, 2, 60)
    assert (before["afterClusterTime"].time, concern.document["afterClusterTime"].time) == (50, 60)
