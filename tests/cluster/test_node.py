"""A node carries out commands once, whatever the network does to them, and goes on by itself."""

import pytest

from mimodaq.protocol import messages as m
from mimodaq.protocol import node_events as ne
from mimodaq.protocol import parts as p
from mimodaq.protocol import run as runs
from mimodaq.protocol.messages import Do, Verb
from mimodaq.protocol.node_brain import FORCE_S, NodeBrain
from mimodaq.protocol.parts import RequestId
from mimodaq.protocol.plan import make_plan
from mimodaq.protocol.run import Verdict, WorkerId
from mimodaq.protocol.states import State

SETUP = "aaaaaaaa"


class Node:
    """A brain with a shell whose answers the test decides."""

    def __init__(self, plan, epoch=5, boot=None):
        self.plan, self.brain, self.now = plan, NodeBrain("daq", epoch), 100.0
        self.number, self.effects, self.memory = 0, [], None
        self.give(boot or ne.Boot())

    def give(self, event, later_s=0.0):
        self.now += later_s
        self.effects = self.brain.handle(event, self.now)
        for effect in self.effects:
            if isinstance(effect, ne.Remember):
                self.memory = effect.memory
        return self.effects

    def do(self, verb, *, epoch=None, broker=9, number=None, **what):
        if number is None:
            self.number += 1
        request = RequestId(broker, number or self.number)
        return self.give(Do(request, epoch or self.brain.epoch, verb, **what))

    def of(self, kind):
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def done(self):
        return [e.message for e in self.of(ne.Send) if isinstance(e.message, m.Done)]

    def acted(self):
        """Whether more was done than telling."""
        return [e for e in self.effects if not isinstance(e, ne.Send | ne.Remember)]

    def configured(self):
        self.do(Verb.CONFIGURE, setup_id=SETUP)
        self.give(ne.Prepared(self.of(ne.Prepare)[0].ticket, self.plan))
        return self

    def ready(self, run=7):
        self.do(Verb.ARM, run=run)
        self.give(ne.RingsMade(self.of(ne.MakeRings)[0].ticket))
        while launched := self.of(runs.Launch):
            for one in launched:
                self.give(ne.InRun(run, runs.Ready(one.worker)))
        return self

    def running(self, run=7):
        self.configured().ready(run).do(Verb.START, run=run)
        return self

    def exit_all(self, run=7):
        for worker in self.plan.workers():
            self.give(ne.InRun(run, runs.Exited(worker.id, None)))


@pytest.fixture
def plan(load):
    setup = load("daq ana", {"A": "daq"}, {"src": "on daq write A", "f": "on ana read A", "g": "on daq read A"})
    return make_plan(setup).nodes["daq"]


@pytest.fixture
def node(plan):
    return Node(plan)


def test_the_sources_are_held_until_start(node):
    node.configured().ready()
    assert node.brain.state is State.READY
    assert node.done()[0].ok
    assert node.of(runs.PauseSources)
    node.do(Verb.START, run=7)
    assert node.of(runs.ResumeSources)
    assert node.brain.state is State.RUNNING


def test_what_will_be_true_is_remembered_first(node):
    node.configured().ready()
    node.do(Verb.START, run=7)
    assert isinstance(node.effects[0], ne.Remember)
    assert node.effects[0].memory.state is State.RUNNING


@pytest.mark.parametrize("verb", [Verb.START, Verb.PAUSE, Verb.STOP, Verb.ABORT])
def test_a_repeated_command_is_answered_alike_and_done_once(node, verb):
    node.configured().ready()
    if verb is Verb.PAUSE:
        node.do(Verb.START, run=7)
    node.do(verb, run=7)
    first = node.done()
    node.do(verb, run=7, number=node.number)
    assert not node.acted()
    assert node.done() == first


def test_a_command_for_an_earlier_life_is_ignored(node):
    node.configured().ready()
    assert node.do(Verb.START, run=7, epoch=4) == []
    assert node.brain.state is State.READY


def test_a_command_that_was_overtaken_is_ignored(node):
    node.configured().ready()
    node.do(Verb.ABORT, run=7, number=50)
    assert not node.do(Verb.START, run=7, number=49)
    assert node.brain.state is State.ABORTING


