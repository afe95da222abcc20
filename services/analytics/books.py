"""One partition's KPIs beside what its topics tell: which records and totals no events ever led to. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Final

from services.analytics.aggregate import Aggregate
from services.analytics.domain import NOTHING, RECOUNT, Part, Record, Totals, add, contribution
from services.analytics.fold import Fold, Name
from services.analytics.parity import differences
from shared.contracts.envelope import Message
from shared.parity import Drift

SHOWN: Final = 3


@dataclass
class Books:
    """Take in with `before` what is counted for certain, then `close`, then with `after` all that came since.

    `everything`: the topics still have all that was ever published. `on_view`: what the KPI API tells of the partition.
    """

    fold: Fold
    everything: bool
    on_view: Aggregate | None
    _base: dict[str, Record] = field(default_factory=dict)
    _told: Fold | None = None
    _later: defaultdict[Name, list[Part]] = field(default_factory=lambda: defaultdict(list))

    def before(self, message: Message) -> None:
        """Take in an event that every record must know of."""
        self.fold.take(message)

    def close(self) -> None:
        """End what is counted for certain."""
        self._base, self._told = dict(self.fold.records), self.fold.copy()

    def after(self, message: Message) -> None:
        """Take in an event that a record may know of, and the totals on view if they cover it."""
        if self._told and self.on_view and message.offset < self.on_view.covered.get(message.topic, 0):
            self._told.take(message)
        if changed := self.fold.take(message):
            self._later[changed].append(self.fold.records[changed[0]][changed[1]])

    def drifts(self, live: Mapping[str, Record], held: Set[str]) -> list[Drift]:
        """Return whose record is none that the events ever led to. `held`: dossiers that dead letters hold back."""
        return [
            Drift("kpi", dossier, self._text(dossier, live.get(dossier, NOTHING)))
            for dossier in sorted((live.keys() | self.fold.records.keys()) - held)
            if not self._is_right(dossier, live.get(dossier, NOTHING))
        ]

    def totals(self, live: Mapping[str, Record], held: Set[str], earlier: Mapping[str, Record]) -> list[Drift]:
        """Return the drift between the totals on view and the events that they cover, if there is any.

        `earlier`: the records before the totals on view were read. None as long as nobody can say what they must count,
        as when something new was told of a dossier whose first events have left the topics.
        """
        if self._told is None or self.on_view is None:
            return []
        expected = Totals()
        for dossier in live.keys() | self._told.records.keys():
            record = live.get(dossier, NOTHING)
            due = record if dossier in held else self._due(self._told, dossier, record, earlier.get(dossier, NOTHING))
            if due is None:
                return []
            add(expected, contribution(due))
        text = _differing(self.on_view.totals, expected)
        return [Drift("kpi", f"partition {self.fold.partition}", text)] if text else []

    def _due(self, told: Fold, dossier: str, record: Record, earlier: Record) -> Record | None:
        """Return what the totals on view must count of a dossier; None if nobody can say."""
        counted = {}
        for subject, part in record.items():
            name = (dossier, subject)
            if self._may_lack(told, name, part):
                return None
            if told.vouches(name, everything=self.everything) or not self.fold.has_more(name, told):
                counted[subject] = part
            elif told.knows(name) or subject in earlier:
                return None
            # Else its first event came after what is on view.
        return self._mended(told, dossier, counted)

    def _may_lack(self, fold: Fold, name: Name, part: Part) -> bool:
        return not self.everything and fold.is_whole(name) and fold.may_lack(name, part["n"])

    def _is_right(self, dossier: str, record: Record) -> bool:
        subjects = {*record, *self.fold.records.get(dossier, NOTHING)} - {RECOUNT}
        return all(self._was_once((dossier, subject), record.get(subject)) for subject in subjects)

    def _was_once(self, name: Name, part: Part | None) -> bool:
        if not self.fold.vouches(name, everything=self.everything):
            return True
        if part is not None and self._may_lack(self.fold, name, part):
            return True
        return part in [self._base.get(name[0], NOTHING).get(name[1]), *self._later.get(name, ())]

    def _mended(self, fold: Fold, dossier: str, record: Record) -> Record:
        return fold.mended(dossier, record, everything=self.everything)

    def _text(self, dossier: str, record: Record) -> str:
        expected = contribution(self._mended(self.fold, dossier, record))
        return _differing(contribution(record), expected) or "counts the same, but stands at other events"


def _differing(live: Totals, expected: Totals) -> str:
    """Return the first differing figures in words, or nothing."""
    found = differences(live, expected)
    texts = [f"{path} is {has}, must be {should}" for path, (has, should) in list(found.items())[:SHOWN]]
    return "; ".join(texts + (["…"] if len(found) > SHOWN else []))
