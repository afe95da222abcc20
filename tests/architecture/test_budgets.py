"""Budgets of size: what is read often stays short. A budget is no reason to cut apart what belongs together."""

import ast

import pytest

from tests.architecture.tree import Module, functions, modules, non_blank, product

FILE_LINES = 250
FUNCTION_LINES = 40
ENTRY_LINES = 40
NESTING = 3

LONG_FILES: dict[str, str] = {}
"""Files over the budget, each with a reason."""

LONG_FUNCTIONS: dict[str, str] = {}
"""`path:function` over the budget, each with a reason."""

DEEP_FUNCTIONS: dict[str, str] = {
    "shared/runtime.py:Bus._sweep": "one loop: wait, hold the lease, go through relays until each has no backlog",
    "deploy/local/journeys/books.py:_read": "counts what lies on topics: partitions, records, first occurrences",
    "deploy/local/journeys/books.py:journals": "walks services, their collections, their entries",
    "deploy/local/traffic.py:_run": "days without end, each with its journeys, until told to stop",
}
"""`path:function` of the product nested deeper than the budget, each with a reason."""

EVERY = pytest.mark.parametrize("module", modules(), ids=lambda module: module.path)


@EVERY
def test_file_is_short(module: Module) -> None:
    """At most 250 non-blank lines."""
    lines = non_blank(module.text)
    assert module.path in LONG_FILES or lines <= FILE_LINES, f"{module.path} has {lines} lines"


@EVERY
def test_functions_are_short(module: Module) -> None:
    """At most 40 non-blank lines each, decorators and docstring included, inner functions too."""
    long = {f"{module.path}:{name}": lines for name, lines, _ in functions(module) if lines > FUNCTION_LINES}
    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}


@pytest.mark.parametrize("module", product(), ids=lambda module: module.path)
def test_nesting_is_flat(module: Module) -> None:
    """Blocks lie at most three deep in each other."""
    deep = {f"{module.path}:{name}": depth for name, _, depth in functions(module) if depth > NESTING}
    assert {name: depth for name, depth in deep.items() if name not in DEEP_FUNCTIONS} == {}


@EVERY
def test_module_has_a_docstring(module: Module) -> None:
    """It says what the module owns."""
    assert ast.get_docstring(module.tree)


@pytest.mark.parametrize(
    "module", [m for m in product() if m.path.endswith("__main__.py") or m.path == "dev"], ids=lambda m: m.path
)
def test_entry_point_is_a_table_of_contents(module: Module) -> None:
    """At most 40 lines."""
    assert non_blank(module.text) <= ENTRY_LINES


@pytest.mark.parametrize("allowed", [LONG_FILES, LONG_FUNCTIONS, DEEP_FUNCTIONS], ids=["files", "functions", "depth"])
def test_allowances_are_needed(allowed: dict[str, str]) -> None:
    """An allowance for what has become short, or is gone, is removed."""
    sizes = {module.path: non_blank(module.text) > FILE_LINES for module in modules()}
    for module in modules():
        for name, lines, depth in functions(module):
            sizes[f"{module.path}:{name}"] = lines > FUNCTION_LINES or depth > NESTING
    assert [name for name in allowed if not sizes.get(name)] == []
    assert all(reason for reason in allowed.values())
