"""A window with the state of the buffers, their rates, and buttons for run control.

``mimodaq run`` has its own display; this is the one of mimoCoRB, for programs with a run control of their own.
"""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mimodaq.mimocorb._figures import has_display

_POINTS: Final = 180
_LOWEST_HZ: Final = 0.01
_LOOK_MS: Final = 50

Status = tuple[str, float, int, float, dict[str, Any], bool]
"""Status, time active (s), events, dead-time fraction, {buffer: [events, filled slots, rate]}, all workers alive."""


class plot_bufferinfo:
    """Rates of the last 180 updates, one line a buffer, and two lines of text. Called, it shows what is in the queue.

    Q: queue of `Status`. RBnames: names of the buffers. maxRate: upper end of the axis in Hz. interval: time between
    updates in ms.
    """

    def __init__(self, Q: Any, RBnames: Sequence[str], maxRate: float = 1500.0, interval: float = 1000.0) -> None:
        from matplotlib.figure import Figure

        self.Q = Q
        self.RBnames = list(RBnames)
        self.interval = interval / 1000.0
        self.rates = np.zeros((len(self.RBnames), _POINTS))
        self.fig = Figure(figsize=(6.0, 3.5), layout="constrained")
        self.axrate = self.fig.add_subplot()
        times = np.linspace(-(_POINTS - 1) * self.interval, 0.0, _POINTS)
        self.animlines = [self.axrate.plot(times, np.full(_POINTS, np.nan), label=name)[0] for name in self.RBnames]
        self.axrate.set(yscale="log", ylim=(_LOWEST_HZ, maxRate), xlim=(times[0], 0.0))
        self.axrate.set(xlabel="rate history (s)", ylabel="DAQ rate (Hz)")
        self.axrate.grid(True, alpha=0.5)
        self.axrate.legend(loc="lower left")
        self.title = self.axrate.set_title(" ", fontsize=9, loc="left")

    def init(self) -> tuple[Any, ...]:
        """The objects that change."""
        return (*self.animlines, self.title)

    def __call__(self, n: int = 0) -> tuple[Any, ...]:
        """Show the newest status in the queue, if there is one; never waits."""
        status: Status | None = None
        while True:
            try:
                status = self.Q.get_nowait()
            except queue.Empty:
                break
        if status is not None:
            self._show(*status)
        return self.init()

    def _show(
        self, state: str, active_s: float, events: int, deadtime: float, buffers: dict[str, Any], all_alive: bool
    ) -> None:
        self.rates = np.roll(self.rates, -1, axis=1)
        self.rates[:, -1] = [buffers[name][2] for name in self.RBnames]
        for line, rate in zip(self.animlines, self.rates, strict=True):
            line.set_ydata(np.maximum(rate, _LOWEST_HZ))
        _, filled, rate = buffers[self.RBnames[0]]
        self.title.set_text(
            f"Time active: {active_s:.1f}s   Number of Events: {events}   Deadtime: {100 * deadtime:.1f}%   "
            f"Status: {state}\n"
            f"current rate: {rate:.3g}Hz   in buffer: {filled}   workers {'√' if all_alive else '!!!'}"
        )


def bufferinfoGUI(
    Qcmd: Any,
    Qlog: Any,
    Qinfo: Any,
    RBnames: Sequence[str] = ("RB_1",),
    maxRate: float = 100.0,
    interval: float = 1000.0,
) -> None:
    """Show the window until it is closed; without a display, say so and return.

    Qcmd: queue that gets ``P`` (pause), ``R`` (resume), ``S`` (stop), ``E`` (end) from the buttons. Qlog: queue of
    lines for the text field. Qinfo: queue of `Status`. RBnames, maxRate, interval: see `plot_bufferinfo`.
    """
    if not has_display():
        print("bufferinfoGUI: there is no display, the window stays closed", file=sys.stderr)
        return
    import tkinter
    from tkinter import messagebox

    from matplotlib.backends.backend_tkagg import FigureCanvasTkAgg

    window = tkinter.Tk()
    window.title("Buffer Information")
    window.geometry("1024x600+0+0")
    buttons = tkinter.Frame(window)
    buttons.pack(side=tkinter.BOTTOM, padx=5)
    for label, colour, command in (
        *(("Pause", "blue", "P"), ("Resume", "blue", "R")),
        *((" Stop ", "purple", "S"), ("EndRun", "red", "E")),
    ):
        button = tkinter.Button(buttons, text=label, fg=colour, command=lambda c=command: Qcmd.put(c))  # type: ignore[misc]
        button.pack(side=tkinter.LEFT)
    clock = tkinter.Label(buttons)
    clock.pack(side=tkinter.LEFT, padx=20)
    rates = plot_bufferinfo(Qinfo, RBnames, maxRate, interval)
    canvas = FigureCanvasTkAgg(rates.fig, master=window)
    canvas.get_tk_widget().pack(side=tkinter.TOP, fill=tkinter.BOTH, expand=1)
    log = tkinter.Text(window, height=10, wrap=tkinter.WORD, bg="black", fg="darkorange")
    log.pack(side=tkinter.BOTTOM, fill=tkinter.X)
    begun, begin = time.localtime(), time.monotonic()

    def update() -> None:
        rates()
        canvas.draw_idle()
        clock.config(text=f"started {time.strftime('%d.%m. %H:%M', begun)}   T={time.monotonic() - begin:.0f} s")
        while True:
            try:
                log.insert(tkinter.END, f"{Qlog.get_nowait()}\n")
            except queue.Empty:
                break
            log.see(tkinter.END)
        window.after(max(_LOOK_MS, int(interval)), update)

    def close() -> None:
        if messagebox.askokcancel("Quit", "Close the window? The run goes on."):
            window.destroy()

    window.protocol("WM_DELETE_WINDOW", close)
    update()
    window.mainloop()
