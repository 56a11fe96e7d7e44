"""Setups and plans for the tests of the cluster."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.simulation import Simulation
from mimodaq.config import Setup, load_setup
from mimodaq.protocol.plan import make_plan


def setup_text(hosts: str, buffers: dict[str, str], functions: dict[str, str], top: str = "") -> str:
    """A setup of hosts ("a b"), buffers (name to host or "") and functions (name to "on HOSTS ACCESS BUFFER ...")."""
    lines = [top] if top else []
    if hosts:
        lines += ["hosts:", *(f"  {host}: {{address: {host}.lab}}" for host in hosts.split())]
    lines.append("RingBuffer:")
    for name, host in buffers.items():
        place = f", host: {host}" if host else ""
        lines.append(f"  - {name}: {{number_of_slots: 4, data_type: int32{place}}}")
    lines.append("Functions:")
    for name, text in functions.items():
        words = text.split()
        place, processes = "", ""
        if words[0] == "on":
            place, words = f", host: [{words[1].replace('+', ', ')}]", words[2:]
        if words[0] == "x":
            processes, words = f", num_process: {words[1]}", words[2:]
        assign = ", ".join(f"{buffer}: {word}" for word, buffer in zip(words[::2], words[1::2], strict=True))
        lines.append(f"  - {name}: {{function: simulate{place}{processes}, RB_assign: {{{assign}}}}}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Setup]:
    """`load(hosts, buffers, functions)` -> Setup."""

    def load_text(hosts: str, buffers: dict[str, str], functions: dict[str, str], top: str = "") -> Setup:
        path = tmp_path / "setup.yaml"
        path.write_text(setup_text(hosts, buffers, functions, top), encoding="utf-8")
        return load_setup(path)

    return load_text


FUNCTIONS = {
    "src": "on daq write A",
    "f": "on ana+daq read A write B",
    "out": "on store read B",
}
OTHER = {"src": "on daq+ana write A", "f": "on store read A write B", "out": "on store read B"}


@pytest.fixture
def cluster(load: Callable[..., Setup]) -> Callable[..., Simulation]:
    """`cluster(seed)` -> a simulation with three hosts and two setups, `aaaaaaaa` and `bbbbbbbb`."""
    setups = {
        "aaaaaaaa": load("daq ana store", {"A": "daq", "B": "store"}, FUNCTIONS),
        "bbbbbbbb": load("daq ana store", {"A": "daq", "B": "store"}, OTHER),
    }
    plans = {name: make_plan(setup) for name, setup in setups.items()}

    def make(seed: int = 1, *, top: str = "", with_codec: bool = False) -> Simulation:
        chosen = plans
        if top:
            text = load("daq ana store", {"A": "daq", "B": "store"}, FUNCTIONS, top)
            chosen = {**plans, "aaaaaaaa": make_plan(text)}
        return Simulation(seed, chosen, setups["aaaaaaaa"].functions, with_codec)

    return make
