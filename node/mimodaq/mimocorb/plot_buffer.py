"""Show waveforms of a buffer while data are taken; see `mimodaq.functions.physics` for the drawing.

Where there is no display the last waveform is drawn into a file; that happens in any case.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimodaq.functions.physics import WaveformStyle, draw_waveforms, thin_out, waveforms
from mimodaq.mimocorb._access import Config, Sources, only, refuse
from mimodaq.mimocorb._builtin import surroundings
from mimodaq.mimocorb._endpoints import SetupDict
from mimodaq.mimocorb._figures import new_figure
from mimodaq.mimocorb.activity_logger import Gen_logger
from mimodaq.mimocorb.mimo_buffer import Observer

_POINTS = 500


class plot_buffer:
    """Show waveforms of a buffer: made with the arguments of a worker function, then called once; returns at the end.

    Keys of the configuration: `sample_time_ns`, `title`, `min_sleeptime` (1.0 s between updates), `channel_range`
    (500 mV), `analogue_offset` (V), `pre_trigger_samples`, `trigger_level` (mV, offset included), `trigger_channel`,
    `trigger_direction`. The last waveform is saved as ``waveforms_<function>.png`` and ``.svg``.
    """

    def __init__(
        self,
        source_list: Sources = None,
        sink_list: Sources = None,
        observe_list: Sources = None,
        config_dict: Config = None,
        **rb_info: Any,
    ) -> None:
        refuse(rb_info, "read", "write", user=self)
        self.config = dict(config_dict or {})
        self.source = Observer(only(observe_list, "observe_list", self))

    def __call__(self) -> None:
        """Show waveforms until the end of the run."""
        known = inspect.signature(waveforms).parameters
        options = {key: value for key, value in self.config.items() if key in known and key != "number_of_samples"}
        waveforms(surroundings(self.source, self.config, Gen_logger("plot_buffer")), **options)


class animWaveformPlotter:
    """Draw waveforms as an oscilloscope does, on `fig` or on a figure of its own; called with each event to be shown.

    conf_dict: keys as for `plot_buffer`, `sample_time_ns` is required. The channels are told by `dtypes`, a list of
    ``(name, type)``, or by the setup dictionary of a buffer.
    """

    def __init__(
        self,
        conf_dict: Mapping[str, Any] | None = None,
        dtypes: Sequence[tuple[str, Any]] | None = None,
        source_dict: SetupDict | None = None,
        fig: Any = None,
    ) -> None:
        config = dict(conf_dict or {})
        described: Any = dtypes if dtypes is not None else (source_dict or {})["dtype"]
        self.channels = list(np.dtype(described).names or ())
        offset = 1000.0 * config.get("analogue_offset", 0.0)
        reach = config.get("channel_range", 500.0)
        level = config["trigger_level"] - offset if "trigger_level" in config else None
        words = ("Trg", config.get("trigger_channel", ""), f"{level:g} mV" if level is not None else "")
        self._style = WaveformStyle(
            title=config.get("title", ""),
            sample_time_ns=config["sample_time_ns"],
            pre_trigger_samples=config.get("pre_trigger_samples", 0),
            offset=offset,
            low=-reach - offset,
            high=reach - offset,
            unit="mV",
            trigger_level=level,
            trigger_text=" ".join((*words, config.get("trigger_direction", ""))),
        )
        self.fig: Any
        self._refresh: Callable[[], None]
        self.fig, self._refresh = new_figure("Waveforms", 6.0, 4.5) if fig is None else (fig, fig.canvas.draw_idle)
        self._last: tuple[int, float] | None = None

    def init(self) -> list[Any]:
        """The lines of the channels drawn last."""
        return [line for axes in self.fig.axes for line in axes.get_lines()]

    def __call__(self, data: NDArray[Any], mdata: NDArray[Any] | None = None) -> None:
        """Draw the event `data`, structured, shape (samples,); `mdata` are its metadata as an observer gives them."""
        traces = {name: thin_out(data[name] - self._style.offset, _POINTS) for name in self.channels}
        text = ""
        if mdata is not None:
            counter, timestamp = int(mdata[0][0]), float(mdata[0][1])
            text = f"# {counter}"
            if self._last is not None and timestamp > self._last[1]:
                text += f"  - {(counter - self._last[0]) / (timestamp - self._last[1]):.3g} Hz"
            self._last = (counter, timestamp)
        draw_waveforms(self.fig, self._style, traces, text)
        self._refresh()
