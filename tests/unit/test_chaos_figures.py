"""The figures of a campaign, and what it remembers over an interruption."""

from pathlib import Path

import pytest

from deploy.local.chaos.cli import account
from deploy.local.chaos.figures import Canary, Done, longest_pause, pauses, readiness, recovery, spread
from deploy.local.chaos.plan import Fault
from deploy.local.chaos.state import State
from deploy.local.errors import LocalError
from deploy.local.journeys.audit import Check, Played
from deploy.local.journeys.endings import JOURNEYS

KILL = Fault(0, "kill", "intake-api", 0.5, 0.0)
FREEZE = Fault(1, "freeze", "broker", 0.6, 5.0)
GOOD = Check("KPIs exact", ok=True, detail="well")


def _canary(pressed: float, done: float, submit: float = 0.1, status: float = 0.1) -> Canary:
    return Canary(pressed, done, submit, status)


def test_recovery_is_until_a_later_dossier_is_done() -> None:
    """A dossier handed in before the fault proves nothing, the first of the later ones to be done counts."""
    canaries = [_canary(9.0, 10.5), _canary(10.0, 19.0), _canary(12.0, 14.0)]
    assert recovery([Done(KILL, 10.0, 13.0)], canaries)["kill_role"]["max"] == 4.0


def test_readiness_leaves_out_who_never_became_well() -> None:
    """A victim that never became well has no time of recovery; the account names it instead."""
    done = [Done(KILL, 10.0, 13.0), Done(FREEZE, 20.0, None)]
    assert readiness(done) == {"kill_role": {"count": 1, "p50": 3.0, "p99": 3.0, "max": 3.0}}
    told = account(State(1, 1, 1, done=done), [GOOD])
    assert told["never_well"] == ["freeze broker"]
    assert told["ok"] is False


def test_longest_pause_is_the_longest_of_both_buttons() -> None:
    """Handing in and looking at the status are both waited for."""
    assert longest_pause(pauses([_canary(0, 1, submit=0.2, status=7.5), _canary(2, 3, submit=3.0)])) == 7.5
    assert longest_pause(pauses([])) == 0.0


def test_spread_of_a_hundred() -> None:
    """The median, the 99th percentile and the largest of a hundred values."""
    assert spread([float(value) for value in range(100)]) == {"count": 100, "p50": 50.0, "p99": 99.0, "max": 99.0}


def test_account_adds_up_what_is_lost_and_twice() -> None:
    """Counts of all checks are added; anything lost makes the campaign fail."""
    wrong = Check("money", ok=False, detail="two too many", lost=1, twice=2)
    told = account(State(1, 1, 1, done=[Done(KILL, 1.0, 2.0)]), [GOOD, wrong])
    assert (told["kills"], told["lost"], told["duplicated"], told["kpis_exact"], told["ok"]) == (1, 1, 2, True, False)
    assert account(State(1, 1, 1), [GOOD])["ok"] is True


def test_a_campaign_is_remembered(tmp_path: Path) -> None:
    """What was saved is what is gone on with: faults done, dossiers with the effects of their journeys, waits."""
    played = Played(JOURNEYS[0].name, "d-1", "resident-1", JOURNEYS[0].effects)
    state = State(5, 2, 100, 0.5, 31.5, 0, [Done(FREEZE, 1.0, None)], [played], [_canary(1, 2)], ["one"])
    state.save(tmp_path / "campaign.json")
    assert State.load(tmp_path / "campaign.json") == state


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    """Without a remembered campaign there is a sentence, no traceback."""
    with pytest.raises(LocalError, match="no campaign to resume"):
        State.load(tmp_path / "campaign.json")
