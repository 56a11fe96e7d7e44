"""The log of the whole cluster: on disk, bounded, and the last lines in memory for those who ask."""

from __future__ import annotations

import errno
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from mimodaq.protocol.codec import MAX_BYTES, ProtocolError, decode, encode
from mimodaq.protocol.messages import LogBatch, LogLine

LINES_KEPT: Final = 10_000
_FILE_BYTES: Final = 8 * 1024 * 1024
_PER_LINE: Final = 100
"""Bytes of a line on the wire besides its texts, at most."""
_LENGTH_BYTES: Final = 4
_PER_EPOCH: Final = 1_000_000
"""Lines between the first of one broker and the first of the next, which begins a second later at least."""


class Logbook:
    """Two files of at most 8 MB, the older one replaced when the newer one is full.

    A record is its length and an encoded `LogLine`; a torn one at the end of a file (the power was cut) is left out.
    The log is never a reason to stop: what cannot be written is kept in memory. Lines are numbered, one more for each,
    and a broker begins above all numbers of the brokers before it, even if their lines were lost.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self._path, self._older = folder / "log", folder / "log.older"
        self._lines: deque[LogLine] = deque(maxlen=LINES_KEPT)
        self.problem = ""
        """Why the log is not being written."""
        for path in (self._older, self._path):
            self._read(path)
        read = self._lines[-1].number if self._lines else 0
        self.newest = max(read, epoch * _PER_EPOCH)
        """Number of the last line."""
        self._file = self._opened()

    def add(self, line: LogLine) -> LogLine:
        """Keep a line; answers it with its number."""
        self.newest += 1
        line = replace(line, number=self.newest)
        self._lines.append(line)
        raw = encode(line)
        record = len(raw).to_bytes(_LENGTH_BYTES, "big") + raw
        try:
            if self._file.closed or self._file.tell() + len(record) > _FILE_BYTES:
                self._file.close()
                os.replace(self._path, self._older)
                self._file = self._opened()
            size = self._file.tell()
            if self._file.write(record) != len(record):
                self._file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.problem = ""
        except OSError as error:
            self.problem = f"{self._path} cannot be written: {error}"
        return line

    def _opened(self) -> io.FileIO:
        return open(self._path, "ab", buffering=0)

    def last(self, count: int) -> LogBatch:
        """The last lines, as many as fit into a message."""
        chosen = list(_fitting(islice(reversed(self._lines), count)))
        return LogBatch(tuple(reversed(chosen)))

    def after(self, number: int, count: int) -> LogBatch:
        """The first lines after this number, as many as fit into a message."""
        later = (line for line in self._lines if line.number > number)
        oldest = self._lines[0].number - 1 if self._lines else self.newest
        return LogBatch(tuple(_fitting(islice(later, count))), number, number >= oldest)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read(self, path: Path) -> None:
        if not path.exists():
            return
        raw = path.read_bytes()
        at = 0
        while at + _LENGTH_BYTES <= len(raw):
            end = at + _LENGTH_BYTES + int.from_bytes(raw[at : at + _LENGTH_BYTES], "big")
            try:
                line = decode(raw[at + _LENGTH_BYTES : end]) if end <= len(raw) else None
            except ProtocolError:
                line = None
            if not isinstance(line, LogLine):
                break
            self._lines.append(line)
            at = end
        if at < len(raw):
            os.truncate(path, at)


def _fitting(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """Lines, as long as they fit into a message."""
    size = _PER_LINE
    for line in lines:
        size += _PER_LINE + sum(len(text.encode()) for text in (line.node, line.level, line.source, line.text))
        if size > MAX_BYTES:
            return
        yield line