def test_a_replaced_broker_is_not_obeyed_and_a_new_one_counts_anew(node):
    node.running()
    node.do(Verb.PAUSE, run=7, broker=10, number=1)
    assert node.brain.state is State.PAUSED
    assert node.do(Verb.RESUME, run=7, broker=9, number=99) == []
    assert node.brain.state is State.PAUSED
    node.do(Verb.RESUME, run=7, broker=10, number=2)
    assert node.brain.state is State.RUNNING


@pytest.mark.parametrize("verb", [Verb.START, Verb.PAUSE, Verb.RESUME])
def test_a_command_for_another_run_is_refused(node, verb):
    node.configured().ready()
    node.do(verb, run=6)
    assert not node.acted()
    assert node.done()[0].text == f"{verb.value} of run 6: this node is in run 7"


@pytest.mark.parametrize("verb", [Verb.STOP, Verb.ABORT, Verb.CUT])
def test_leaving_a_run_one_is_not_in_has_succeeded(node, verb):
    node.running()
    node.do(verb, run=6, link="A:daq>ana")
    assert not node.acted()
    assert node.done()[0].ok
    assert node.brain.state is State.RUNNING


def test_a_run_number_is_never_used_twice(node):
    node.running().do(Verb.ABORT, run=7)
    node.exit_all()
    node.give(ne.BooksClosed(node.of(ne.CloseBooks)[0].ticket))
    assert node.brain.state is State.CONFIGURED
    for run in (7, 6):
        node.do(Verb.ARM, run=run)
        assert not node.acted()
        assert "is over; the last one here was 7" in node.done()[0].text


def test_an_answer_that_comes_after_its_question_was_dropped_is_ignored(node, plan):
    node.do(Verb.CONFIGURE, setup_id=SETUP)
    late = node.of(ne.Prepare)[0].ticket
    node.do(Verb.RESET)
    node.do(Verb.CONFIGURE, setup_id="bbbbbbbb")
    node.give(ne.Prepared(late, plan))
    assert node.brain.state is State.CONFIGURING
    node.give(ne.InRun(3, runs.Exited(WorkerId("src", 0), "crash")))
    assert node.brain.state is State.CONFIGURING


def test_a_setup_that_does_not_load_is_refused_with_the_reason(node):
    node.do(Verb.CONFIGURE, setup_id=SETUP)
    node.give(ne.Impossible(node.of(ne.Prepare)[0].ticket, "modules/peaks.py:3: no such function"))
    assert node.brain.state is State.IDLE
    assert node.done()[0].text == "modules/peaks.py:3: no such function"


def test_arm_fails_when_there_is_no_memory_and_leaves_nothing(node):
    node.configured().do(Verb.ARM, run=7)
    node.give(ne.Impossible(node.of(ne.MakeRings)[0].ticket, "/dev/shm is full"))
    assert node.of(ne.Clear)
    assert (node.brain.state, node.brain.run) == (State.CONFIGURED, None)
    assert (node.done()[0].ok, node.done()[0].text) == (False, "/dev/shm is full")


def test_the_account_of_a_run_is_given_until_the_next(node):
    node.running().do(Verb.STOP, run=7)
    assert node.of(runs.EndSources)
    node.exit_all()
    ticket = node.of(ne.CloseBooks)[0].ticket
    rings = (p.RingLedger("A", (p.GroupLedger("g", 10, 10, 0, 0),)),)
    node.give(ne.BooksClosed(ticket, rings, findings=((Verdict.TAINTED, "1 event in quarantine"),)))
    ended = node.memory.ended
    assert (ended.run, ended.verdict, ended.reasons) == (7, Verdict.TAINTED, ("1 event in quarantine",))
    assert (ended.ending, ended.rings) == (p.Ending.COMMANDED, rings)
    assert node.done()[0].report.ended == ended


def test_without_a_broker_a_run_goes_on_and_ends_by_itself(node):
    node.running()
    for _ in range(1000):
        node.give(ne.InRun(7, runs.Tick(drained=True)), later_s=1.0)
    assert node.brain.state is State.RUNNING
    node.exit_all()
    node.give(ne.BooksClosed(node.of(ne.CloseBooks)[0].ticket))
    assert node.memory.ended.ending is p.Ending.EXHAUSTED


