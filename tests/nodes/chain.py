"""A chain over four hosts whose every event can be told: numbers from a source, through filters, to a file."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from nodes.real import Cluster, wait_for

DAQ, ANA1, ANA2, STO = "daq1", "ana1", "ana2", "sto"
HOSTS = (DAQ, ANA1, ANA2, STO)
MODULE = '''
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
    """Keep the even ones."""
    n = event["n"][0]
    return {"n": n} if n % 2 == 0 else None
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
            {"RB_2": {"host": STO, **_numbers(slots)}},
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


def numbers_in(path: Path) -> Counter[int]:
    """How often each number is in the file."""
    with path.open() as file:
        rows = csv.DictReader(file)
        column = next(name for name in rows.fieldnames or () if name.strip() == "n")
        return Counter(int(float(row[column])) for row in rows)


def kept(cluster: Cluster, run: int, node: str = STO) -> Counter[int]:
    """The numbers that have come to the end of the chain."""
    return numbers_in(cluster.run_dirs(run)[node] / "kept.csv")


def check_complete(cluster: Cluster, run: int, made: int) -> None:
    """Every even number below `made` is there exactly once."""
    found = kept(cluster, run)
    expected = set(range(0, made, 2))
    assert set(found) == expected, (
        f"{len(expected - set(found))} are missing, {len(set(found) - expected)} are not expected"
    )
    doubled = {number: times for number, times in found.items() if times > 1}
    assert not doubled, f"doubled: {doubled}"


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


def _numbers(slots: int) -> dict[str, Any]:
    return {"number_of_slots": slots, "data_type": {1: ["n", "float64"]}}
