"""The broker's decisions where only made-up nodes get it: nodes that lie, hang or answer the wrong question."""

from dataclasses import replace

import pytest

from mimodaq.protocol import cluster_events as ce
from mimodaq.protocol import messages as m
from mimodaq.protocol import parts as p
from mimodaq.protocol.books import Books, find_in_ledger
from mimodaq.protocol.cluster_brain import GATHER_S, ClusterBrain
from mimodaq.protocol.plan import LinkPlan, make_plan
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.situation import Limits
from mimodaq.protocol.states import State

SETUP = "aaaaaaaa"


class Desk:
    """A broker's brain, and nodes whose every word the test chooses."""

    def __init__(self, plan):
        self.plan, self.now, self.effects = plan, 100.0, []
        self.brain = ClusterBrain(3, Limits())
        self.numbers, self.asks = dict.fromkeys(plan.nodes, 0), 0
        self.states = {name: {"state": State.IDLE} for name in plan.nodes}
        self.give(ce.Boot())
        self.wait(4.0)

    def give(self, event):
        self.now += 2 * GATHER_S
        self.effects = self.brain.handle(event, self.now)
        return self.effects

    def wait(self, seconds):
        effects = []
        for _ in range(round(seconds / 0.5)):
            self.now += 0.5
            for name in self.plan.nodes:
                effects += self.say(name)
        self.effects = effects

    def report(self, name):
        self.numbers[name] += 1
        return m.Report(name, 1, self.numbers[name], **self.states[name])

    def say(self, name, **state):
        self.states[name].update(state)
        return self.give(ce.Heard(self.report(name)))

    def ask(self, command, **arguments):
        self.asks += 1
        return self.give(ce.Asked("c", "anna", True, m.Ask(self.asks, command, **arguments)))

    def of(self, kind):
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def all_say(self, **state):
        effects = [effect for name in self.plan.nodes for effect in self.say(name, **state)]
        self.effects = effects

    def running(self):
        self.ask("configure", setup_id=SETUP)
        self.give(ce.SetupLoaded(self.of(ce.LoadSetup)[0].ticket, self.plan))
        self.all_say(state=State.CONFIGURED, setup_id=SETUP)
        self.ask("start")
        self.give(ce.RunNumber(self.of(ce.AskRunNumber)[0].ticket, 7))
        self.all_say(state=State.READY, run=7)
        self.all_say(state=State.RUNNING)
        assert self.brain.aim is State.RUNNING
        return self


@pytest.fixture
def desk(load):
    return Desk(make_plan(load("daq ana", {"A": "daq"}, {"src": "on daq write A", "f": "on ana read A"})))


def test_all_nodes_are_told_at_once_each_with_its_own_request(desk):
    desk.ask("configure", setup_id=SETUP)
    desk.give(ce.SetupLoaded(desk.of(ce.LoadSetup)[0].ticket, desk.plan))
    sent = desk.of(ce.Send)
    assert {one.node for one in sent} == {"daq", "ana"}
    assert len({one.message.request for one in sent}) == 2


def test_a_command_without_answer_is_repeated_with_the_same_request(desk):
    desk.running()
    desk.ask("pause")
    first = desk.of(ce.Send)
    desk.wait(2.5)
    again = desk.of(ce.Send)
    assert len(again) >= 2
    assert {one.message for one in again} == {one.message for one in first}


def test_the_answer_to_another_request_is_not_taken_for_this_one(desk):
    desk.running()
    desk.ask("stop")
    request = desk.of(ce.Send)[0].message.request
    for wrong in (p.RequestId(request.epoch, request.number - 1), p.RequestId(2, request.number)):
        desk.give(ce.Heard(m.Done(wrong, False, "I will not", desk.report("daq"))))
        assert not desk.of(ce.Say)
    desk.give(ce.Heard(m.Done(request, False, "I will not", desk.report("daq"))))
    assert any("I will not" in one.text for one in desk.of(ce.Say))


