"""Several links between the same two hosts, in both directions: each event takes its own, in order."""

from __future__ import annotations

import csv

from nodes.chain import wait_for_end

DAQ, ANA = "daq1", "ana1"
EVENTS = 3000
MODULE = f"""
def numbers(*, first: int = 0):
    for number in range(first, first + {EVENTS}):
        yield {{"n": number}}


def twice(event):
    return {{"n": 2 * event["n"]}}
"""


def setup():
    """Two sources on one host, a filter on the other; what it writes comes back."""
    buffer = {"number_of_slots": 256, "data_type": {1: ["n", "int64"]}}
    numbers, twice = "links.py:numbers", "links.py:twice"
    functions = [
        {"function": numbers, "host": DAQ, "RB_assign": {"RB_1": "write"}},
        {
            "function": numbers,
            "host": DAQ,
            "RB_assign": {"RB_2": "write"},
            "config": {"first": 10**9},
        },
        {"function": twice, "host": ANA, "RB_assign": {"RB_1": "read", "RB_3": "write"}},
        {"function": "to_csv", "host": ANA, "RB_assign": {"RB_2": "read"}, "config": {"filename": "there"}},
        {"function": "to_csv", "host": DAQ, "RB_assign": {"RB_3": "read"}, "config": {"filename": "back"}},
    ]
    homes = {"RB_1": DAQ, "RB_2": DAQ, "RB_3": ANA}
    return {
        "links": {name: {"codec": "lz4"} for name in homes},
        "RingBuffer": [{name: {"host": host, **buffer}} for name, host in homes.items()],
        "Functions": [{f"Fkt_{number}": function} for number, function in enumerate(functions, 1)],
    }


def column(path):
    with path.open() as file:
        return [int(row["n"]) for row in csv.DictReader(file, skipinitialspace=True)]


def test_three_links_between_two_hosts_do_not_mix(new_cluster):
    cluster = new_cluster(DAQ, ANA)
    session = cluster.start()
    answer = session.configure(cluster.write_setup(setup(), links=MODULE))
    assert answer.ok, answer.text
    run = session.ask("start").run
    row = wait_for_end(session, run)
    assert (row.verdict, row.reasons) == ("good", ())
    folders = cluster.run_dirs(run)
    assert column(folders[ANA] / "there.csv") == list(range(10**9, 10**9 + EVENTS))
    assert column(folders[DAQ] / "back.csv") == list(range(0, 2 * EVENTS, 2))
    assert {(end.link, end.is_sender): (end.node, end.events) for end in row.links} == {
        (f"{buffer}:{sender}>{receiver}", is_sender): (sender if is_sender else receiver, EVENTS)
        for buffer, sender, receiver in (("RB_1", DAQ, ANA), ("RB_2", DAQ, ANA), ("RB_3", ANA, DAQ))
        for is_sender in (True, False)
    }
