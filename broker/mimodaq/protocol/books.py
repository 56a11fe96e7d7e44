"""What a run over many hosts was worth: the accounts of the nodes put together, and the ledger over all links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mimodaq.protocol.cluster_events import RunRow
from mimodaq.protocol.parts import OnLoss, RunEnd, short
from mimodaq.protocol.plan import LinkPlan
from mimodaq.protocol.run import Verdict

_ORDER = list(Verdict)


@dataclass(slots=True)
class Books:
    """One run, as the broker sees it."""

    run: int
    setup_id: str
    operator: str = ""
    comment: str = ""
    optional: frozenset[str] = frozenset()
    on_loss: OnLoss = OnLoss.PAUSE
    is_started: bool = False
    is_stopping: bool = False
    verdict: Verdict = Verdict.GOOD
    reasons: list[str] = field(default_factory=list)
    end_reason: str = ""
    accounts: dict[str, RunEnd] = field(default_factory=dict)
    excluded: set[str] = field(default_factory=set)
    """Optional nodes the run goes on without."""
    held_for: set[str] = field(default_factory=set)
    """Lost nodes for which the sources are held, until they are back."""
    events: int = 0
    _ran_s: float = 0.0
    _running_since: float | None = None

    @classmethod
    def reopen(cls, row: RunRow) -> Books:
        """The books of a run that an earlier broker has begun."""
        books = cls(
            row.run, row.setup_id, row.operator, row.comment, row.optional, row.on_loss, row.is_started, row.is_stopping
        )
        books.held_for = set(row.held_for)
        return books

    def judge(self, verdict: Verdict, reason: str) -> None:
        """Note something that keeps the run from being better than `verdict`."""
        self.verdict = max(self.verdict, verdict, key=_ORDER.index)
        if reason not in self.reasons:
            self.reasons.append(short(reason))

    def clock(self, is_running: bool, now: float) -> None:
        """Count running time from now on, or do not."""
        self._ran_s = self.running_s(now)
        self._running_since = now if is_running else None

    def learn_running(self, running_s: float) -> None:
        """A node knows of more running time than this broker, which was not there all the time."""
        self._ran_s = max(self._ran_s, running_s)

    def running_s(self, now: float) -> float:
        """Running time, pauses not counted."""
        return self._ran_s + (now - self._running_since if self._running_since is not None else 0.0)

    def committed(self, node: str, ring: str) -> int:
        """Events of a ring, by the account of its node; 0 if there is none yet."""
        account = self.accounts.get(node)
        rings = account.rings if account is not None else ()
        return max((g.committed for r in rings if r.ring == ring for g in r.groups), default=0)

    def row(self, now: float, *, is_over: bool = False) -> RunRow:
        """The row of the database."""
        return RunRow(
            self.run,
            self.setup_id,
            self.operator,
            self.comment,
            self.optional,
            self.on_loss,
            self.is_started,
            self.is_stopping,
            frozenset(self.held_for),
            self.verdict if is_over else None,
            tuple(self.reasons),
            self.end_reason,
            self.running_s(now),
            self.events,
            dict(self.accounts) if is_over else None,
        )

    def settle(self, participants: Iterable[str], links: Sequence[LinkPlan]) -> None:
        """Form the verdict from the accounts that are there, and name those that are missing."""
        for node in sorted(participants):
            account = self.accounts.get(node)
            is_optional = node in self.optional
            if account is None:
                worth = Verdict.DEGRADED if is_optional else Verdict.INCOMPLETE
                if self.is_started:
                    known = passed_through(node, self.accounts, links)
                    self.judge(worth, f"{node} has given no account of its part of the run{known}")
                continue
            worst = Verdict.DEGRADED if is_optional else Verdict.ABORTED
            if account.verdict is Verdict.ABORTED and self.verdict is not Verdict.ABORTED and not is_optional:
                worst = Verdict.INCOMPLETE  # nobody has asked for the abort: a stop had to be forced
            for reason in account.reasons or ((account.verdict.value,) if account.verdict is not Verdict.GOOD else ()):
                self.judge(min(account.verdict, worst, key=_ORDER.index), f"{node}: {reason}")
            if not account.is_ledger_known and self.is_started:
                known = passed_through(node, self.accounts, links)
                self.judge(
                    min(Verdict.INCOMPLETE, worst, key=_ORDER.index), f"{node}: what its buffers held is unknown{known}"
                )
        for verdict, reason in find_in_ledger(self.accounts, links):
            self.judge(verdict, reason)


def _link_ends(accounts: Mapping[str, RunEnd]) -> dict[tuple[str, bool], int]:
    """(link, whether at the sender) to the events acknowledged there, or arrived."""
    return {(link.link, link.is_sender): link.events for account in accounts.values() for link in account.links}


def passed_through(node: str, accounts: Mapping[str, RunEnd], links: Iterable[LinkPlan]) -> str:
    """What the others know of a node that cannot tell what its buffers held: how much went there, and came back."""
    ends = _link_ends(accounts)
    known = []
    for plan in links:
        if plan.receiver == node and not plan.is_copies and (plan.name, True) in ends:
            known.append(f"{ends[plan.name, True]} events of {plan.buffer} had gone there from {plan.sender}")
        if plan.sender == node and not plan.is_copies and (plan.name, False) in ends:
            known.append(f"{ends[plan.name, False]} of {plan.buffer} had come from there to {plan.receiver}")
    return f" ({', '.join(known)})" if known else ""


def find_in_ledger(accounts: Mapping[str, RunEnd], links: Iterable[LinkPlan]) -> list[tuple[Verdict, str]]:
    """What is wrong in the ledger over all hosts.

    In every ring, for every group: committed = released + quarantined + left, and nothing left. For every link with
    both accounts there: acknowledged at the sender = committed at the receiver. Copies for observers do not count.
    """
    found: list[tuple[Verdict, str]] = []
    ends = _link_ends(accounts)
    for node, account in sorted(accounts.items()):
        for ring in account.rings:
            for group in ring.groups:
                where = f"{ring.ring} on {node}"
                missing = group.committed - group.released - group.quarantined - group.left
                if missing:
                    text = (
                        f"ledger: {where}: {missing:+d} of {group.committed} events of {group.name} are unaccounted for"
                    )
                    found.append((Verdict.INCOMPLETE, text))
                if group.left:
                    text = f"ledger: {where}: {group.left} events were not worked off by {group.name}"
                    found.append((Verdict.INCOMPLETE, text))
    for plan in links:
        sent, arrived = ends.get((plan.name, True)), ends.get((plan.name, False))
        if sent is not None and arrived is not None and sent != arrived and not plan.is_copies:
            text = f"ledger: link {plan.name}: {sent} events were acknowledged and {arrived} have arrived"
            found.append((Verdict.INCOMPLETE, text))
    return found
