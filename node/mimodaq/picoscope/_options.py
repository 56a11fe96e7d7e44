"""Take options out of a mapping one by one, each with its unit; collect every mistake."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from mimodaq.config import QuantityError, nearest, parse_quantity

_MISSING: Final = object()


class Fault(NamedTuple):
    """Something wrong with an option."""

    option: str
    """Name of the top-level option, for the line in the setup."""
    message: str
    suggestion: str = ""


class Options:
    """The options of one mapping of the setup; what nobody has asked for is unknown."""

    def __init__(self, given: Mapping[str, Any], path: str, faults: list[Fault], top: str = "") -> None:
        self._given = given
        self._path = path
        self._faults = faults
        self._top = top
        self._known: set[str] = set()

    def __contains__(self, key: str) -> bool:
        """Whether the option is given."""
        return key in self._given

    def fault(self, key: str, message: str, suggestion: str = "") -> None:
        """Note what is wrong with an option."""
        self._faults.append(Fault(self._top or key, f"{self._path}{key}: {message}", suggestion))

    def get(self, key: str, default: Any = None) -> Any:
        """The value as it is written."""
        self._known.add(key)
        value = self._given.get(key, default)
        return default if value is None else value

    def quantity(self, key: str, unit: str, default: float = math.nan, least: float = -math.inf) -> float:
        """A number with a unit, in `unit`; not below `least`. Needed if there is no default."""
        value = self.get(key, _MISSING)
        if value is _MISSING:
            if math.isnan(default):
                self.fault(key, f"is missing; write for example `{key}: 1 {unit}`")
            return default
        try:
            number = parse_quantity(value, unit)
        except QuantityError as error:
            self.fault(key, str(error))
            return default
        if number < least:
            self.fault(key, f"{value} is too small; at least {least:g} {unit} is possible")
            return default
        return number

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number within limits."""
        value = self.get(key, default)
        if type(value) is not int or not least <= value <= most:
            self.fault(key, f"a whole number from {least} to {most} is expected, {value!r} found")
            return default
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.get(key, default)
        if type(value) is not bool:
            self.fault(key, f"true or false is expected, {value!r} found")
            return default
        return value

    def choice(self, key: str, choices: Iterable[str], default: str) -> str:
        """One of several words, in any case."""
        value = self.get(key, default)
        words = {word.lower(): word for word in choices}
        if value is False and "off" in words:  # YAML reads `off` as false
            return words["off"]
        found = words.get(str(value).lower())
        if found is None:
            self.fault(key, f"{value!r} is none of {', '.join(words.values())}", nearest(value, words.values()))
            return default
        return found

    def mapping(self, key: str) -> Options | None:
        """The options below an option; None if it is not given."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.fault(key, f"options as {{name: value}} are expected, {value!r} found")
            return None
        return Options(value, f"{self._path}{key}: ", self._faults, self._top or key)

    def keys(self) -> list[str]:
        """What is given."""
        return [str(key) for key in self._given]

    def finish(self) -> None:
        """Note the options that nobody knows."""
        for key in self._given:
            if key not in self._known:
                known = sorted(self._known)
                text = f"picoscope has no option {self._path}{key!r}; it has {', '.join(known)}"
                self._faults.append(Fault(self._top or str(key), text, nearest(key, known)))
