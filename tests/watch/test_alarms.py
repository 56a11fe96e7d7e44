"""Alarms come when they should, once, and stay until somebody has seen them."""

from dataclasses import replace

import pytest

from mimodaq.protocol.messages import Cluster, Report
from mimodaq.protocol.parts import ClockLine, HostLine, WorkerLine
from mimodaq.protocol.states import State
from mimodaq.watch import Alarms, Figures, Level, Subject, rule
from watch.story import Story, buffer_line, link_line, node_line

RUNNING = Cluster(1, 1, State.RUNNING, State.RUNNING, 5.0, 7, 10.0, 0, "", "", None, (), ())


@pytest.fixture
def story():
    return Story()


def watching(on, when, **options):
    return Story(Alarms([rule("it", on, Level.ALARM, when, "is so", **options)]))


def test_a_quiet_cluster_raises_nothing(story):
    for second in range(20):
        story.tell(
            buffer_line("RB_1", 1000 + 100 * second), links=(link_line("l"),), workers=(WorkerLine("F", "ok", 0),)
        )
    assert story.acts == []
    assert story.alarms.all() == []


def test_a_condition_has_to_hold_for_its_time():
    story = watching("buffer", "fill > 0.5", for_s=3.0)
    for fill in (0.6, 0.6, 0.6, 0.4, 0.6, 0.6, 0.6):
        assert not story.tell(buffer_line("RB_1", fill=fill))
    assert [act.action for act in story.tell(buffer_line("RB_1", fill=0.6))] == ["log", "bell"]


def test_between_raising_and_clearing_nothing_changes():
    story = watching("buffer", "fill > 0.8", clear="fill < 0.6")
    story.tell(buffer_line("RB_1", fill=0.9))
    for fill in (0.7, 0.9, 0.61, 0.85):
        assert not story.tell(buffer_line("RB_1", fill=fill))
        assert story.alarms.all()[0].is_active
    story.tell(buffer_line("RB_1", fill=0.5))
    assert not story.alarms.all()[0].is_active


def test_an_alarm_that_is_over_stays_until_it_is_acknowledged():
    story = watching("buffer", "fill > 0.5")
    story.tell(buffer_line("RB_1", fill=0.6))
    story.tell(buffer_line("RB_1", fill=0.1))
    alarm = story.alarms.all()[0]
    assert (alarm.is_active, alarm.is_acknowledged) == (False, False)
    story.alarms.acknowledge(alarm.number)
    assert story.alarms.all() == []


def test_an_acknowledged_alarm_stays_until_it_is_over():
    story = watching("buffer", "fill > 0.5")
    story.tell(buffer_line("RB_1", fill=0.6))
    story.alarms.acknowledge()
    story.tell(buffer_line("RB_1", fill=0.7))
    assert [a.is_acknowledged for a in story.alarms.all()] == [True]
    story.tell(buffer_line("RB_1", fill=0.1))
    assert story.alarms.all() == []


def test_an_alarm_that_comes_again_rings_again_and_is_counted():
    story = watching("buffer", "fill > 0.5")
    for fill in (0.6, 0.1, 0.6):
        story.tell(buffer_line("RB_1", fill=fill))
    assert [act.action for _, act in story.acts] == ["log", "bell"] * 2
    assert [(a.times, a.is_active) for a in story.alarms.all()] == [(2, True)]


def test_a_note_goes_with_its_cause():
    story = Story(Alarms([rule("it", "buffer", Level.NOTE, "fill > 0.5", "is so")]))
    story.tell(buffer_line("RB_1", fill=0.6))
    assert story.alarms.count(Level.NOTE) == 1
    story.tell(buffer_line("RB_1", fill=0.1))
    assert story.alarms.all() == []


def test_what_is_not_known_neither_raises_nor_clears():
    story = watching("node", "temperature_c > 80")
    story.tell()
    assert story.alarms.all() == []
    story.tell(host=HostLine(temperature_c=90.0))
    story.tell()
    assert [a.is_active for a in story.alarms.all()] == [True]


