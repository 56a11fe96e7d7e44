"""Decide where the cluster goes: the aim, the steps towards it, the run with its end and its books.

Pure code. What to tell the nodes so that they get there is decided elsewhere (`steering`, `dispatch`).

Theory of operation
-------------------
* The *aim* is a state. Commands of operators change it. While it is an -ing state the command is going on; when every
  node is there, or the deadline has passed, its client gets the one answer, and the aim becomes a steady state.
* start is all-or-nothing: if any node fails or is lost before the last has started, all abort. stop always ends:
  first by itself (the end of the stream travels from the sources on), then everything is aborted, then the books are
  closed without those that hang.
* A broker that starts listens, then takes over the run that nodes are in, in the state they are in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from mimodaq.protocol.books import Books
from mimodaq.protocol.cluster_events import Asked, AskRunNumber, Effect, LateAccount, LoadSetup, RunRow, SaveRun, Say
from mimodaq.protocol.desk import Desk
from mimodaq.protocol.messages import Ask, Report, Verb
from mimodaq.protocol.parts import DiskWish, OnLoss, short
from mimodaq.protocol.plan import ClusterPlan
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.run_watch import GoOnWithout, Hold, Miss, StopFor, find_end, find_losses, low_disks
from mimodaq.protocol.situation import Situation
from mimodaq.protocol.states import State, refusal
from mimodaq.protocol.steering import Want, aim_from
from mimodaq.protocol.takeover import Found, find, is_complete


@dataclass(slots=True)
class RunControl(Situation):
    """The will of one life of a broker. Invariant: `books` is open exactly while `aim.is_in_run`."""

    desk: Desk = field(default_factory=Desk)
    problem: str = ""
    """Why the last command failed, or what the run is held for."""
    open_run: RunRow | None = None
    """The run that an earlier broker has not closed."""
    ticket: int = 0
    """Of the last question to the shell; an answer to an earlier one comes too late."""
    on_loss: OnLoss = OnLoss.PAUSE
    _accounts_missing: dict[str, int] = field(default_factory=dict)
    _to_load: str | None = None

    def boot(self, last_closed: int, open_run: RunRow | None, now: float) -> None:
        """The broker has started: listen first."""
        self.last_closed, self.open_run = last_closed, open_run
        self.learn_until, self.since = now + self.limits.learn_s, now

    # -- commands ---------------------------------------------------------------------------------------------

    def refusal(self, ask: Ask) -> str | None:
        """Why a command is not possible now, in words; None if it is."""
        command = ask.command
        if self.learn_until is not None:
            return None
        words = refusal(command, self.aim)
        if words is not None:
            return words
        if command == "configure" and ask.setup_id is None:
            return "configure: no setup was named"
        if command in ("arm", "start", "resume"):
            missing = self.unfit()
            if missing:
                return f"{command} is not possible: {missing}"
        return None

    def begin(self, asked: Asked, now: float) -> list[Effect]:
        """Let a command that is possible change the aim; all but shutdown do."""
        ask, operator = asked.ask, asked.operator
        effects = self.finish(False, f"overtaken by {ask.command} of {operator}")
        self.desk.begin(asked)
        self.problem, self.is_dirty = "", True
        match ask.command:
            case "configure":
                assert ask.setup_id is not None
                self.optional, self.on_loss = frozenset(ask.optional), ask.on_loss
                self._set_aim(State.CONFIGURING, now)
                self._to_load = ask.setup_id
                return [*effects, LoadSetup(self._next_ticket(), ask.setup_id)]
            case "arm":
                return effects + self._begin_arming(now)
            case "start":
                return effects + (self._begin_starting(now) if self.books is not None else self._begin_arming(now))
            case "pause" | "resume":
                effects += self._hold_for_nobody(now)
                self._set_aim(State.PAUSING if ask.command == "pause" else State.RESUMING, now)
                return effects
            case "stop":
                return effects + self._begin_stopping(f"stopped by {operator}", now)
            case "abort":
                return effects + self._begin_aborting(f"aborted by {operator}", now)
            case "reset":
                return effects + self._begin_resetting(f"reset by {operator}", now)
            case _:
                return effects

    def finish(self, ok: bool, text: str, run: int | None = None) -> list[Effect]:
        """Answer the client whose command was going on, if there is one."""
        if run is None and self.books is not None:
            run = self.books.run
        return self.desk.finish(ok, text, run)

    def _begin_arming(self, now: float) -> list[Effect]:
        self._set_aim(State.ARMING, now)
        known = [r.run for r in self.reports() if r.run is not None]
        known += [r.ended.run for r in self.reports() if r.ended is not None]
        return [AskRunNumber(self._next_ticket(), max([self.last_closed, *known]) + 1)]

    def numbered(self, number: int, now: float) -> list[Effect]:
        """The run that is to be armed has its number: open its books."""
        if self.aim is not State.ARMING or self.books is not None or self.setup_id is None:
            return []
        command = self.desk.command
        self.books = Books(number, self.setup_id, self.desk.charge.holder or "", optional=self.optional)
        self.books.on_loss = self.on_loss
        self.books.comment = command.comment if command else ""
        self._set_aim(State.ARMING, now)
        return [SaveRun(self.books.row(now)), Say("info", f"run {number}: arming")]

    def _begin_starting(self, now: float) -> list[Effect]:
        self._set_aim(State.STARTING, now)
        return []

    def _begin_stopping(self, reason: str, now: float) -> list[Effect]:
        """Stop the run; one that has not started is aborted."""
        if self.books is None or self.aim in (State.ARMING, State.READY, State.STARTING):
            return self._begin_aborting(reason, now)
        if self.aim in (State.STOPPING, State.ABORTING):
            return []
        self.books.is_stopping = True
        self.books.end_reason = self.books.end_reason or short(reason)
        self.books.held_for.clear()
        self._set_aim(State.STOPPING, now)
        return [SaveRun(self.books.row(now)), Say("info", f"run {self.books.run}: stopping: {reason}")]

    def _begin_aborting(self, reason: str, now: float, worth: Verdict = Verdict.ABORTED) -> list[Effect]:
        self._next_ticket()
        self.learn_until = None
        if self.books is None and self.open_run is not None and self.open_run.run > self.last_closed:
            self.books = Books.reopen(self.open_run)
            self.setup_id = self.books.setup_id
        if self.books is None:  # nothing has a run number yet
            self._set_aim(State.CONFIGURED if self.plan is not None else State.RESETTING, now)
            return self.finish(True, reason) if self.aim is State.CONFIGURED else []
        if self.aim is State.ABORTING:  # the nodes have been told what the run is worth
            return []
        self.books.is_stopping = True
        self.books.end_reason = self.books.end_reason or short(reason)
        self.books.judge(worth, reason)
        self.books.held_for.clear()
        self._set_aim(State.ABORTING, now)
        return [SaveRun(self.books.row(now)), Say("warning", f"run {self.books.run}: aborting: {reason}")]

    def _begin_resetting(self, reason: str, now: float) -> list[Effect]:
        effects = self._begin_aborting(reason, now) if self.books is not None or self.learn_until is not None else []
        self._next_ticket()
        self._set_aim(State.RESETTING, now)
        return effects

    def _give_up(self, text: str, now: float) -> list[Effect]:
        """configure, arm or start has failed on a node: undo it on all."""
        self.problem = short(text)
        if self.aim is State.CONFIGURING:
            self._next_ticket()
            effects = self.finish(False, text)
            self._set_aim(State.RESETTING, now)
            return effects
        what = "arm" if self.aim is State.ARMING else "start"
        if self.books is None:
            self._next_ticket()
            self._set_aim(State.CONFIGURED, now)
            return self.finish(False, text)
        return self._begin_aborting(f"{what} failed: {text}", now, Verdict.INTERRUPTED)

    # -- answers of the shell ---------------------------------------------------------------------------------

    def setup_loaded(self, plan: ClusterPlan, now: float) -> list[Effect]:
        """The setup is here: see whether its nodes are."""
        self.is_dirty = True
        self.plan, self.setup_id, self._to_load = plan, self._to_load, None
        if self.learn_until is not None or self.aim is not State.CONFIGURING:
            return []
        self._set_aim(State.CONFIGURING, now)
        missing = self.unfit()
        unknown = sorted(self.optional - set(plan.nodes))
        if unknown:
            missing = f"{unknown[0]} is to be optional, but the setup has no such host"
        return self._give_up(missing, now) if missing else []

    def impossible(self, text: str, now: float) -> list[Effect]:
        """The shell could not do what it was asked for."""
        self.is_dirty = True
        if self.learn_until is not None:
            self._to_load = None
            return [Say("error", text), *self._take_over(Found(), now)]
        return [Say("error", text), *self._give_up(text, now)]

    # -- what nodes say ---------------------------------------------------------------------------------------

    def refused(self, name: str, wish: Want, text: str, now: float) -> list[Effect]:
        """A node has failed to do what it was told."""
        verb = wish.verb
        effects: list[Effect] = [Say("error", f"{name}: {verb.value}: {text}")]
        if wish.run is not None and (self.books is None or wish.run != self.books.run):
            return effects
        is_early = self.aim in (State.CONFIGURING, State.ARMING, State.STARTING)
        if is_early and verb in (Verb.CONFIGURE, Verb.ARM, Verb.START):
            effects += self._give_up(f"{name}: {text}", now)
        return effects

    def late_account(self, name: str, report: Report) -> list[Effect]:
        """A node may tell what became of its part of a run that was closed without it."""
        ended = report.ended
        if ended is None or self._accounts_missing.get(name) != ended.run or report.run == ended.run:
            return []
        del self._accounts_missing[name]
        return [LateAccount(ended.run, name, ended)]

    # -- going on ---------------------------------------------------------------------------------------------

    def advance(self, now: float) -> list[Effect]:
        """See whether the aim has been reached, cannot be reached, or must change."""
        match self.aim:
            case State.CONFIGURING if self._to_load is None and self.plan is not None:
                return self._advance_to(State.CONFIGURED, self.limits.configure_s, "configured", now)
            case State.CONFIGURING if now - self.since >= self.limits.configure_s:
                return self._give_up("the setup could not be loaded in time", now)
            case State.ARMING:
                return self._advance_to(State.READY, self.limits.arm_s, "is ready", now)
            case State.READY:
                bad = self.trouble()
                return self._give_up(bad, now) if bad else []
            case State.STARTING:
                return self._advance_to(State.RUNNING, self.limits.act_s, "is running", now)
            case State.PAUSING | State.RESUMING:
                return self._watch_run(now) or self._advance_gate(now)
            case State.RUNNING | State.PAUSED:
                return self._watch_run(now)
            case State.STOPPING | State.ABORTING:
                return self._advance_end(now)
            case State.RESETTING:
                return self._advance_reset(now)
            case _:
                return []

    def _advance_to(self, goal: State, limit_s: float, words: str, now: float) -> list[Effect]:
        """One step of configure, arm or start: all there, or one failed, or too late."""
        if goal is not State.CONFIGURED and self.books is None:
            late = now - self.since >= self.limits.act_s
            return self._give_up("no run number was allotted in time", now) if late else []
        waiting = self.not_there()
        if not waiting:
            return self._arrive(goal, words, now)
        trouble = self.trouble()
        if not trouble and now - self.since >= limit_s:
            trouble = f"{', '.join(waiting)} did not get there within {limit_s:g} s"
        return self._give_up(trouble, now) if trouble else []

    def _arrive(self, goal: State, words: str, now: float) -> list[Effect]:
        self._set_aim(goal, now)
        if goal is State.CONFIGURED:
            return self.finish(True, f"the setup is {words}")
        assert self.books is not None
        self.books.is_started = goal is State.RUNNING
        effects: list[Effect] = [Say("info", f"run {self.books.run} {words}"), SaveRun(self.books.row(now))]
        if goal is State.READY and self._is_going_on("start"):
            return effects + self._begin_starting(now)
        return effects + self.finish(True, f"run {self.books.run} {words}")

    def _advance_gate(self, now: float) -> list[Effect]:
        goal = State.PAUSED if self.aim is State.PAUSING else State.RUNNING
        waiting = self.not_there()
        is_late = now - self.since >= self.limits.act_s
        if waiting and not is_late:
            return []
        text = f"the sources are {'held' if goal is State.PAUSED else 'running'}"
        if waiting:
            text = f"{', '.join(waiting)} did not answer within {self.limits.act_s:g} s and will be told when possible"
        self._set_aim(goal, now)
        return self.finish(not waiting, text)

    def _watch_run(self, now: float) -> list[Effect]:
        """End a run whose condition is fulfilled, and react to nodes that fail or are lost."""
        books = self.books
        assert books is not None
        effects: list[Effect] = []
        for loss in find_losses(self, books, books.held_for, now):
            match loss:
                case Miss(name):
                    books.judge(Verdict.DEGRADED, f"{name} was lost during the run")
                case GoOnWithout(name, text):
                    effects += self._exclude(books, name, text)
                case Hold(name):
                    effects += self._hold(books, name, now)
                case StopFor(reason, text):
                    books.judge(Verdict.INTERRUPTED, reason)
                    return effects + self._begin_stopping(text, now)
                case _:
                    assert_never(loss)
        if books.held_for and not any(self.is_lost(name) for name in books.held_for):
            effects.append(Say("info", f"{', '.join(sorted(books.held_for))} is back: resuming"))
            effects += self._hold_for_nobody(now)
            self._set_aim(State.RESUMING, now)
        low = low_disks(self, books, DiskWish.PAUSE)
        if low and self.aim is State.RUNNING:
            effects += self._pause_for(low, now)
        end = find_end(self, books, now)
        return effects + self._begin_stopping(end, now) if end is not None else effects

    def _hold(self, books: Books, name: str, now: float) -> list[Effect]:
        books.held_for.add(name)
        effects = [SaveRun(books.row(now)), *self.finish(False, f"{name} is lost")]
        self.problem = f"held because {name} is lost; goes on when it is back"
        self._set_aim(State.PAUSING, now)
        return [*effects, Say("error", f"{name} is lost: the sources are held until it is back")]

    def _hold_for_nobody(self, now: float) -> list[Effect]:
        """Whoever was waited for is back, or the operator decides: the next broker must not wait, either."""
        if self.books is None or not self.books.held_for:
            return []
        self.books.held_for.clear()
        return [SaveRun(self.books.row(now))]

    def _pause_for(self, text: str, now: float) -> list[Effect]:
        effects = self.finish(False, text)
        self.problem = f"paused because {text}; make room, then resume"
        self._set_aim(State.PAUSING, now)
        return [*effects, Say("error", f"{text}: the sources are held; make room, then resume")]

    def _exclude(self, books: Books, name: str, text: str) -> list[Effect]:
        books.excluded.add(name)
        books.judge(Verdict.DEGRADED, f"went on without {name}: {text}")
        self.is_dirty = True
        return [Say("error", f"the run goes on without {name}, which is optional: {text}")]

    # -- ending -----------------------------------------------------------------------------------------------

    def _advance_end(self, now: float) -> list[Effect]:
        books = self.books
        assert books is not None
        waiting = self.not_there(without_lost_s=self.limits.away_s if self.aim is State.STOPPING else 0.0, now=now)
        if not waiting:
            return self._close_books(now)
        late = now - self.since
        if self.aim is State.STOPPING and late >= self.limits.stop_s:
            text = f"{', '.join(waiting)} did not stop within {self.limits.stop_s:g} s"
            books.judge(Verdict.INCOMPLETE, f"forced: {text}")
            self._set_aim(State.ABORTING, now)
            return [Say("error", f"{text}: aborting"), SaveRun(books.row(now))]
        if self.aim is State.ABORTING and late >= self.limits.abort_s:
            text = f"{', '.join(waiting)} did not leave the run within {self.limits.abort_s:g} s"
            books.judge(Verdict.INCOMPLETE, text)
            self.problem = text
            return [Say("error", text), *self._close_books(now)]
        return []

    def _close_books(self, now: float) -> list[Effect]:
        books = self.books
        assert books is not None
        participants = self.participants()
        books.clock(False, now)
        books.settle(participants, self.plan.links if self.plan else ())
        self._accounts_missing.update((name, books.run) for name in participants if name not in books.accounts)
        self.last_closed = max(self.last_closed, books.run)
        reasons = f" ({'; '.join(books.reasons[:5])})" if books.reasons else ""
        level = "info" if books.verdict is Verdict.GOOD else "warning"
        text = f"run {books.run} ended: {books.verdict.value}{reasons}"
        row = books.row(now, is_over=True)
        self.books = None
        for node in self.nodes.values():
            node.out_since = None
        if self.aim is not State.RESETTING:
            self._set_aim(State.CONFIGURED if self.plan is not None else State.IDLE, now)
        effects: list[Effect] = [SaveRun(row), Say(level, text)]
        if self.aim is State.RESETTING:
            return effects
        return effects + self.finish(self._is_going_on("stop", "abort"), self.problem or text, row.run)

    def _advance_reset(self, now: float) -> list[Effect]:
        is_late = now - self.since >= self.limits.abort_s
        waiting = [
            name
            for name, node in sorted(self.nodes.items())
            if node.report is not None and not self.is_lost(name) and node.report.state is not State.IDLE
        ]
        if waiting and not is_late:
            return []
        effects = self._close_books(now) if self.books is not None else []
        self.plan, self.setup_id, self._to_load = None, None, None
        self._set_aim(State.IDLE, now)
        text = f"{', '.join(waiting)} did not answer the reset" if waiting else "everything is reset"
        return effects + self.finish(not waiting, self.problem or text)

    # -- a new broker -----------------------------------------------------------------------------------------

    def learn(self, now: float) -> list[Effect]:
        """Listen; then take over what there is."""
        assert self.learn_until is not None
        if now < self.learn_until:
            return []
        found = find(self, self.open_run)
        if found.setup_id is None:
            return self._take_over(found, now)
        if self.plan is None or self.setup_id != found.setup_id:
            if self._to_load == found.setup_id:
                return []
            self._to_load = found.setup_id
            return [LoadSetup(self._next_ticket(), found.setup_id)]
        if found.run is not None and not is_complete(self, self.learn_until, now):
            return []
        return self._take_over(found, now)

    def _take_over(self, found: Found, now: float) -> list[Effect]:
        run = found.run
        self.learn_until, self.is_dirty = None, True
        if run is None:
            self._set_aim(State.CONFIGURING if self.plan is not None else State.IDLE, now)
            return [Say("info", "the broker has started; there is no run")]
        books = self.books = found.books(run, self.setup_id or "")
        self.optional, self.on_loss = books.optional, books.on_loss
        reports = [r for r in self.reports() if r.node in self.participants()]
        for report in reports:
            if report.run == run:
                books.learn_running(report.running_s)
            self.note_account(report.node, report, now)
        aim = aim_from(reports, run, self.plan.source_nodes if self.plan else frozenset(), books.is_stopping)
        books.is_started = books.is_started or aim not in (State.READY, State.ABORTING)
        self._set_aim(aim, now)
        if aim is State.ABORTING:
            books.judge(Verdict.INTERRUPTED, "the broker was started again while the run was being started")
        text = f"the broker has started and goes on with run {run} ({aim.value})"
        return [Say("warning", text), SaveRun(books.row(now))]

    # -- helpers ----------------------------------------------------------------------------------------------

    def _set_aim(self, aim: State, now: float) -> None:
        self.aim, self.since, self.is_dirty = aim, now, True
        if self.books is not None:
            self.books.clock(aim in (State.RUNNING, State.PAUSING), now)

    def _next_ticket(self) -> int:
        self.ticket += 1
        return self.ticket

    def _is_going_on(self, *commands: str) -> bool:
        command = self.desk.command
        return command is not None and command.command in commands
