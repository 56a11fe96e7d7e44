"""Tell the nodes what they must do, again and again until they have answered.

Pure code. What a node must do follows from what it reports (`steering`); here is kept what each was told. All nodes are
told at once, so one that hangs holds up nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mimodaq.protocol.cluster_events import Effect, Send
from mimodaq.protocol.messages import Do, Done, Report, Verb
from mimodaq.protocol.parts import RequestId
from mimodaq.protocol.situation import Node, Pending, Situation
from mimodaq.protocol.states import State
from mimodaq.protocol.steering import Want, want, want_left_over


@dataclass(slots=True)
class Dispatch:
    """The commands of one life of a broker. Invariant: to each node at most one is on its way."""

    _request: int = 0

    def steer(self, here: Situation, now: float) -> list[Effect]:
        """Tell every node that is there what it lacks to be where the cluster aims at."""
        effects: list[Effect] = []
        course, cuts, participants = here.course(), here.cuts(now), here.participants()
        for name, node in here.nodes.items():
            report = node.report
            if report is None or here.is_lost(name) or report.epoch != here.members.epoch(name):
                continue
            is_excluded = here.books is not None and name in here.books.excluded
            if report.run is not None and (report.run != course.run or is_excluded):
                wish = _want_left_over(here, name, node, report, report.run, now)
            else:
                node.left_over_since = None
                wish = want(course, report, in_setup=name in participants, cut=cuts.get(name, ()))
            effects += self._tell(here, name, node, report, wish, now)
        return effects

    def _tell(
        self, here: Situation, name: str, node: Node, report: Report, wish: Want | None, now: float
    ) -> list[Effect]:
        pending, retry_s = node.pending, here.limits.retry_s
        if wish is None:
            is_going_on = report.state.is_transitional  # its answer is still to come
            if pending is not None and pending.want.verb is not Verb.STOP and not is_going_on:
                node.pending = None
            return []
        if pending is not None and pending.want == wish:
            return _tell_again(name, pending, retry_s, now)
        if node.refused is None or node.refused[0] != wish or now - node.refused[1] >= retry_s:
            return self._send(here, name, node, wish, now)
        return []

    def shut_down(self, here: Situation, now: float) -> list[Effect]:
        """Tell all nodes to leave."""
        effects: list[Effect] = []
        for name, node in here.nodes.items():
            if not here.is_lost(name):
                effects += self._send(here, name, node, Want(Verb.SHUTDOWN), now)
        return effects

    def shut_down_again(self, here: Situation, now: float) -> tuple[list[Effect], list[str]]:
        """Tell those again that have not answered; returns their names, too."""
        effects: list[Effect] = []
        waiting = []
        for name, node in sorted(here.nodes.items()):
            pending = node.pending
            if pending is None or pending.want.verb is not Verb.SHUTDOWN or here.is_lost(name):
                continue
            waiting.append(name)
            effects += _tell_again(name, pending, here.limits.retry_s, now)
        return effects, waiting

    def _send(self, here: Situation, name: str, node: Node, wish: Want, now: float) -> list[Effect]:
        self._request += 1
        request = RequestId(here.epoch, self._request)
        do = Do(request, here.members.epoch(name), wish.verb, wish.run, wish.setup_id, wish.link)
        if wish.verb is Verb.ARM and here.books is not None:
            do = replace(do, operator=here.books.operator, comment=here.books.comment)
        is_leaving = wish.verb in (Verb.ABORT, Verb.RESET) and here.aim in (State.ABORTING, State.RESETTING)
        if is_leaving and here.books is not None:
            do = replace(do, worth=here.books.verdict)
        node.pending, node.refused = Pending(wish, do, now), None
        return [Send(name, do)]


def note_answer(node: Node, done: Done, now: float) -> Want | None:
    """Note a node's answer; returns what it was to do, None if that was told by an earlier command or broker."""
    pending = node.pending
    if pending is None or pending.do.request != done.request:
        return None
    node.pending = None
    if not done.ok:
        node.refused = (pending.want, now)
    return pending.want


def _tell_again(name: str, pending: Pending, retry_s: float, now: float) -> list[Effect]:
    if now - pending.sent < retry_s:
        return []
    pending.sent = now
    return [Send(name, pending.do)]


def _want_left_over(here: Situation, name: str, node: Node, report: Report, run: int, now: float) -> Want | None:
    """A node is in a run that is closed, or that goes on without it: it works off what it has, and leaves."""
    if node.left_over_since is None:
        node.left_over_since = now
    late = now - node.left_over_since
    is_known = here.plan is not None and report.setup_id == here.setup_id
    links = here.plan.links if here.plan is not None and is_known else ()
    cut = [link.name for link in links if name in (link.sender, link.receiver)]
    is_overdue = late >= (here.limits.stop_s if is_known else here.limits.away_s)
    return want_left_over(report, run, cut if late >= here.limits.away_s else (), is_overdue)