def test_a_report_from_an_earlier_life_changes_nothing(desk):
    desk.running()
    desk.give(ce.Heard(m.Report("daq", 2, 1, State.RUNNING, SETUP, 7)))
    desk.give(ce.Heard(m.Report("daq", 1, 10**6, State.ERROR)))
    assert desk.brain.aim is State.RUNNING
    assert desk.brain.state() is State.RUNNING


def test_a_node_that_does_not_leave_a_run_is_named_and_the_books_are_closed(desk):
    desk.running()
    desk.ask("abort")
    limits = Limits()
    desk.wait(limits.abort_s - 1)
    assert not desk.of(ce.Reply)
    desk.wait(2.0)
    row = desk.of(ce.SaveRun)[-1].row
    assert row.verdict is Verdict.ABORTED
    assert "ana, daq did not leave the run within 20 s" in row.reasons
    assert desk.of(ce.Reply)
    assert desk.brain.aim is State.CONFIGURED


def test_a_node_left_over_in_a_closed_run_is_told_to_leave_it(desk):
    desk.running()
    desk.ask("abort")
    desk.wait(40.0)
    desk.all_say(state=State.RUNNING, run=7)
    verbs = {one.message.verb for one in desk.of(ce.Send)}
    desk.wait(2.0)
    assert verbs | {one.message.verb for one in desk.of(ce.Send)} <= {m.Verb.STOP, m.Verb.CUT, m.Verb.ABORT}
    assert desk.brain.books is None


def test_a_start_is_undone_when_one_node_says_no(desk):
    desk.ask("configure", setup_id=SETUP)
    desk.give(ce.SetupLoaded(desk.of(ce.LoadSetup)[0].ticket, desk.plan))
    desk.all_say(state=State.CONFIGURED, setup_id=SETUP)
    desk.ask("start")
    desk.give(ce.RunNumber(desk.of(ce.AskRunNumber)[0].ticket, 7))
    desk.all_say(state=State.READY, run=7)
    start = next(one for one in desk.of(ce.Send) if one.message.verb is m.Verb.START)
    assert start.node == "ana"
    desk.give(ce.Heard(m.Done(start.message.request, False, "no light", desk.report("ana"))))
    desk.wait(1.0)
    assert desk.brain.aim is State.ABORTING
    assert {one.node for one in desk.of(ce.Send) if one.message.verb is m.Verb.ABORT} <= {"daq", "ana"}
    desk.all_say(state=State.CONFIGURED, run=None)
    assert desk.brain.aim is State.CONFIGURED
    assert desk.of(ce.Reply)[-1].message == m.Answer(desk.asks, False, "ana: no light", 7)


def test_run_numbers_are_asked_for_above_all_that_nodes_know(desk):
    end = p.RunEnd(41, Verdict.GOOD, (), p.Ending.COMMANDED)
    desk.ask("configure", setup_id=SETUP)
    desk.give(ce.SetupLoaded(desk.of(ce.LoadSetup)[0].ticket, desk.plan))
    desk.all_say(state=State.CONFIGURED, setup_id=SETUP, ended=end)
    desk.ask("arm")
    assert desk.of(ce.AskRunNumber)[0].at_least == 42


def test_a_number_that_comes_after_the_abort_begins_no_run(desk):
    desk.ask("configure", setup_id=SETUP)
    desk.give(ce.SetupLoaded(desk.of(ce.LoadSetup)[0].ticket, desk.plan))
    desk.all_say(state=State.CONFIGURED, setup_id=SETUP)
    desk.ask("arm")
    ticket = desk.of(ce.AskRunNumber)[0].ticket
    desk.ask("abort")
    desk.give(ce.RunNumber(ticket, 7))
    assert desk.brain.books is None
    assert desk.brain.aim is State.CONFIGURED


