"""Plausibility rules of a form: CEL expressions that must be true, with what to say when they are not.

Owns what an expression may use: the variables `form` and `today` (a text YYYY-MM-DD, so that dates compare as texts),
the functions `days_between(from, to)` and `years_between(from, to)` over such texts, and the standard ones listed here.
CEL has no limits of its own: the form is limited by `formcheck`, and an expression may walk over one list only, since
nested walks over a hostile list take minutes. Never repeats what was filled in.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import cel

from services.intake.formats import LANGUAGES, is_date
from services.intake.formcheck import FieldError, FormSchema, check_form, check_limits

MAX_EXPRESSION = 1_000
UNEVALUABLE = "rule-unevaluable"
_VARIABLES = frozenset({"form", "today"})
_FUNCTIONS = frozenset(
    {"days_between", "years_between", "size", "int", "double", "string", "bool", "matches"}
    | {"startsWith", "endsWith", "contains", "timestamp", "duration"}
)
_WALK = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*(\w+)\s*,")
_FAILURES = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)


class RuleError(ValueError):
    """A rule of the catalogue cannot be used; found when it is built, never while a form is checked."""


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What a rule may know beside the form: the day on which it is checked, in the municipality's time zone."""

    today: date


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the field to be changed, an expression that must be true, and the message in de, fr, it, en.

    Raises RuleError for an expression that does not parse, is longer than 1000 signs, uses a name that does not exist,
    walks over more than one list or does not yield true or false, and for a missing language.
    """

    pointer: str
    expression: str
    message: Mapping[str, str]
    code: str = "rule"
    _program: cel.Program = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not all(self.message.get(language) for language in LANGUAGES):
            raise RuleError(f"{self.pointer}: expected a message in " + ", ".join(LANGUAGES))
        if self.pointer and not self.pointer.startswith("/"):
            raise RuleError(f"{self.pointer}: expected a JSON Pointer")
        object.__setattr__(self, "_program", _compiled(self.pointer, self.expression))

    def holds(self, variables: Mapping[str, Any]) -> bool | None:
        """Tell whether the rule is met; None when it cannot be evaluated, for example over a missing optional field."""
        result = _run(self._program, variables)
        return result if isinstance(result, bool) else None


def check_rules(rules: Sequence[Rule], form: Any, context: RuleContext) -> tuple[FieldError, ...]:
    """Return one error for each rule that the form does not meet, in the order of the rules.

    A rule that cannot be evaluated counts as not met, with the code `rule-unevaluable`: what nobody could check must
    not pass. Rules over optional fields start with `!has(form.field) || …`. A form over the limits of `formcheck` gets
    that error alone.
    """
    outside = check_limits(form)
    if outside:
        return outside
    variables = {"form": form, "today": context.today.isoformat()}
    outcomes = ((rule, rule.holds(variables)) for rule in rules)
    return tuple(
        FieldError(rule.pointer, UNEVALUABLE if met is None else rule.code, dict(rule.message))
        for rule, met in outcomes
        if not met
    )


def check(schema: FormSchema, rules: Sequence[Rule], form: Any, context: RuleContext) -> tuple[FieldError, ...]:
    """Check a form against its schema and, when it fits, against its rules."""
    return check_form(schema, form) or check_rules(rules, form, context)


def days_between(start: Any, end: Any) -> int | None:
    """Days from one date (YYYY-MM-DD) to another, negative backwards; None, which no comparison accepts, otherwise."""
    days = _dates(start, end)
    return (days[1] - days[0]).days if days else None


def years_between(start: Any, end: Any) -> int | None:
    """Full years from one date to another, as ages are counted (29 February counts on 1 March); None otherwise."""
    days = _dates(start, end)
    if not days:
        return None
    first, last = days
    return last.year - first.year - ((last.month, last.day) < (first.month, first.day))


def _dates(start: Any, end: Any) -> tuple[date, date] | None:
    # No exception here: the library logs the text of one.
    if all(isinstance(text, str) and is_date(text) for text in (start, end)):
        return date.fromisoformat(start), date.fromisoformat(end)
    return None


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression over `form`, `today` and `evidence` that is true or false, for decisions. Raises RuleError."""

    code: str
    expression: str
    _program: cel.Program = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_program", _compiled(self.code, self.expression, _VARIABLES | {"evidence"}))

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Tell whether the condition is met; what cannot be evaluated is not met."""
        return _run(self._program, variables) is True


def _compiled(where: str, expression: str, variables: frozenset[str] = _VARIABLES) -> cel.Program:
    if len(expression) > MAX_EXPRESSION:
        raise RuleError(f"{where}: expected an expression of at most {MAX_EXPRESSION} signs")
    try:
        program = cel.compile(expression)
    except ValueError as error:
        raise RuleError(f"{where}: {error}") from error
    walked = _WALK.findall(expression)
    if len(walked) > 1:
        raise RuleError(f"{where}: expected at most one of all, exists, exists_one, filter, map")
    names = set(program.variables()) - variables - set(walked)
    names |= {name for name in program.functions() if name[0].isalpha()} - _FUNCTIONS
    if names:
        raise RuleError(f"{where}: expected only known names, not " + ", ".join(sorted(names)))
    trial = _run(program, {"form": {}, "today": "2000-01-01", "evidence": {}})
    if trial is not None and not isinstance(trial, bool):
        raise RuleError(f"{where}: expected an expression that is true or false")
    return program


def _run(program: cel.Program, variables: Mapping[str, Any]) -> Any:
    functions = {"days_between": days_between, "years_between": years_between}
    try:
        return program.execute(cel.Context(dict(variables), functions))
    except _FAILURES:
        return None