def test_the_worst_that_nobody_has_seen_comes_first():
    rules = [
        rule("small", "buffer", Level.WARNING, "fill > 0.1", ""),
        rule("seen", "buffer", Level.ALARM, "fill > 0.2", ""),
        rule("bad", "buffer", Level.ALARM, "fill > 0.3", ""),
    ]
    story = Story(Alarms(rules))
    story.tell(buffer_line("RB_1", fill=0.9))
    story.alarms.acknowledge(next(a.number for a in story.alarms.all() if a.rule.name == "seen"))
    assert [a.rule.name for a in story.alarms.all()] == ["bad", "small", "seen"]


def test_things_that_are_gone_leave_only_what_nobody_has_seen():
    story = watching("buffer", "fill > 0.5")
    story.tell(buffer_line("RB_1", fill=0.6), buffer_line("RB_2", fill=0.4))
    story.tell()
    assert [(str(a.subject), a.is_active) for a in story.alarms.all()] == [("pi RB_1", False)]


# -- the default rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [20, 100, 5000])
def test_a_source_that_stops_is_named_with_the_first_report_without_events(story, rate):
    for second in range(10):
        story.tell(buffer_line("RB_1", rate * (second + 1), float(rate)))
    stopped = story.now
    while not story.raised() and story.now < stopped + 10:
        story.tell(buffer_line("RB_1", rate * 10, 0.0))
    assert story.raised() == {("nothing moves", "pi RB_1")}
    assert story.now - stopped <= (2.0 if rate > 20 else 3.0)


def test_a_rare_event_may_be_late(story):
    events = 0
    for second in range(120):
        events += second % 10 == 0
        story.tell(buffer_line("RB_1", events, 1.0 if second % 10 == 0 else 0.0))
    assert story.raised() == set()


def test_only_the_first_place_that_stands_still_is_named():
    first, second = Subject("buffer", "pi", "RB_1"), Subject("buffer", "pi", "RB_2")
    story = Story(Alarms(figures=Figures(upstream={second: (first,)})))
    for tick in range(10):
        story.tell(buffer_line("RB_1", 100 * tick), buffer_line("RB_2", 100 * tick))
    for _ in range(3):
        story.tell(buffer_line("RB_1", 900, 0.0), buffer_line("RB_2", 900, 0.0))
    assert story.raised() == {("nothing moves", "pi RB_1")}


def test_a_function_that_stops_is_named_although_its_input_goes_on():
    first, second = Subject("buffer", "pi", "RB_1"), Subject("buffer", "pi", "RB_2")
    story = Story(Alarms(figures=Figures(upstream={second: (first,)})))
    for tick in range(10):
        story.tell(buffer_line("RB_1", 100 * tick), buffer_line("RB_2", 100 * tick))
    for tick in range(10, 12):
        story.tell(buffer_line("RB_1", 100 * tick), buffer_line("RB_2", 900, 0.0))
    assert story.raised() == {("nothing moves", "pi RB_2")}


def test_a_pause_is_no_alarm_and_neither_is_what_comes_after_it(story):
    for second in range(10):
        story.tell(buffer_line("RB_1", 100 * second))
    story.state = State.PAUSED
    for _ in range(30):
        story.tell(buffer_line("RB_1", 900, 0.0))
    story.state = State.RUNNING
    for second in range(10, 15):
        story.tell(buffer_line("RB_1", 100 * second))
    assert story.raised() == set()


def test_a_blocked_writer_is_an_alarm_and_its_cause_is_named(story):
    for _ in range(4):
        story.tell(buffer_line("RB_1", fill=1.0, dead_fraction=0.3, blamed=("writer",)))
    assert ("blocked", "pi RB_1") in story.raised()
    alarm = next(a for a in story.alarms.all() if a.rule.name == "blocked")
    assert alarm.text == "pi RB_1: 100% full, its writer waits 30% of the time for writer"


def test_a_buffer_that_is_held_up_by_the_next_one_is_no_cause():
    first, second = Subject("buffer", "pi", "RB_1"), Subject("buffer", "pi", "RB_2")
    story = Story(Alarms(figures=Figures(downstream={first: (second,)})))
    full = {"fill": 1.0, "dead_fraction": 0.3}
    for _ in range(5):
        story.tell(buffer_line("RB_1", **full), buffer_line("RB_2", **full))
    assert {name for rule_, name in story.raised() if rule_ == "blocked"} == {"pi RB_2"}


