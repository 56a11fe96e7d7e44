"""The parts of the broker's brain, each alone: the desk, what is made of losses, what a new broker finds."""

import pytest

from mimodaq.protocol import messages as m
from mimodaq.protocol import takeover
from mimodaq.protocol.books import Books
from mimodaq.protocol.cluster_events import Asked, Reply, RunRow, Send
from mimodaq.protocol.desk import CLIENTS_KEPT, Desk
from mimodaq.protocol.dispatch import Dispatch, note_answer
from mimodaq.protocol.parts import Ending, OnLoss, RunEnd
from mimodaq.protocol.plan import make_plan
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.run_watch import GoOnWithout, Hold, Miss, StopFor, find_end, find_losses
from mimodaq.protocol.situation import Node, Situation
from mimodaq.protocol.states import State

# -- the desk --------------------------------------------------------------------------------------------------


def asked(number, client="c"):
    return Asked(client, "anna", True, m.Ask(number, "start"))


def test_a_request_is_new_once_and_its_answer_is_repeated():
    desk = Desk()
    assert desk.accept(asked(1)) is None
    assert desk.accept(asked(1)) == []
    desk.begin(asked(1))
    answer = Reply("c", m.Answer(1, True, "done", 7))
    assert desk.finish(True, "done", 7) == [answer]
    assert desk.accept(asked(1)) == [answer]
    assert desk.finish(True, "done", 7) == []
    assert desk.accept(asked(3)) is None
    assert desk.accept(asked(2)) == [], "older than the last one"


def test_the_answers_of_many_clients_are_forgotten_in_the_end():
    desk = Desk()
    for number in range(CLIENTS_KEPT + 1):
        assert desk.accept(asked(1, f"client {number}")) is None
    assert desk.accept(asked(1, "client 1")) == []
    assert desk.accept(asked(1, "client 0")) is None


# -- a picture of a cluster ------------------------------------------------------------------------------------


class Picture:
    """Three nodes in run 7, of which `daq` has the source, as a broker knows them at second 100."""

    def __init__(self, plan):
        self.here = Situation(3, aim=State.RUNNING, plan=plan, setup_id="aaaaaaaa", books=Books(7, "aaaaaaaa"))
        self.number = 0
        for name in plan.nodes:
            self.says(name, state=State.RUNNING, run=7)

    def says(self, name, **what):
        self.number += 1
        report = m.Report(name, 1, self.number, **{"setup_id": "aaaaaaaa", **what})
        self.here.nodes.setdefault(name, Node()).report = report
        self.here.members.hear(name, 1, self.number, 100.0)

    def loses(self, name):
        self.here.members = type(self.here.members)()
        for other in self.here.nodes:
            if other != name:
                self.here.members.hear(other, 1, self.number, 100.0)
        self.here.nodes[name].away_since = 100.0

    def losses(self, now=100.0, held_for=frozenset()):
        return find_losses(self.here, self.here.books, held_for, now)


@pytest.fixture
def picture(cluster):
    return Picture(cluster().plans["aaaaaaaa"])


def test_nothing_is_made_of_a_run_that_goes_on(picture):
    assert picture.losses() == []
    assert find_end(picture.here, picture.here.books, 100.0) is None


def test_for_a_lost_node_the_sources_are_held_once(picture):
    picture.loses("ana")
    assert picture.losses() == [Hold("ana")]
    assert picture.losses(held_for={"ana"}) == []
    picture.here.aim = State.PAUSED
    assert picture.losses() == []


def test_a_run_may_be_stopped_for_a_lost_node(picture):
    picture.here.books.on_loss = OnLoss.STOP
    picture.loses("ana")
    assert picture.losses() == [StopFor("ana was lost during the run", "ana is lost")]


def test_an_optional_node_is_missed_and_then_done_without(picture):
    picture.here.books.optional = frozenset({"ana"})
    picture.loses("ana")
    assert picture.losses(109.0) == [Miss("ana")]
    assert picture.losses(110.0) == [Miss("ana"), GoOnWithout("ana", "lost")]
    picture.here.books.excluded.add("ana")
    assert picture.losses(110.0) == []


def test_a_node_that_fails_ends_the_run_unless_it_is_optional(picture):
    picture.says("store", state=State.STOPPING, run=7, ending=Ending.FAILED, failure="the disk is full")
    assert picture.losses() == [StopFor("store: the disk is full", "store: the disk is full")]
    picture.here.books.optional = frozenset({"store"})
    assert picture.losses() == [GoOnWithout("store", "the disk is full")]


