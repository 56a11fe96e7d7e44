"""The built-in observer `waveforms`: an oscilloscope's view of recent events, in a window and as pictures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np

from mimodaq.functions.physics._draw import (
    NoPictures,
    WaveformStyle,
    draw_waveforms,
    save_picture,
    thin_out,
    waveforms_figure,
)
from mimodaq.functions.physics._io import FunctionIO, Observed, channels_of, check_samples
from mimodaq.functions.physics._look import look, rest
from mimodaq.functions.physics._window import LiveWindow, open_window, waveforms_message

_DOING: Final = "waveforms"
_POINTS_ON_SCREEN: Final = 500
_UNSEEN_S: Final = 0.25  # without a window a short rest suffices, and the end of the run is seen sooner


def waveforms(
    io: FunctionIO,
    *,
    title: str = "Waveforms",
    sample_time_ns: float = 4.0,
    pre_trigger_samples: int = 0,
    analogue_offset: float = 0.0,
    channel_range: float | None = None,
    trigger_level: float | None = None,
    trigger_channel: str = "",
    trigger_direction: str = "",
    unit: Literal["mV", "V"] = "mV",
    min_sleeptime: float = 1.0,
    number_of_samples: int = 0,
    window: bool = True,
    filename: str = "",
) -> None:
    """Show waveforms of recent events of a buffer, all channels overlaid; at the end write pictures of the last one.

    `analogue_offset` (V) is taken off; the vertical axis reaches `channel_range` to either side of the level
    this gives for 0 at the input (default 500 mV). `channel_range` and `trigger_level` (offset included) are
    in `unit`, the unit of the samples. The level is shown as a line, with `trigger_channel` and
    `trigger_direction` as text; time 0 is sample `pre_trigger_samples`.

    Where there is a display, a window shows a new event every `min_sleeptime` seconds unless `window` is
    false. Pictures of the last event seen go to `<filename>.png` and `.svg` in the run directory (default:
    waveforms_<name of the function>). Observing never keeps the data waiting. Raises ValueError for options
    that do not fit the buffer, or more than one process.
    """
    if len(io.observers) != 1 or io.processes != 1:
        raise ValueError(
            f"{_DOING}: {len(io.observers)} buffers are observed by {io.processes} processes; it needs one of each "
            "('RB_assign: {RB_1: observe}', 'num_process: 1')"
        )
    observer = io.observers[0]
    channels, samples = channels_of(observer.dtype, _DOING)
    check_samples(number_of_samples, samples, _DOING)
    per_volt = 1000.0 if unit == "mV" else 1.0
    offset = analogue_offset * per_volt
    level = None if trigger_level is None else trigger_level - offset
    reach = 0.5 * per_volt if channel_range is None else channel_range
    style = WaveformStyle(
        title=title,
        sample_time_ns=sample_time_ns,
        pre_trigger_samples=pre_trigger_samples,
        offset=offset,
        low=-reach - offset,
        high=reach - offset,
        unit=unit,
        trigger_level=level,
        trigger_text="" if level is None else f"Trigger {trigger_channel} {level:g} {unit} {trigger_direction}".strip(),
    )
    shown = open_window(window, title, io.log)
    last: Observed | None = None
    text = ""
    try:
        while (seen := look(io)) is not None:
            text = event_text(seen, last)
            last = seen
            if shown:
                _show(shown, style, channels, seen, text)
            rest(io, min_sleeptime if shown else min(min_sleeptime, _UNSEEN_S))
    finally:
        if shown:
            shown.close()
        if last is not None:
            _write(io, filename or f"waveforms_{io.name}", style, channels, last, text)


def event_text(seen: Observed, before: Observed | None) -> str:
    """Say which event is seen, when it was taken, and the rate of events since the one seen before."""
    text = f"event {seen.counter}"
    if seen.timestamp > 0:
        taken = datetime.fromtimestamp(seen.timestamp, UTC)
        text += f"   {taken:%Y-%m-%d %H:%M:%S} UTC"
    if before is not None and seen.timestamp > before.timestamp and seen.counter > before.counter:
        rate = (seen.counter - before.counter) / (seen.timestamp - before.timestamp)
        text += f"   {rate:.3g} Hz"
    return text


def _values(style: WaveformStyle, seen: Observed, channel: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(seen.event[channel], dtype=np.float64) - style.offset


def _show(shown: LiveWindow, style: WaveformStyle, channels: list[str], seen: Observed, text: str) -> None:
    traces = {name: thin_out(_values(style, seen, name), _POINTS_ON_SCREEN) for name in channels}
    shown.show(waveforms_message(style, traces, text))


def _write(io: FunctionIO, name: str, style: WaveformStyle, channels: list[str], last: Observed, text: str) -> None:
    try:
        figure = waveforms_figure()
    except NoPictures as missing:
        io.log.warning("waveforms: %s", missing)
        return
    traces = {}
    for channel in channels:
        values = _values(style, last, channel)
        traces[channel] = (np.arange(len(values)), values)
    draw_waveforms(figure, style, traces, text)
    io.files(*save_picture(figure, io.run_dir / name))
