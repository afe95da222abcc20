"""`./dev simulate`: many seeds on all cores; the shortest story of each failing one. Exit code 1 if one fails."""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence

from tests.simulation.story import shortest
from tests.simulation.wiring import wired
from tests.simulation.world import run

TOLD = 3


def main(arguments: Sequence[str]) -> int:
    """Run the seeds asked for and tell what was found."""
    options = _options(arguments)
    if options.seed is not None and options.seeds == 1:
        return _one(options)
    first, began = options.seed or 0, time.monotonic()
    failing = [seed for seed, failed in _all(range(first, first + options.seeds), options.jobs) if failed]
    seconds = round(time.monotonic() - began, 1)
    found = {"seeds": options.seeds, "first": first, "violations": len(failing), "failing": failing, "seconds": seconds}
    for seed in sorted(failing)[:TOLD]:
        print("\n".join(shortest(run(seed)).lines()), file=sys.stderr, flush=True)
    print(json.dumps(found) if options.json else _sentence(found))
    return 1 if failing else 0


def _all(seeds: range, jobs: int) -> Iterator[tuple[int, bool]]:
    wired()  # once, before the workers are made from this process
    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, maxtasksperchild=10) as pool:
        for seed, violations in pool.imap_unordered(violations_of, seeds, chunksize=4):
            if violations:
                print(f"seed {seed}: {violations[0]}", file=sys.stderr, flush=True)
            yield seed, bool(violations)


def violations_of(seed: int) -> tuple[int, tuple[str, ...]]:
    """Run one seed."""
    return seed, run(seed).violations


def _one(options: argparse.Namespace) -> int:
    applicants = frozenset(_numbers(options.applicants)) if options.applicants else None
    found = run(options.seed, frozenset(_numbers(options.without)), applicants)
    if options.log:
        print("\n".join(found.log))
    told = {"seed": found.seed, "violations": found.violations, "digest": found.digest, "steps": found.steps}
    if found.violations and not options.log:
        print("\n".join(shortest(found).lines()), file=sys.stderr)
    print(json.dumps(told) if options.json else "\n".join([*found.violations, f"{found.seed}: {found.digest}"]))
    return 1 if found.violations else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev simulate")
    parser.add_argument("--seeds", type=int, default=None, help="how many seeds (200, or 1 with --seed)")
    parser.add_argument("--seed", type=int, default=None, help="the first seed, or the only one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--log", action="store_true", help="with one seed: print everything that happened")
    parser.add_argument("--without", default="", help="with one seed: injections left out, such as 0,3")
    parser.add_argument("--applicants", default="", help="with one seed: the only applicants, such as 1,2")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes beside each other")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or (200 if options.seed is None else 1)
    return options


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def _sentence(found: dict[str, object]) -> str:
    return "{seeds} seeds from {first}: {violations} with violations, {seconds} s".format(**found)
