"""A real mongod as a replica set of one member or three, with access control: finding, starting, first set-up.

Data stays between runs. Roles get one user per database; `root` is for this module and for tests that look into things.
"""

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.errors import LocalError
from deploy.local.ports import detour_of, port_of
from deploy.local.preflight import require_libraries
from deploy.local.processes import Launch
from deploy.local.secrets_file import StackSecrets

LEAST_MAJOR = 6
_REPLICA_SET = "rs0"
# Of three members: soon enough for a campaign of kills, long enough for a busy machine. The server's own value is 10 s.
_ELECTION = {"electionTimeoutMillis": 4000, "heartbeatIntervalMillis": 500}
# Server error codes (mongo/base/error_codes.yml).
_UNAUTHORIZED, _LOGIN_FAILED, _ALREADY_INITIALIZED = 13, 18, 23


@dataclass(frozen=True)
class Member:
    """A mongod of the replica set. `advertised`: the port by which the others and the clients reach it."""

    name: str
    port: int
    advertised: int

    @property
    def address(self) -> str:
        """Host and port as the replica set and its clients know it."""
        return f"127.0.0.1:{self.advertised}"


@dataclass(frozen=True)
class MongoSettings:
    """Where the database of one stack lives and listens; `port` alone, or `members`."""

    directory: Path
    port: int
    secrets: StackSecrets
    more: tuple[Member, ...] = ()

    @property
    def members(self) -> tuple[Member, ...]:
        """Every mongod."""
        return self.more or (Member("mongo", self.port, self.port),)

    @property
    def names(self) -> tuple[str, ...]:
        """The processes it consists of."""
        return tuple(member.name for member in self.members)

    def uri(self, database: str) -> str:
        """Connection string of the user that may use `database` and no other."""
        login = f"{database}:{self.secrets.mongo[database]}"
        return f"mongodb://{login}@{self._addresses}/{database}?replicaSet={_REPLICA_SET}"

    @property
    def root_uri(self) -> str:
        """Connection string of the administrator."""
        login = f"root:{self.secrets.mongo['root']}"
        return f"mongodb://{login}@{self._addresses}/?authSource=admin&replicaSet={_REPLICA_SET}"

    @property
    def _addresses(self) -> str:
        return ",".join(member.address for member in self.members)


def settings_of(directory: Path, base_port: int, secrets: StackSecrets, nodes: int, *, detours: bool) -> MongoSettings:
    """The members `mongo`, `mongo-2`, `mongo-3` of a stack, reached directly or by detours."""
    names = ["mongo", *(f"mongo-{number}" for number in range(2, nodes + 1))]
    reached = detour_of if detours else port_of
    members = tuple(Member(name, port_of(name, base_port), reached(name, base_port)) for name in names)
    return MongoSettings(directory, members[0].port, secrets, members)


def find_mongod() -> tuple[Path, str]:
    """Path and version of the mongod to use: one >= 6 on PATH, else the one of the installed wheel.

    Raises LocalError when there is none or when it lacks a system library.
    """
    on_path = shutil.which("mongod")
    if on_path and (version := mongod_version(_version_output(Path(on_path)))) and major(version) >= LEAST_MAJOR:
        return Path(on_path), version
    wheel = Path(sysconfig.get_path("purelib")) / "fiftyone" / "db" / "bin" / "mongod"
    if not wheel.exists():
        raise LocalError(
            f"There is no mongod for this platform: install MongoDB {LEAST_MAJOR} or newer and put it on PATH."
        )
    require_libraries(wheel)
    version = mongod_version(_version_output(wheel))
    if not version:
        raise LocalError(
            f"{wheel} does not run on this system: install MongoDB {LEAST_MAJOR} or newer and put it on PATH."
        )
    return wheel, version


def mongod_version(output: str) -> str | None:
    """The version in what `mongod --version` prints, as in `6.0.5`; None when there is none."""
    match = re.search(r"db version v(\d+\.\d+\.\d+)", output)
    return match.group(1) if match else None


def major(version: str) -> int:
    """The first number of a dotted version."""
    return int(version.partition(".")[0])


def launch(settings: MongoSettings, name: str = "mongo") -> Launch:
    """How a member is started; writes the key file that replica sets with access control require."""
    program, _ = find_mongod()
    member = next(member for member in settings.members if member.name == name)
    home = settings.directory if name == "mongo" else settings.directory / name
    data = home / "data"
    data.mkdir(parents=True, exist_ok=True)
    key_file = home / "keyfile"
    _write_key_file(key_file, settings.secrets.tokens["mongo_keyfile"])
    command = [str(program), "--replSet", _REPLICA_SET, "--keyFile", str(key_file), "--dbpath", str(data)]
    command += ["--bind_ip", "127.0.0.1", "--port", str(member.port), "--nounixsocket", "--quiet"]
    command += ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "990"]
    for parameter in ("diagnosticDataCollectionEnabled=false", "shutdownTimeoutMillisForSignaledShutdown=100"):
        command += ["--setParameter", parameter]
    return Launch(name, command, os.environ, home, lambda: answers(settings, member), stop_seconds=30)


