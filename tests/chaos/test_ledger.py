"""Adding runs up: balanced books are believed, and whatever is put out of balance is found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimodaq.chaos._ledger import Declared, Found, Graph, judge
from mimodaq.client.session import AccountInfo, CountInfo, LinkInfo, RunInfo

GRAPH = Graph.of(
    {
        "nodes": {
            "daq1": {"rings": [{"name": "RB_1", "is_source": True}]},
            "sto": {"rings": [{"name": "RB_1", "is_source": False}]},
        },
        "functions": [
            {"name": "Fkt_1", "reads": [], "writes": ["RB_1"]},
            {"name": "Fkt_2", "reads": ["RB_1"], "writes": []},
        ],
    }
)


def run_of(events, left=0, quarantined=0):
    """A source on daq1, a file on sto, and what was not worked off."""
    done = events - left - quarantined
    account = {"verdict": "good", "ending": "commanded", "reasons": (), "is_ledger_known": True, "is_late": False}
    return RunInfo(
        1, "abc", "anna", "", (), "pause", "tainted", (), "", 9.0, events, 1.0, 2.0, 3.0, 4.0,
        accounts=(AccountInfo("daq1", **account), AccountInfo("sto", **account)),
        counts=(
            CountInfo("daq1", "RB_1", "to:sto", events, events, 0, 0),
            CountInfo("sto", "RB_1", "Fkt_2", events, done, quarantined, left),
        ),
        links=(LinkInfo("daq1", "RB_1:daq1>sto", True, events), LinkInfo("sto", "RB_1:daq1>sto", False, events)),
    )  # fmt: skip


@st.composite
def balanced(draw):
    events = draw(st.integers(0, 10_000))
    left = draw(st.integers(0, events))
    return run_of(events, left, draw(st.integers(0, events - left)))


@settings(deadline=None, max_examples=50)
@given(balanced(), st.integers(0, 50), st.integers(0, 50))
def test_books_that_balance_are_believed(info, doubt, doubled):
    events, sink = info.events, info.counts[1]
    found = Found(sink.released, min(doubled, doubt), 0)
    ledger = judge(info, GRAPH, Declared(in_doubt=doubt), found)
    assert ledger.unaccounted == ()
    assert (ledger.came_in, ledger.went_out) == (events, sink.released)
    assert ledger.lost == events - sink.released


@settings(deadline=None, max_examples=50)
@given(balanced(), st.integers(0, 1), st.sampled_from(["released", "committed", "left_over", "quarantined"]))
def test_an_event_too_many_or_too_few_in_any_book_is_found(info, which, name):
    counts = list(info.counts)
    counts[which] = replace(counts[which], **{name: getattr(counts[which], name) + 1})
    assert judge(replace(info, counts=tuple(counts)), GRAPH, Declared()).unaccounted


@settings(deadline=None, max_examples=50)
@given(balanced(), st.integers(1, 5), st.booleans())
def test_an_event_that_a_link_has_lost_or_doubled_is_found(info, number, is_lost):
    sender, receiver = info.links
    there = replace(receiver, events=sender.events + (-number if is_lost and sender.events >= number else number))
    assert judge(replace(info, links=(sender, there)), GRAPH, Declared()).unaccounted


@settings(deadline=None, max_examples=50)
@given(balanced(), st.integers(1, 9))
def test_files_are_held_against_the_books(info, number):
    kept = info.counts[1].released
    doubt = Declared(in_doubt=number)
    assert judge(info, GRAPH, doubt, Found(kept, number, 0)).unaccounted == ()
    assert judge(info, GRAPH, doubt, Found(kept, number + 1, 0)).unaccounted
    assert judge(info, GRAPH, doubt, Found(kept - 1, 0, 0)).unaccounted
    assert judge(info, GRAPH, doubt, Found(info.events + 1, 0, 0)).unaccounted
    assert judge(info, GRAPH, doubt, Found(kept, 0, 1)).unaccounted


def test_events_that_a_link_has_thrown_away_are_told():
    info = run_of(100)
    reason = "7 events of RB_1 were thrown away: the link RB_1:daq1>sto was given up"
    told = replace(info, accounts=(replace(info.accounts[0], reasons=(reason,)), info.accounts[1]))
    assert judge(info, GRAPH, Declared(), Found(93, 0, 0)).unaccounted
    assert judge(told, GRAPH, Declared(), Found(93, 0, 0)).unaccounted == ()
    assert judge(told, GRAPH, Declared(), Found(92, 0, 0)).unaccounted


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": None},
        {"accounts": ()},
        {"is_cut": True},
        {"accounts": tuple(replace(a, is_ledger_known=False) for a in run_of(5).accounts)},
    ],
)
def test_a_run_whose_books_are_not_whole_is_not_accounted_for(change):
    assert judge(replace(run_of(5), **change), GRAPH, Declared()).unaccounted


def test_a_run_that_never_began_owes_no_account():
    info = replace(run_of(0), accounts=(), counts=(), links=(), started_utc_s=None, verdict="aborted")
    assert judge(info, GRAPH, Declared()).unaccounted == ()