def test_beats_and_reports_come_in_time_and_changes_at_once(node):
    node.running()
    kinds = []
    for _ in range(8):
        node.give(ne.Wake(), later_s=0.25)
        kinds += [type(e.message).__name__ for e in node.of(ne.Send)]
    assert kinds == ["Beat", "Beat", "Beat", "Report"] * 2
    node.do(Verb.PAUSE, run=7)
    assert any(isinstance(e.message, m.Report) and e.message.state is State.PAUSED for e in node.of(ne.Send))


def test_a_link_that_is_cut_ends_and_is_not_started_again(node):
    node.running()
    link = WorkerId("A:daq>ana", 0)
    node.give(ne.InRun(7, runs.Exited(link, "broken pipe")))
    node.do(Verb.CUT, run=7, link="A:daq>ana")
    assert node.of(ne.CutLink)
    assert node.done()[0].ok
    node.give(ne.InRun(7, runs.Tick(drained=False)), later_s=1.0)
    assert not node.of(runs.Launch)
    node.do(Verb.CUT, run=7, link="Q")
    assert "no link 'Q'" in node.done()[0].text


def test_a_link_that_is_complete_is_not_given_up(node):
    """Its other end has left the run, while the workers here are still busy with what has come."""
    node.running()
    node.do(Verb.STOP, run=7)
    node.give(ne.InRun(7, runs.Exited(WorkerId("A:daq>ana", 0), None)))
    node.do(Verb.CUT, run=7, link="A:daq>ana")
    assert node.done()[0].ok
    assert not node.of(ne.CutLink)
    assert not node.brain.part.reasons


@pytest.mark.parametrize("ending", ["stop", "abort", "reset"])
def test_leaving_always_ends_though_a_process_cannot_be_killed(node, ending):
    node.running().do(Verb(ending), run=7)
    for _ in range(700):
        node.give(ne.InRun(7, runs.Tick(drained=False)), later_s=1.0)
        if node.brain.run is None:
            break
    assert node.brain.run is None
    assert node.memory.ended.verdict.value in ("incomplete", "aborted")
    assert f"within {FORCE_S:g} s" in node.memory.ended.reasons[-1]
    assert node.brain.state is (State.IDLE if ending == "reset" else State.ERROR)


def test_a_fault_of_the_daemon_is_an_error_until_reset(node):
    node.running()
    node.give(ne.Fault("the disk is gone"))
    node.exit_all()
    node.give(ne.BooksClosed(node.of(ne.CloseBooks)[0].ticket))
    assert node.brain.state is State.ERROR
    node.do(Verb.CONFIGURE, setup_id=SETUP)
    assert node.done()[0].text.endswith("reset first")
    node.do(Verb.RESET)
    assert (node.brain.state, node.done()[0].ok) == (State.IDLE, True)


def again(node, plan, **fates):
    """The daemon is killed and started again; `fates` of functions, all others are alive."""
    words = {w.id: ne.Fate(fates.get(w.id.function.partition(":")[0], "alive")) for w in plan.workers()}
    return Node(plan, epoch=6, boot=ne.Boot(node.memory, plan, True, words))


def test_a_new_daemon_takes_over_the_rings_in_the_state_it_remembers(node, plan):
    for verb, state in ((None, State.RUNNING), (Verb.PAUSE, State.PAUSED), (Verb.STOP, State.STOPPING)):
        one = Node(plan).running()
        if verb:
            one.do(verb, run=7)
        new = again(one, plan)
        assert (new.brain.state, new.brain.run) == (state, 7)
        assert not new.of(ne.Clear)
        assert not new.of(runs.Launch)
        assert bool(new.of(runs.ResumeSources)) == (state is State.RUNNING)


def test_a_new_daemon_starts_what_has_died_and_ends_what_was_stopped(node, plan):
    new = again(node.running(), plan, g="dead")
    new.give(ne.InRun(7, runs.Tick(drained=False)), later_s=1.0)
    assert [e.worker.function for e in new.of(runs.Launch)] == ["g"]
    assert new.memory.verdict is Verdict.TAINTED
    new.do(Verb.STOP, run=7)
    last = again(new, plan, src="finished", g="finished", A="finished")
    assert last.of(ne.CloseBooks)
    assert last.of(ne.CloseBooks)[0].verdict is Verdict.TAINTED


