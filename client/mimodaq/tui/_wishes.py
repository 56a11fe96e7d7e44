"""How the next run shall go, as typed in the start dialog, and what of it needs the setup to be loaded again."""

from __future__ import annotations

from dataclasses import dataclass

from mimodaq.config import QuantityError, Setup, parse_quantity
from mimodaq.protocol.parts import OnLoss

from .feed import Choices


class WishError(Exception):
    """A wish that cannot be understood; says what can be typed."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The fields of the dialog; an empty one is no limit, and no host."""

    runtime: str = ""
    events: str = ""
    optional: str = ""
    on_loss: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What has to be configured before the start."""

    overrides: tuple[str, ...]
    """Of the setup, as `mimodaq configure --set` takes them."""
    optional: tuple[str, ...]
    on_loss: OnLoss
    about: str
    """In words."""


def as_configured(setup: Setup, choices: Choices) -> Wishes:
    """The fields as they are before anything is typed."""
    runtime = _time(setup.duration_s) if setup.duration_s else ""
    return Wishes(runtime, str(setup.events_limit or ""), " ".join(choices.optional), choices.on_loss.value)


def change_of(wishes: Wishes, setup: Setup, choices: Choices) -> Change | None:
    """What differs from what is configured; None if nothing does. Raises WishError."""
    seconds, events = _seconds(wishes.runtime), _events(wishes.events)
    optional, on_loss = _hosts(wishes.optional, setup), _on_loss(wishes.on_loss)
    overrides, about = [], []
    if seconds != (setup.duration_s or 0.0):
        overrides.append(f"runtime={seconds:g}")
        about.append(f"stop after {_time(seconds)}" if seconds else "no limit of time")
    if events != (setup.events_limit or 0):
        overrides.append(f"runevents={events}")
        about.append(f"stop after {events:,} events" if events else "no limit of events")
    if set(optional) != set(choices.optional):
        about.append(f"optional: {', '.join(optional) or 'no host'}")
    if on_loss is not choices.on_loss:
        about.append(f"a lost host {'stops' if on_loss is OnLoss.STOP else 'pauses'} the run")
    return Change(tuple(overrides), optional, on_loss, "; ".join(about)) if about else None


def _seconds(text: str) -> float:
    if not text.strip():
        return 0.0
    try:
        seconds = parse_quantity(text.strip(), "s")
    except QuantityError as error:
        raise WishError(f"stop after: {error}") from error
    if seconds <= 0:
        raise WishError(f"stop after {text.strip()}: a time such as 2 h, or nothing for no limit")
    return seconds


def _events(text: str) -> int:
    digits = text.strip().replace(",", "").replace("_", "")
    if not digits:
        return 0
    if not digits.isascii() or not digits.isdigit() or not int(digits):
        raise WishError(f"stop after {text.strip()} events: a whole number, or nothing for no limit")
    return int(digits)


def _hosts(text: str, setup: Setup) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for name in names:
        if name not in setup.hosts:
            raise WishError(f"optional hosts: the setup has no host {name}; it has {', '.join(setup.hosts) or 'none'}")
    return names


def _on_loss(text: str) -> OnLoss:
    try:
        return OnLoss(text.strip().lower())
    except ValueError:
        raise WishError(f"a lost host: {' or '.join(one.value for one in OnLoss)}, not {text.strip()!r}") from None


def _time(seconds: float) -> str:
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
