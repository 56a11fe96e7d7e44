"""Recognise events that were stored but not yet released when their writer died.

The ring hands such events out again. They are at most the last batch that was appended: a writer appends, releases,
and only then appends the next. So the last batch found in the file after a crash is *suspect*: an arriving event
that is equal to a suspect in its counter **and its whole content** is the same event and is left out, once for each
time it was stored. The rule is exact when (counter, content) is unique; events whose slots had been released never
come again, so a suspect that was not redelivered harms nothing.

Suspects are kept in a small file until the data file is complete, because the next crash may come before all of
them have been handed out again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.files._rowfile import replace

_SUSPECT: Final = np.dtype([("counter", "<i8"), ("digest", "V16")])


class Redelivered:
    """The suspects of one data file, kept in `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._counters: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._digests: Counter[tuple[int, bytes]] = Counter()
        if path.exists():
            known = np.load(path)
            self._remember(
                (int(number), digest.tobytes())
                for number, digest in zip(known["counter"], known["digest"], strict=True)
            )

    def suspect(self, counter: npt.NDArray[np.int64], contents: Iterable[bytes]) -> None:
        """Add the last batch found after a crash, and save. Raises OSError."""
        self._remember((int(number), _digest(content)) for number, content in zip(counter, contents, strict=True))
        saved = np.array([(number, digest) for number, digest in self._digests.elements()], _SUSPECT)
        temporary = self.path.with_name(self.path.name + ".tmp")
        with temporary.open("wb") as file:
            np.save(file, saved)
        replace(temporary, self.path, durable=False)

    def fresh(self, counter: npt.NDArray[np.int64], content: Callable[[int], bytes]) -> npt.NDArray[np.bool_] | None:
        """Which events of a batch are not stored yet, as a mask (n,); None means all of them.

        `content(i)` gives the content of event `i`; it is asked for events with a suspect counter only.
        """
        if not self._digests:
            return None
        hits = np.flatnonzero(np.isin(counter, self._counters))
        if not len(hits):
            return None
        mask = np.ones(len(counter), np.bool_)
        for i in hits.tolist():
            key = (int(counter[i]), _digest(content(i)))
            if self._digests[key] > 0:
                self._digests[key] -= 1
                mask[i] = False
        self._digests = +self._digests
        return mask

    def discard(self) -> None:
        """Forget everything: the data file is complete."""
        self.path.unlink(missing_ok=True)

    def _remember(self, keys: Iterable[tuple[int, bytes]]) -> None:
        # The larger count, not the sum: a batch that was still last at the next crash is the same batch.
        self._digests |= Counter(keys)
        self._counters = np.array(sorted({number for number, _ in self._digests}), np.int64)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
