"""The setups a broker has been given: received in parts, named by their content, kept for ever."""

from __future__ import annotations

import hashlib
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from mimodaq.config import MAX_BUNDLE_BYTES, BundleError, Setup, SetupErrors, load_unpacked, unpack_setup
from mimodaq.protocol.messages import CHUNK_BYTES, Chunk, Fetch
from mimodaq.protocol.plan import ClusterPlan, NodePlan, make_plan
from mimodaq.system import private_folder, write_file

_UPLOADS: Final = 4
_BYTES_MAX: Final = MAX_BUNDLE_BYTES * 2
"""Files, and where each key stands."""
_ID_LENGTH: Final = 64
_SHOWN: Final = 5


class SetupError(Exception):
    """A setup cannot be used; the message says why."""


class Setups:
    """A folder with one file for each setup."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)
        self._uploads: OrderedDict[str, bytearray] = OrderedDict()

    def take(self, chunk: Chunk) -> Chunk:
        """Keep a part of a setup; answers, as a part without data, up to where it is here.

        Parts are taken in order; the sender goes on from what is answered. A complete one is checked and stored.
        Raises SetupError for one that is too long or is not what its name says, OSError if it cannot be written.
        """
        name, total = chunk.setup_id, chunk.total
        if (self._folder / name).is_file():
            return Chunk(name, total, total, b"")
        if len(name) != _ID_LENGTH or not 0 < total <= _BYTES_MAX:
            raise SetupError(f"a setup must have a name of {_ID_LENGTH} digits and at most {_BYTES_MAX} bytes")
        upload = self._uploads.setdefault(name, bytearray())
        self._uploads.move_to_end(name)
        if len(self._uploads) > _UPLOADS:
            self._uploads.popitem(last=False)
        if chunk.offset == len(upload):
            upload += chunk.data
        if len(upload) >= total:
            del self._uploads[name]
            if hashlib.sha256(upload).hexdigest() != name:
                raise SetupError("the setup that came is not the one that was sent: its content does not fit its name")
            write_file(self._folder / name, bytes(upload))
        return Chunk(name, len(upload), total, b"")

    def part(self, fetch: Fetch) -> Chunk | None:
        """A part of a setup; None if it is not here."""
        try:
            with (self._folder / fetch.setup_id).open("rb") as file:
                total = file.seek(0, 2)
                file.seek(min(fetch.offset, total))
                return Chunk(fetch.setup_id, min(fetch.offset, total), total, file.read(CHUNK_BYTES))
        except FileNotFoundError:
            return None

    def load(self, name: str) -> tuple[ClusterPlan, dict[str, Any]]:
        """The plan of a setup, and what clients are told about it. Raises SetupError with the first mistakes."""
        path = self._folder / name
        try:
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".work.") as work:
                folder = Path(work) / "setup"
                unpack_setup(path.read_bytes(), folder)
                setup = load_unpacked(folder)
                plan = make_plan(setup)
                return plan, describe(name, setup, plan)
        except FileNotFoundError:
            raise SetupError(f"the broker does not have the setup {name[:12]}: configure again") from None
        except SetupErrors as errors:
            shown = [str(problem) for problem in errors.problems[:_SHOWN]]
            more = len(errors.problems) - len(shown)
            raise SetupError("; ".join([*shown, *([f"and {more} more"] if more else [])])) from errors
        except (BundleError, OSError) as error:
            raise SetupError(f"loading the setup: {error}") from error


def describe(name: str, setup: Setup, plan: ClusterPlan) -> dict[str, Any]:
    """The setup as its graph and its plan, in plain values."""
    return {
        "setup_id": name,
        "name": setup.name,
        "hosts": {host: spec.address for host, spec in setup.hosts.items()},
        "windows": {host: f"tcp://{_bracketed(spec.address)}:{spec.data_port}" for host, spec in setup.hosts.items()},
        "buffers": [
            {"name": b.name, "slots": b.slots, "event_bytes": b.event_dtype.itemsize} for b in setup.buffers.values()
        ],
        "functions": [
            {
                "name": f.name,
                "function": f"{f.module}:{f.function}",
                "processes": f.processes,
                "reads": f.reads,
                "writes": f.writes,
                "observes": f.observes,
            }
            for f in setup.functions.values()
        ],
        "events_limit": setup.events_limit,
        "duration_s": setup.duration_s,
        "nodes": {node: _describe_node(one) for node, one in plan.nodes.items()},
        "links": [
            {"name": k.name, "buffer": k.buffer, "from": k.sender, "to": k.receiver, "is_copies": k.is_copies}
            for k in plan.links
        ],
        "stop_waves": plan.stop_waves,
    }


def _describe_node(plan: NodePlan) -> dict[str, Any]:
    return {
        "rings": [
            {"name": r.name, "buffer": r.buffer, "is_home": r.is_home, "is_source": r.is_source} for r in plan.rings
        ],
        "functions": [{"name": f.name, "processes": f.processes, "rings": dict(f.rings)} for f in plan.functions],
    }


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
