"""The built-in function `build_events`: moves events from several buffers, merged, into one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np

from mimodaq.functions._io import FunctionIO
from mimodaq.functions._surroundings import Surroundings, checked_by
from mimodaq.functions.building._books import Books
from mimodaq.functions.building._builder import Built, Quality
from mimodaq.functions.building._hand import Hand
from mimodaq.functions.building._outputs import DT
from mimodaq.functions.building._plan import MAX_PENDING, MAX_WAIT, Plan, check_build_events, make_plan
from mimodaq.ring import Batch

_AT_ONCE: Final = 1024
"""Most events taken from a source in one round."""
_FEW: Final = 16
_SHORTEST_WAIT_S: Final = 0.5e-3
_LONGEST_WAIT_S: Final = 20e-3
_NS: Final = 1e9


class BuildError(ValueError):
    """The options of `build_events` do not fit its buffers; all that is wrong is in the message."""


@checked_by(check_build_events)
def build_events(
    io: FunctionIO,
    *,
    by: Literal["counter", "time"] = "counter",
    window: str | float | None = None,
    time_field: str = "",
    offsets: Mapping[str, str | float] | None = None,
    disorder: str | float | None = None,
    max_wait: str | float = MAX_WAIT,
    max_pending: int = MAX_PENDING,
    keep: Mapping[str, bool] | None = None,
    min_sources: int | None = None,
    fields: Mapping[str, str] | None = None,
) -> None:
    """Merge events of two or more buffers that have the same trigger counter, or the same time.

    by: `counter`: events with equal counters belong together. `time`: an event begins with the earliest hit and takes
        in every hit up to `window` after it.
    window: with `by: time`, for example `200 ns`; below 1 us only with a `time_field`.
    time_field: integer field of all buffers read that holds the time, in the unit its name ends with: `t_ns`. Default:
        the time stamps (float64 seconds, which resolve 0.24 us).
    offsets: `{RB_2: 35 ns}`: how much later the clock of a buffer reads; it is subtracted from its times.
    disorder: by how much a buffer may be out of order: a number of counters, or a time. Default 0: it is sorted.
    max_wait: how long an event waits at most for a source that is silent.
    max_pending: how many events of a buffer wait at most; then the lowest are given out as they are. By default it is
        larger than a buffer: the buffer fills up instead, and its source waits, `max_wait` at most.
    keep: which events are written, `{complete: true, incomplete: false, late: false, duplicate: false}`; all are
        counted.
    min_sources: an incomplete event of fewer sources is never written.
    fields: `{chA: RB_1.chA}`: what fills the fields of the output. Default: a field `RB_1_chA` is filled with `chA` of
        `RB_1`, a field `chA` likewise if only one buffer has it. Beside the fields of a buffer there are its `counter`,
        `timestamp`, `deadtime`, and `dt_ns`: its time minus that of the first source in the event. `quality` is 0 for a
        complete event, 1 incomplete, 2 late, 3 duplicate; `sources` has bit i set if the i-th buffer is in the event;
        `n_sources` says how many are. What is missing is 0.

    The output has the counter of the trigger (`by: time`: counted by the buffer), the earliest corrected time stamp and
    the largest dead time of the sources. An event is released after the event built with it is in the output. Needs one
    process. Raises BuildError.
    """
    given = {
        "by": by,
        "window": window,
        "time_field": time_field,
        "offsets": offsets,
        "disorder": disorder,
        "max_wait": max_wait,
        "max_pending": max_pending,
        "keep": keep,
        "min_sources": min_sources,
        "fields": fields,
    }
    surroundings = Surroundings(
        reads={reader.name: reader.dtype for reader in io.readers},
        writes={writer.name: writer.dtype for writer in io.writers},
        observes={observer.name: observer.dtype for observer in io.observers},
        processes=io.processes,
    )
    plan, problems = make_plan({k: v for k, v in given.items() if v is not None}, surroundings)
    if plan is None:
        raise BuildError("\n".join(problem.message for problem in problems))
    work = _Work(io, plan)
    try:
        work.run()
    finally:
        io.note(**work.figures())


class _Work:
    """One builder at work: what it holds in hand, and the loop."""

    def __init__(self, io: FunctionIO, plan: Plan) -> None:
        self._io = io
        self._plan = plan
        self._builder = plan.builder()
        self._hands = [Hand() for _ in plan.sources]
        self._open = list(range(len(plan.sources)))
        self._keep = np.array(plan.keep)
        self._books = Books(plan.sources)
        self._has_warned = False

    def figures(self) -> dict[str, Any]:
        """What goes into the run record."""
        builder = self._builder
        return {
            **self._books.figures([builder.handed(i) for i in range(builder.sources)]),
            "timed_out": builder.timed_out,
            "crowded_out": builder.crowded_out,
            "out_of_order": dict(zip(self._plan.sources, builder.out_of_order, strict=True)),
        }

    def run(self) -> None:
        """Build until all sources have ended.

        All are looked at without waiting; when none has anything, one after the other is waited for a little.
        """
        wait_s = _SHORTEST_WAIT_S
        while self._open:
            news = sum([self._take(source, 0.0) for source in tuple(self._open)])
            self._hand_out(is_dry=not news and wait_s == _LONGEST_WAIT_S)
            if news < _FEW and news:
                time.sleep(_SHORTEST_WAIT_S)  # a few at once cost no more than one
            elif not news and self._open:
                self._open.append(self._open.pop(0))
                news = self._take(self._open[0], self._limited(wait_s))
            wait_s = _SHORTEST_WAIT_S if news else min(2 * wait_s, _LONGEST_WAIT_S)
        self._hand_out(is_dry=False)

    def _limited(self, wait_s: float) -> float:
        """A wait that ends when an event has waited long enough."""
        deadline = self._builder.deadline()
        return wait_s if deadline is None else max(0.0, min(wait_s, deadline - time.monotonic()))

    def _take(self, source: int, timeout: float) -> int:
        """Take what a source has, waiting for the first event only, or note its end; returns how many these were."""
        taken = 0
        while (room := min(self._builder.room(source), _AT_ONCE - taken)) > 0:
            batch = self._io.readers[source].take(room, timeout)
            if batch is None:
                self._builder.end(source)
                self._open.remove(source)
                break
            if not len(batch.events):
                self._builder.idle(source)
                break
            times = self._plan.times(source, batch)
            self._hands[source].put(batch, times)
            self._builder.add(source, batch.counter if self._plan.by_counter else times, time.monotonic())
            taken += len(batch.events)
            timeout = 0.0
        return taken

    def _hand_out(self, *, is_dry: bool) -> None:
        """Write what is decided; release what was written or dropped, up to the first event that still waits."""
        built = self._builder.decide(time.monotonic(), is_dry=is_dry)
        if not len(built):
            return
        is_kept = self._keep[built.quality]
        is_kept &= (built.quality != Quality.INCOMPLETE) | ((built.members >= 0).sum(axis=1) >= self._plan.min_sources)
        self._write(Built(built.members[is_kept], built.quality[is_kept], built.keys[is_kept]))
        self._books.enter(built, is_kept)
        for source, (reader, hand) in enumerate(zip(self._io.readers, self._hands, strict=True)):
            done = hand.release(self._builder.undecided_from(source))
            if done:
                reader.release(done)
        self._warn(built)

    def _warn(self, built: Built) -> None:
        """Say once that a source was not waited for any longer."""
        builder = self._builder
        if self._has_warned or not (builder.timed_out or builder.crowded_out):
            return
        self._has_warned = True
        lacking = (built.members[built.quality == Quality.INCOMPLETE] < 0).any(axis=0)
        self._io.log.warning(
            "%s: events are given out without %s, after %s; how many is in the run record",
            self._io.name,
            " or ".join(name for name, is_lacking in zip(self._plan.sources, lacking, strict=True) if is_lacking),
            f"waiting for {builder.max_wait_s:g} s" if builder.timed_out else f"{builder.max_pending} were waiting",
        )

    def _write(self, built: Built) -> None:
        writer = self._io.writer
        done = 0
        while done < len(built):
            room = writer.claim(len(built) - done)
            some = slice(done, done + len(room.events))
            self._fill(room, Built(built.members[some], built.quality[some], built.keys[some]))
            writer.commit_batch()
            done = some.stop

    def _fill(self, room: Batch, built: Built) -> None:
        """Fill slots with events and their metadata."""
        plan, n = self._plan, len(built)
        has = built.members >= 0
        times = np.full(has.shape, np.iinfo(np.int64).max)
        stamps = np.zeros(has.shape)
        dead = np.full(has.shape, -1.0)
        for source, hand in enumerate(self._hands):
            origins = [origin for origin in plan.origins if origin.source == source]
            where = np.flatnonzero(has[:, source])
            if len(where) < n:
                for origin in origins:
                    room.events[origin.field][~has[:, source]] = 0
            for piece in hand.pieces(built.members[where, source]):
                at, batch, rows = where[piece.where], piece.batch, piece.rows
                times[at, source] = piece.times
                stamps[at, source] = batch.timestamp[rows] - plan.stamp_offset_s(source)
                dead[at, source] = batch.deadtime[rows]
                for origin in origins:
                    if origin.is_field:
                        room.events[origin.field][at] = batch.events[origin.content][rows]
                    elif origin.content != DT:
                        room.events[origin.field][at, 0] = getattr(batch, origin.content)[rows]
        events = np.arange(n)
        if plan.by_counter:
            room.counter[:] = built.keys
        room.timestamp[:] = stamps[events, times.argmin(axis=1)]
        room.deadtime[:] = dead.max(axis=1)
        reference = times[events, has.argmax(axis=1)]
        for origin in plan.origins:
            place = room.events[origin.field]
            match origin.content:
                case "quality" if origin.source < 0:
                    place[:, 0] = built.quality
                case "n_sources" if origin.source < 0:
                    place[:, 0] = has.sum(axis=1)
                case "sources" if origin.source < 0:
                    place[:, 0] = has @ (1 << np.arange(has.shape[1]))
                case "dt_ns" if not origin.is_field:
                    later = np.where(has[:, origin.source], times[:, origin.source] - reference, 0)
                    place[:, 0] = later * (_NS / plan.ticks_per_s)
