"""The options of `build_events`, compared with its buffers: a plan to work by, or everything that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mimodaq.config import QuantityError, nearest, parse_quantity
from mimodaq.functions._surroundings import SetupProblem, Surroundings
from mimodaq.functions.building._builder import MOST_SOURCES, Builder, Ints, Quality
from mimodaq.functions.building._hand import ticks
from mimodaq.functions.building._outputs import Origin, find_origins
from mimodaq.ring import Batch

MAX_WAIT: Final = "2 s"
MAX_PENDING: Final = 1_000_000
_TICKS: Final = {"ps": 10**12, "ns": 10**9, "us": 10**6, "ms": 10**3, "s": 1}
"""Ticks in a second, by the ending of the name of a time field."""
_STAMP_TICKS: Final = 10**9
_SMALLEST_STAMP_WINDOW_S: Final = 1e-6
"""Time stamps are float64 seconds since 1970 and resolve 0.24 us."""
_LONGEST_S: Final = 1e6
_WORDS: Final = {quality.name.lower(): quality for quality in Quality}


@dataclass(frozen=True, slots=True)
class Plan:
    """What `build_events` does, in ticks."""

    sources: tuple[str, ...]
    """The buffers read, in the order of `RB_assign`."""
    by_counter: bool
    window: int
    disorder: int
    offsets: tuple[int, ...]
    """What is subtracted from the times of each source."""
    time_field: str
    """The field that times are taken from; empty = the time stamps."""
    ticks_per_s: int
    min_sources: int
    max_wait_s: float
    max_pending: int
    keep: tuple[bool, ...]
    """Whether events are kept, by `Quality`."""
    origins: tuple[Origin, ...]

    def builder(self) -> Builder:
        """A new builder for it."""
        return Builder(
            len(self.sources),
            window=self.window,
            disorder=self.disorder,
            max_wait_s=self.max_wait_s,
            max_pending=self.max_pending,
        )

    def times(self, source: int, batch: Batch) -> Ints:
        """The corrected times of events of a source, in ticks."""
        if not self.time_field:
            return ticks(batch.timestamp, _STAMP_TICKS) - self.offsets[source]
        return batch.events[self.time_field][:, 0].astype(np.int64) - self.offsets[source]

    def stamp_offset_s(self, source: int) -> float:
        """What is subtracted from the time stamps of a source, s: nothing if a field has the times."""
        return 0.0 if self.time_field else self.offsets[source] / self.ticks_per_s


def check_build_events(config: Mapping[str, Any], surroundings: Surroundings) -> list[SetupProblem]:
    """Everything wrong with an entry of `build_events`."""
    return make_plan(config, surroundings)[1]


def make_plan(config: Mapping[str, Any], surroundings: Surroundings) -> tuple[Plan | None, list[SetupProblem]]:
    """The plan for these options and buffers, and the problems; there is a plan only if there are none."""
    return _Reading(config, surroundings).plan()


class _Reading:
    """Reads the options one by one and collects what is wrong."""

    def __init__(self, config: Mapping[str, Any], surroundings: Surroundings) -> None:
        self._config = config
        self._around = surroundings
        self._sources = tuple(surroundings.reads)
        self._problems: list[SetupProblem] = []

    def plan(self) -> tuple[Plan | None, list[SetupProblem]]:
        self._check_ends()
        if self._problems:
            return None, self._problems  # nothing else can be judged without buffers
        by_counter = self._option("by", "counter") == "counter"
        time_field, per_s = self._time_field()
        keep = self._keep()
        plan = Plan(
            sources=self._sources,
            by_counter=by_counter,
            window=0 if by_counter else self._window(per_s, is_stamp=not time_field),
            disorder=self._counters() if by_counter else self._ticks("disorder", 0, per_s),
            offsets=self._offsets(per_s),
            time_field=time_field,
            ticks_per_s=per_s,
            min_sources=self._min_sources(keep),
            max_wait_s=self._quantity(("max_wait",), self._option("max_wait", MAX_WAIT)),
            max_pending=self._option("max_pending", MAX_PENDING),
            keep=tuple(keep[quality] for quality in Quality),
            origins=self._origins(keep),
        )
        if by_counter and "window" in self._config:
            self._add("window", "window has no meaning with 'by: counter': leave it out, or say 'by: time'")
        if plan.max_wait_s <= 0:
            self._add("max_wait", f"max_wait must be longer than 0, found {self._config['max_wait']!r}")
        if plan.max_pending < 2:
            self._add("max_pending", f"max_pending must be 2 or more, found {plan.max_pending}")
        return (None if self._problems else plan), self._problems

    def _option(self, name: str, default: Any) -> Any:
        return self._config.get(name, default)

    def _add(self, option: str | tuple[str, ...], message: str, suggestion: str = "") -> None:
        path = (option,) if isinstance(option, str) else option
        self._problems.append(SetupProblem(("config", *path), f"build_events: {message}", suggestion))

    def _check_ends(self) -> None:
        around = self._around
        if not 2 <= len(around.reads) <= MOST_SOURCES or len(around.writes) != 1 or around.observes:
            self._problems.append(
                SetupProblem(
                    ("RB_assign",),
                    f"build_events reads 2 to {MOST_SOURCES} buffers, writes one and observes none; found "
                    f"{len(around.reads)} read, {len(around.writes)} written, {len(around.observes)} observed",
                )
            )
        if around.processes != 1:
            self._problems.append(
                SetupProblem(
                    ("num_process",),
                    f"build_events needs 'num_process: 1', found {around.processes}: each process would get some "
                    "events of each buffer, and partners would not meet",
                )
            )

    def _quantity(self, path: tuple[str, ...], value: Any) -> float:
        """A time in s; 1 s in place of one that is wrong."""
        try:
            seconds = parse_quantity(value, "s")
        except QuantityError as error:
            self._add(path, f"{'.'.join(path)}: {error}")
            return 1.0
        if abs(seconds) > _LONGEST_S:
            self._add(path, f"{'.'.join(path)}: {value!r} is more than {_LONGEST_S:g} s")
            return 1.0
        return seconds

    def _ticks(self, name: str, default: Any, per_s: int) -> int:
        value = self._option(name, default)
        seconds = self._quantity((name,), value)
        if seconds < 0:
            self._add(name, f"{name} must not be negative, found {value!r}")
        return round(seconds * per_s)

    def _window(self, per_s: int, *, is_stamp: bool) -> int:
        if "window" not in self._config:
            self._add("window", "'by: time' needs a window, for example 'window: 1 us'")
            return 0
        window = self._ticks("window", 0, per_s)
        if is_stamp and 0 <= window < _SMALLEST_STAMP_WINDOW_S * per_s:
            self._add(
                "window",
                f"window: {self._config['window']!r} is too short for time stamps, which resolve 0.24 us: use 1 us or "
                "more, or take the times from an integer field of the buffers with 'time_field: t_ns'",
            )
        elif not window:
            self._add("window", f"window: {self._config['window']!r} is less than one tick of 1/{per_s} s")
        return window

    def _counters(self) -> int:
        value = self._option("disorder", 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._add("disorder", f"disorder: with 'by: counter' a whole number of counters is needed, found {value!r}")
            return 0
        return value

    def _offsets(self, per_s: int) -> tuple[int, ...]:
        given = self._option("offsets", {})
        if not isinstance(given, Mapping):
            self._add("offsets", f"offsets: expected lines like {{{self._sources[0]}: 35 ns}}, found {given!r}")
            return (0,) * len(self._sources)
        self._check_names("offsets", given, self._sources, "reads")
        found = {
            name: round(self._quantity(("offsets", name), value) * per_s)
            for name, value in given.items()
            if name in self._sources
        }
        return tuple(found.get(name, 0) for name in self._sources)

    def _check_names(self, option: str, given: Mapping[str, Any], known: Sequence[str], verb: str) -> None:
        for name in given:
            if name not in known:
                message = f"{option}: there is no {name!r} here; build_events {verb} {', '.join(known)}"
                self._add((option, str(name)), message, nearest(name, known))

    def _keep(self) -> dict[Quality, bool]:
        keep = {quality: quality is Quality.COMPLETE for quality in Quality}
        given = self._option("keep", {})
        if not isinstance(given, Mapping):
            self._add("keep", f"keep: expected lines like {{incomplete: true}}, found {given!r}")
            return keep
        self._check_names("keep", given, tuple(_WORDS), "knows")
        for word, value in given.items():
            if word in _WORDS:
                if not isinstance(value, bool):
                    self._add(("keep", word), f"keep.{word}: true or false expected, found {value!r}")
                keep[_WORDS[word]] = bool(value)
        if not any(keep.values()):
            self._add("keep", "keep: all is false, so no event would be written")
        return keep

    def _min_sources(self, keep: Mapping[Quality, bool]) -> int:
        value, most = self._option("min_sources", 1), len(self._sources)
        if not 1 <= value <= most:
            self._add("min_sources", f"min_sources must be 1 to {most} (the buffers read), found {value}")
        elif "min_sources" in self._config and value < most and not keep[Quality.INCOMPLETE]:
            self._add(
                "min_sources",
                f"min_sources: {value} has no effect while incomplete events are dropped: add "
                "'keep: {incomplete: true}', or leave it out",
            )
        return int(value)

    def _time_field(self) -> tuple[str, int]:
        field = self._option("time_field", "")
        if not field:
            return "", _STAMP_TICKS
        unit = field.rsplit("_", 1)[-1]
        if unit not in _TICKS:
            endings = ", ".join(f"_{unit}" for unit in _TICKS)
            self._add("time_field", f"time_field: the name must end with its unit ({endings}), found {field!r}")
            return field, _STAMP_TICKS
        for name, dtype in self._around.reads.items():
            names = dtype.names or ()
            if field not in names:
                message = f"time_field: {name} has no field {field!r}; it has {', '.join(names)}"
                self._add("time_field", message, nearest(field, names))
            elif dtype[field].base.kind not in "iu" or dtype[field].base == np.uint64 or dtype[field].shape != (1,):
                self._add(
                    "time_field",
                    f"time_field: {field} of {name} is {dtype[field].base.name} with {dtype[field].shape[0]} samples; "
                    "a signed integer (int64), one an event, is needed",
                )
        return field, _TICKS[unit]

    def _origins(self, keep: Mapping[Quality, bool]) -> tuple[Origin, ...]:
        ((output, dtype),) = self._around.writes.items()
        origins, problems = find_origins(output, dtype, self._around.reads, self._option("fields", {}))
        self._problems += [SetupProblem(p.key, f"build_events: {p.message}", p.suggestion) for p in problems]
        told = {origin.content for origin in origins if origin.source < 0}
        for quality in (Quality.INCOMPLETE, Quality.LATE, Quality.DUPLICATE):
            fit = {"quality", "sources", "n_sources"} if quality is Quality.INCOMPLETE else {"quality"}
            if keep[quality] and not fit & told:
                word = quality.name.lower()
                self._add(
                    ("keep", word),
                    f"keep.{word}: {output} must tell such events from the others: add the field "
                    f"{' or '.join(sorted(fit))} (an integer) to its data_type",
                )
        return tuple(origins)
