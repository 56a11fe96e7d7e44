"""Two hundred nodes with twenty buffers each, from the text of the setup on, over the real bytes, in one process."""

import pytest

from cluster.simulation import Simulation
from mimodaq.protocol import cluster_events as ce
from mimodaq.protocol import codec as c
from mimodaq.protocol import parts as p
from mimodaq.protocol.plan import make_plan
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.states import State

HOSTS = [f"h{i}" for i in range(200)]
STAGES = range(20)


def lines(host):
    """Figures of all rings of a host; something of them is new at every look."""
    events, fill = int(host.world.now * 1e5), host.world.rng.random()
    return tuple(p.BufferLine(r.plan.name, events, 1e5, 1e8, fill, 0.01, r.plan.groups) for r in host.rings.values())


@pytest.fixture
def setup(load):
    """On each host a source and nineteen filters, one after another; the next host reads what comes out."""
    buffers, functions = {}, {}
    for number, host in enumerate(HOSTS):
        buffers |= {f"{host}b{stage}": host for stage in STAGES}
        functions[f"{host}f0"] = f"on {host} write {host}b0"
        functions |= {f"{host}f{s}": f"on {host} read {host}b{s - 1} write {host}b{s}" for s in STAGES[1:]}
        functions[f"{host}out"] = f"on {HOSTS[number - 1]} read {host}b{STAGES[-1]}"
    return load(" ".join(HOSTS), buffers, functions)


def test_200_nodes_with_20_buffers_each_make_a_run(setup):
    plan = make_plan(setup)
    assert {len(node.rings) for node in plan.nodes.values()} == {len(STAGES) + 1}  # and the mirror of another host's
    assert len(plan.links) == len(HOSTS)
    sim = Simulation(1, {"aaaaaaaa": plan}, setup.functions, with_codec=True, lines=lines)
    sim.world.run(5.0)
    assert sim.do("configure", setup_id="aaaaaaaa").ok
    assert sim.do("start").ok
    sim.world.run(2.0)
    assert set(sim.states().values()) == {State.RUNNING}
    snapshot = sim.broker.brain.cluster(sim.world.now)
    assert len(snapshot.nodes) == 200
    rates = [line.rate_hz for line in snapshot.nodes]
    assert rates == pytest.approx([(len(STAGES) + 1) * 1e5] * len(HOSTS), rel=1e-3)  # shown figures are rounded
    assert len(c.encode(snapshot)) < 100_000
    assert isinstance(sim.broker.brain.handle(ce.Wake(), sim.world.now), list)
    assert sim.do("stop").ok
    assert sim.broker.rows[1].verdict is Verdict.GOOD
