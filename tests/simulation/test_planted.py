"""Bugs of other systems, planted one at a time: the simulation finds each within two hundred seeds."""

import pytest

from tests.simulation.planted import BUGS, planted
from tests.simulation.story import shortest
from tests.simulation.world import Run, run

LIMIT = 200
KNOWN = {
    "drop_the_seen_check": 43,
    "drop_the_inbox": 2,
    "publish_only_what_was_saved": 2,
    "commit_before_the_effect": 42,
    "ignore_the_version": 0,
    "skip_the_sweeper": 3,
    "note_only_what_decided": 0,
    "count_instead_of_folding": 1,
    "call_the_provider_in_the_handler": 1,
    "believe_it_was_published": 17,
    "publish_nothing_again": 3,
    "answer_a_group_as_one": 2,
    "read_what_a_new_primary_calls_safe": 6,
}
"""Where a bug was found first, to look there first; any other seed below the limit will do as well."""


def found(name: str) -> Run | None:
    """Return the first run that this bug breaks."""
    with planted(name):
        for seed in (KNOWN[name], *range(LIMIT)):
            broken = run(seed)
            if broken.violations:
                return broken
    return None


@pytest.mark.parametrize("name", BUGS)
def test_bug_is_found(name: str) -> None:
    """The planted bug breaks an invariant; without it the same seed breaks none."""
    broken = found(name)
    assert broken is not None
    assert run(broken.seed).violations == ()


def test_a_failing_seed_tells_a_short_story() -> None:
    """The story leaves out what does not matter, and what it leaves fails again to the same last line."""
    with planted("skip_the_sweeper"):
        broken = next(
            one for seed in range(LIMIT) if len((one := run(seed)).scenario.injections) > 4 and one.violations
        )
        story = shortest(broken)
        again = run(broken.seed, story.without, story.plans)
    assert len(story.run.scenario.injections) < len(broken.scenario.injections)
    assert story.run.violations
    assert (again.digest, again.violations) == (story.run.digest, story.run.violations)
    told = "\n".join(story.lines())
    assert all(one.kind in told for one in story.run.scenario.injections)
    assert f"--seed {broken.seed}" in told
