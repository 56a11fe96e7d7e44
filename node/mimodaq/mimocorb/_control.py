"""`buffer_control`: the buffers and worker processes of a setup, for programs with a run control of their own.

``mimodaq run`` does not use it: that has a supervisor, restarts, a run record. This is the interface of mimoCoRB.
"""

from __future__ import annotations

import copy
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from mimodaq.mimocorb._process import WorkerProcess
from mimodaq.mimocorb.mimo_buffer import NewBuffer

_ACCESS: Final = ("read", "write", "observe")
_POLL_S: Final = 0.02
_LAST_WAIT_S: Final = 3.0
"""How long processes may take to end after the last buffer has been shut down."""


class buffer_control:
    """Set up buffers and the worker processes that use them, start them, and end them in the order of the data flow.

    buffers_dict: the list `RingBuffer` of a setup file. functions_dict: its list `Functions`.
    function_config_dict: its block `FunctionConfigs`. output_directory: where files and copies of configurations go.
    The manual's form of three arguments, without function_config_dict, is understood as well.
    """

    def __init__(
        self,
        buffers_dict: Sequence[Mapping[str, Any]],
        functions_dict: Sequence[Mapping[str, Any]],
        function_config_dict: Mapping[str, Any] | str | None = None,
        output_directory: str | None = None,
    ) -> None:
        if isinstance(function_config_dict, str):
            function_config_dict, output_directory = None, function_config_dict
        self.buffers_dict = buffers_dict
        self.functions_dict = functions_dict
        self.function_config_dict = function_config_dict or {}
        self.out_dir = os.path.join(output_directory or ".", "")
        self.ringbuffers: dict[str, NewBuffer] = {}
        self.process_list: list[WorkerProcess] = []
        self.parallel_functions: dict[str, tuple[str, int, dict[str, str]]] = {}
        self.runtime = 0.0
        self.runevents = 0
        self.start_time = 0.0
        self.pause_time = 0.0
        self.cumulative_pause_time = 0.0
        self.status = "Initialized"
        self._writers: dict[str, list[WorkerProcess]] = {}
        self._sources: set[WorkerProcess] = set()

    @property
    def ringbuffer_names(self) -> list[str]:
        """Names of the buffers, in the order of the setup."""
        return list(self.ringbuffers)

    def setup_buffers(self) -> dict[str, NewBuffer]:
        """Make the buffers; returns them by name. Raises RuntimeError naming an entry that is not complete."""
        for entry in self.buffers_dict:
            for name, properties in entry.items():
                try:
                    slots, rows = properties["number_of_slots"], properties["channel_per_slot"]
                    described = properties["data_type"]
                except KeyError as missing:
                    raise RuntimeError(f"ring buffer {name!r} of the setup has no {missing}") from None
                dtype = [(n, np.dtype(t)) for n, t in described.values()] if isinstance(described, dict) else described
                self.ringbuffers[name] = NewBuffer(slots, rows, dtype)
                self._writers[name] = []
        self.status = "BuffersSet"
        return self.ringbuffers

    def setup_workers(self) -> None:
        """Prepare the worker processes; every configuration file is read, and copied to the output folder.

        Raises RuntimeError naming an entry that is wrong; nothing runs yet then.
        """
        if self.process_list:
            print("Cannot setup workers twice")
            return
        os.makedirs(self.out_dir, exist_ok=True)
        functions = {name: dict(spec) for entry in self.functions_dict for name, spec in entry.items()}
        main = functions.pop("Fkt_main", {})
        common = self._read(main["config_file"]) if "config_file" in main else {}
        limits = {**main, **(common.get("general") or {})}
        self.runtime = limits.get("runtime", 0)
        self.runevents = limits.get("runevents", 0)
        for name, spec in functions.items():
            self._setup_function(name, spec, common)
        for buffer, writers in self._writers.items():
            self.ringbuffers[buffer].ring.expect_writers(len(writers))
        self.status = "WorkersSet"

    def _setup_function(self, entry: str, spec: Mapping[str, Any], common: Mapping[str, Any]) -> None:
        try:
            file, function, processes = spec["file_name"], spec["fkt_name"], spec["num_process"]
        except KeyError as missing:
            raise RuntimeError(f"function {entry} of the setup has no {missing}") from None
        if not Path(f"{file}.py").is_file():
            raise RuntimeError(f"function {entry} of the setup: there is no file {file}.py (file_name)")
        assigned = {str(buffer): str(access) for buffer, access in (spec.get("RB_assign") or {}).items()}
        for buffer, access in assigned.items():
            if buffer not in self.ringbuffers:
                raise RuntimeError(f"function {entry} of the setup: there is no buffer {buffer} (RB_assign)")
            if access not in _ACCESS:
                raise RuntimeError(f"function {entry} of the setup: {buffer}: {access!r} is none of {_ACCESS}")
        config = common.get(function, self.function_config_dict.get(function))
        if "config_file" in spec:
            config = self._read(spec["config_file"])
        if not config:
            print(f"Warning: no configuration found for function '{function}'!")
        arguments = self._connect(entry, assigned)
        arguments["config"] = {**copy.deepcopy(dict(config or {})), "directory_prefix": self.out_dir}
        self.parallel_functions[entry.upper()] = (function, processes, assigned)
        for number in range(processes):
            process = WorkerProcess(function, file, function, {**arguments, "label": f"{entry}[{number}]"})
            self.process_list.append(process)
            if "read" not in assigned.values():
                self._sources.add(process)
            for buffer, access in assigned.items():
                if access == "write":
                    self._writers[buffer].append(process)

    def _connect(self, entry: str, assigned: Mapping[str, str]) -> dict[str, Any]:
        """The arguments of `call_function` that say which rings a function uses, and how."""
        rings = {name: self.ringbuffers[name].ring for name in assigned}
        wanted = {access: [rings[n] for n, a in assigned.items() if a == access] for access in _ACCESS}
        for ring in wanted["read"]:
            ring.add_group(entry)
        return {
            "sources": [(ring.segment, entry) for ring in wanted["read"]],
            "sinks": [ring.segment for ring in wanted["write"]],
            "observes": [ring.segment for ring in wanted["observe"]],
            "rb_assign": dict(assigned),
            "owner": os.getpid(),
        }

    def start_workers(self) -> list[WorkerProcess]:
        """Start the worker processes, sinks first; returns them in that order (the first source is the last one)."""
        self.start_time = time.time()
        if self.status != "WorkersSet":
            print("!! Workers already started - cannot start again")
            return self.process_list
        self.process_list.reverse()
        for process in self.process_list:
            process.start()
        self.status = "Running"
        return self.process_list

    def display_layout(self) -> None:
        """Print the list of buffers."""
        print("List of buffers")
        for name, buffer in self.ringbuffers.items():
            print(name, buffer.number_of_slots, buffer.values_per_slot)

    def display_functions(self) -> None:
        """Print the list of functions and the buffers they use."""
        print("List of functions")
        for entry, (function, processes, assigned) in self.parallel_functions.items():
            print(entry, function, f"({processes})  ", assigned)

    def pause(self) -> None:
        """Let the sources wait; what is in the buffers is worked on."""
        for name in self._source_buffers():
            self.ringbuffers[name].pause()
        if self.status == "Running":
            self.pause_time = time.time()
            self.status = "Paused"

    def resume(self) -> None:
        """Let the sources go on after a pause."""
        if self.status != "Paused":
            print(" !!! Resume only possible from state 'Paused'")
            return
        for name in self._source_buffers():
            self.ringbuffers[name].resume()
        self._end_pause("Running")

    def stop(self) -> None:
        """Stop the sources. The end follows the data: each function ends when it has worked on all its input."""
        for name in self._source_buffers():
            if not self._upstream(name):  # else the events on their way to it would be lost
                self.ringbuffers[name].set_ending()
        self._end_pause("Stopped")

    def _end_pause(self, status: str) -> None:
        if self.status == "Paused":
            self.cumulative_pause_time += time.time() - self.pause_time
        self.status = status

    def shutdown(self, patience_s: float = 10.0) -> None:
        """End buffers and processes in the order of the data flow, and remove the buffers.

        Everything that is in a buffer is worked on as long as there is progress; after `patience_s` seconds without
        any, the next buffer has its turn. Processes that do not end by themselves are killed.
        """
        for name in self._data_flow():
            print("Shutting down buffer ", name)
            self._wait_for([process for process in self._writers[name] if process not in self._sources], patience_s)
            self.ringbuffers[name].set_ending()
            self._wait_for(self._writers[name], patience_s)
            self.ringbuffers[name].shutdown(patience_s)
        give_up = time.monotonic() + _LAST_WAIT_S
        for process in self.process_list:
            process.join(max(0.0, give_up - time.monotonic()))
            if process.is_alive():
                print("  !! killing active process", process.name)
                process.kill()
                process.join()
        self.ringbuffers = {}
        self.status = "Shutdown"

    def _wait_for(self, processes: Sequence[WorkerProcess], patience_s: float) -> None:
        """Wait until the processes have ended, or for `patience_s` without an event read anywhere."""
        last, since = -1, time.monotonic()
        while any(process.is_alive() for process in processes):
            groups = [group for buffer in self.ringbuffers.values() for group in buffer.ring.status().groups]
            released = sum(group.released for group in groups)
            if released != last:
                last, since = released, time.monotonic()
            elif time.monotonic() - since > patience_s:
                break
            time.sleep(_POLL_S)

    def _source_buffers(self) -> list[str]:
        """Buffers that are written by a function that reads none."""
        return [name for name, writers in self._writers.items() if self._sources.intersection(writers)]

    def _upstream(self, name: str) -> set[str]:
        """Buffers whose events go, changed or not, directly into buffer `name`."""
        assigned = [assigned for _, _, assigned in self.parallel_functions.values() if assigned.get(name) == "write"]
        return {buffer for buffers in assigned for buffer, access in buffers.items() if access == "read"}

    def _data_flow(self) -> list[str]:
        """The buffers, each after those its events come from; of a loop, the one listed first comes first."""
        order: list[str] = []
        waiting = list(self.ringbuffers)
        while waiting:
            free = [name for name in waiting if self._upstream(name) <= {*order, name}]
            order.append((free or waiting)[0])
            waiting.remove(order[-1])
        return order

    def _read(self, file: str) -> dict[str, Any]:
        """A configuration, copied to the output folder."""
        path = Path(file)
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RuntimeError(f"configuration file {path}: there is no such file in {Path.cwd()}") from None
        except yaml.YAMLError as error:
            raise RuntimeError(f"configuration file {path}: {error}") from error
        shutil.copyfile(path, Path(self.out_dir) / path.name)
        return dict(config or {})
