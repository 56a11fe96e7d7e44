"""What became of every event of every run: the accounts of the nodes added up and judged. Pure.

Three questions. In every ring of every host: do the events that were committed equal those released, set aside and
left? Over every link: have as many arrived as were acknowledged? And, where the events can be told apart (the demo's
can), is every one in the files once, unless the books say why not? An event for which the answer is no, and of which
nobody was told, is unaccounted for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mimodaq.client.session import RunInfo

_THROWN_AWAY: Final = re.compile(r"(\d+) events of \S+ were thrown away")


@dataclass(frozen=True, slots=True)
class Graph:
    """Where events come in and where they go out."""

    sources: frozenset[tuple[str, str]] = frozenset()
    """(node, ring) that sources write."""
    sinks: frozenset[str] = frozenset()
    """Functions that read and hand nothing on."""
    nodes: frozenset[str] = frozenset()
    """Hosts that have a part in it."""

    @classmethod
    def of(cls, setup: Mapping[str, object]) -> Graph:
        """From what the broker tells of the setup (`Topic.SETUP`)."""
        nodes, functions = setup["nodes"], setup["functions"]
        assert isinstance(nodes, Mapping)
        assert isinstance(functions, list)
        sources = {(node, r["name"]) for node, one in nodes.items() for r in one["rings"] if r["is_source"]}
        sinks = {f["name"] for f in functions if f["reads"] and not f["writes"]}
        return cls(frozenset(sources), frozenset(sinks), frozenset(nodes))


@dataclass(frozen=True, slots=True)
class Found:
    """What is in the files of a run whose events can be told apart."""

    events: int
    """Different ones."""
    doubled: int
    """Copies beyond the first."""
    foreign: int
    """Events that nobody has made, or whose content is not that with which they were made."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the books of the nodes say about events that may be there twice, beside what the broker keeps of them."""

    in_doubt: int = 0
    """Handed out again after their reader had died, or on their way when a link was given up."""
    unreadable: tuple[str, ...] = ()
    """Hosts whose records cannot be read."""


@dataclass(frozen=True, slots=True)
class RunLedger:
    """One run, added up."""

    run: int
    verdict: str | None
    came_in: int
    went_out: int
    """Copies that were handed on to the sinks, or, if the events can be told apart, different events in the files."""
    lost: int
    """Left in buffers, set aside or thrown away, and told."""
    doubled: int
    in_doubt: int
    unaccounted: tuple[str, ...]
    """One line for each thing that does not add up."""


def judge(info: RunInfo, graph: Graph, declared: Declared, found: Found | None = None) -> RunLedger:
    """Add a run up."""
    wrong = [*_books(info, graph), *_links(info)]
    came_in = _came_in(info, graph)
    lost = _thrown_away(info) + sum(count.left_over + count.quarantined for count in info.counts)
    went_out, doubled = sum(count.released for count in info.counts if count.readers in graph.sinks), 0
    if info.started_utc_s is not None:
        wrong += [f"{node}: its record cannot be read" for node in declared.unreadable]
    if found is not None:
        went_out, doubled = found.events, found.doubled
        missing = came_in - found.events
        if missing > lost:
            wrong.append(f"{missing} of {came_in} events are not in the files, and the books tell of {lost}")
        if missing < 0:
            wrong.append(f"{-missing} more events are in the files than were made")
        if doubled > declared.in_doubt:
            wrong.append(f"{doubled} copies too many are in the files, and the books tell of {declared.in_doubt}")
        if found.foreign:
            wrong.append(f"{found.foreign} events are not as they were made")
    return RunLedger(info.run, info.verdict, came_in, went_out, lost, doubled, declared.in_doubt, tuple(wrong))


def _thrown_away(info: RunInfo) -> int:
    """Events that were let go because their link was given up; the hosts tell of them in words."""
    found = (_THROWN_AWAY.search(reason) for account in info.accounts for reason in account.reasons)
    return sum(int(match[1]) for match in found if match is not None)


def _came_in(info: RunInfo, graph: Graph) -> int:
    """Events of the rings that sources write; all groups of a ring have the same."""
    rings: dict[tuple[str, str], int] = {}
    for count in info.counts:
        key = count.node, count.buffer
        if key in graph.sources:
            rings[key] = max(rings.get(key, 0), count.committed)
    return sum(rings.values())


def _books(info: RunInfo, graph: Graph) -> Iterable[str]:
    if info.verdict is None:
        yield "the run has not ended"
    if info.is_cut:
        yield "the books are too long to be sent; see runs.sqlite in the broker's folder"
    if info.started_utc_s is not None:  # else no event was let through
        silent = graph.nodes - {account.node for account in info.accounts}
        yield from (f"{node} has given no account" for node in sorted(silent))
        yield from (f"{a.node}: what its buffers held is not known" for a in info.accounts if not a.is_ledger_known)
    for count in info.counts:
        missing = count.committed - count.released - count.quarantined - count.left_over
        if missing:
            yield f"{count.node}: {missing:+d} of {count.committed} events of {count.buffer} for {count.readers}"


def _links(info: RunInfo) -> Iterable[str]:
    ends: dict[str, dict[bool, int]] = {}
    for link in info.links:
        ends.setdefault(link.link, {})[link.is_sender] = link.events
    for name, both in ends.items():
        if len(both) == 2 and both[True] != both[False]:
            yield f"link {name}: {both[True]} events were acknowledged and {both[False]} have arrived"