def answers(settings: MongoSettings, member: Member) -> bool:
    """Whether a mongod accepts commands, in whatever replica set state."""
    return _hello(settings, member) is not None


def serves(settings: MongoSettings, member: Member) -> bool:
    """Whether a mongod is primary or a secondary that follows."""
    hello = _hello(settings, member) or {}
    return bool(hello.get("isWritablePrimary") or hello.get("secondary"))


def is_set(settings: MongoSettings) -> bool:
    """Whether the members know that they are a replica set; emptied ones do not."""
    return any("setName" in (_hello(settings, member) or {}) for member in settings.members)


def primary(settings: MongoSettings) -> Member | None:
    """The member that accepts writes."""
    told = (member for member in settings.members if (_hello(settings, member) or {}).get("isWritablePrimary"))
    return next(told, None)


def step_down(settings: MongoSettings, seconds: int = 20) -> str | None:
    """Let the primary hand over and not stand for election for a while; its name, None when there is none."""
    member = primary(settings)
    if member is None:
        return None
    with _client(settings, "root", member) as client:
        try:
            client.admin.command("replSetStepDown", seconds, secondaryCatchUpPeriodSecs=min(5, seconds - 1))
        except PyMongoError:
            return None
    return member.name


def initiate(settings: MongoSettings) -> None:
    """Make a replica set with its administrator of these members, or bring addresses up to date. Repeatable."""
    config: dict[str, object] = {"_id": _REPLICA_SET, "members": _members(settings)}
    if len(settings.members) > 1:
        config["settings"] = _ELECTION
    with _client(settings, None, settings.members[0]) as client:
        try:
            client.admin.command("replSetInitiate", config)
        except OperationFailure as failure:
            if failure.code not in (_UNAUTHORIZED, _ALREADY_INITIALIZED):
                raise
            _move(settings)


def create_users(settings: MongoSettings) -> None:
    """Create the administrator by the localhost exception and one user per database. Needs a primary. Repeatable."""
    member = primary(settings) or settings.members[0]
    _create_root(settings, member)
    with _client(settings, "root", member) as client:
        existing = {user["_id"] for user in client.admin.system.users.find({}, {"_id": 1})}
        for name, password in settings.secrets.mongo.items():
            if name == "root" or f"{name}.{name}" in existing:
                continue
            roles = [{"role": role, "db": name} for role in ("readWrite", "dbAdmin")]
            client[name].command("createUser", name, pwd=password, roles=roles)


def _create_root(settings: MongoSettings, member: Member) -> None:
    with _client(settings, None, member) as client:
        try:
            client.admin.command("createUser", "root", pwd=settings.secrets.mongo["root"], roles=["root"])
        except OperationFailure as failure:
            if failure.code != _UNAUTHORIZED:
                raise


def _move(settings: MongoSettings) -> None:
    """Give the replica set its present port when the stack's ports were changed between two runs."""
    with _client(settings, "root", settings.members[0]) as client:
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as failure:
            if failure.code == _LOGIN_FAILED:
                raise LocalError(
                    "The database does not know the passwords in .local/secrets.json: run `./dev reset`."
                ) from failure
            raise
        if [member["host"] for member in config["members"]] != [member.address for member in settings.members]:
            config = {**config, "version": config["version"] + 1, "members": _members(settings)}
            client.admin.command("replSetReconfig", config, force=True)


def _members(settings: MongoSettings) -> list[dict[str, object]]:
    return [{"_id": index, "host": member.address} for index, member in enumerate(settings.members)]


def _hello(settings: MongoSettings, member: Member) -> dict[str, object] | None:
    try:
        with _client(settings, None, member) as client:
            return client.admin.command("hello")
    except PyMongoError:
        return None


def _client(settings: MongoSettings, user: str | None, member: Member) -> "MongoClient[dict[str, object]]":
    login = f"{user}:{settings.secrets.mongo[user]}@" if user else ""
    return MongoClient(
        f"mongodb://{login}127.0.0.1:{member.port}/?directConnection=true",
        serverSelectionTimeoutMS=500,
        connectTimeoutMS=2000,
        socketTimeoutMS=15_000,
    )


def _version_output(program: Path) -> str:
    return subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False).stdout


def _write_key_file(path: Path, content: str) -> None:
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o400), "w") as file:
            file.write(content)
