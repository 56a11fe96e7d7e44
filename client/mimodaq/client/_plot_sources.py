"""Where `mimodaq plot` looks: at a run on this computer, through its memory, or at a cluster, through its windows.

Both look the same from outside. Neither holds anything up, and closing them changes nothing in the run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mimodaq.client._histogram import CountsElsewhere, put_together
from mimodaq.client._observing import Looking
from mimodaq.client._session_values import SessionError
from mimodaq.client._windows import window_places
from mimodaq.client.session import Session
from mimodaq.config import BundleError, Setup, SetupErrors, load_setup, load_unpacked, unpack_setup
from mimodaq.link import Lookout, Sample
from mimodaq.node import RESOLVED, RunHere
from mimodaq.protocol.counts import LIVE, Counts, CountsError, Wanted, files_of, unpack, write_wanted
from mimodaq.protocol.messages import Topic
from mimodaq.ring import RingClosed


@dataclass(frozen=True, slots=True)
class Seen:
    """A copy of one event."""

    event: np.void
    counter: int
    timestamp: float
    sequence: int


class Source(Protocol):
    """One buffer of one run. Raises SessionError for what cannot be had just now."""

    buffer: str
    run: int
    setup: Setup | None
    """None if it cannot be read: then nothing is known of units and times."""
    end: str
    """Why nothing more will come; empty as long as something may."""

    def event(self) -> Seen | None:
        """The newest event that was not shown yet; None if there is none."""
        ...

    def fields(self) -> dict[str, int]:
        """Samples of each field."""
        ...

    def counted(self) -> list[Counts]:
        """What functions of the run count of this buffer."""
        ...

    def sample(self, of: Sequence[Wanted]) -> Counts:
        """Histograms that fill as long as one asks."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


class HereSource:
    """A buffer of a run on this computer."""

    def __init__(self, run: RunHere, buffer: str) -> None:
        self.buffer, self.run, self.end = buffer, run.run, ""
        self.setup = _setup_in(run.directory)
        self._folder = run.folder
        self._ring = run.rings[buffer]
        self._after = -1
        self._lookout = Lookout(self._ring, "plot")
        self._sample: tuple[str, Sample] | None = None
        self._counted: list[Counts] = []

    def fields(self) -> dict[str, int]:
        """Samples of each field."""
        return _samples(self._ring.dtype)

    def event(self) -> Seen | None:
        """The newest event."""
        try:
            recent = self._lookout.look(1, self._after, time.monotonic())
        except RingClosed:
            self.end = f"run {self.run} was aborted"
            return None
        if not len(recent.events):
            if recent.is_ended:
                self.end = f"run {self.run} has ended"
            return None
        self._after = int(recent.sequence[-1])
        return Seen(recent.events[-1], int(recent.counter[-1]), float(recent.timestamp[-1]), self._after)

    def counted(self) -> list[Counts]:
        """What functions count, read from where they keep it; the last of it once they have gone."""
        found = []
        for path in sorted((self._folder / LIVE).glob(files_of())):
            try:
                counts = unpack(path.read_bytes())
            except FileNotFoundError:
                continue
            except (CountsError, OSError) as error:
                raise SessionError(f"reading {path}: {error}") from error
            if counts.ring == self.buffer:
                found.append(counts)
        self._counted = put_together(found) or self._counted
        if not self._folder.is_dir() or any(counts.is_final for counts in self._counted):
            self.end = f"run {self.run} has ended"
        return self._counted

    def sample(self, of: Sequence[Wanted]) -> Counts:
        """Histograms filled in this process."""
        text = write_wanted(of)
        try:
            if self._sample is None or self._sample[0] != text:
                self._sample = (text, Sample(self.buffer, self._lookout, text))
            self._sample[1].turn(time.monotonic())
        except RingClosed:
            self.end = f"run {self.run} was aborted"
        except CountsError as error:
            raise SessionError(f"histograms of {self.buffer}: {error}") from error
        assert self._sample is not None, "made above, or nobody could have found the ring"
        counts = self._sample[1].counts()
        if counts.is_final:
            self.end = f"run {self.run} has ended"
        return counts

    def close(self) -> None:
        """Leave the ring."""
        self._lookout.close()


class ClusterSource:
    """A buffer of a cluster's run."""

    def __init__(self, session: Session, buffer: str, node: str | None) -> None:
        """Raises SessionError if there is no such buffer, or no run."""
        self._session = session
        self.run = session.status().cluster.run or 0
        if not self.run:
            raise SessionError(f"there is no run to look at: the cluster is {session.status().cluster.state}")
        self._looking = Looking(session, buffer, node)
        self.buffer, self.end = buffer, ""
        places = window_places(session.inquire(Topic.SETUP), session.inquire(Topic.KEYS), session.key, buffer, node)
        self._counts = CountsElsewhere(places, buffer)
        self.setup = _setup_of(session)
        self._last_counts: list[Counts] = []
        self._last_sample: Counts | None = None

    def fields(self) -> dict[str, int]:
        """Samples of each field, by the setup."""
        spec = self.setup.buffers.get(self.buffer.partition("~")[0]) if self.setup else None
        if spec is None:
            raise SessionError(f"the setup of the run tells nothing of {self.buffer}")
        return {field.name: field.samples for field in spec.fields}

    def event(self) -> Seen | None:
        """The newest event."""
        try:
            view = self._looking.next()
        except SessionError:
            self._note_end()
            if self.end:
                return None
            raise
        if view is None:
            self.end = f"run {self.run} has ended"
            return None
        if not len(view.events):
            return None
        return Seen(view.events[-1], int(view.counter[-1]), float(view.timestamp[-1]), view.newest)

    def counted(self) -> list[Counts]:
        """What functions count, on all nodes."""
        try:
            self._last_counts = self._counts.counted() or self._last_counts
        except SessionError:
            self._note_end()
            if not self.end:
                raise
        if any(counts.is_final for counts in self._last_counts):
            self.end = f"run {self.run} has ended"
        return self._last_counts

    def sample(self, of: Sequence[Wanted]) -> Counts:
        """Histograms filled by the node."""
        try:
            self._last_sample = self._counts.sample(of)
        except SessionError:
            self._note_end()
            if not self.end or self._last_sample is None:
                raise
        if self._last_sample.is_final:
            self.end = f"run {self.run} has ended"
        return self._last_sample

    def _note_end(self) -> None:
        """A window that is closed: is the run over?"""
        if self._session.status().cluster.run != self.run:
            self.end = f"run {self.run} has ended"

    def close(self) -> None:
        """Disconnect."""
        self._looking.close()
        self._counts.close()
        self._session.close()


def _samples(dtype: np.dtype[Any]) -> dict[str, int]:
    return {name: int(np.prod(dtype[name].shape)) for name in dtype.names or ()}


def _setup_in(directory: Path | None) -> Setup | None:
    """The setup kept in a run directory."""
    if directory is None:
        return None
    try:
        return load_setup(directory / RESOLVED)
    except SetupErrors:
        return None


def _setup_of(session: Session) -> Setup | None:
    """The setup of a cluster."""
    raw = session.download(str(session.inquire(Topic.SETUP)["setup_id"]))
    with tempfile.TemporaryDirectory(prefix="mimodaq-setup-") as parent:
        folder = Path(parent, "setup")
        try:
            unpack_setup(raw, folder)
            return load_unpacked(folder)
        except (SetupErrors, BundleError):
            return None
