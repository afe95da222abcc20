"""A real mongod as a single-node replica set with access control: finding, starting, first set-up.

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
from deploy.local.preflight import require_libraries
from deploy.local.processes import Launch
from deploy.local.secrets_file import StackSecrets

LEAST_MAJOR = 6
_REPLICA_SET = "rs0"
# Server error codes (mongo/base/error_codes.yml).
_UNAUTHORIZED, _LOGIN_FAILED, _ALREADY_INITIALIZED = 13, 18, 23


@dataclass(frozen=True)
class MongoSettings:
    """Where the database of one stack lives and listens."""

    directory: Path
    port: int
    secrets: StackSecrets

    @property
    def address(self) -> str:
        """Host and port as the replica set and its clients know it."""
        return f"127.0.0.1:{self.port}"

    def uri(self, database: str) -> str:
        """Connection string of the user that may use `database` and no other."""
        return (
            f"mongodb://{database}:{self.secrets.mongo[database]}@{self.address}/{database}?replicaSet={_REPLICA_SET}"
        )

    @property
    def root_uri(self) -> str:
        """Connection string of the administrator."""
        return f"mongodb://root:{self.secrets.mongo['root']}@{self.address}/?authSource=admin&replicaSet={_REPLICA_SET}"


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


def launch(settings: MongoSettings) -> Launch:
    """How mongod is started; writes the key file that replica sets with access control require."""
    program, _ = find_mongod()
    data = settings.directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    key_file = settings.directory / "keyfile"
    _write_key_file(key_file, settings.secrets.tokens["mongo_keyfile"])
    command = [str(program), "--replSet", _REPLICA_SET, "--keyFile", str(key_file), "--dbpath", str(data)]
    command += ["--bind_ip", "127.0.0.1", "--port", str(settings.port), "--nounixsocket", "--quiet"]
    command += ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "990"]
    for parameter in ("diagnosticDataCollectionEnabled=false", "shutdownTimeoutMillisForSignaledShutdown=100"):
        command += ["--setParameter", parameter]
    return Launch("mongo", command, os.environ, settings.directory, lambda: answers(settings), stop_seconds=30)


def answers(settings: MongoSettings) -> bool:
    """Whether mongod accepts commands, in whatever replica set state."""
    try:
        with _client(settings, None) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True


def is_primary(settings: MongoSettings) -> bool:
    """Whether mongod accepts writes."""
    try:
        with _client(settings, None) as client:
            return bool(client.admin.command("hello").get("isWritablePrimary"))
    except PyMongoError:
        return False


def initiate(settings: MongoSettings) -> None:
    """Make mongod a replica set of one with its administrator, or bring its member address up to date. Repeatable."""
    with _client(settings, None) as client:
        try:
            client.admin.command("replSetInitiate", {"_id": _REPLICA_SET, "members": _members(settings)})
        except OperationFailure as failure:
            if failure.code not in (_UNAUTHORIZED, _ALREADY_INITIALIZED):
                raise
            _move(settings)


def create_users(settings: MongoSettings) -> None:
    """Create the administrator by the localhost exception and one user per database. Needs a primary. Repeatable."""
    _create_root(settings)
    with _client(settings, "root") as client:
        existing = {user["_id"] for user in client.admin.system.users.find({}, {"_id": 1})}
        for name, password in settings.secrets.mongo.items():
            if name == "root" or f"{name}.{name}" in existing:
                continue
            roles = [{"role": role, "db": name} for role in ("readWrite", "dbAdmin")]
            client[name].command("createUser", name, pwd=password, roles=roles)


def _create_root(settings: MongoSettings) -> None:
    with _client(settings, None) as client:
        try:
            client.admin.command("createUser", "root", pwd=settings.secrets.mongo["root"], roles=["root"])
        except OperationFailure as failure:
            if failure.code != _UNAUTHORIZED:
                raise


def _move(settings: MongoSettings) -> None:
    """Give the replica set its present port when the stack's ports were changed between two runs."""
    with _client(settings, "root") as client:
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as failure:
            if failure.code == _LOGIN_FAILED:
                raise LocalError(
                    "The database does not know the passwords in .local/secrets.json: run `./dev reset`."
                ) from failure
            raise
        if config["members"][0]["host"] != settings.address:
            config = {**config, "version": config["version"] + 1, "members": _members(settings)}
            client.admin.command("replSetReconfig", config, force=True)


def _members(settings: MongoSettings) -> list[dict[str, object]]:
    return [{"_id": 0, "host": settings.address}]


def _client(settings: MongoSettings, user: str | None) -> "MongoClient[dict[str, object]]":
    login = f"{user}:{settings.secrets.mongo[user]}@" if user else ""
    return MongoClient(
        f"mongodb://{login}{settings.address}/?directConnection=true",
        serverSelectionTimeoutMS=500,
        connectTimeoutMS=2000,
    )


def _version_output(program: Path) -> str:
    return subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False).stdout


def _write_key_file(path: Path, content: str) -> None:
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o400), "w") as file:
            file.write(content)