def test_a_lost_node_is_an_alarm_and_a_late_one_only_a_note(story):
    story.tell(node=node_line("pi", presence="late", silent_s=1.0))
    assert story.raised() == set()
    story.tell(node=node_line("pi", presence="lost", silent_s=3.0, state=State.OFFLINE))
    assert story.raised() == {("node lost", "pi")}


def test_a_silent_broker_is_an_alarm_and_says_nothing_about_the_rest(story):
    story.tell(buffer_line("RB_1"))
    story.silence(1.0)
    assert story.raised() == set()
    story.silence(2.0)
    assert story.raised() == {("no contact", "cluster")}
    story.silence(100.0)
    assert story.raised() == {("no contact", "cluster")}


def test_a_broker_that_was_never_heard_is_missed_after_its_time(story):
    story.look()
    assert story.raised() == set()
    story.silence(3.0)
    assert story.raised() == {("no contact", "cluster")}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"clock": ClockLine(0.2, 0.0, 0)}, ("clock", "pi")),
        ({"clock": ClockLine(-0.2, 0.0, 0)}, ("clock", "pi")),
        ({"host": HostLine(temperature_c=78.0)}, ("warm", "pi")),
        ({"host": HostLine(temperature_c=90.0)}, ("hot", "pi")),
        ({"host": HostLine(memory=0.97)}, ("memory", "pi")),
        ({"host": HostLine(disk_free_bytes=500_000_000)}, ("disk full", "pi")),
        ({"links": (link_line("l", connected=False, lag=5),)}, ("link down", "pi l")),
        ({"workers": (WorkerLine("F[0]", "failed", 5),)}, ("failed", "pi F[0]")),
        ({"reasons": ("a worker died",)}, ("not good", "cluster")),
        ({"node": node_line("pi", state=State.ERROR)}, ("node error", "pi")),
    ],
)
def test_what_goes_wrong_is_told(story, told, expected):
    for _ in range(8):
        story.tell(**told)
    assert expected in story.raised()


def test_a_cluster_in_error_is_an_alarm():
    story = Story(state=State.ERROR)
    story.tell()
    assert ("error", "cluster") in story.raised()


def test_only_deaths_since_we_look_are_told(story):
    story.tell(workers=(WorkerLine("F[0]", "working", 3),))
    assert story.raised() == set()
    story.tell(workers=(WorkerLine("F[0]", "working", 4),))
    assert story.raised() == {("restarted", "pi F[0]")}


def test_events_set_aside_are_an_alarm(story):
    story.tell(buffer_line("RB_1"))
    story.tell(buffer_line("RB_1", quarantined=2))
    assert story.raised() == {("set aside", "pi RB_1")}


def test_a_disk_that_fills_is_told_an_hour_before(story):
    free = 30_000_000_000
    for _ in range(200):
        free -= 10_000_000
        story.tell(host=HostLine(disk_free_bytes=free))
    assert story.raised() == {("disk", "pi")}
    assert story.alarms.figures.disk_left_s("pi") == pytest.approx(free / 10_000_000, rel=0.05)


def test_what_a_node_says_of_its_disk_counts_more(story):
    for _ in range(40):
        story.tell(host=HostLine(disk_free_bytes=10**11, disk_left_s=600.0))
    assert ("disk", "pi") in story.raised()
    assert story.alarms.figures.disk_left_s("pi") == 600.0


def test_a_rate_outside_of_what_it_was_in_the_first_minutes_is_told(story):
    committed = 0
    for second in range(330):
        rate = 100 + second % 7
        committed += rate
        story.tell(buffer_line("RB_1", committed, float(rate)))
    assert story.raised() == set()
    for _ in range(15):
        committed += 20
        story.tell(buffer_line("RB_1", committed, 20.0))
    assert story.raised() == {("rate", "pi RB_1")}


# -- events that wait ---------------------------------------------------------------------------------------------

FILE = {Subject("buffer", "pi", "RB_1"): ("file",)}


