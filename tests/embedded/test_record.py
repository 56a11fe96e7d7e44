"""The record of a run that a broker has ended says why, in the words of a run without a broker."""

import pytest

from mimodaq.config import load_setup
from mimodaq.node._alone import in_words, reasons_in_words
from mimodaq.node._background import Background
from mimodaq.node._record import RunFacts
from mimodaq.protocol.run import Verdict

BROKER = "by the broker"


def facts(reason, *, running_s=1.0, verdict=Verdict.GOOD):
    return RunFacts("ended", verdict, (), reason, running_s, {})


@pytest.fixture
def setup(seat):
    return load_setup(seat.setup("numbers > RB_1", "keep < RB_1", more="runevents: 100\nruntime: 5"))


@pytest.mark.parametrize(
    ("reason", "events", "running_s", "said"),
    [
        (BROKER, 100, 1.0, "100 events are taken"),
        ("sources finished", 100, 1.0, "100 events are taken"),
        ("sources finished", 99, 6.0, "sources finished"),
        (BROKER, 99, 5.0, "5 s are over"),
        (BROKER, 99, 4.9, "by the operator"),
        ("", 100, 6.0, ""),
    ],
)
def test_the_reason_of_the_end_is_named(setup, reason, events, running_s, said):
    assert in_words(facts(reason, running_s=running_s), setup, events).end_reason == said


def test_a_failure_stays_the_reason(setup):
    failed = facts("Fkt_2[0] failed: ValueError", verdict=Verdict.INTERRUPTED)
    assert in_words(failed, setup, 100) == failed


def test_who_has_aborted_is_named():
    assert reasons_in_words(("aborted: by the broker", "x")) == ("aborted: by the operator", "x")


def test_what_was_to_be_done_beside_the_loop_is_not_forgotten_at_the_end():
    background = Background()
    background.do(lambda: "buried")
    background.do(lambda: "saved")
    assert background.close() == ["buried", "saved"]
