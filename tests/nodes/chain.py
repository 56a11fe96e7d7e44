"""A chain over four hosts whose every event can be told: numbers from a source, through filters, to a file."""

from __future__ import annotations

import csv
from collections import Counter
from typing import Any

from nodes.real import Cluster, wait_for

DAQ, ANA1, ANA2, STO = "daq1", "ana1", "ana2", "sto"
HOSTS = (DAQ, ANA1, ANA2, STO)
MODULE = '''
import os
import time

import numpy as np


def numbers(*, events: int = 0, rate: float = 0.0):
    """Event n holds n; at most `rate` a second, 0 = as fast as it goes."""
    begin, n = time.monotonic(), 0
    while not events or n < events:
        yield np.full((1, 16), n, "f8")
        n += 1
        if rate and n % 20 == 0:
            time.sleep(max(0.0, begin + n / rate - time.monotonic()))


def halve(event):
    """Keep the even ones, and tell who did."""
    n = event["n"][0]
    return {"n": n, "by": os.getpid()} if n % 2 == 0 else None
'''


def setup(*, events: int = 0, rate: float = 0.0, slots: int = 512, limit: int = 0, filters: Any = (ANA1, ANA2)) -> Any:
    """The chain. Without `events` it goes on until it is stopped."""
    return {
        **({"runevents": limit} if limit else {}),
        "RingBuffer": [
            {
                "RB_1": {
                    "host": DAQ,
                    "number_of_slots": slots,
                    "channel_per_slot": 16,
                    "data_type": {1: ["n", "float64"]},
                }
            },
            {
                "RB_2": {
                    "host": STO,
                    "number_of_slots": slots,
                    "data_type": {1: ["n", "float64"], 2: ["by", "int64"]},
                }
            },
        ],
        "Functions": [
            {
                "Fkt_1": {
                    "function": "chain.py:numbers",
                    "host": DAQ,
                    "RB_assign": {"RB_1": "write"},
                    "config": {"events": events, "rate": rate},
                }
            },
            {
                "Fkt_2": {
                    "function": "chain.py:halve",
                    "host": list(filters),
                    "num_process": 2,
                    "RB_assign": {"RB_1": "read", "RB_2": "write"},
                }
            },
            {"Fkt_3": {"function": "to_csv", "RB_assign": {"RB_2": "read"}, "config": {"filename": "kept"}}},
        ],
    }


def rows(cluster: Cluster, run: int) -> list[tuple[int, int]]:
    """What has come to the end of the chain, in order: each number, and the process of the filter that kept it."""
    with (cluster.run_dirs(run)[STO] / "kept.csv").open() as file:
        table = csv.DictReader(file, skipinitialspace=True)
        return [(int(float(row["n"])), int(row["by"])) for row in table]


def kept(cluster: Cluster, run: int) -> Counter[int]:
    """How often each number has come to the end of the chain."""
    return Counter(number for number, _ in rows(cluster, run))


def check_complete(cluster: Cluster, run: int, made: int) -> None:
    """Every even number below `made` is there exactly once."""
    found = kept(cluster, run)
    expected = set(range(0, made, 2))
    assert set(found) == expected, (
        f"{len(expected - set(found))} are missing, {len(set(found) - expected)} are not expected"
    )
    doubled = {number: times for number, times in found.items() if times > 1}
    assert not doubled, f"doubled: {doubled}"


def check_in_order(cluster: Cluster, run: int) -> None:
    """What each process of the filter let through is in order: all of it has passed the same links.

    Between two processes there is no order, nor if one has died: another one gets what it had.
    """
    last: dict[int, int] = {}
    for number, by in rows(cluster, run):
        assert number > last.get(by, -1), f"{number} comes after {last[by]}, both by process {by}"
        last[by] = number
    assert last, "nothing has come through"


def made(cluster: Cluster, run: int) -> int:
    """Events that the source has made."""
    return int(cluster.record(run, DAQ)["buffers"]["RB_1"]["events"])


def wait_for_events(session: Any, run: int, more: int) -> int:
    """Wait until `more` events have been taken in the run; how many there are."""
    status = session.status()
    begin = status.cluster.events if status.cluster.run == run else 0

    def there() -> int:
        cluster = session.status().cluster
        assert cluster.run in (run, None), cluster
        assert cluster.run == run, f"the run has ended: {session.run(run)}"
        return cluster.events if cluster.events >= begin + more else 0

    return int(wait_for(there, f"for {more} more events than {begin}"))


def wait_for_end(session: Any, run: int) -> Any:
    """Wait until the run is over; its row in the database."""

    def over() -> Any:
        row = session.run(run)
        return row if row.verdict else None

    return wait_for(over, f"for the end of run {run}")
