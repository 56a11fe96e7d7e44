"""Counts of a function or a window, and how they travel to who looks on.

Pure code. Counts have the same size however many events are in them, so they cost the network nothing at any rate.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import msgpack

from mimodaq.protocol.histogram import AUTO_BINS, MOST_BINS, GrowingHistogram, Histogram

LIVE: Final = "live"
"""Folder, in that of a run in memory, for what may be looked at while the run goes on."""
_SUFFIX: Final = ".counts"
_MOST_FIELDS: Final = 256
_FORMAT: Final = "mimodaq.counts 1"


class CountsError(ValueError):
    """These bytes are no counts, or this text is no list of what is wanted."""


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """The histogram of one field."""

    field: str
    histogram: Histogram
    label: str = ""
    """Of the axis, with its unit; empty: the name of the field."""
    top: float = 0.0
    """Height of the frame in units of the mean content of a bin; 0 = as the content needs."""
    is_log: bool = False
    """A logarithmic scale is wanted."""


@dataclass(frozen=True, slots=True)
class Counts:
    """All histograms of one function, or of a sample that a window takes."""

    function: str
    """Name of its entry in the setup; empty for a window's own sample."""
    ring: str
    """The ring, on its node, whose events are counted."""
    fields: tuple[FieldCounts, ...]
    title: str = ""
    events: int = 0
    """Counted so far."""
    is_sample: bool = False
    """Events were left out: an observer counts, not a reader group."""
    is_final: bool = False
    """The stream has ended, and all is counted."""
    in_hand: tuple[tuple[int, int], ...] = ()
    """Ranges (begin, end) of numbers in the ring: events that are counted and perhaps not yet released."""

    def of(self, field: str) -> FieldCounts | None:
        """The histogram of that field."""
        return next((one for one in self.fields if one.field == field), None)


def file_of(function: str, process: int) -> str:
    """Name of the file, in the folder `LIVE`, where a process keeps its counts as `pack` writes them."""
    return f"{quote(function, safe='')}[{process}]{_SUFFIX}"


def files_of(function: str = "") -> str:
    """A pattern for the files of all processes of a function, or of all functions."""
    return f"{quote(function, safe='')}[[]*{_SUFFIX}" if function else f"[!.]*{_SUFFIX}"


def pack(counts: Counts) -> bytes:
    """As bytes; `unpack` reads them back."""
    fields = [[one.field, one.label, one.top, one.is_log, one.histogram.to_row()] for one in counts.fields]
    about = [counts.function, counts.ring, counts.title]
    figures = [counts.events, counts.is_sample, counts.is_final, counts.in_hand]
    return msgpack.packb([_FORMAT, about, figures, fields])  # type: ignore[no-any-return]


def unpack(raw: bytes) -> Counts:
    """The inverse of `pack`; raises CountsError for anything else."""
    try:
        mark, about, figures, rows = msgpack.unpackb(raw, raw=False)
        function, ring, title = about
        events, is_sample, is_final, in_hand = figures
        if mark != _FORMAT or not all(isinstance(text, str) for text in about) or len(rows) > _MOST_FIELDS:
            raise ValueError(f"of the kind {str(mark)[:40]!r}")
        ranges = tuple((begin, end) for begin, end in in_hand)
        if any(type(number) is not int for number in (events, *sum(ranges, ()))):
            raise TypeError("figures that are no numbers")
        fields = tuple(
            FieldCounts(str(field), Histogram.from_row(row), str(label), float(top), bool(is_log))
            for field, label, top, is_log, row in rows
        )
    except Exception as error:  # msgpack raises a dozen kinds, RecursionError and UnicodeError among them
        raise CountsError(f"these bytes are no counts of this release of mimodaq ({error})") from error
    return Counts(function, ring, fields, title, events, bool(is_sample), bool(is_final), ranges)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A histogram that a window shall fill from a sample of events."""

    field: str
    bins: int = AUTO_BINS
    low: float | None = None
    high: float | None = None
    """Without them the range is found."""

    def histogram(self) -> Histogram | GrowingHistogram:
        """Make the empty histogram. Raises ValueError for one that cannot be."""
        if self.low is None or self.high is None:
            return GrowingHistogram(self.bins)
        return Histogram(self.low, self.high, self.bins)


def write_wanted(wanted: Sequence[Wanted]) -> str:
    """As a text for a question; empty = every field."""
    return json.dumps([[one.field, one.bins, one.low, one.high] for one in wanted]) if wanted else ""


def read_wanted(text: str, fields: Sequence[str]) -> tuple[Wanted, ...]:
    """The inverse of `write_wanted` for a ring with these fields; raises CountsError for what cannot be counted."""
    if not text:
        return tuple(Wanted(field) for field in fields[:_MOST_FIELDS])
    try:
        found = tuple(Wanted(*row) for row in json.loads(text))
        for one in found:
            one.histogram()
    except (ValueError, TypeError, RecursionError) as error:
        raise CountsError(f"histograms that cannot be made: {error}"[:500]) from error
    unknown = [str(one.field)[:100] for one in found if one.field not in fields]
    if unknown:
        raise CountsError(f"there is no field {unknown[0]!r}; there are {', '.join(fields)}"[:500])
    bins = sum(one.bins for one in found)
    if not 0 < len(found) <= _MOST_FIELDS or bins > MOST_BINS:
        raise CountsError(
            f"{len(found)} histograms with {bins} bins at once, 1 to {_MOST_FIELDS} with {MOST_BINS} are possible"
        )
    return found
