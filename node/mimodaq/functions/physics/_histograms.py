"""The built-in function `histograms`: frequency distributions of the numbers in a buffer, as files and in a window."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mimodaq.functions.physics._draw import (
    HistogramPicture,
    NoPictures,
    draw_histograms,
    histograms_figure,
    save_picture,
)
from mimodaq.functions.physics._fit import DecayFit, FitError, fit_decay_counts
from mimodaq.functions.physics._histogram import HistogramStyle
from mimodaq.functions.physics._io import Events, FunctionIO, Observer, Reader, events_per_batch
from mimodaq.functions.physics._look import look, rest
from mimodaq.functions.physics._tally import Tally
from mimodaq.functions.physics._window import histograms_message, open_window

_DOING: Final = "histograms"
_EVENTS_AT_ONCE: Final = 1024
_OBSERVED_EVERY_S: Final = 0.01
SAMPLE: Final = "a sample of the events"


class _FitOrder(NamedTuple):
    """The option `fit`, checked."""

    field: str
    limits: tuple[float, float] | None


def histograms(
    io: FunctionIO,
    *,
    histograms: Mapping[str, Sequence[Any]] | None = None,
    title: str = "Histograms",
    fit: Mapping[str, Any] | None = None,
    interval: float = 2.0,
    window: bool = True,
    filename: str = "",
) -> None:
    """Histogram fields of the events of a buffer; write counts and pictures at the end of the run.

    A buffer that is read (`RB_assign: {RB_3: read}`) is counted completely; of one that is observed a sample is
    counted, at most 100 events per second, which holds up nobody. Files and displays say which it is.

    `histograms` has an entry `field: [min, max, bins, ymax, label, 0 or 1]` for each histogram: ymax is the
    height of the frame in units of the mean content of a bin (the frame grows when that is too low), 1 asks
    for a logarithmic scale. All elements of a field that is an array are counted. `fit: {field:
    decay_time_us, model: exponential, range: [0.3, 14]}` fits an exponential over a flat background to that
    histogram (see `fit_decay_counts`).

    Everybody may look at the counts during the run: `mimodaq plot`, the operator's screens, `Session.histogram`.
    Counts, statistics and the fit go to `<filename>.json` in the run directory, pictures to `<filename>.png`
    and `.svg` (default: histograms_<name of the function>). Where there is a display, a window shows the
    histograms every `interval` seconds unless `window` is false; it is a process of its own and never keeps
    events waiting. Raises ValueError for options that do not fit the buffer, or more than one process.
    """
    ends: list[Reader | Observer] = [*io.readers, *io.observers]
    if len(ends) != 1 or io.processes != 1:
        raise ValueError(
            f"{_DOING}: {len(io.readers)} sources, {len(io.observers)} observed buffers and {io.processes} processes "
            "are assigned; it reads or observes one buffer in one process (num_process: 1), which then sees all events"
        )
    styles = _parse_styles(histograms or {}, ends[0].dtype.names or ())
    order = _parse_fit(fit, styles)
    tally = Tally(io, ends[0].name, styles, title)
    stem = io.run_dir / (filename or f"histograms_{io.name}")
    shown_title = title if io.readers else f"{title} ({SAMPLE})"

    shown = open_window(window, title, io.log)
    due = time.monotonic()
    try:
        for events, numbers in _all_events(io, interval if shown else None) if io.readers else _sample(io):
            tally.add(events, numbers)
            if shown and time.monotonic() >= due:
                shown.show(histograms_message(list(tally.pictures.values()), shown_title))
                due = time.monotonic() + interval
        tally.finish()
    finally:
        if shown:
            shown.close()
        _write(io, stem, shown_title, tally, order)


def _all_events(io: FunctionIO, patience_s: float | None) -> Iterator[tuple[Events, npt.NDArray[np.int64]]]:
    """Every event with its number in the ring; nothing, every `patience_s`, while none come."""
    reader = io.readers[0]
    most = events_per_batch(reader.dtype, _EVENTS_AT_ONCE)
    while (batch := reader.take(most, timeout=patience_s)) is not None:
        yield batch.events, reader.sequences(len(batch.events))
        reader.release()


def _sample(io: FunctionIO) -> Iterator[tuple[Events, npt.NDArray[np.int64]]]:
    """Recent events, one at a time."""
    while (seen := look(io)) is not None:
        yield np.array([seen.event]), np.array([seen.sequence])
        rest(io, _OBSERVED_EVERY_S)


def _parse_styles(descriptors: Mapping[str, Sequence[Any]], fields: Sequence[str]) -> dict[str, HistogramStyle]:
    if not descriptors:
        raise ValueError(
            f"{_DOING}: no histogram is asked for; give 'histograms: {{field: [min, max, bins, ymax, label, 0]}}' "
            f"for some of the fields {', '.join(fields)}"
        )
    unknown = [field for field in descriptors if field not in fields]
    if unknown:
        raise ValueError(f"{_DOING}: the buffer has no field {', '.join(unknown)}; its fields are {', '.join(fields)}")
    return {field: HistogramStyle.parse(field, descriptor) for field, descriptor in descriptors.items()}


def _parse_fit(option: Mapping[str, Any] | None, styles: Mapping[str, HistogramStyle]) -> _FitOrder | None:
    if not option:
        return None
    unknown = set(option) - {"field", "model", "range"}
    field, limits = option.get("field"), option.get("range")
    ranged = limits is None or (
        isinstance(limits, Sequence) and len(limits) == 2 and all(isinstance(at, (int, float)) for at in limits)
    )
    if unknown or field not in styles or option.get("model", "exponential") != "exponential" or not ranged:
        raise ValueError(
            f"{_DOING}: the fit {dict(option)} is not possible; give 'field' (one of {', '.join(styles)}), "
            "'model: exponential' and 'range: [low, high]'"
        )
    return _FitOrder(str(field), None if limits is None else (float(limits[0]), float(limits[1])))


def _write(io: FunctionIO, stem: Path, title: str, tally: Tally, order: _FitOrder | None) -> None:
    pictures = tally.pictures
    content: dict[str, Any] = {
        "title": title,
        "events": tally.events,
        "is_sample": not io.readers,
        "histograms": {
            field: {"label": picture.style.label, **picture.histogram.to_dict()} for field, picture in pictures.items()
        },
    }
    if order is not None:
        result = _fit(pictures[order.field], order)
        if isinstance(result, DecayFit):
            pictures[order.field] = HistogramPicture(
                pictures[order.field].style, pictures[order.field].histogram, result
            )
            content["fit"] = {"field": order.field, "model": "exponential + constant", **result.to_dict()}
        else:
            io.log.warning("histograms: no fit of %s: %s", order.field, result)
            content["fit"] = {"field": order.field, "model": "exponential + constant", "error": str(result)}
        io.note(fit=content["fit"])
    counts = stem.with_name(stem.name + ".json")
    counts.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    io.files(counts)
    try:
        figure = histograms_figure(len(pictures))
    except NoPictures as missing:
        io.log.warning("histograms: %s", missing)
        return
    draw_histograms(figure, list(pictures.values()), title)
    io.files(*save_picture(figure, stem))


def _fit(picture: HistogramPicture, order: _FitOrder) -> DecayFit | FitError:
    try:
        return fit_decay_counts(picture.histogram.edges, picture.histogram.counts, order.limits)
    except FitError as error:
        return error
