"""`mimodaq doctor` on real hosts: asked by an operator on another computer, with and without a node."""

import json

from nodes.real import wait_for

MODULE = "def numbers():\n    n = 0\n    while True:\n        yield {'n': n}\n        n += 1\n"
SETUP = {
    "RingBuffer": [{"RB_1": {"host": "daq1", "number_of_slots": 64, "data_type": {1: ["n", "float64"]}}}],
    "Functions": [
        {"Fkt_1": {"function": "own.py:numbers", "host": "daq1", "RB_assign": {"RB_1": "write"}}},
        {"Fkt_2": {"function": "to_csv", "host": "ana1", "RB_assign": {"RB_1": "read"}}},
    ],
}


def look(cluster, code):
    """The checks by section and name: level, text, remedy."""
    words = ("doctor", "setup/setup.yaml", "--rate", "10", "--broker", cluster.address, "--insecure", "--json")
    text = cluster.command(*words, host=cluster.hosts[0], code=code)
    checks = json.loads(next(line for line in text.splitlines() if line.startswith("{")))["checks"]
    return {f"{c['section']}: {c['what']}": (c["level"], c["text"], c["remedy"]) for c in checks}


def test_a_cluster_in_order_and_one_whose_node_is_gone(new_cluster):
    cluster = new_cluster("daq1", "ana1")
    cluster.write_setup(SETUP, own=MODULE)
    session = cluster.start()
    wait_for(lambda: all(report.clock for report in session.status().reports.values()), "for clocks")
    found = look(cluster, 0)
    levels = {name: level for name, (level, _, _) in found.items()}
    for name in ("broker: broker versions", "broker: way to the broker", "hosts: ana1", "hosts: ana1 ports"):
        assert levels[name] == "ok", found[name]
    for name in ("node", "versions", "clock", "shared memory", "disk", "network"):
        assert levels[f"nodes: ana1 {name}"] == "ok", found[f"nodes: ana1 {name}"]
    assert found["hosts: ana1 ports"][1] == "ports 7800-7801 can be reached"
    assert found["hosts: ana1 SSH"][:2] == ("warning", "nothing listens at port 22")
    cluster.nodes["ana1"].kill()
    wait_for(lambda: cluster.present(session) == {"daq1"}, "for the loss of ana1")
    level, text, remedy = look(cluster, 1)["nodes: ana1 node"]
    assert (level, text.split(":")[0]) == ("fault", "lost")
    assert "the daemon running" in remedy
