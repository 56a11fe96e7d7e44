"""A function that prints without end on a real node: what matters is still in the log of the cluster."""

import re

from mimodaq.chaos.waiting import wait_for
from nodes.chain import wait_for_end

LINES = 300_000
"""Thirty times what the broker keeps."""
AT_ONCE = 10_000
MODULE = f"""
import os


def talk():
    for n in range(0, {LINES}, {AT_ONCE}):
        os.write(1, b"".join(b"chatter %d\\n" % i for i in range(n, n + {AT_ONCE})))
        yield {{"n": n}}


def fail_once(event, *, marker: str):
    import pathlib

    if event["n"][0] == 30_000 and not pathlib.Path(marker).exists():
        pathlib.Path(marker).touch()
        raise ValueError("a bad event")
"""


def setup(marker):
    return {
        "RingBuffer": [{"RB_1": {"host": "daq1", "number_of_slots": 64, "data_type": {1: ["n", "float64"]}}}],
        "Functions": [
            {"Fkt_1": {"function": "own.py:talk", "host": "daq1", "RB_assign": {"RB_1": "write"}}},
            {
                "Fkt_2": {
                    "function": "own.py:fail_once",
                    "RB_assign": {"RB_1": "read"},
                    "config": {"marker": str(marker)},
                }
            },
        ],
    }


def test_a_function_that_prints_without_end_pushes_nothing_out(new_cluster, tmp_path):
    cluster = new_cluster("daq1", real=False)
    session = cluster.start()
    answer = session.configure(cluster.write_setup(setup(tmp_path / "marker"), own=MODULE))
    assert answer.ok, answer.text
    answer = session.ask("start")
    assert answer.ok, answer.text
    wait_for_end(session, answer.run)

    def left_out():
        told = (re.fullmatch(r"(\d+) more lines? of Fkt_1\[0\] (?:is|are) only in (.*)", one.text) for one in lines())
        return [(int(found[1]), found[2]) for found in told if found]

    def lines():
        return session.logs(10_000)

    def printed():
        return [one for one in lines() if one.source == "Fkt_1[0]"]

    file = cluster.run_dirs(answer.run)["daq1"] / "run.log"
    wait_for(lambda: sum(count for count, _ in left_out()) + len(printed()) == LINES, "for all lines to be counted")
    assert {path for _, path in left_out()} == {str(file)}
    assert len(printed()) < 1000
    texts = [one.text for one in lines()]
    assert f"run {answer.run} is running" in texts
    assert not any("is lost" in text for text in texts)  # the daemon has answered all the time
    assert any(one.level == "error" and "ValueError: a bad event" in one.text for one in lines())
    kept = re.findall(r"INFO +Fkt_1\[0\]: chatter (\d+)", file.read_text())
    assert kept == [str(n) for n in range(LINES)]
    shown = cluster.nodes["daq1"].log()
    assert shown.count("chatter") == len(printed())
    assert "more lines of Fkt_1[0] are only in" in shown