def test_a_run_ends_when_its_sources_have_run_dry(picture):
    picture.says("daq", state=State.STOPPING, run=7, ending=Ending.EXHAUSTED)
    assert find_end(picture.here, picture.here.books, 100.0) == "the sources have no more events"
    picture.here.plan = None
    assert "does not have the setup" in find_end(picture.here, picture.here.books, 100.0)


@pytest.mark.parametrize(("top", "says"), [("runtime: 10", "10 s are over"), ("runevents: 50", "50 events are taken")])
def test_a_run_ends_at_its_limits(picture, load, top, says):
    hosts = {"src": "on daq write A", "f": "on ana+daq read A write B", "out": "on store read B"}
    picture.here.plan = make_plan(load("daq ana store", {"A": "daq", "B": "store"}, hosts, top))
    books = picture.here.books
    books.clock(True, 100.0)
    assert find_end(picture.here, books, 109.0) is None
    books.events = 50 if "events" in top else 0
    assert find_end(picture.here, books, 110.0) == says


# -- a new broker ----------------------------------------------------------------------------------------------


def test_the_run_that_nodes_are_in_is_found_whatever_the_database_says(picture):
    row = RunRow(6, "bbbbbbbb", "anna", "", frozenset(), OnLoss.PAUSE)
    assert takeover.find(picture.here, row) == takeover.Found(7, "aaaaaaaa", None)
    mine = RunRow(7, "aaaaaaaa", "anna", "a remark", frozenset(), OnLoss.PAUSE)
    found = takeover.find(picture.here, mine)
    assert found.row is mine
    assert found.books(7, "aaaaaaaa").comment == "a remark"


def test_a_run_that_no_node_knows_of_is_found_in_the_database_until_it_is_closed(picture):
    for name in picture.here.nodes:
        picture.says(name, state=State.CONFIGURED)
    row = RunRow(7, "aaaaaaaa", "anna", "", frozenset(), OnLoss.PAUSE)
    assert takeover.find(picture.here, row).run == 7
    picture.here.last_closed = 7
    assert takeover.find(picture.here, row) == takeover.Found(None, "aaaaaaaa", None)


def test_missing_nodes_are_waited_for_only_so_long(picture):
    assert takeover.is_complete(picture.here, 100.0, 100.0)
    picture.loses("ana")
    assert not takeover.is_complete(picture.here, 100.0, 109.0)
    assert takeover.is_complete(picture.here, 100.0, 110.0)


# -- commands on their way --------------------------------------------------------------------------------------


def test_a_command_is_repeated_until_it_is_answered(picture):
    picture.here.aim = State.STOPPING
    dispatch = Dispatch()
    sent = dispatch.steer(picture.here, 100.0)
    assert {(s.node, s.message.verb) for s in sent} == {(name, m.Verb.STOP) for name in ("daq", "ana", "store")}
    assert dispatch.steer(picture.here, 100.5) == []
    assert dispatch.steer(picture.here, 101.0) == sent
    node, do = picture.here.nodes["daq"], next(s.message for s in sent if s.node == "daq")
    assert note_answer(node, m.Done(do.request, False, "busy", node.report), 101.0) is not None
    assert note_answer(node, m.Done(do.request, False, "busy", node.report), 101.0) is None, "answered already"
    assert dispatch.steer(picture.here, 101.5) == []
    (again,) = dispatch.steer(picture.here, 102.0)[:1]
    assert isinstance(again, Send)
    assert again.message.request != do.request


def test_a_node_in_a_closed_run_is_told_to_end_it(picture):
    picture.says("ana", state=State.RUNNING, run=6)
    (sent,) = Dispatch().steer(picture.here, 100.0)
    assert (sent.node, sent.message.verb, sent.message.run) == ("ana", m.Verb.STOP, 6)


def test_the_account_of_a_node_is_entered_when_it_has_left_the_run(picture):
    ended = RunEnd(7, Verdict.GOOD, (), Ending.COMMANDED)
    picture.says("ana", state=State.STOPPING, run=7, ended=ended)
    picture.here.note_account("ana", picture.here.nodes["ana"].report, 100.0)
    assert picture.here.books.accounts == {}
    picture.says("ana", state=State.CONFIGURED, ended=ended)
    picture.here.note_account("ana", picture.here.nodes["ana"].report, 101.0)
    assert picture.here.books.accounts == {"ana": ended}
    assert picture.here.nodes["ana"].out_since == 101.0
