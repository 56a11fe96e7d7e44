"""A node daemon answers while something slow goes on: the import of a user's module that does not end."""

from mimodaq.protocol.messages import Report
from mimodaq.protocol.states import State

MODULE = """
import time
from pathlib import Path

while not Path({go!r}).exists():
    time.sleep(0.005)


def source():
    yield {{"x": 1.0}}
"""


def test_a_node_reports_while_a_module_is_being_imported(new_cluster, tmp_path):
    cluster = new_cluster("daq1", real=False)
    session = cluster.start()
    buffer = {"number_of_slots": 8, "data_type": {1: ["x", "float64"]}, "host": "daq1"}
    functions = [
        {"Fkt_1": {"function": "slow.py:source", "RB_assign": {"RB_1": "write"}}},
        {"Fkt_2": {"function": "drain", "RB_assign": {"RB_1": "read"}}},
    ]
    go = tmp_path / "go"
    path = cluster.write_setup(
        {"RingBuffer": [{"RB_1": buffer}], "Functions": functions}, slow=MODULE.format(go=str(go))
    )
    heard = []

    def look():
        heard.extend(
            news.number for news in session.news(0.0) if isinstance(news, Report) and news.state is State.CONFIGURING
        )
        if len(set(heard)) >= 4:
            go.touch()

    answer = session.configure(path, on_turn=look)
    assert answer.ok, answer.text
    assert len(set(heard)) >= 4
