"""A whole Dossierbus on one machine: database, broker, sandboxes and roles as one object, for `./dev up` and for tests.

Owns the order in which things start and stop, and all under `root`. Never restarts a role by itself (see supervisor).
"""

import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from deploy.local import broker as brokers
from deploy.local import mongo, preflight, processes, secrets_file, topics
from deploy.local.errors import LocalError
from deploy.local.health import is_ready
from deploy.local.lock import StackLock
from deploy.local.ports import DEFAULT_BASE, MEMBER_OFFSETS, OFFSETS, check_base
from deploy.local.processes import Launch, ManagedProcess
from deploy.local.progress import Progress, silent
from deploy.local.role_environment import Settings, role_environment, sandbox_environment
from deploy.local.roles import ROLES, SANDBOXES
from shared.errors import DossierbusError

CHECKOUT = Path(__file__).resolve().parents[2]


class Stack:
    """The processes of one local installation. All calls block; threads may handle different processes.

    `root` holds data, logs, pid files and secrets and may be reused; every port derives from `base_port`. `environment`
    overrides settings of every role and sandbox. `roles` limits which roles `start()` starts (None: all of them).
    `nodes`: 1, or 3 for `mongo`, `mongo-2`, `mongo-3` and `broker`, `broker-2`, `broker-3`. With `detours` processes
    reach databases, brokers and providers by the ports of a fault proxy, which somebody else starts first.
    """

    def __init__(
        self,
        root: Path,
        base_port: int = DEFAULT_BASE,
        broker: str = "auto",
        environment: Mapping[str, str] | None = None,
        roles: Sequence[str] | None = None,
        progress: Progress | None = None,
        *,
        nodes: int = 1,
        detours: bool = False,
    ) -> None:
        self.root = root.resolve()
        self.base_port = check_base(base_port)
        self.roles: tuple[str, ...] = tuple(ROLES) if roles is None else tuple(roles)
        self.progress = progress or silent()
        self._wish = broker
        self._nodes = nodes
        self._detours = detours
        self._overrides = dict(environment or {})
        self._broker: brokers.Broker | None = None
        self._processes: dict[str, ManagedProcess] = {}
        self._guard = threading.Lock()
        self._forming = threading.Lock()
        self._formed = False
        self._lock = StackLock(self.root / "stack.lock")
        self.root.mkdir(parents=True, exist_ok=True)
        self._secrets = secrets_file.load(self.root / "secrets.json")
        self.mongo = mongo.settings_of(self.root / "mongo", base_port, self._secrets, nodes, detours=detours)

    @property
    def broker(self) -> brokers.Broker:
        """The broker of this stack, found (and downloaded) at first use. Raises LocalError when it cannot be had."""
        if self._broker is None:
            self._broker = brokers.prepare(self._wish, self.root, self.base_port, self._nodes, detours=self._detours)
        return self._broker

    @property
    def infrastructure(self) -> tuple[str, ...]:
        """The processes of database and broker."""
        return (*self.mongo.names, *self.broker.program.names)

    @property
    def broker_kind(self) -> brokers.Kind:
        """`kafka` or `embedded`."""
        return self.broker.kind

    @property
    def broker_reason(self) -> str:
        """One sentence: which broker this is and why."""
        return self.broker.reason

    @property
    def bootstrap(self) -> str:
        """Address of the broker as clients want it, as in `127.0.0.1:8190`, or of all its nodes."""
        return self.settings.bootstrap

    @property
    def settings(self) -> Settings:
        """What the environments of all processes are made of."""
        return Settings(
            self.root,
            self.base_port,
            self.broker_kind,
            self._secrets,
            self.mongo,
            self._overrides,
            len(self.broker.program.names),
            self._detours,
        )

    @property
    def root_mongo_uri(self) -> str:
        """Connection string of the database administrator."""
        return self.mongo.root_uri

    def mongo_uri(self, database: str) -> str:
        """Connection string of the user of one database. Raises KeyError for a database nobody owns."""
        return self.mongo.uri(database)

    def url(self, name: str) -> str:
        """Base URL of a role or sandbox, without a trailing slash. Raises KeyError for an unknown name."""
        return self.settings.url(name)

    def env_for(self, name: str) -> dict[str, str]:
        """The full environment a role or sandbox is started with. Raises KeyError for an unknown name."""
        make = sandbox_environment if name in SANDBOXES else role_environment
        return make(self.settings, name)

    def names(self) -> list[str]:
        """The processes started so far, in starting order."""
        with self._guard:
            return list(self._processes)

    def process(self, name: str) -> ManagedProcess:
        """One started process. Raises LocalError when it was never started."""
        with self._guard:
            if name not in self._processes:
                raise LocalError(f"{name} was not started in this stack.")
            return self._processes[name]

    def start(self) -> None:
        """Start everything and return when all of it is ready. Raises LocalError after stopping what had started."""
        try:
            self.start_infrastructure()
            self._together(self.start_role, SANDBOXES)
            self.create_topics()
            self._together(self.start_role, self.roles)
        except BaseException:
            self.stop()
            raise

    def start_infrastructure(self) -> None:
        """Clean up after an aborted run, check the machine, start database and broker. Raises LocalError."""
        preflight.require_platform()
        self._lock.acquire()
        self.progress.say(self.broker_reason)
        for name in processes.reap(self.root):
            self.progress.say(f"  ended {name}, left over from an earlier run")
        preflight.require_disk(self.root)
        offsets = OFFSETS if self._nodes == 1 else OFFSETS | MEMBER_OFFSETS
        preflight.require_free_ports({name: self.base_port + offset for name, offset in offsets.items()})
        self._together(self.start_role, self.infrastructure)

    def create_topics(self) -> None:
        """Create the topics that are missing. Raises LocalError when the broker refuses."""
        with self.progress.step("topics"):
            try:
                topics.create(self.env_for("intake-api"))
            except DossierbusError as error:
                raise LocalError(f"The topics could not be created: {error}.") from error

    def start_role(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        """Start one role, sandbox, database or broker and wait until it is ready; `environment` overrides.

        A role's second replica is called as in `intake-worker+2`.
        """
        with self.progress.step(self._label(name)):
            process = ManagedProcess(self._launch(name, environment or {}), self.root)
            with self._guard:
                self._processes[name] = process
            process.start()
            self.wait_ready(name)

    def wait_ready(self, name: str) -> None:
        """Return when the process is ready for work. Raises LocalError with the end of its log if not."""
        self.process(name).wait_ready()
        if name in self.mongo.names:
            self._form_replica_set()

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process; after SIGKILL it is gone when this returns."""
        self.process(name).kill(number)

    def stop_role(self, name: str) -> None:
        """End one process cleanly; `restart` brings it back."""
        self.process(name).stop()

    def restart(self, name: str) -> None:
        """End a process if it still runs, start it again with the same settings and wait until it is ready."""
        self.process(name).stop()
        self.respawn(name)
        self.wait_ready(name)

    def respawn(self, name: str) -> None:
        """Start a process that has ended again with the same settings, without waiting until it is ready."""
        process = self.process(name)
        if name in self.broker.program.names:
            # An emptied broker must be recognized as another cluster, so its storage is looked at in each start.
            process.launch = self.broker.program.launch(name)
        process.start()

    def wipe_broker(self) -> None:
        """Bring the broker back empty, as a new cluster."""
        names = self.broker.program.names
        self._together(self.stop_role, names)
        self.broker.program.wipe()
        self._together(self.restart, names)

    def stop(self) -> None:
        """Stop everything, roles first, database last. Without effect when nothing runs."""
        names = self.names()
        databases = [name for name in names if name in self.mongo.names]
        brokers = [name for name in names if name.startswith("broker")]
        sandboxes = [name for name in names if name in SANDBOXES]
        users = [name for name in names if name not in (*databases, *brokers, *sandboxes)]
        for group in (users, sandboxes, brokers, databases):
            self._together(self.stop_role, group)
        self._lock.release()

    def _form_replica_set(self) -> None:
        """Set the database up once all its members run; whoever comes later waits for a primary only.

        A second look at once would find a member that has not heard of the administrator yet.
        """
        with self._forming:
            if not set(self.mongo.names) <= set(self.names()):
                return
            if not all(mongo.answers(self.mongo, member) for member in self.mongo.members):
                return
            to_form = not (self._formed and mongo.is_set(self.mongo))
            if to_form:
                mongo.initiate(self.mongo)
            processes.wait_until(self._accepts_writes, 60, "MongoDB did not become primary")
            if to_form:
                mongo.create_users(self.mongo)
            self._formed = True

    def _accepts_writes(self) -> bool:
        if any(self.process(name).exit_code is not None for name in self.mongo.names):
            raise LocalError("MongoDB ended before it accepted writes.")
        return mongo.primary(self.mongo) is not None

    def _launch(self, name: str, environment: Mapping[str, str]) -> Launch:
        if name in self.mongo.names:
            return mongo.launch(self.mongo, name)
        if name in self.broker.program.names:
            return self.broker.program.launch(name)
        module = ("deploy.local.sandbox", name) if name in SANDBOXES else ROLES[name.partition("+")[0]].module
        port = self.settings.port(name)
        Path(self.env_for(name)["DATA_DIR"]).mkdir(parents=True, exist_ok=True)
        command = (sys.executable, "-m", *module)
        return Launch(
            name, command, {**self.env_for(name), **environment}, CHECKOUT, lambda: is_ready(port), deadline_seconds=120
        )

    def _label(self, name: str) -> str:
        if name in self.mongo.names:
            return name.replace("mongo", f"MongoDB {mongo.find_mongod()[1]}")
        return name.replace("broker", f"broker ({self.broker_kind})")

    def _together(self, act: Callable[[str], None], names: Sequence[str]) -> None:
        """Do the same to several processes at once; the first failure is raised when all have finished."""
        if not names:
            return
        with ThreadPoolExecutor(max_workers=len(names)) as pool:
            futures = [pool.submit(act, name) for name in names]
            try:
                wait(futures)
            except BaseException:
                # Ctrl-C: what is still starting would otherwise be waited for until its deadline.
                for name in set(names) & set(self.names()):
                    self.process(name).send(signal.SIGTERM)
                raise
        for future in futures:
            future.result()
