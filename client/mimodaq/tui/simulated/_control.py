"""Run control of the simulated cluster: the real rules of what is possible when, with invented times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mimodaq.protocol.charge import Charge
from mimodaq.protocol.messages import Answer, Ask
from mimodaq.protocol.parts import OnLoss
from mimodaq.protocol.states import RULES, State, refusal

_TAKES_S: Final = {State.CONFIGURING: 0.8, State.ARMING: 1.0, State.STARTING: 1.2, State.ABORTING: 0.6}


@dataclass(slots=True)
class Control:
    """State, run and who is in charge."""

    state: State = State.IDLE
    setup_id: str | None = None
    run: int | None = None
    last_run: int = 41
    running_s: float = 0.0
    since: float = 0.0
    comment: str = ""
    optional: tuple[str, ...] = ()
    on_loss: OnLoss = OnLoss.PAUSE
    on_start: Callable[[int, Ask], None] = lambda run, ask: None
    on_end: Callable[[str], None] = lambda verdict: None
    is_drained: Callable[[], bool] = lambda: True
    charge: Charge = field(default_factory=Charge)
    _asked: tuple[Ask, Callable[[Answer], None]] | None = None
    _until: float = 0.0

    def ask(self, operator: str, ask: Ask, answer: Callable[[Answer], None], now: float) -> None:
        """Carry out, or refuse; `answer` is called when it is done."""
        why_not = self._refusal(operator, ask, now)
        if why_not is not None or ask.command in {"take", "surrender", "mark"}:
            answer(Answer(ask.number, why_not is None, why_not or f"{ask.command}: done", self.run))
            return
        if self._asked:
            before, tell = self._asked
            tell(Answer(before.number, False, f"{before.command}: given up for {ask.command}"))
        rule = RULES[ask.command]
        if ask.command in {"arm", "start"} and self.run is None:
            self.last_run += 1
            self.run, self.running_s, self.comment = self.last_run, 0.0, ask.comment
            self.on_start(self.run, ask)
        if ask.command == "configure":
            self.setup_id, self.optional, self.on_loss = ask.setup_id, ask.optional, ask.on_loss
        self._set(rule.via or State.IDLE, now)
        self._asked, self._until = (ask, answer), now + _TAKES_S.get(self.state, 0.5)

    def advance(self, now: float, step_s: float) -> None:
        """Time passes."""
        if self.state is State.RUNNING:
            self.running_s += step_s
        if self._asked is None or now < self._until:
            return
        ask, answer = self._asked
        if self.state is State.STOPPING and not self.is_drained() and now < self._until + 10:
            return
        self._asked, run = None, self.run
        if ask.command in {"stop", "abort", "reset"} and run is not None:
            self.on_end("good" if ask.command == "stop" else "aborted")
            self.run = None
        if ask.command == "reset":
            self.setup_id = None
        self._set(RULES[ask.command].result or State.IDLE, now)
        answer(Answer(ask.number, True, f"{ask.command}: {self.state.value}", run))

    def _refusal(self, operator: str, ask: Ask, now: float) -> str | None:
        if ask.command == "take":
            return self.charge.take(operator, True, ask.force, now)
        if ask.command == "surrender":
            return self.charge.surrender(operator)
        if ask.command == "mark":
            return None if ask.comment else "mark: there is no text"
        if ask.command == "configure" and not ask.setup_id:
            return "configure: no setup was named"
        return refusal(ask.command, self.state) or self.charge.refusal(operator, True, ask.command, now)

    def _set(self, state: State, now: float) -> None:
        self.state, self.since = state, now
