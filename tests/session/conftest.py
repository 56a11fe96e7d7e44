import pytest

from broker.conftest import broker, broker_process, nodes, setup_file, state
from broker.running import wait_until
from mimodaq.client.session import Session
from mimodaq.protocol.states import State
from session.terminal import Shell

__all__ = ["broker", "broker_process", "nodes", "setup_file", "state"]


@pytest.fixture
def shell(broker, tmp_path):
    return Shell(tmp_path, broker.address)


@pytest.fixture
def idle(shell, nodes, broker):
    """A shell, and a cluster whose nodes are there."""
    shell.nodes = nodes(broker.endpoints, "daq1", "ana1")
    with Session.connect(broker.address) as session:
        wait_until(lambda: session.status().cluster.state is State.IDLE, "the broker does not learn")
        wait_until(lambda: len(session.status().reports) == 2, "the nodes are not there")
    return shell


@pytest.fixture
def ready(idle, setup_file):
    """A shell, and a cluster that has a setup."""
    idle("configure", setup_file)
    return idle
