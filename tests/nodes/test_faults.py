"""Kills, cuts and stops on real hosts at full rate: nothing lost, nothing twice, and the operator is told."""

from __future__ import annotations

import os
import random
import select
import signal

import pytest

from nodes.chain import (
    ANA1,
    ANA2,
    DAQ,
    HOSTS,
    MODULE,
    STO,
    check_complete,
    check_in_order,
    kept,
    made,
    setup,
    wait_for_end,
)
from nodes.real import kill, process, wait_for

KILLS = pytest.mark.parametrize("kills", [8, pytest.param(200, marks=pytest.mark.soak)])
CUTS = pytest.mark.parametrize(
    ("cuts", "longest_s"), [(20, 3.0), pytest.param(200, 30.0, marks=pytest.mark.soak, id="200")]
)
LINKS = {
    "RB_1~Fkt_2:daq1>ana1": (DAQ, ANA1),
    "RB_1~Fkt_2:daq1>ana2": (DAQ, ANA2),
    "RB_2.out:ana1>sto": (ANA1, STO),
    "RB_2.out:ana2>sto": (ANA2, STO),
}


class Story:
    """A run of the chain at full rate, to which things happen."""

    def __init__(self, new_cluster, optional=(), **options):
        self.cluster = new_cluster(*HOSTS)
        self.session = self.cluster.start()
        path = self.cluster.write_setup(setup(**options), chain=MODULE)
        answer = self.session.configure(path, optional=optional)
        assert answer.ok, answer.text
        answer = self.session.ask("start")
        assert answer.ok, answer.text
        self.run = answer.run
        self.dice = random.Random(self.run)
        self._end = self.cluster.ring(STO, self.run, "RB_2")
        self.go_on(1000)

    def go_on(self, events=500):
        """Until so many more events have come to the end of the chain, whoever is there to tell."""
        until = self._end.status().committed + events
        wait_for(lambda: self._end.status().committed >= until, f"for {events} more events")

    def kill(self, node, label):
        """SIGKILL to a process of the run, and wait for its successor."""
        before = wait_for(lambda: process(self.cluster, node, self.run, label), f"for {label} on {node}")
        kill(before)
        wait_for(lambda: process(self.cluster, node, self.run, label) not in (None, before), f"for a new {label}")

    def life(self, node):
        """Grows with each start of a node daemon."""
        report = self.session.status().reports.get(node)
        return report.epoch if report else 0

    def finish(self):
        """Stop, and look at everything; the row of the run."""
        answer = self.session.ask("stop")
        assert answer.ok, answer.text
        row = wait_for_end(self.session, self.run)
        assert not any("ledger" in reason for reason in row.reasons), row.reasons
        return row

    def in_doubt(self):
        """Events that were on their way when their link was given up: they may be there twice, and are counted."""
        records = self.cluster.record(self.run, DAQ)["links"].values()
        return sum(r["sent"] - r["position"] for all_of_link in records for r in all_of_link if r["kind"] == "cut")

    def is_said(self, text):
        return wait_for(lambda: any(text in line.text for line in self.session.logs(200)), f"for {text!r}")


def hold(seconds):
    """Let a fault last: the passing of time is what is tested."""
    select.select([], [], [], seconds)


@pytest.fixture
def story(new_cluster):
    return Story(new_cluster)


@KILLS
def test_killed_senders_and_receivers_of_links_lose_and_double_nothing(story, kills):
    for number in range(2 * kills):
        link, ends = story.dice.choice(sorted(LINKS.items()))
        story.kill(ends[number % 2], f"{link}[0]")
        story.go_on(200)
    row = story.finish()
    assert row.verdict == "tainted"
    assert all("was started again" in reason for reason in row.reasons), row.reasons
    check_complete(story.cluster, story.run, made(story.cluster, story.run))


@KILLS
def test_killed_node_daemons_come_back_to_their_run(story, kills):
    for number in range(kills):
        name = HOSTS[number % len(HOSTS)]
        node, life = story.cluster.nodes[name], story.life(name)
        node.kill()
        story.go_on(200)  # data flow without it
        node.start()
        wait_for(lambda name=name, life=life: story.life(name) > life, f"for {name} to be back")
        wait_for(lambda: story.session.status().cluster.state.value == "running", "for the run to go on")
    row = story.finish()
    assert (row.verdict, row.reasons) == ("good", ())
    check_complete(story.cluster, story.run, made(story.cluster, story.run))
    check_in_order(story.cluster, story.run)


@KILLS
def test_killed_workers_lose_nothing(story, kills):
    for number in range(kills):
        story.kill((ANA1, ANA2)[number % 2], f"Fkt_2[{story.dice.randrange(2)}]")
        story.go_on(200)
    row = story.finish()
    assert row.verdict == "tainted"
    found = kept(story.cluster, story.run)
    assert set(found) == set(range(0, made(story.cluster, story.run), 2))
    again = sum(times - 1 for times in found.values())
    records = [story.cluster.record(story.run, node) for node in (ANA1, ANA2)]
    counted = sum(g["redelivered"] for r in records for b in r["ledger"]["buffers"].values() for g in b.values())
    assert again <= counted


