"""Links between hosts against plain ZeroMQ messages between two processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from mimodaq.client.bench._alternate import Effort, Sized, alternate, say
from mimodaq.client.bench._hosts import Hosts, why_not
from mimodaq.client.bench._latency import message_delays
from mimodaq.client.bench._links import Keys, Way, link_delays, link_rate, lost_by_kills, raw_rate
from mimodaq.client.bench._peers import Peers
from mimodaq.client.bench._results import NOTHING, Goal, Row, Series
from mimodaq.client.bench._rings import SMALL, WAVE

WAVE_SLOTS: Final = 1024
"""70 MB."""
SMALL_SLOTS: Final = 200_000
MANY: Final = 8
_SLOTS_OF_MANY: Final = 256
"""17 MB each: what a link may have on its way."""
_SPAN: Final = WAVE_SLOTS * WAVE.itemsize // 1_000_000
"""As much memory as the slots of a ring, in messages of 1 MB."""
_BARE: Final = "pyzmq, 1 MB messages"
_STORED: Final = "pyzmq, from and into memory"
_CURVE: Final = "pyzmq with CURVE, 1 MB messages"
_TWICE: Final = "pyzmq, 1 MB messages of 48 B each event"
"""Counter, time and dead time of an event of 24 bytes are as large as itself."""


def rows(effort: Effort, peers: Peers) -> Iterator[Row]:
    """All rows about links; they compare with ZeroMQ only, because mimoCoRB has no links."""
    del peers
    yield from _loopback(effort)
    yield from _between_hosts(effort)
    yield from _latency(effort)
    yield from _kills(effort)


def _loopback(effort: Effort) -> Iterator[Row]:
    say("link: between two processes over loopback")
    plain, secret = Way(), Way(keys=Keys.new())
    sized = partial(Sized, seconds=effort.run_seconds)
    wave = partial(link_rate, dtype=WAVE, batch=128)
    raw = partial(raw_rate, event_bytes=WAVE.itemsize)
    costs: dict[str, list[float]] = {name: [] for name in (_STORED, "one link", _CURVE, "a link with keys")}
    found = alternate(
        {
            _BARE: sized(partial(raw, way=plain), 2000),
            _STORED: sized(partial(raw, way=plain, span=_SPAN, costs_us=costs[_STORED]), 2000),
            "one link": sized(partial(wave, slots=WAVE_SLOTS, way=plain, costs_us=costs["one link"]), 2000),
            "8 links": sized(partial(wave, slots=_SLOTS_OF_MANY, way=plain, links=MANY), 2000),
            _CURVE: sized(partial(raw, way=secret, costs_us=costs[_CURVE]), 500),
            "a link with keys": sized(
                partial(wave, slots=WAVE_SLOTS, way=secret, costs_us=costs["a link with keys"]), 500
            ),
            _TWICE: sized(partial(raw_rate, event_bytes=2 * SMALL.itemsize, way=plain), 500_000),
            "small events": sized(partial(link_rate, dtype=SMALL, slots=SMALL_SLOTS, way=plain, batch=4096), 100_000),
        },
        effort.run_repeats,
    )
    one, work = found["one link"], "68 kB, ring to ring on another host, loopback"
    yield Row("link.wave.68kB", work, "ev/s", one, found[_BARE], Goal(ratio_min=0.8))
    yield Row("link.wave.68kB.stored", work, "ev/s", one, found[_STORED], Goal(ratio_min=0.8))
    yield Row(
        "link.wave.68kB.curve", f"{work}, CURVE", "ev/s", found["a link with keys"], found[_CURVE], Goal(ratio_min=0.9)
    )
    yield Row("link.wave.68kB.8links", f"{work}, 8 links together", "ev/s", found["8 links"], one, Goal(ratio_min=0.8))
    yield Row("link.event.24B", "24 B, ring to ring", "ev/s", found["small events"], found[_TWICE], Goal(value_min=1e6))
    cost = {
        name: replace(found[name], values=tuple(seen[len(seen) - len(found[name].values) :]))
        for name, seen in costs.items()
    }
    work = "CPU time of both ends per event of 68 kB, loopback"
    yield Row("link.cpu.68kB", work, "µs", cost["one link"], cost[_STORED], Goal())
    yield Row("link.cpu.68kB.curve", f"{work}, CURVE", "µs", cost["a link with keys"], cost[_CURVE], Goal())


def _between_hosts(effort: Effort) -> Iterator[Row]:
    reason = why_not()
    if reason:
        say(f"link: not measured between network namespaces: {reason}")
        return
    say("link: between two network namespaces")
    with ExitStack() as stack:
        hosts = stack.enter_context(Hosts(2))
        way = Way(hosts[1].address, hosts[0].prefix, hosts[1].prefix)
        sized = partial(Sized, seconds=effort.run_seconds)
        found = alternate(
            {
                _STORED: sized(partial(raw_rate, event_bytes=WAVE.itemsize, way=way, span=_SPAN), 2000),
                "a link": sized(partial(link_rate, dtype=WAVE, slots=WAVE_SLOTS, way=way, batch=128), 2000),
            },
            effort.run_repeats,
        )
    work = "68 kB, ring to ring between two network namespaces (veth)"
    yield Row("link.wave.68kB.veth", work, "ev/s", found["a link"], found[_STORED], Goal(ratio_min=0.8))


def _latency(effort: Effort) -> Iterator[Row]:
    for rate_hz in (10.0, 1000.0):
        say(f"link: latency at {rate_hz:.0f} events/s")
        events = max(effort.latency_events // 10 if rate_hz < 100.0 else effort.latency_events, 10)
        ways = {
            "pyzmq tcp": partial(message_delays, events, rate_hz, "tcp://127.0.0.1:*"),
            "idle link": partial(link_delays, events, rate_hz),
        }
        tails: dict[str, list[float]] = {name: [] for name in ways}
        subjects = {name: partial(_median, delays, tails[name]) for name, delays in ways.items()}
        medians = alternate(subjects, effort.run_repeats, "µs")
        work = f"idle link over loopback, {rate_hz:.0f} events/s: writer commits to reader on the other side has it"
        for which, found, most in (("p50", medians, 2000.0), ("p95", _with(medians, tails), 5000.0)):
            name, link, socket = f"link.latency.{rate_hz:.0f}Hz.{which}", found["idle link"], found["pyzmq tcp"]
            yield Row(name, f"{work}, {which}", "µs", link, socket, Goal(value_max=most))


def _median(delays: Callable[[], list[float]], tails: list[float]) -> float:
    """The median; the 95th percentile goes to `tails`."""
    found = delays()
    tails.append(float(np.percentile(found, 95)))
    return float(np.median(found))


def _with(series: Mapping[str, Series], values: Mapping[str, list[float]]) -> dict[str, Series]:
    return {name: Series(name, tuple(values[name]), one.missing, one.failed) for name, one in series.items()}


def _kills(effort: Effort) -> Iterator[Row]:
    say("link: the receiver is killed and started again at full rate")
    events = 200_000 if not effort.run_seconds else 5_000_000
    lost = alternate({"lost or doubled": partial(lost_by_kills, events, 3)}, 1, "events")["lost or doubled"]
    work = "24 B events lost or doubled when the receiver is killed three times at full rate"
    yield Row("link.kill.lost", work, "events", lost, NOTHING, Goal(value_max=0.0))