def test_a_repeated_request_of_a_client_gets_the_same_answer(desk):
    desk.running()
    first = desk.ask("resume")
    answer = next(one for one in first if isinstance(one, ce.Reply))
    again = desk.give(ce.Asked("c", "anna", True, m.Ask(desk.asks, "resume")))
    assert [one for one in again if isinstance(one, ce.Reply)] == [answer]


LINK = LinkPlan("A:daq>ana", "A", "daq", "ana", "A", "to:ana", "A")


def account(*rings, verdict=Verdict.GOOD, links=()):
    return p.RunEnd(7, verdict, (), p.Ending.COMMANDED, rings, links)


@pytest.mark.parametrize(
    ("group", "sent", "arrived", "found"),
    [
        (p.GroupLedger("g", 10, 9, 1, 0), 10, 10, []),
        (p.GroupLedger("g", 10, 8, 1, 0), 10, 10, ["ledger: A on daq: +1 of 10 events of g are unaccounted for"]),
        (p.GroupLedger("g", 10, 11, 0, 0), 10, 10, ["ledger: A on daq: -1 of 10 events of g are unaccounted for"]),
        (p.GroupLedger("g", 10, 7, 0, 3), 10, 10, ["ledger: A on daq: 3 events were not worked off by g"]),
        (
            p.GroupLedger("g", 10, 10, 0, 0),
            10,
            9,
            ["ledger: link A:daq>ana: 10 events were acknowledged and 9 have arrived"],
        ),
    ],
)
def test_the_ledger_goes_over_all_hosts(group, sent, arrived, found):
    accounts = {
        "daq": account(p.RingLedger("A", (group,)), links=(p.LinkLedger("A:daq>ana", True, sent),)),
        "ana": account(links=(p.LinkLedger("A:daq>ana", False, arrived),)),
    }
    assert find_in_ledger(accounts, [LINK]) == [(Verdict.INCOMPLETE, text) for text in found]


def test_of_a_node_without_account_is_said_what_had_gone_there_and_what_had_come_from_there():
    back = LinkPlan("B:ana>daq", "B", "ana", "daq", "B", "to:daq", "B")
    books = Books(7, SETUP, is_started=True)
    ends = (p.LinkLedger("A:daq>ana", True, 37), p.LinkLedger("B:ana>daq", False, 18))
    books.accounts = {"daq": account(links=ends)}
    books.settle(["daq", "ana"], [LINK, back])
    gone = "37 events of A had gone there from daq, 18 of B had come from there to daq"
    assert books.reasons == [f"ana has given no account of its part of the run ({gone})"]
    books.accounts["ana"] = replace(account(), is_ledger_known=False)
    books.reasons.clear()
    books.settle(["daq", "ana"], [LINK, back])
    assert books.reasons == [f"ana: what its buffers held is unknown ({gone})"]


@pytest.mark.parametrize(
    ("accounts", "optional", "verdict"),
    [
        ({"daq": Verdict.GOOD, "ana": Verdict.GOOD}, (), Verdict.GOOD),
        ({"daq": Verdict.GOOD, "ana": Verdict.TAINTED}, (), Verdict.TAINTED),
        ({"daq": Verdict.GOOD, "ana": Verdict.INTERRUPTED}, (), Verdict.INTERRUPTED),
        ({"daq": Verdict.GOOD, "ana": Verdict.INTERRUPTED}, ("ana",), Verdict.DEGRADED),
        ({"daq": Verdict.GOOD}, (), Verdict.INCOMPLETE),
        ({"daq": Verdict.GOOD}, ("ana",), Verdict.DEGRADED),
    ],
)
def test_the_verdict_is_that_of_the_worst_node(accounts, optional, verdict):
    books = Books(7, SETUP, optional=frozenset(optional), is_started=True)
    books.accounts = {name: account(verdict=worth) for name, worth in accounts.items()}
    books.settle(["daq", "ana"], [LINK])
    assert books.verdict is verdict
    assert bool(books.reasons) == (verdict is not Verdict.GOOD)
