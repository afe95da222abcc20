"""Who may import what: services are independent, the library knows no service, each foreign library has one door."""

import ast

import pytest

from tests.architecture.tree import SERVICES, Module, imports, modules, packages, product

DOORS: dict[str, tuple[str, ...]] = {
    "motor": ("shared/store/mongo.py",),
    "stripe": ("services/payments/",),
    "aiokafka": ("shared/kafka/",),
    "faust": ("services/analytics/", "examples/"),
    "aiosmtplib": ("services/notifications/",),
    "fpdf": ("services/intake/documents/",),
    "cel": ("services/intake/",),
}
"""Library -> where alone it is imported."""

BESIDE: dict[tuple[str, str], str] = {
    ("stripe", "deploy/local/sandbox/psp/processor.py"): "the stand-in signs webhooks as Stripe's own library does",
    ("stripe", "deploy/local/sandbox/psp/objects.py"): "the stand-in takes the parameters that Stripe's library sends",
    ("aiokafka", "deploy/local/journeys/books.py"): "counts from outside what lies on the topics, past our own reader",
    ("aiokafka", "services/analytics/board.py"): "follows the compacted KPI topic without a group",
    ("aiokafka", "services/analytics/worker.py"): "Faust raises this library's errors",
}
"""Library and module beside its door, each with a reason."""

LOCAL_TO_SERVICE: dict[str, str] = {
    "deploy/local/journeys/audit.py": "compares the live KPIs with the same fold over the journals",
}
"""Modules of the local deployment that import a service, each with a reason."""

MONGO_DRIVER = ("shared/store/mongo.py", "shared/store/primary.py", "shared/store/dump.py", "deploy/local/")
"""pymongo: the product's doors (single documents, how fresh they are, raw ones), and setting up a local replica set."""

PURE = ("domain.py", "state.py", "process.py", "public_status.py", "sharing.py", "matching.py")
IMPURE = {
    "httpx",
    "motor",
    "pymongo",
    "aiokafka",
    "faust",
    "stripe",
    "aiosmtplib",
    "fastapi",
    "asyncio",
    "random",
    "os",
}


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_imports_another(service: str) -> None:
    """What services know of each other is `shared/contracts`; none imports another's code."""
    others = {f"services.{other}" for other in SERVICES if other != service}
    for module in product():
        if module.service == service:
            wrong = {name for name in imports(module) if any(f"{name}.".startswith(f"{o}.") for o in others)}
            assert not wrong, f"{module.path} imports {wrong}"


def test_library_knows_nobody_who_uses_it() -> None:
    """`shared` imports neither services nor deployment nor tests."""
    for module in product():
        if module.path.startswith("shared/"):
            wrong = packages(module) & {"services", "deploy", "tests", "examples"}
            assert not wrong, f"{module.path} imports {wrong}"


def test_product_imports_no_test_and_no_deployment() -> None:
    """Services import the library only."""
    for module in product():
        if module.path.startswith("services/"):
            assert not packages(module) & {"deploy", "tests", "examples"}, module.path
            fakes = {name for name in imports(module) if name.startswith("shared.testing")}
            assert not fakes, f"{module.path} imports fakes"


def test_local_deployment_imports_no_service() -> None:
    """`deploy/local` starts services as processes; it knows them by name only."""
    for module in product():
        if module.path.startswith("deploy/") and module.path not in LOCAL_TO_SERVICE:
            assert "services" not in packages(module), module.path


@pytest.mark.parametrize("library", DOORS)
def test_library_has_one_door(library: str) -> None:
    """A foreign library is imported only where its successor would be put in."""
    wrong = [
        module.path
        for module in product()
        if library in packages(module)
        and not module.path.startswith(DOORS[library])
        and (library, module.path) not in BESIDE
    ]
    assert wrong == []


def test_mongo_driver_has_one_door() -> None:
    """pymongo is imported where motor is, and for setting up a local database."""
    wrong = [m.path for m in product() if {"pymongo", "bson"} & packages(m) and not m.path.startswith(MONGO_DRIVER)]
    assert wrong == []


def _pure() -> list[Module]:
    return [module for module in product() if module.service and module.path.rpartition("/")[2] in PURE]


@pytest.mark.parametrize("module", _pure(), ids=lambda module: module.path)
def test_domain_is_pure(module: Module) -> None:
    """The core does no I/O and reads neither clock nor randomness: what it needs comes as arguments."""
    assert not packages(module) & IMPURE
    for clock in (".now(", ".utcnow(", ".today(", "time.time(", "uuid4("):
        assert clock not in module.text, f"{module.path} uses {clock}"


def test_exceptions_are_needed() -> None:
    """An exception for an import that is gone is removed."""
    found = {(library, module.path) for module in product() for library in packages(module)}
    assert [exception for exception in BESIDE if exception not in found] == []
    assert [path for path in LOCAL_TO_SERVICE if ("services", path) not in found] == []


def test_no_relative_import_and_no_star() -> None:
    """A name's origin is written in full."""
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, module.path
                assert all(alias.name != "*" for alias in node.names), module.path