@KILLS
def test_a_run_does_not_need_its_broker(story, kills):
    for _ in range(kills):
        story.cluster.broker.kill()
        story.cluster.broker.start()
        story.session = story.cluster.session()
        wait_for(lambda: story.session.status().cluster.run == story.run)
        story.go_on(200)
    row = story.finish()
    assert (row.verdict, row.reasons) == ("good", ())
    check_complete(story.cluster, story.run, made(story.cluster, story.run))
    check_in_order(story.cluster, story.run)


def test_a_stopped_worker_holds_up_nobody_for_ever(story):
    worker = process(story.cluster, ANA1, story.run, "Fkt_2[0]")
    os.kill(worker, signal.SIGSTOP)
    try:
        hold(5.0)
        story.go_on(2000)  # its sisters have the rest
        story.is_said("Fkt_2[0] is stopped by a signal")
    finally:
        os.kill(worker, signal.SIGCONT)
    story.is_said("Fkt_2[0] goes on")
    row = story.finish()
    assert (row.verdict, row.reasons) == ("good", ())
    check_complete(story.cluster, story.run, made(story.cluster, story.run))
    check_in_order(story.cluster, story.run)


def test_the_window_of_a_host_comes_back(story):
    story.kill(ANA1, "window[0]")
    row = story.finish()
    assert (row.verdict, row.reasons) == ("good", ())  # no run depends on it


@CUTS
def test_cut_cables_lose_and_double_nothing(story, cuts, longest_s):
    for number in range(cuts):
        host = story.cluster.place[HOSTS[number % len(HOSTS)]]
        host.cut()
        hold(0.1 if number % 4 else story.dice.choice((1.0, longest_s)))
        host.restore()
        story.go_on(100)
    row = story.finish()
    assert (row.verdict, row.reasons) == ("good", ())
    check_complete(story.cluster, story.run, made(story.cluster, story.run))
    check_in_order(story.cluster, story.run)


def test_a_lost_essential_host_holds_the_sources_until_it_is_back(story):
    story.cluster.place[ANA1].cut()
    story.is_said("ana1 is lost: the sources are held until it is back")
    wait_for(lambda: story.session.status().cluster.aim.value == "paused")
    story.cluster.place[ANA1].restore()
    story.is_said("ana1 is back: resuming")
    story.go_on()
    row = story.finish()
    assert (row.verdict, row.reasons) == ("good", ())
    check_complete(story.cluster, story.run, made(story.cluster, story.run))


def test_a_run_whose_host_is_gone_for_good_can_be_stopped_and_names_what_is_missing(story):
    story.cluster.place[ANA1].cut()
    story.is_said("ana1 is lost")
    answer = story.session.ask("stop", timeout_s=100.0)
    assert answer.ok, answer.text
    row = wait_for_end(story.session, story.run)
    assert row.verdict == "incomplete"
    assert any("ana1" in reason for reason in row.reasons), row.reasons
    again = sum(times - 1 for times in kept(story.cluster, story.run).values())
    assert again <= story.in_doubt()
    story.cluster.place[ANA1].restore()
    wait_for(lambda: story.session.ask("reset").ok)


def test_a_run_goes_on_without_an_optional_host_and_says_so(new_cluster):
    story = Story(new_cluster, optional=(ANA1,))
    story.cluster.place[ANA1].cut()
    story.is_said("the run goes on without ana1, which is optional")
    story.go_on(2000)
    answer = story.session.ask("stop", timeout_s=100.0)
    assert answer.ok, answer.text
    row = wait_for_end(story.session, story.run)
    assert row.verdict == "incomplete"  # what it had in hand is missing, and named
    assert any("went on without ana1" in reason for reason in row.reasons), row.reasons
    again = sum(times - 1 for times in kept(story.cluster, story.run).values())
    assert again <= story.in_doubt()
    story.cluster.place[ANA1].restore()
    wait_for(lambda: story.session.ask("reset").ok)


def test_the_cause_of_a_fault_is_told_at_once(story):
    """What an operator who only listens is told, and that it names who is to blame."""
    for what, words in (
        (lambda: kill(process(story.cluster, ANA1, story.run, "Fkt_2[0]")), "Fkt_2[0] failed: killed by SIGKILL"),
        (lambda: kill(process(story.cluster, DAQ, story.run, "Fkt_1[0]")), "Fkt_1[0] failed: killed by SIGKILL"),
    ):
        what()
        story.is_said(words)
    row = wait_for_end(story.session, story.run)
    assert row.verdict == "interrupted"
    assert any("Fkt_1[0] failed" in reason for reason in row.reasons)
