"""Brokers, nodes and setups for tests."""

import textwrap

import pytest

from broker.fake_nodes import nodes_of
from broker.running import BrokerProcess, BrokerThread

SETUP = """
hosts:
  daq1: {address: 127.0.0.1}
  ana1: {address: 127.0.0.1, data_port: 7900}
RingBuffer:
  - RB_1: {number_of_slots: 16, data_type: {1: [x, float64]}, host: daq1}
Functions:
  - Fkt_1: {function: "my.py:numbers", RB_assign: {RB_1: write}, host: daq1}
  - Fkt_2: {function: drain, RB_assign: {RB_1: read}, host: ana1}
"""


@pytest.fixture
def setup_file(tmp_path):
    """A setup of two hosts and a function of one's own."""
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "my.py").write_text("def numbers():\n    yield {'x': 1.0}\n")
    path = folder / "setup.yaml"
    path.write_text(textwrap.dedent(SETUP))
    return path


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def broker(state):
    with BrokerThread(state) as running:
        yield running


@pytest.fixture
def broker_process(state):
    """`broker_process(...)` starts one; all are ended after the test."""
    started = []

    def start(*arguments, **options):
        started.append(BrokerProcess(state, *arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def nodes(tmp_path):
    """`nodes(endpoints, "daq1", ...)` -> running nodes."""
    open_ones = []

    def start(endpoints, *names, keys=None):
        manager = nodes_of(tmp_path / "nodes", endpoints, *names, keys=keys)
        open_ones.append(manager)
        return manager.__enter__()

    yield start
    for manager in open_ones:
        manager.__exit__(None, None, None)
