"""Links between hosts whose cables are cut and whose processes are killed, at full rate."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from link.ends import GROUP, End, check_in_order, check_ledger, produce_until_told
from link.hosts import Hosts, why_not
from mimodaq.link import LinkOrder
from mimodaq.protocol.link import Settings
from mimodaq.ring import Ring
from ring.harness import SMALL, WAVE, Child

SETTINGS = Settings(heartbeat_s=0.2, silence_s=0.8, retry_max_s=0.3)
PORT = 5577


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Two hosts."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Hosts(2) as made:
        yield made


class Link:
    """A source on host 0, its mirror on host 1, events flowing at full rate until `finish`."""

    def __init__(self, hosts: Hosts, new_ring: Callable[..., Ring], dtype: object = SMALL, slots: int = 20_000) -> None:
        self.source = new_ring(slots=slots, dtype=dtype, groups=[GROUP], expected_writers=1)
        self.mirror = new_ring(slots=slots, dtype=dtype, groups=[GROUP], expected_writers=1)
        endpoint = f"tcp://{hosts[1].address}:{PORT}"
        here = LinkOrder("link", self.source.segment, endpoint, GROUP, settings=SETTINGS, insecure=True)
        there = LinkOrder("link", self.mirror.segment, endpoint, settings=SETTINGS, insecure=True)
        self.sender = End("sender", here, hosts[0].prefix)
        self.receiver = End("receiver", there, hosts[1].prefix)
        self._read, self._write = os.pipe()

    def __enter__(self) -> Link:
        self._workers = [Child(produce_until_told, self.source), Child(check_in_order, self.mirror, self._write)]
        self.receiver.start()
        self.sender.start()
        self.move(1)
        return self

    def move(self, events: int) -> None:
        """Until that many more events have come through."""
        until = self.mirror.status().committed + events
        with self.mirror.observer() as observer:
            while self.mirror.status().committed < until:
                assert observer.get(30.0) is not None

    def finish(self) -> int:
        """End the source; returns how many events came through, all of them checked."""
        self.source.end()
        assert [self.sender.end(), self.receiver.end()] == [0, 0]
        assert [worker.end() for worker in self._workers] == [0, 0]
        total = check_ledger(self.source, self.mirror, "link")
        assert total == self.source.status().committed == int(os.read(self._read, 100))
        return total

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for end in (self.sender, self.receiver):
                if end.is_running:
                    end.kill()
            for worker in self._workers:
                worker.kill()
        os.close(self._read)
        os.close(self._write)


def cut_often(link: Link, hosts: Hosts, times: int, longest_s: float) -> None:
    dice = random.Random(3)
    passing_time = threading.Event()  # how long a cable is cut is what is tested, nothing waits for anything here
    for _ in range(times):
        host = hosts[dice.randrange(2)]
        link.move(5)
        host.cut()
        passing_time.wait(dice.choice([0.1, 0.3, 0.9, 1.5]) if longest_s < 4 else dice.uniform(0.1, longest_s))
        host.restore()


def kill_often(link: Link, times: int) -> None:
    for _ in range(times):
        for end in (link.sender, link.receiver):
            link.move(100)
            end.kill()
            end.start()
    link.move(100)


def test_a_cable_cut_twenty_times_at_full_rate_loses_and_doubles_nothing(
    hosts: Hosts, new_ring: Callable[..., Ring]
) -> None:
    with Link(hosts, new_ring) as link:
        cut_often(link, hosts, 19, 3.0)
        hosts[1].cut()
        threading.Event().wait(3.0)
        hosts[1].restore()
        link.move(1)
        link.finish()
    link.sender.expect("figures")
    assert max(report["reconnects"] for report in link.sender.reports if report["kind"] == "figures") > 0


def test_processes_killed_eight_times_each_at_full_rate_lose_and_double_nothing(
    hosts: Hosts, new_ring: Callable[..., Ring]
) -> None:
    with Link(hosts, new_ring, WAVE, 200) as link:
        kill_often(link, 8)
        link.finish()


def test_ends_that_stand_still_until_the_kernel_gives_up_their_connection_lose_and_double_nothing(
    hosts: Hosts, new_ring: Callable[..., Ring]
) -> None:
    passing_time = threading.Event()  # longer than `let_go_of_the_dead` waits
    with Link(hosts, new_ring, WAVE, 200) as link:
        for end in (link.receiver, link.sender):
            link.move(100)
            end.send(signal.SIGSTOP)
            passing_time.wait(6.0)
            end.send(signal.SIGCONT)
        link.move(100)
        link.finish()


def test_a_slow_cable_carries_back_pressure_and_no_loss(hosts: Hosts, new_ring: Callable[..., Ring]) -> None:
    hosts[0].limit("80mbit")
    with Link(hosts, new_ring, WAVE, 100) as link:
        link.move(200)
        link.finish()
        assert link.source.status().groups[0].blamed_s > 0


def test_a_fast_cable_that_turns_slow_has_small_batches_again(hosts: Hosts, new_ring: Callable[..., Ring]) -> None:
    with Link(hosts, new_ring, WAVE, 200) as link:
        link.move(3000)
        hosts[0].limit("20mbit")  # a batch of 4 MB takes 1.6 s, one of 1 MB 0.4 s; an end is given up after 0.8 s
        link.move(30)
        link.finish()


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_cable_cut_two_hundred_times_up_to_thirty_seconds(hosts: Hosts, new_ring: Callable[..., Ring]) -> None:
    with Link(hosts, new_ring) as link:
        cut_often(link, hosts, 200, 30.0)
        link.move(1)
        link.finish()


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_processes_killed_two_hundred_times_each(hosts: Hosts, new_ring: Callable[..., Ring]) -> None:
    with Link(hosts, new_ring, WAVE, 200) as link:
        kill_often(link, 200)
        link.finish()
