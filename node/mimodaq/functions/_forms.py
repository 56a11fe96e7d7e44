"""What form a worker function has, and whether its options fit.

Recognised by the signature alone, so that nobody has to register anything:

    def f(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info)    mimoCoRB
    def f(io, *, option=...)                                                    does its own loop
    def f(*, option=...): yield event                                           source
    def f(event, *, option=...)                                                 filter or sink, per event
    def f(batch, *, option=...)                                                 the same, per batch
"""

from __future__ import annotations

import difflib
import enum
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_MIMOCORB: Final = "config_dict"
_SHARED: Final = frozenset({"directory_prefix"})
_UNITS: Final = frozenset(
    ("ns", "us", "ms", "s", "min", "h", "uV", "mV", "V", "Hz", "kHz", "MHz", "B", "kB", "MB", "GB")
)


class Form(enum.Enum):
    """How a function wants to be called."""

    MIMOCORB = "mimoCoRB function"
    IO = "function with its own loop"
    SOURCE = "source (generator)"
    EVENT = "function of an event"
    BATCH = "function of a batch"


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """An option that does not fit the function."""

    option: str
    message: str
    suggestion: str = ""


class FormError(TypeError):
    """The function has none of the forms a worker can run."""


def form_of(function: Callable[..., Any]) -> Form:
    """The form of `function`; raises FormError naming what is missing."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        raise FormError(
            f"{_name(function)} does not tell its parameters: call it from a function of your own"
        ) from None
    names = [p.name for p in parameters]
    if _MIMOCORB in names:
        return Form.MIMOCORB
    if inspect.isgeneratorfunction(inspect.unwrap(function)):
        required = [
            p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        ]
        if required:
            raise FormError(f"source {_name(function)} must work without arguments: give {required[0]!r} a default")
        return Form.SOURCE
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not positional:
        raise FormError(
            f"{_name(function)} takes no event: a source is a generator (uses yield), "
            f"a filter is def {_name(function)}(event)"
        )
    return {"io": Form.IO, "batch": Form.BATCH}.get(positional[0].name, Form.EVENT)


def check_buffers(function: Callable[..., Any], rb_assign: Mapping[str, str]) -> str | None:
    """What is wrong with the buffers (name: read, write or observe) assigned to a function; None if nothing."""
    reads, writes, observes = (
        [buffer for buffer, word in rb_assign.items() if word == access] for access in ("read", "write", "observe")
    )
    found = ", ".join(f"{buffer}: {word}" for buffer, word in rb_assign.items())
    match form_of(function):
        case Form.SOURCE if len(writes) != 1 or reads or observes:
            return f"{_name(function)} is a source (uses yield) and writes exactly one buffer, found {found}"
        case Form.EVENT if len(reads) + len(observes) != 1:
            return f"{_name(function)} gets one event at a time and reads or observes exactly one buffer, found {found}"
        case Form.BATCH if len(reads) != 1 or observes:
            return f"{_name(function)} gets batches of events and reads exactly one buffer, found {found}"
    return None


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def options_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a function of one of our own forms, by name."""
    parameters = list(inspect.signature(function).parameters.values())
    if form_of(function) is not Form.SOURCE:
        first = next(p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
        parameters.remove(first)
    return {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def accepts_any_option(function: Callable[..., Any]) -> bool:
    """Whether the function takes `**options`."""
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def check_options(function: Callable[..., Any], config: Mapping[str, Any]) -> list[OptionProblem]:
    """Everything wrong with the options given to a function; mimoCoRB functions take any."""
    if form_of(function) is Form.MIMOCORB:
        return []
    known = options_of(function)
    problems = []
    for option, value in config.items():
        if option in known:
            message = _misfit(known[option], _hints(function).get(option, Any), value)
            if message:
                problems.append(OptionProblem(option, f"option {option!r} of {_name(function)}: {message}"))
        elif option not in _SHARED and not accepts_any_option(function):
            near = difflib.get_close_matches(option, known, n=1)
            given = ", ".join(known) or "no options"
            problems.append(
                OptionProblem(
                    option, f"{_name(function)} has no option {option!r}; it has {given}", near[0] if near else ""
                )
            )
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in config:
            problems.append(OptionProblem(option, f"{_name(function)} needs the option {option!r}"))
    return problems


def arguments(function: Callable[..., Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The options as keyword arguments, converted to the types the function declares."""
    known = options_of(function)
    hints = _hints(function)
    passed = dict(config) if accepts_any_option(function) else {k: v for k, v in config.items() if k in known}
    return {k: _convert(k, hints.get(k, Any), v) for k, v in passed.items()}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError, AttributeError):
        return {}  # annotations that cannot be evaluated say nothing about the options


def _kinds(hint: Any) -> set[Any]:
    """The plain types a type hint allows; `object` for anything."""
    if hint is Any or hint is inspect.Parameter.empty:
        return {object}
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        return set().union(*(_kinds(h) for h in typing.get_args(hint)))
    if origin is typing.Literal:
        return {typing.Literal}
    return {origin or hint}


def _misfit(parameter: inspect.Parameter, hint: Any, value: Any) -> str | None:
    """Why a value does not fit, None if it does. Only plain types are judged; texts with units count as numbers."""
    kinds = _kinds(hint)
    if typing.Literal in kinds:
        choices = [
            c
            for h in (hint, *typing.get_args(hint))
            if typing.get_origin(h) is typing.Literal
            for c in typing.get_args(h)
        ]
        if value in choices or (value is None and type(None) in kinds) or (type(value) in kinds):
            return None
        return f"{value!r} is not one of {', '.join(map(repr, choices))}"
    plain = {float, int, str, bool, type(None)}
    if not kinds <= plain or type(value) in kinds or (type(value) is int and float in kinds):
        return None
    if isinstance(value, str) and float in kinds:
        from mimodaq.config import QuantityError, parse_quantity  # only then: workers shall start quickly

        unit = _unit_of(parameter.name)
        try:
            parse_quantity(value, unit)
        except QuantityError as error:
            return str(error)
        return None
    if value == parameter.default:
        return None
    wanted = " or ".join(sorted(_WORDS[k] for k in kinds))
    return f"{wanted} expected, {value!r} found"


_WORDS: Final = {float: "a number", int: "a whole number", str: "a text", bool: "true or false", type(None): "nothing"}


def _unit_of(option: str) -> str:
    """The unit an option's number is in, from its name: `sample_time_ns`, `sleeptime` (s), `threshold_V`."""
    suffix = option.rsplit("_", 1)[-1]
    if suffix in _UNITS:
        return suffix
    return "s" if option.endswith(("time", "interval", "latency")) else ""


def _convert(option: str, hint: Any, value: Any) -> Any:
    kinds = _kinds(hint)
    if isinstance(value, str) and float in kinds and str not in kinds:
        from mimodaq.config import parse_quantity

        return parse_quantity(value, _unit_of(option))
    if type(value) is int and float in kinds and int not in kinds:
        return float(value)
    return value


def describe(function: Callable[..., Any]) -> str:
    """First line of the documentation, for listings."""
    text = inspect.getdoc(function) or ""
    return text.split("\n", 1)[0]
