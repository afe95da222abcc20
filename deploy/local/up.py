"""`./dev up`: the whole system until Ctrl-C, or with --check once through its journeys. Owns the order only."""

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Protocol, cast

from deploy.local.broker import WISHES
from deploy.local.cli import CHECKOUT
from deploy.local.errors import LocalError
from deploy.local.interrupts import heed_interrupts, ignore_interrupts
from deploy.local.ports import DEFAULT_BASE
from deploy.local.progress import Progress
from deploy.local.stack import Stack
from deploy.local.supervisor import Supervisor


class Report(Protocol):
    """What `check.run` returns: whether all was well, and the account of it."""

    ok: bool

    def to_json(self) -> str:
        """The account for a program."""

    def to_text(self) -> str:
        """The account for a person."""


def main(arguments: Sequence[str]) -> int:
    """Start, serve or check, stop. 0 when all was well, 1 when a check failed or something did not start."""
    options = _options(arguments)
    # With --json standard output belongs to the account alone.
    progress = Progress(sys.stderr if options.json else sys.stdout)
    heed_interrupts()
    stack = _stack(options, progress)
    started = time.monotonic()
    try:
        stack.start()
        progress.say(f"  everything is ready after {time.monotonic() - started:29.1f} s\n")
        return _check(stack, as_json=options.json) if options.check else _serve(stack, traffic=not options.no_traffic)
    except LocalError as error:
        if not options.json:
            raise
        print(not_started(str(error), time.monotonic() - started), flush=True)
        return 1
    except KeyboardInterrupt:
        return 0 if not options.check else 1
    finally:
        _stop(stack)


def not_started(sentence: str, seconds: float) -> str:
    """The account as JSON when the stack did not even start."""
    checks = [{"name": "start", "ok": False, "detail": sentence}]
    return json.dumps({"ok": False, "broker": None, "seconds": round(seconds, 1), "dossiers": [], "checks": checks})


def table(stack: Stack) -> str:
    """What runs where, for the person who wants to look at it."""
    rows = [
        ("portal page", f"{stack.url('intake-api')}/"),
        ("live page", f"{stack.url('analytics-api')}/"),
        ("mails", f"{stack.url('mail')}/"),
        ("intake API", f"{stack.url('intake-api')}/docs"),
        ("payment provider", stack.url("psp")),
        ("resident register", stack.url("register")),
        ("OpenID provider", f"{stack.url('oidc')}/.well-known/openid-configuration"),
        ("traces", stack.url("collector")),
        (f"broker ({stack.broker_kind})", stack.bootstrap),
        ("MongoDB", f"127.0.0.1:{stack.settings.port('mongo')}"),
        ("data, logs, secrets", str(stack.root)),
    ]
    rows += [(name, f"{stack.url(name)}/metrics") for name in stack.roles if not name.endswith("-api")]
    return "\n".join(f"  {name:<24} {place}" for name, place in rows)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev up")
    parser.add_argument("--check", action="store_true", help="drive the journeys, check everything, stop")
    parser.add_argument("--json", action="store_true", help="with --check: the account as JSON")
    parser.add_argument("--no-traffic", action="store_true", help="send no sample dossiers")
    parser.add_argument("--broker", choices=WISHES, default="auto")
    parser.add_argument("--base-port", type=int, default=DEFAULT_BASE)
    return parser.parse_args(arguments)


def _stack(options: argparse.Namespace, progress: Progress) -> Stack:
    # The check has its own data: its service with deadlines of seconds must not stay in anybody's catalogue.
    root = CHECKOUT / ".local" / "check" if options.check else CHECKOUT / ".local"
    environment = {"CATALOGUE": str(CHECKOUT / "deploy" / "local" / "catalogue")} if options.check else {}
    try:
        return Stack(root, options.base_port, options.broker, environment, progress=progress)
    except ValueError as error:
        raise LocalError(str(error)) from error


def _check(stack: Stack, *, as_json: bool) -> int:
    report = cast("Report", import_module("deploy.local.check").run(stack))
    print(report.to_json() if as_json else report.to_text(), flush=True)
    return 0 if report.ok else 1


def _serve(stack: Stack, *, traffic: bool) -> int:
    stack.progress.say(table(stack))
    stack.progress.say("\nCtrl-C stops everything; the data stays for the next `./dev up`.")
    supervisor = Supervisor(stack)
    supervisor.start()
    try:
        with _traffic(stack) if traffic else _silence():
            threading.Event().wait()
    finally:
        supervisor.stop()
    return 0


@contextmanager
def _traffic(stack: Stack) -> Iterator[None]:
    stop = threading.Event()
    run = import_module("deploy.local.traffic").run
    thread = threading.Thread(target=run, args=(stack, stop), name="traffic", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)


@contextmanager
def _silence() -> Iterator[None]:
    yield


def _stop(stack: Stack) -> None:
    ignore_interrupts()
    if stack.names():
        with stack.progress.step("stopped"):
            stack.stop()
