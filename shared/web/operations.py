"""The operators' API of a service: its dead letters, what was done about them and by whom. Decides nothing.

Each service has it for its own groups, in its api role: no service reads another's database, and none could redrive
for another. `operations` is a scope of its own: who books bank files need not be allowed to drop events.
"""

from collections.abc import Collection
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.auth import Caller, requires
from shared.dead_letters import DeadLetters, Held, Letter, NotHeld, Selection
from shared.environment import timestamp
from shared.redrive import Ending
from shared.web.pages import Cursor, Limit, Page, read_cursor, write_cursor
from shared.web.problems import NotFound

LARGEST_REDRIVE: Final = 100

Operator = Annotated[Caller, Depends(requires("operations"))]
Group = Annotated[str, Path(max_length=40, pattern=r"^[a-z][a-z-]*$", description="A consumer group of this service.")]
Dossier = Annotated[str, Path(max_length=80, pattern=r"^[0-9A-Za-z-]+$", description="A dossier's id.")]
Id = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[0-9A-Za-z:-]+$")]


class HeldView(BaseModel):
    """A dossier that a group sets aside until somebody acts. Texts name fields and rules, never values."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    group: str
    dossier: str
    event: str = Field(description="The event that failed, first or lastly.")
    reason: str
    since: str
    last: str = Field(description="When it failed lastly.")
    attempts: int
    waiting: int = Field(description="Letters of the dossier, this one and those behind it, repeats included.")


class LetterView(BaseModel):
    """An event that was set aside."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    type: str
    time: str
    reason: str
    at: str = Field(description="When it was set aside.")
    origin: str = Field(description="`<topic>/<partition>/<offset>`")


class HeldDetail(HeldView):
    """With its letters in order: what failed comes first, what waits behind it follows."""

    letters: tuple[LetterView, ...]

    @classmethod
    def of(cls, held: Held, letters: list[Letter]) -> Self:
        """The view of a held dossier."""
        known = HeldView.model_validate(held).model_dump()
        return cls(**known, letters=tuple(LetterView.model_validate(letter) for letter in letters))


class RedriveOrder(BaseModel):
    """Which held dossiers are to be handled again; what is left out selects all."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Id] = Field(default=[], max_length=LARGEST_REDRIVE, description="Dossiers, or events that failed.")
    reason: str = Field("", max_length=200, description="Words that the reason contains.")
    since: AwareDatetime | None = Field(None, description="Set aside at this time or later.")
    until: AwareDatetime | None = Field(None, description="Set aside at this time or earlier.")
    most: int = Field(20, ge=1, le=LARGEST_REDRIVE, description="At most so many dossiers, the oldest first.")
    dry_run: bool = Field(False, description="Only tell which ones.")

    def selection(self) -> Selection:
        """Return it in our words."""
        since, until = (timestamp(moment) if moment else "" for moment in (self.since, self.until))
        return Selection(frozenset(self.ids), self.reason, since, until)


class RedriveAnswer(BaseModel):
    """What became of a dossier's letters; in a dry run nothing yet."""

    dossier: str
    letters: int
    ending: Ending | None


class DiscardOrder(BaseModel):
    """Which event is dropped, and why."""

    model_config = ConfigDict(extra="forbid")

    event: Id
    reason: str = Field(min_length=3, max_length=500, description="Kept with your name; no personal data.")


class Deed(BaseModel):
    """Something that an operator did."""

    id: str
    at: str
    who: str
    what: str
    target: dict[str, Any]
    reason: str
    ended: str | None
    outcome: list[tuple[str, str]] | None


def routes(dead_letters: DeadLetters, groups: Collection[str], cursor_key: bytes) -> APIRouter:
    """Return the operators' routes over the dead letters of these groups."""
    router = APIRouter(prefix="/v1/operations", tags=["operations"])
    _add_looking(router, dead_letters, groups, cursor_key)
    _add_acting(router, dead_letters, groups)
    return router


def _add_looking(router: APIRouter, dead_letters: DeadLetters, groups: Collection[str], key: bytes) -> None:
    @router.get("/dead-letters/{group}", summary="List the dossiers that a group sets aside")
    async def list_held(caller: Operator, group: Group, limit: Limit = 20, cursor: Cursor = None) -> Page[HeldView]:
        """Return them, the oldest first."""
        _known(group, groups)
        scope = f"dead-letters/{group}"
        position = read_cursor(key, scope, cursor)
        after = (str(position[0]), str(position[1])) if position else None
        found = await dead_letters.page(group, after, limit + 1)
        shown = found[:limit]
        more = write_cursor(key, scope, (shown[-1].since, shown[-1].dossier)) if len(found) > limit else None
        return Page(items=[HeldView.model_validate(held) for held in shown], next=more)

    @router.get("/dead-letters/{group}/{dossier}", summary="Show what is held of a dossier")
    async def show_held(caller: Operator, group: Group, dossier: Dossier) -> HeldDetail:
        """Return what failed and what waits behind it."""
        _known(group, groups)
        try:
            return HeldDetail.of(*await dead_letters.show(group, dossier))
        except NotHeld:
            raise NotFound from None

    @router.get("/deeds", summary="List what operators did")
    async def list_deeds(caller: Operator, limit: Limit = 20, cursor: Cursor = None) -> Page[Deed]:
        """Return them, the newest first."""
        position = read_cursor(key, "deeds", cursor)
        found = await dead_letters.log.page(str(position[0]) if position else None, limit + 1)
        more = write_cursor(key, "deeds", (found[limit - 1]["_id"],)) if len(found) > limit else None
        return Page(items=[_deed(entry) for entry in found[:limit]], next=more)


def _add_acting(router: APIRouter, dead_letters: DeadLetters, groups: Collection[str]) -> None:
    @router.post("/dead-letters/{group}/redrive", summary="Let a group handle held letters again")
    async def redrive_held(caller: Operator, group: Group, order: RedriveOrder) -> list[RedriveAnswer]:
        """Handle them in order, the oldest dossier first. Safe to repeat: what was handled is held no more."""
        _known(group, groups)
        if order.dry_run:
            held = (await dead_letters.held(group, order.selection()))[: order.most]
            return [RedriveAnswer(dossier=one.dossier, letters=one.waiting, ending=None) for one in held]
        done = await dead_letters.redrive(group, order.selection(), caller.subject, most=order.most)
        return [RedriveAnswer(dossier=one.key, letters=one.letters, ending=one.ending) for one in done]

    @router.post("/dead-letters/{group}/{dossier}/discard", summary="Drop a held event for good")
    async def discard_held(caller: Operator, group: Group, dossier: Dossier, order: DiscardOrder) -> RedriveAnswer:
        """The group will never handle it; the events behind it go on at once."""
        _known(group, groups)
        try:
            done = await dead_letters.discard(group, dossier, order.event, order.reason, caller.subject)
        except NotHeld:
            raise NotFound from None
        return RedriveAnswer(dossier=done.key, letters=done.letters, ending=done.ending)


def _known(group: str, groups: Collection[str]) -> None:
    if group not in groups:
        raise NotFound


def _deed(entry: dict[str, Any]) -> Deed:
    known = {name: entry[name] for name in ("at", "who", "what", "target", "reason")}
    return Deed(id=entry["_id"], **known, ended=entry.get("ended"), outcome=entry.get("outcome"))
