"""`mimodaq chaos`: break a cluster, or one made for it, and account for every event."""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mimodaq.chaos._deeds import Deeds
from mimodaq.chaos._demo import Demo
from mimodaq.chaos._faults import BROKER, Kind
from mimodaq.chaos._ledger import Declared, Graph, RunLedger, judge
from mimodaq.chaos._player import Player
from mimodaq.chaos._report import Result, schedule_lines, summary
from mimodaq.chaos._schedule import NothingToBreak, make_schedule
from mimodaq.chaos._targets import Targets
from mimodaq.chaos.waiting import ChaosError, wait_for
from mimodaq.client._cluster_commands import Where, guarded
from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD, UsageError
from mimodaq.client._streams import tell
from mimodaq.client.bench._hosts import HostError
from mimodaq.client.session import RefusedError, Session, SessionError
from mimodaq.keys import endpoints_of
from mimodaq.protocol.messages import Cluster, Topic
from mimodaq.protocol.states import State

_FAULTS_PER_RUN: Final = 50
_FIND_S: Final = 5.0
_PEACE_S: Final = 120.0
_FRESH_S: Final = 1.5
_STOP_S: Final = 660.0
"""A stop always ends: it is forced after 600 s."""


@dataclass(frozen=True, slots=True)
class ChaosRequest:
    """What was typed."""

    where: Where
    is_demo: bool = False
    yes_break: str | None = None
    faults: int = 20
    minutes: float = 1.0
    seed: int | None = None
    kinds: Collection[str] = ()
    """Only these; empty = all that are possible."""
    is_only_plan: bool = False
    """Print the schedule and do nothing."""
    as_json: bool = False


def chaos(request: ChaosRequest) -> int:
    """Carry it out; returns the exit code."""
    return guarded(request.as_json, lambda: _chaos(request))


def _chaos(request: ChaosRequest) -> int:
    kinds = _kinds(request.kinds)
    for number in (signal.SIGINT, signal.SIGTERM):  # either way everything is undone
        signal.signal(number, signal.default_int_handler)
    seed = request.seed if request.seed is not None else random.SystemRandom().randrange(1 << 32)
    try:
        if request.is_demo:
            return _on_demo(request, seed, kinds)
        return _on_cluster(request, seed, kinds)
    except (ChaosError, NothingToBreak, HostError) as error:
        raise UsageError(str(error)) from error


def _kinds(names: Collection[str]) -> tuple[Kind, ...]:
    known = {kind.value: kind for kind in Kind}
    for name in names:
        if name not in known:
            raise UsageError(f"--only {name}: there are {', '.join(known)}")
    return tuple(known[name] for name in names) or tuple(Kind)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# -- on a demo of its own --------------------------------------------------------------------------------------------


def _on_demo(request: ChaosRequest, seed: int, kinds: Sequence[Kind]) -> int:
    with Demo(_say) as demo:
        session = demo.start()
        targets = _find(session, demo.cluster.address, demo.folder)
        deeds = Deeds(targets, seed, demo.cables, demo.disks)
        try:
            player = _prepare(request, seed, kinds, session, deeds)
            player.configure = lambda on_turn: demo.configure(session, on_turn)
            player.faults_per_run = _FAULTS_PER_RUN
            if request.is_only_plan:
                return EXIT_GOOD
            trouble = _play(player)
            ledgers = [_add_up_demo(session, demo, run) for run in sorted(player.runs)]
            code = _finish(request, _result(seed, player, ledgers, trouble))
            if code != EXIT_GOOD:
                _keep(demo)
            return code
        except (SessionError, ChaosError):
            _keep(demo)
            raise
        finally:
            demo.end()
            deeds.end_started()


def _keep(demo: Demo) -> None:
    _say(f"data, records and logs are kept in {demo.keep()}")


def _add_up_demo(session: Session, demo: Demo, run: int) -> RunLedger:
    info = session.run(run)
    graph = _graph(session)
    bare = judge(info, graph, Declared())
    return judge(info, graph, demo.declared(run), demo.found(run, bare.came_in))


# -- on a cluster that is there --------------------------------------------------------------------------------------


def _on_cluster(request: ChaosRequest, seed: int, kinds: Sequence[Kind]) -> int:
    address = request.where.address
    with request.where.session() as session:
        if not session.me.may_command:
            raise RefusedError(f"chaos needs the key of an operator, and {session.me.name} is an observer")
        targets = _find(session, address)
        if not targets.names:
            raise RefusedError(
                f"nothing of the cluster at {address} runs on this computer as this user: nothing to break here"
            )
        if request.yes_break != address and not request.is_only_plan:
            raise RefusedError(_warning(address, targets.names))
        deeds = Deeds(targets, seed)
        player = _prepare(request, seed, kinds, session, deeds)
        if request.is_only_plan:
            return EXIT_GOOD
        trouble = _play(player)
        graph = _graph(session)
        ledgers = [judge(session.run(run), graph, _declared_by_feed(player, run)) for run in sorted(player.runs)]
        if deeds.started:
            _say("daemons started again by chaos go on: processes " + ", ".join(str(p.pid) for p in deeds.started))
        return _finish(request, _result(seed, player, ledgers, trouble))


