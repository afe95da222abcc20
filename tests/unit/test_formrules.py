"""Rules of forms: what they may say, that they are refused at load or fail safely, and when a birthday counts."""

import time
from datetime import date
from typing import Any

import pytest

from services.intake.formcheck import FieldError, FormSchema
from services.intake.formrules import Rule, RuleContext, RuleError, check, check_rules, years_between

TODAY = RuleContext(today=date(2026, 11, 21))
MESSAGE = {"de": "Bitte prüfen.", "fr": "À vérifier.", "it": "Da verificare.", "en": "Please check."}


@pytest.mark.parametrize(
    ("expression", "form", "met"),
    [
        ("form.until >= form.since", {"since": "2026-01-01", "until": "2026-01-01"}, True),
        ("form.until >= form.since", {"since": "2026-01-02", "until": "2026-01-01"}, False),
        ("form.valid_from >= today", {"valid_from": "2026-11-20"}, False),
        ("days_between(form.moved_on, today) <= 14", {"moved_on": "2026-11-07"}, True),
        ("days_between(form.moved_on, today) <= 14", {"moved_on": "2026-11-06"}, False),
        ("years_between(form.birth, today) >= 18", {"birth": "2008-11-21"}, True),
        ("years_between(form.birth, today) >= 18", {"birth": "2008-11-22"}, False),
        ("!has(form.count) || form.count <= 12", {}, True),
        ("form.people.all(person, person.age >= 0)", {"people": [{"age": 1}, {"age": -1}]}, False),
        ("form.kind in ['a', 'b'] && size(form.list) > 0", {"kind": "b", "list": [1]}, True),
        ("form.income <= (form.months <= 18 ? 108000 : 100000)", {"income": 100_001, "months": 19}, False),
    ],
)
def test_rules(expression: str, form: dict[str, Any], met: bool) -> None:
    """A rule that is met says nothing; one that is not says its own message at its own field."""
    errors = check_rules([Rule("/field", expression, MESSAGE)], form, TODAY)
    assert errors == (() if met else (FieldError("/field", "rule", MESSAGE),))


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "form.a >",
        "form.a > other",
        "unknown(form.a)",
        "form.a + 1 == 2 || now() > 1",
        "1 + 1",
        "'text'",
        "form.l.all(x, form.l.all(y, x + y > 0))",
        "form.l.map(x, x).all(y, y > 0)",
        "true || " * 200 + "true",
        "(" * 5_000 + "true" + ")" * 5_000,
    ],
)
def test_a_bad_rule_is_found_at_load(expression: str) -> None:
    """Syntax, unknown names, results that are no truth value, and walks within walks are refused when built."""
    with pytest.raises(RuleError):
        Rule("/field", expression, MESSAGE)


def test_a_rule_needs_all_languages_and_a_pointer() -> None:
    """A rule without an Italian message or with a pointer that is none is refused when built."""
    with pytest.raises(RuleError, match="it"):
        Rule("/field", "true", {key: text for key, text in MESSAGE.items() if key != "it"})
    with pytest.raises(RuleError, match="Pointer"):
        Rule("field", "true", MESSAGE)


@pytest.mark.parametrize(
    ("expression", "form"),
    [
        ("form.missing > 1", {}),
        ("form.a > 1", {"a": "text"}),
        ("1 / form.a == 1", {"a": 0}),
        ("form.a[3] == 1", {"a": [1]}),
        ("int(form.a) > 1", {"a": "9" * 60_000}),
        ("days_between(form.a, today) > 1", {"a": "2026-02-30"}),
        ("form.a", {"a": "true"}),
    ],
)
def test_what_cannot_be_evaluated_does_not_pass(
    expression: str, form: dict[str, Any], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A rule that fails on a form raises nothing, passes nothing, and neither logs nor prints."""
    (error,) = check_rules([Rule("/field", expression, MESSAGE)], form, TODAY)
    assert (error.code, error.detail) == ("rule-unevaluable", MESSAGE)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_a_walk_over_the_longest_possible_list_is_quick() -> None:
    """One walk over as many entries as fit into 64 KiB stays far below a second."""
    rule = Rule("/l", "form.l.all(x, x >= 0 && x + 1 > 0)", MESSAGE)
    started = time.perf_counter()
    assert check_rules([rule], {"l": [1] * 32_000}, TODAY) == ()
    assert time.perf_counter() - started < 2


def test_rules_wait_for_the_schema() -> None:
    """While a field has the wrong shape, no rule speaks about it."""
    schema, rule = FormSchema({"properties": {"a": {"type": "integer"}}}), Rule("/a", "form.a > 5", MESSAGE)
    assert [error.code for error in check(schema, [rule], {"a": "x"}, TODAY)] == ["type"]
    assert [error.code for error in check(schema, [rule], {"a": 1}, TODAY)] == ["rule"]
    assert check(schema, [rule], {"a": 6}, TODAY) == ()


def test_a_leap_day_birthday_counts_on_1_march() -> None:
    """Someone born on 29 February comes of age on 1 March of a common year."""
    assert years_between("2008-02-29", "2026-02-28") == 17
    assert years_between("2008-02-29", "2026-03-01") == 18
