"""Two hundred nodes with twenty buffers each, over the real bytes, in one process."""

import pytest

from cluster.simulation import Simulation
from mimodaq.protocol import cluster_events as ce
from mimodaq.protocol import codec as c
from mimodaq.protocol import parts as p
from mimodaq.protocol.plan import make_plan
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.states import State

HOSTS = [f"h{i}" for i in range(200)]
LINES = tuple(p.BufferLine(f"RB_{i}", 10**9, 1e5, 1e8, 0.5, 0.01, ("Fkt_2",)) for i in range(20))


def test_200_nodes_with_20_buffers_each_make_a_run(load):
    functions = {"src": "on h0 write A", "f": f"on {'+'.join(HOSTS)} read A"}
    setup = load(" ".join(HOSTS), {"A": "h0"}, functions)
    sim = Simulation(1, {"aaaaaaaa": make_plan(setup)}, setup.functions, with_codec=True, lines=LINES)
    sim.world.run(5.0)
    assert sim.do("configure", setup_id="aaaaaaaa").ok
    assert sim.do("start").ok
    sim.world.run(2.0)
    assert set(sim.states().values()) == {State.RUNNING}
    snapshot = sim.broker.brain.cluster(sim.world.now)
    assert len(snapshot.nodes) == 200
    assert snapshot.nodes[0].rate_hz == pytest.approx(20 * 1e5, rel=1e-3)  # shown figures are rounded
    assert len(c.encode(snapshot)) < 100_000
    assert isinstance(sim.broker.brain.handle(ce.Wake(), sim.world.now), list)
    assert sim.do("stop").ok
    assert sim.broker.rows[1].verdict is Verdict.GOOD