def taking(story, seconds, rate=100, step=1.0):
    """A buffer that is filled and emptied at a rate."""
    for _ in range(int(seconds)):
        story.events += int(rate * step)
        story.tell(buffer_line("RB_1", story.events, float(rate), lag=3), seconds=step)


def waiting(story, rate=100):
    """One more second in which nobody takes."""
    before = story.assembler.snapshot(story.now, 0).reports["pi"].buffers[0]
    line = buffer_line("RB_1", before.committed + rate, float(rate), lag=before.lag + rate)
    return story.tell(line)


@pytest.mark.parametrize("rate", [25, 100, 5000])
def test_a_reader_that_hangs_is_named_long_before_its_buffer_is_full(rate):
    story = Story(Alarms(figures=Figures(readers=FILE)))
    taking(story, 15, rate)
    stopped = story.now
    while not story.raised() and story.now < stopped + 10:
        waiting(story, rate)
    assert story.raised() == {("not taken", "pi RB_1")}
    assert story.now - stopped <= 2.0
    text = next(a.text for a in story.alarms.all())
    assert f"{rate + 3:,} events wait: file took none for 1 s" in text


def test_events_that_are_taken_in_bursts_are_not_waiting():
    story = Story()
    committed = taken = 0
    for second in range(200):
        committed += 100
        if second % 4 == 3:
            taken = committed
        story.tell(buffer_line("RB_1", committed, 100.0, lag=committed - taken))
    assert story.raised() == set()
    for _ in range(10):  # one burst after the other does not come
        committed += 100
        story.tell(buffer_line("RB_1", committed, 100.0, lag=committed - taken))
    assert story.raised() == {("not taken", "pi RB_1")}


def test_an_old_gap_does_not_make_deaf():
    story = Story()
    taking(story, 15)
    for _ in range(40):
        waiting(story)
    assert story.raised() == {("not taken", "pi RB_1")}
    story.alarms.acknowledge()
    taking(story, 600)
    assert story.raised() == set()
    waiting(story)
    waiting(story)
    assert story.raised() == {("not taken", "pi RB_1")}


def test_a_slow_reader_is_late_and_does_not_hang():
    story = Story()
    for second in range(60):
        story.tell(buffer_line("RB_1", 100 * second, 100.0, lag=90 * second))
    assert story.raised() == set()


def test_a_function_whose_own_buffer_stands_still_is_named_there_alone():
    first, second = Subject("buffer", "pi", "RB_1"), Subject("buffer", "pi", "RB_2")
    story = Story(Alarms(figures=Figures(upstream={second: (first,)}, downstream={first: (second,)})))
    for tick in range(15):
        story.tell(buffer_line("RB_1", 100 * tick), buffer_line("RB_2", 50 * tick, 50.0))
    for tick in range(15, 19):
        story.tell(buffer_line("RB_1", 100 * tick, lag=100 * (tick - 14)), buffer_line("RB_2", 700, 0.0))
    assert story.raised() == {("nothing moves", "pi RB_2")}


