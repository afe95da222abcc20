"""The shortest story of a failing seed: which few things must go wrong, and which applicants it takes.

Leaves out one injection and one applicant after the other as long as the same invariant breaks.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tests.simulation.world import Run, run

MOST_RUNS: Final = 60

Replay = Callable[[int, frozenset[int], frozenset[int]], Run]


@dataclass(frozen=True)
class Story:
    """A failing run made short."""

    run: Run
    without: frozenset[int]
    plans: frozenset[int]

    def lines(self) -> list[str]:
        """Tell it."""
        drawn = self.run.scenario
        replicas = ", ".join(f"{name} x{count}" for name, count in drawn.replicas.items() if count > 1)
        extent = (
            f"{drawn.partitions} partitions, idempotent producers: {drawn.idempotent}, replicas: {replicas or 'none'}"
        )
        return [
            f"seed {self.run.seed}: {len(self.run.violations)} violations ({extent})",
            *(f"  applies  {plan.start:7.2f} s  {plan.ending} ({plan.dossier})" for plan in drawn.plans),
            *(f"  happens  {one.told()}" for one in drawn.injections),
            *(f"  breaks   {sentence}" for sentence in self.run.violations[:8]),
            f"  replay   {self.command()}",
        ]

    def command(self) -> str:
        """Return how to see it again, line by line."""
        left_out = f" --without {','.join(map(str, sorted(self.without)))}" if self.without else ""
        applicants = ",".join(map(str, sorted(self.plans)))
        return f"./dev simulate --seed {self.run.seed}{left_out} --applicants {applicants} --log"


def shortest(failed: Run, again: Replay | None = None) -> Story:
    """Return the shortest story found within some runs; `again` runs a seed with a selection."""
    replay: Replay = again or (lambda seed, without, plans: run(seed, without, plans))
    broken, runs = _kinds(failed.violations), 0
    plans = frozenset(plan.number for plan in failed.scenario.plans)
    best = Story(failed, frozenset(), plans)
    for candidate in _candidates(len(failed.scenario.injections), plans):
        runs += 1
        if runs > MOST_RUNS:
            break
        without, fewer = best.without | candidate[0], best.plans - candidate[1]
        if (without, fewer) == (best.without, best.plans) or not fewer:
            continue
        shorter = replay(failed.seed, without, fewer)
        if broken & _kinds(shorter.violations):
            best = Story(shorter, without, fewer)
    return best


def _candidates(injections: int, plans: frozenset[int]) -> Iterable[tuple[frozenset[int], frozenset[int]]]:
    """Yield what to leave out: halves first, then one by one, then one by one again."""
    numbers, none = list(range(injections)), frozenset[int]()
    half = injections // 2
    yield frozenset(numbers[half:]), none
    yield frozenset(numbers[:half]), none
    for _ in range(2):
        for plan in sorted(plans):
            yield none, frozenset({plan})
        for number in numbers:
            yield frozenset({number}), none


def _kinds(violations: Iterable[str]) -> set[str]:
    return {sentence.partition(":")[0] for sentence in violations}
