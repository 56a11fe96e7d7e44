"""`mimodaq plot BUFFER`: a window with waveforms or histograms of a buffer, or a picture in a file."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mimodaq.client._cluster_commands import Where, guarded
from mimodaq.client._exit import EXIT_GOOD, UsageError
from mimodaq.client._session_values import SessionError, UnreachableError

if TYPE_CHECKING:
    from mimodaq.client._plot_pictures import Pictures
    from mimodaq.client._plot_sources import Source
    from mimodaq.functions.physics import Arriving, Screen
    from mimodaq.node import RunHere

_PATIENCE_S: Final = 10.0
"""A picture for a file is waited for so long."""
_TURN_S: Final = 0.05
_LEAVE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class PlotRequest:
    """What was typed."""

    buffer: str
    fields: tuple[str, ...] = ()
    """To be histogrammed; empty: waveforms."""
    bins: int | None = None
    range: tuple[float, float] | None = None
    node: str | None = None
    run: str = ""
    """Which of several runs on this computer: its number or directory."""
    is_log: bool = False
    is_overlaid: bool = False
    png: Path | None = None
    look_s: float = 0.0
    """So long is looked before the picture for a file is taken."""


def plot(where: Where, is_broker_named: bool, request: PlotRequest) -> int:
    """Open a window, or write a picture; returns the exit code when that is closed or written."""

    def work() -> int:
        from mimodaq.functions.physics import NoPictures, NoWindowError, Screen, check_window, show

        if request.bins is not None and request.bins < 1:
            raise UsageError(f"--bins {request.bins}: a histogram has one bin at least")
        if request.range is not None and not request.range[0] < request.range[1]:
            raise UsageError(f"--range {request.range[0]:g} {request.range[1]:g}: the first must be the smaller one")
        try:
            if request.png is None:
                check_window()  # before anybody is asked
            source = open_source(where, is_broker_named, request)
            screen = Screen(is_overlaid=request.is_overlaid, is_log=True if request.is_log else None)
            if request.png is not None:
                return _write(source, screen, request, request.png)
            feeder = Feeder(source, request)
            try:
                show(f"{source.buffer} - mimodaq", screen, feeder.arriving)
            finally:
                feeder.stop()
        except (NoPictures, NoWindowError) as error:
            raise UsageError(f"plot: {error}") from error
        return EXIT_GOOD

    try:
        return guarded(False, work)
    except KeyboardInterrupt:
        return EXIT_GOOD


def open_source(where: Where, is_broker_named: bool, request: PlotRequest) -> Source:
    """Find the buffer: in a run on this computer, or at a broker, which alone is asked if it or a host was named.

    Raises SessionError, or UsageError if there is no such buffer anywhere.
    """
    from mimodaq.client._plot_sources import ClusterSource, HereSource
    from mimodaq.node import runs_here

    buffer, node = request.buffer, request.node
    runs = [] if is_broker_named or node else runs_here()
    if request.run:
        runs = _chosen(runs, request.run)
    here = [one for one in runs if buffer in one.rings]
    if here:
        more = f"; there are {len(here) - 1} more runs with such a buffer (--run)" if len(here) > 1 else ""
        print(f"{buffer} of run {here[0].run} on this computer, {here[0].directory}{more}", file=sys.stderr)
        return HereSource(here[0], buffer)
    known = ", ".join(dict.fromkeys(name for one in runs for name in one.rings))
    if request.run:
        raise UsageError(f"run {request.run} has no buffer {buffer!r}; it has {known}")
    try:
        session = where.session()
    except UnreachableError as error:
        if runs:
            raise UsageError(f"no run on this computer has a buffer {buffer!r}; there are {known}") from error
        if is_broker_named:
            raise
        raise UnreachableError(f"there is no run on this computer, and {error}") from error
    try:
        return ClusterSource(session, buffer, node)
    except BaseException:
        session.close()
        raise


def _chosen(runs: list[RunHere], wanted: str) -> list[RunHere]:
    """Runs of this number or directory."""
    chosen = [one for one in runs if wanted == str(one.run) or Path(wanted).resolve() == one.directory]
    if not chosen:
        known = ", ".join(f"{one.run} ({one.directory})" for one in runs) or "none"
        raise UsageError(f"no run {wanted} goes on on this computer; there are {known}")
    return chosen


def pictures_of(source: Source, request: PlotRequest) -> Pictures:
    """What is to be shown of it. Raises SessionError."""
    from mimodaq.client._plot_pictures import Binning, Histograms, Waveforms
    from mimodaq.protocol.histogram import WAVEFORM

    fields: Sequence[str] = request.fields
    if not fields:
        known = source.fields()
        if any(samples >= WAVEFORM for samples in known.values()):
            return Waveforms(source)
        fields = list(known)  # a buffer of numbers
    return Histograms(source, fields, Binning(request.bins, request.range))


class Feeder:
    """A thread that looks at the source and hands pictures to the window."""

    def __init__(self, source: Source, request: PlotRequest) -> None:
        from mimodaq.functions.physics import note

        self.arriving: Arriving = queue.SimpleQueue()
        self._source, self._request = source, request
        self._is_over = threading.Event()
        self.arriving.put(note("waiting for the first event"))
        self._thread = threading.Thread(target=self._run, name="plot", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Leave the source."""
        self._is_over.set()
        self._thread.join(_LEAVE_S)

    def _run(self) -> None:
        from mimodaq.functions.physics import note

        source, said = self._source, "waiting"
        try:
            pictures = pictures_of(source, self._request)
            while not self._is_over.is_set() and not source.end:
                try:
                    message, trouble = pictures.next(), ""
                except SessionError as error:
                    message, trouble = None, str(error)
                if message is not None:
                    self.arriving.put(message)
                if trouble != said and (trouble or message is not None):
                    said = trouble
                    self.arriving.put(note(trouble))
                self._is_over.wait(pictures.every_s)
            self.arriving.put(note(source.end))
        except SessionError as error:
            self.arriving.put(note(str(error)))
        except Exception as error:  # the top of a thread: the window must not wait for ever
            self.arriving.put(note(f"{type(error).__name__}: {error}"))
        finally:
            source.close()


def _write(source: Source, screen: Screen, request: PlotRequest, path: Path) -> int:
    """Look for a while, and draw what was seen into a file."""
    try:
        pictures = pictures_of(source, request)
        begin = time.monotonic()
        pause = threading.Event()
        while True:
            message = pictures.next()
            if message is not None:
                screen.take(message)
            waited = time.monotonic() - begin
            if source.end or (screen.message is not None and waited >= request.look_s):
                break
            if waited >= max(_PATIENCE_S, request.look_s):
                raise SessionError(f"no event has come to {source.buffer} for {waited:.0f} s: is the run going on?")
            pause.wait(_TURN_S if screen.message is None else min(pictures.every_s, request.look_s))
    finally:
        source.close()
    if screen.message is None:
        raise SessionError(f"{source.end} and no event was seen in {source.buffer}")
    if source.end:
        from mimodaq.functions.physics import note

        screen.take(note(source.end))
    try:
        screen.save(str(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"writing the picture {path}: {error}") from error
    print(path, file=sys.stderr)
    return EXIT_GOOD
