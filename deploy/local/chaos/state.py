"""What a campaign remembers from one run to the next, as one JSON file that is replaced whole."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from deploy.local.chaos.figures import Canary, Done
from deploy.local.chaos.plan import Fault
from deploy.local.errors import LocalError
from deploy.local.journeys.audit import Played
from deploy.local.journeys.endings import JOURNEYS


@dataclass
class State:
    """The wish (kills, seed, dossiers, share of payment slips) and what was done. `seconds`: how long it has run."""

    kills: int
    seed: int
    dossiers: int
    slips: float = 0.0
    seconds: float = 0.0
    interrupted: int = 0
    done: list[Done] = field(default_factory=list)
    played: list[Played] = field(default_factory=list)
    canaries: list[Canary] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write all of it; whoever reads sees the old or the new."""
        content = asdict(self)
        content["played"] = [[one.journey, one.dossier, one.subject] for one in self.played]
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(content))
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read it. Raises LocalError when there is no campaign to go on with."""
        try:
            content: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise LocalError(f"There is no campaign to resume in {path.parent}.") from error
        effects = {journey.name: journey.effects for journey in JOURNEYS}
        return cls(
            **{
                **content,
                "done": [Done(Fault(**one["fault"]), one["began"], one["well"]) for one in content["done"]],
                "played": [Played(name, dossier, who, effects[name]) for name, dossier, who in content["played"]],
                "canaries": [Canary(**one) for one in content["canaries"]],
            }
        )