def test_a_dead_source_is_not_started_again(node, plan):
    new = again(node.running(), plan, src="dead")
    assert new.brain.state is State.STOPPING
    assert "src[0] failed: died while the node daemon was away" in new.memory.failure


def test_the_account_says_so_when_the_host_itself_was_started_again(node, plan):
    node.running()
    new = Node(plan, epoch=6, boot=ne.Boot(node.memory, plan, False, {}))
    assert new.brain.state is State.CONFIGURED
    assert new.of(ne.Clear)
    assert (new.memory.ended.verdict, new.memory.ended.is_ledger_known) == (Verdict.INTERRUPTED, False)


def test_an_armed_run_is_not_gone_on_with_before_its_workers_were_ready(node, plan):
    node.configured().do(Verb.ARM, run=7)
    new = again(node, plan)
    assert (new.brain.state, new.brain.run) == (State.CONFIGURED, None)
    assert new.of(ne.Clear)


def test_the_receiver_of_a_link_is_not_told_to_leave_and_is_started_again_even_in_a_stop(load):
    setup = load("daq ana", {"A": "daq"}, {"src": "on daq write A", "f": "on ana read A"})
    node = Node(make_plan(setup).nodes["ana"]).running()
    node.do(Verb.STOP, run=7)
    for _ in range(30):
        node.give(ne.InRun(7, runs.Tick(drained=True)), later_s=1.0)
        assert not node.of(runs.Interrupt)
        assert not node.of(runs.Kill)
    node.give(ne.InRun(7, runs.Exited(WorkerId("A:daq>ana", 0), "segmentation fault")))
    node.give(ne.InRun(7, runs.Tick(drained=True)), later_s=1.0)
    assert [e.worker.function for e in node.of(runs.Launch)] == ["A:daq>ana"]
    assert node.brain.state is State.STOPPING


def test_the_events_of_the_last_run_are_not_told_as_those_of_the_next(node):
    node.configured().ready(run=7)
    node.give(ne.Looked(ne.Figures(events=1000)))
    node.do(Verb.ABORT, run=7)
    node.exit_all()
    node.give(ne.BooksClosed(node.of(ne.CloseBooks)[0].ticket))
    node.do(Verb.ARM, run=8)
    reports = [e.message for e in node.of(ne.Send) if isinstance(e.message, m.Report)]
    assert [(report.run, report.events) for report in reports] == [(8, 0)]


def worth(node):
    """The verdict in the record and its reasons, which is that of the account."""
    close = node.of(ne.CloseBooks)[0]
    node.give(ne.BooksClosed(close.ticket, (), ()))
    account = node.brain.node.ended
    assert (account.verdict, account.reasons) == (close.verdict, close.reasons)
    return close.verdict, close.reasons


def test_a_run_whose_source_fails_before_it_begins_is_interrupted_by_that_alone(node):
    node.configured().ready()
    source = WorkerId("src", 0)
    node.give(ne.InRun(7, runs.Exited(source, "OSError", is_fatal=True)))
    node.exit_all()
    assert worth(node) == (Verdict.INTERRUPTED, ("src[0] failed: OSError",))


def test_sources_that_end_before_the_run_begins_are_a_failure(node):
    node.configured().ready()
    node.give(ne.InRun(7, runs.Exited(WorkerId("src", 0), None)))
    node.exit_all()
    assert worth(node) == (Verdict.INTERRUPTED, ("the sources ended before the run began",))


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict.ABORTED, "aborted: by the broker"),
        (Verdict.INTERRUPTED, "ended by the broker"),
        (Verdict.INCOMPLETE, "ended by the broker"),
    ],
)
def test_what_an_abort_makes_of_a_run_is_what_the_broker_says(node, verdict, reason):
    node.running().do(Verb.ABORT, run=7, worth=verdict)
    node.exit_all()
    assert worth(node) == (verdict, (reason,))
