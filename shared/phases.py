"""The phases of a role's life besides its steady work: opening, leaving, and sending the last things out.

Data only; `shared.web.serve` goes through them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

Background: TypeAlias = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """A phase with nothing to do."""


@dataclass(frozen=True)
class Phases:
    """What a role does when. Each phase ends by itself or is cut off; none may rely on the next.

    `open`: before requests and background work begin; the port is open meanwhile and says so.
    `leave`: on being asked to stop, while requests go on: take nothing new, end what is under way.
    `flush`: after the last request, before the background tasks are cancelled: send out what was saved.
    """

    open: Background = nothing
    leave: Background = nothing
    flush: Background = nothing
