"""`./dev chaos`: the command line of a campaign and its account, for a person or a program."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from deploy.local.chaos import campaign
from deploy.local.chaos.figures import counted, longest_pause, pauses, readiness, recovery, table
from deploy.local.chaos.state import State
from deploy.local.errors import LocalError
from deploy.local.interrupts import heed_interrupts
from deploy.local.journeys.audit import Check
from deploy.local.progress import Progress
from deploy.local.stack import CHECKOUT

BASE_PORT: Final = 8400
DOSSIERS_PER_KILL: Final = 50


def main(arguments: Sequence[str]) -> int:
    """Run or resume a campaign: 0 when nothing was lost or twice and the KPIs are exact, 1 otherwise."""
    options = _options(arguments)
    heed_interrupts()
    progress = Progress(sys.stderr)
    try:
        state = _state(options)
        checks = campaign.run(state, options.root, options.base_port, options.side_by_side, progress)
    except KeyboardInterrupt:
        progress.warn("Interrupted; `./dev chaos --resume` goes on.")
        return 1
    told = account(state, checks)
    print(json.dumps(told) if options.json else text(told), flush=True)
    return 0 if told["ok"] else 1


def account(state: State, checks: Sequence[Check]) -> dict[str, Any]:
    """The figures of a campaign as JSON."""
    waits = pauses(state.canaries)
    kpis = [check.ok for check in checks if check.name == "KPIs exact"]
    unwell = [f"{one.fault.kind} {one.fault.victim}" for one in state.done if one.well is None]
    ok = all(check.ok for check in checks) and not state.failures and not unwell
    return {
        "ok": ok,
        "kills": sum(one.fault.kind == "kill" for one in state.done),
        "faults": counted(state.done),
        "dossiers": len(state.played),
        "lost": sum(check.lost for check in checks),
        "duplicated": sum(check.twice for check in checks),
        "kpis_exact": kpis == [True],
        "longest_pause_s": longest_pause(waits),
        "pauses_s": waits,
        "recovery_s": recovery(state.done, state.canaries),
        "ready_s": readiness(state.done),
        "never_well": unwell,
        "failures": state.failures,
        "interrupted": state.interrupted,
        "seed": state.seed,
        "seconds": round(state.seconds, 1),
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks],
    }


def text(told: dict[str, Any]) -> str:
    """The account for a person."""
    lines = [f"  {'ok  ' if check['ok'] else 'FAIL'} {check['name']}: {check['detail']}" for check in told["checks"]]
    lines += [f"  FAIL {failure}" for failure in told["failures"]]
    lines += [f"  FAIL never well again: {victim}" for victim in told["never_well"]]
    faults = ", ".join(f"{count} {kind}" for kind, count in told["faults"].items())
    return "\n".join(
        [
            *lines,
            "",
            *table("waits, s", told["pauses_s"]),
            *table("a new dossier done, s", told["recovery_s"]),
            *table("victim well again, s", told["ready_s"]),
            "",
            f"{told['dossiers']} dossiers in {told['seconds']:.0f} s on three Kafka nodes and three MongoDB members, "
            f"seed {told['seed']}: {faults}.",
            f"lost {told['lost']}, twice {told['duplicated']}, KPIs exact: {'yes' if told['kpis_exact'] else 'no'}, "
            f"longest pause of a citizen {told['longest_pause_s']:.1f} s.",
        ]
    )


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev chaos")
    parser.add_argument("--kills", type=int, default=20, help="how many kill -9; other faults come in proportion")
    parser.add_argument("--seed", type=int, default=1, help="the same seed plans the same faults and journeys")
    parser.add_argument("--dossiers", type=int, default=None, help=f"default: {DOSSIERS_PER_KILL} a kill")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted campaign and its wishes")
    parser.add_argument("--json", action="store_true", help="the account as JSON on standard output")
    parser.add_argument("--slips", type=float, default=0.0, help="share of dossiers on which nobody has to act")
    parser.add_argument("--side-by-side", type=int, default=60, help="how many citizens are busy at once")
    parser.add_argument("--root", type=Path, default=CHECKOUT / ".local" / "chaos", help="data, logs and state")
    parser.add_argument("--base-port", type=int, default=BASE_PORT)
    return parser.parse_args(arguments)


def _state(options: argparse.Namespace) -> State:
    """The state to go on with, or a fresh one on an empty root. Raises LocalError when there is nothing to resume."""
    path: Path = options.root / "campaign.json"
    if options.resume:
        state = State.load(path)
        state.interrupted += 1
        return state
    if options.root.exists() and not path.exists() and any(options.root.iterdir()):
        raise LocalError(f"{options.root} holds something else than a campaign: name another --root.")
    shutil.rmtree(options.root, ignore_errors=True)
    options.root.mkdir(parents=True)
    state = State(options.kills, options.seed, options.dossiers or options.kills * DOSSIERS_PER_KILL, options.slips)
    state.save(path)
    return state