def _warning(address: str, names: Sequence[str]) -> str:
    return (
        f"refused: chaos would kill and stall {', '.join(names)} of the cluster at {address}, and the processes of its "
        f"run. A run that goes on will not be good. If that is what you want: --yes-break {address}"
    )


def _declared_by_feed(player: Player, run: int) -> Declared:
    again = sum(number for (of_run, _, _), number in player.redelivered.items() if of_run == run)
    return Declared(in_doubt=again)


# -- both --------------------------------------------------------------------------------------------------------------


def _find(session: Session, address: str, within: Path | None = None) -> Targets:
    """What of the cluster is here; looked at again for a while, because what a node tells is a little late."""
    deadline = time.monotonic() + _FIND_S
    while True:
        status = session.status()
        targets = Targets.find(status, urlsplit(endpoints_of(address).control).port, within)
        if {BROKER, *status.reports} <= set(targets.names) or time.monotonic() > deadline:
            return targets


def _graph(session: Session) -> Graph:
    return Graph.of(session.inquire(Topic.SETUP))


def _prepare(request: ChaosRequest, seed: int, kinds: Sequence[Kind], session: Session, deeds: Deeds) -> Player:
    """Have a run going on, see what there is to break, and make the schedule."""
    player = Player(session, deeds, (), _say)
    _bring_up(player, may_start=request.is_demo or not request.is_only_plan)
    places = deeds.places(session.status().reports)
    player.schedule = make_schedule(seed, places, request.faults, request.minutes * 60.0, kinds)
    for line in schedule_lines(seed, player.schedule):
        (tell if request.is_only_plan and not request.as_json else _say)(line)
    return player


def _bring_up(player: Player, *, may_start: bool) -> None:
    """Start a run if none goes on. Raises RefusedError, ChaosError."""
    cluster = player.session.status().cluster
    if cluster.run is None and not may_start:
        raise RefusedError("there is no run: what could be broken is known when one goes on. mimodaq start")
    if cluster.run is None:
        answer = player.ask("start")
        if answer is None or not answer.ok:
            reason = answer.text if answer is not None else "the broker is not heard"
            raise RefusedError(f"there is no run, and none can be started: {reason}")
    wait_for(lambda: _is_running(player), "for the run to go on and all hosts to be heard")


def _is_running(player: Player) -> bool:
    player.listen(0.05)
    cluster = player.cluster
    return cluster is not None and cluster.state is State.RUNNING and _all_here(cluster)


def _all_here(cluster: Cluster) -> bool:
    ours = [line for line in cluster.nodes if line.is_in_setup]
    return bool(ours) and all(line.presence == "here" for line in ours)


def _play(player: Player) -> list[str]:
    """Play the schedule, and bring the run to its end; what went wrong with that."""
    player.play()
    try:
        wait_for(lambda: _is_calm(player), "for all hosts to be heard after the last fault", _PEACE_S)
        _stop(player)
        wait_for(lambda: _are_closed(player), "for the books of all runs", _PEACE_S)
    except (ChaosError, SessionError) as error:
        return [str(error)]
    return []


def _is_calm(player: Player) -> bool:
    player.listen(0.05)
    cluster = player.cluster
    is_settled = cluster is not None and not cluster.state.is_transitional and cluster.state is not State.OFFLINE
    return is_settled and player.session.silent_s < _FRESH_S and cluster is not None and _all_here(cluster)


def _stop(player: Player) -> None:
    """Stop the run that goes on, however long it takes. Raises ChaosError."""
    deadline = time.monotonic() + _STOP_S
    while player.cluster is None or player.cluster.run is not None or not _is_calm(player):
        answer = player.ask("stop", timeout_s=_STOP_S)
        if time.monotonic() > deadline:
            raise ChaosError(f"the run cannot be stopped: {answer.text if answer else 'the broker is not heard'}")
        player.listen(0.5)


def _are_closed(player: Player) -> bool:
    player.listen(0.05)
    return all(player.session.run(run).verdict is not None for run in player.runs)


def _result(seed: int, player: Player, runs: Sequence[RunLedger], trouble: Sequence[str]) -> Result:
    faults = [replace(one, sign=player.witness.signs.get(one.fault.number)) for one in player.done]
    return Result(seed, tuple(faults), tuple(runs), player.resumed, tuple(trouble))


def _finish(request: ChaosRequest, result: Result) -> int:
    if request.as_json:
        tell(json.dumps(result.plain(), ensure_ascii=False))
        _say(summary(result))
    else:
        tell(summary(result))
    return EXIT_GOOD if result.is_accounted else EXIT_NOT_GOOD
