"""`./dev soak`: the command line of a soak and its account, for a person or a program."""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from deploy.local import lock, processes
from deploy.local.cli import CHECKOUT
from deploy.local.errors import LocalError
from deploy.local.interrupts import heed_interrupts
from deploy.local.progress import Progress
from deploy.local.soak.figures import account
from deploy.local.soak.picture import draw
from deploy.local.soak.run import Soak, run

BASE_PORT: Final = 14800
RECORD: Final = "soak.json"


def main(arguments: Sequence[str]) -> int:
    """Soak: 0 when nothing grows that should not, every journey ended well and nothing cut it short, 1 otherwise."""
    options = _options(arguments)
    heed_interrupts()
    _empty(options.root)
    soak = Soak(options.minutes, options.rate, Progress(sys.stderr))
    stopped = run(soak, options.root, options.base_port)
    told = account(soak.samples, soak.failures, stopped)
    (options.root / RECORD).write_text(json.dumps({**told, "samples": [asdict(one) for one in soak.samples]}))
    picture: Path = options.picture or options.root / "soak.svg"
    picture.write_text(draw(soak.samples), encoding="utf-8")
    print(json.dumps(told) if options.json else text(told, picture), flush=True)
    return 0 if told["ok"] else 1


def text(told: Mapping[str, Any], picture: Path) -> str:
    """The account for a person."""
    lines = [f"FAIL {failure}" for failure in told["failures"]]
    if told["stopped"]:
        lines.append(f"Ended before its time: {told['stopped']}")
    if not told["roles"]:
        return "\n".join([*lines, "The rate was not held for long enough to tell anything."])
    lines += [
        "| process | RSS MB | bytes a dossier | seen from | kB a minute | CPU % of a core | |",
        "|-|-:|-:|-:|-:|-:|-|",
    ]
    for name, one in {**told["roles"], **told["others"]}.items():
        memory = f"{one['rss_start'] / 1e6:.0f} to {one['rss_end'] / 1e6:.0f}"
        verdict = one["verdict"] if name in told["roles"] else "not judged"
        slope = f"{one['bytes_per_dossier']:,} | {one['noise_per_dossier']:,} | {one['kb_per_minute']:,.0f}"
        figures = f"{slope} | {one['cpu_percent']:.1f}"
        lines.append(f"| {name} | {memory} | {figures} | {verdict} |")
    lines += ["", "| waiting | at most | more a minute | |", "|-|-:|-:|-|"]
    lines += [
        f"| {name} | {one['max']} | {one['per_minute']} | {one['verdict']} |" for name, one in told["queues"].items()
    ]
    sizes = ", ".join(f"{name} {size}" for name, size in told["per_10000_mb"].items())
    wanted = ", ".join(f"{name} {size}" for name, size in told["predicted_mb"].items())
    return "\n".join(
        [
            *lines,
            "",
            f"MB per 10,000 dossiers: {sizes}; predicted: {wanted} ({_yes(told['sizes_as_predicted'])}).",
            *(
                [f"At most {told['highest_rate']} a second: {told['limit'] or 'no limit reached'}."]
                if told["sought"]
                else []
            ),
            f"{told['dossiers']} dossiers in {told['minutes']} minutes at {told['rate']} a second; "
            f"the last {told['steady_minutes']} minutes were judged.",
            *(f"Rule of {rule}." for rule in told["rules"]),
            f"All as it should be: {_yes(told['ok'])}. Picture: {picture}",
        ]
    )


def _yes(right: bool) -> str:
    return "yes" if right else "NO"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__)
    parser.add_argument(
        "--minutes", type=_positive, default=20.0, help="how long the rate is held (default %(default)s)"
    )
    parser.add_argument(
        "--rate", type=_rate, default=None, help="dossiers a second; auto: 80 %% of the highest (default)"
    )
    parser.add_argument("--json", action="store_true", help="the account as JSON on standard output")
    parser.add_argument("--picture", type=Path, help="where the picture goes (default: soak.svg beside the data)")
    parser.add_argument("--root", type=Path, default=CHECKOUT / ".local" / "soak", help="data, logs and samples")
    parser.add_argument("--base-port", type=int, default=BASE_PORT)
    return parser.parse_args(arguments)


def _rate(wish: str) -> float | None:
    return None if wish == "auto" else _positive(wish)


def _positive(wish: str) -> float:
    number = float(wish)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{wish} is not a number above 0")
    return number


def _empty(root: Path) -> None:
    """Make room: a soak starts on empty stores. Raises LocalError where something else lives or one runs."""
    if root.exists() and any(root.iterdir()) and not (root / RECORD).exists():
        raise LocalError(f"{root} holds something else than a soak: name another --root.")
    if lock.holder(root / "stack.lock") is not None:
        raise LocalError(f"A soak runs in {root}.")
    processes.reap(root)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / RECORD).write_text("{}")