def test_a_function_that_keeps_little_is_named_by_what_it_does_not_take():
    first, second = Subject("buffer", "pi", "RB_1"), Subject("buffer", "pi", "RB_2")
    story = Story(Alarms(figures=Figures(upstream={second: (first,)}, downstream={first: (second,)})))
    for tick in range(60):
        story.tell(buffer_line("RB_1", 100 * tick), buffer_line("RB_2", tick // 10, 1.0 if tick % 10 == 0 else 0.0))
    for tick in range(60, 62):
        story.tell(buffer_line("RB_1", 100 * tick, lag=100 * (tick - 59)), buffer_line("RB_2", 5, 0.0))
    assert story.raised() == {("not taken", "pi RB_1")}


def test_who_waits_for_a_cut_link_does_not_hang():
    ring, link = Subject("buffer", "pi", "RB_1"), Subject("link", "pi", "l")
    story = Story(Alarms(figures=Figures(upstream={link: (ring,)}, downstream={ring: (link,)})))
    for tick in range(15):
        story.tell(buffer_line("RB_1", 100 * tick), links=(link_line("l"),))
    for tick in range(15, 20):
        cut = link_line("l", connected=False, rate_hz=0.0, lag=100 * (tick - 14))
        story.tell(buffer_line("RB_1", 100 * tick, lag=100 * (tick - 14)), links=(cut,))
    assert ("not taken", "pi RB_1") not in story.raised()
    assert ("link down", "pi l") in story.raised()


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_reader_that_hangs_from_the_start_is_named_after_some_seconds(seconds):
    story = Story()
    taking(story, seconds)
    lag = 0
    begin = story.now
    while not story.raised() and story.now < begin + 30:
        lag += 100
        story.events += 100
        story.tell(buffer_line("RB_1", story.events, 100.0, lag=lag))
    assert story.raised() == {("not taken", "pi RB_1")}
    assert story.now - begin <= 12.0


def test_a_host_whose_report_comes_first_is_not_blamed_for_what_stands_still_before_it():
    """Two nodes report at different times: the one behind the link first."""
    here, there = Subject("buffer", "pi", "RB_1"), Subject("buffer", "daq", "RB_1")
    figures = Figures(upstream={there: (here,)})
    alarms = Alarms(figures=figures)
    assembler = Story().assembler
    lines = (node_line("pi"), node_line("daq"))
    cluster = replace(RUNNING, nodes=lines)

    def look(now, number, node, committed):
        report = Report(node, 1, number, State.RUNNING, run=7, buffers=(buffer_line("RB_1", committed, 100.0),))
        assembler.handle(report, now)
        assembler.handle(replace(cluster, number=int(now * 10)), now)
        alarms.handle(assembler.snapshot(now, 0))

    for second in range(15):
        for node, phase in (("daq", 0.1), ("pi", 0.9)):
            look(1000.0 + second + phase, second + 1, node, 100 * second)
    for second in range(15, 20):  # the source stopped at 14.95
        for node, phase in (("daq", 0.1), ("pi", 0.9)):
            look(1000.0 + second + phase, second + 1, node, 1400)
    assert {(a.rule.name, str(a.subject)) for a in alarms.all()} == {("nothing moves", "pi RB_1")}
    for second in range(20, 30):  # the source goes on, the other end does not
        for node, phase, committed in (("daq", 0.1, 1400), ("pi", 0.9, 1400 + 100 * (second - 19))):
            look(1000.0 + second + phase, second + 1, node, committed)
    found = {str(a.subject) for a in alarms.all() if a.is_active}
    assert found == {"daq RB_1"}


# -- what was learnt, and how long it counts ------------------------------------------------------------------------


def counting(story, seconds, rate, since_s=0.0):
    """A buffer that is filled at a rate; the run is `since_s` older than the story."""
    for _ in range(seconds):
        story.events += rate
        story.tell(buffer_line("RB_1", story.events, float(rate)), running_s=since_s + story.now - 1000.0)


def test_who_looks_late_learns_what_the_rate_is_and_is_told_when_it_changes(story):
    counting(story, 330, 100, since_s=5000.0)
    assert story.raised() == set()
    counting(story, 15, 10, since_s=5000.0)
    assert story.raised() == {("rate", "pi RB_1")}


def test_a_pause_does_not_make_what_was_learnt_of_a_rate_forgotten(story):
    counting(story, 330, 100)
    story.state = State.PAUSED
    counting(story, 30, 0)
    assert story.raised() == set()
    story.state = State.RUNNING
    counting(story, 15, 10)
    assert story.raised() == {("rate", "pi RB_1")}
    story.state = State.PAUSED
    counting(story, 2, 0)
    assert story.raised() == set()


def test_another_run_has_another_rate(story):
    counting(story, 330, 100)
    story.run, story.events = 8, 0
    counting(story, 330, 20)
    assert story.raised() == set()


def test_room_that_is_made_on_a_disk_ends_its_alarm(story):
    for second in range(40):
        story.tell(host=HostLine(disk_free_bytes=2 * 10**9 - second * 10**6, disk_left_s=600.0))
    assert story.raised() == {("disk", "pi")}
    for _ in range(5):
        story.tell(host=HostLine(disk_free_bytes=10**11, disk_left_s=None))
    assert story.raised() == set()
