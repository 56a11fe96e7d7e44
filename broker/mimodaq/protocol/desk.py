"""Keep track of what clients have asked for: who waits for an answer, and what each was answered last.

Pure code. A request that comes again gets the same answer or none; a client has one request under way at a time, and
of all clients one has the command that the cluster is carrying out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from mimodaq.protocol.charge import Charge
from mimodaq.protocol.cluster_events import Asked, Effect, Reply
from mimodaq.protocol.messages import Answer, Ask
from mimodaq.protocol.parts import short

CLIENTS_KEPT: Final = 256


@dataclass(slots=True)
class Desk:
    """Where the clients of one life of a broker are served."""

    charge: Charge = field(default_factory=Charge)
    delayed: deque[Asked] = field(default_factory=lambda: deque(maxlen=CLIENTS_KEPT))
    """Commands that came while the state of the nodes was being learned."""
    _going_on: Asked | None = None
    _answers: OrderedDict[str, tuple[int, Answer | None]] = field(default_factory=OrderedDict)

    @property
    def command(self) -> Ask | None:
        """The command that is going on."""
        return self._going_on.ask if self._going_on is not None else None

    def accept(self, asked: Asked) -> list[Effect] | None:
        """None if the request is new; for one that came before, the answer it was given, if it has one by now."""
        ask, client = asked.ask, asked.client
        number, answer = self._answers.get(client, (0, None))
        if ask.number <= number:
            return [Reply(client, answer)] if answer is not None and ask.number == number else []
        self._answers[client] = (ask.number, None)
        self._answers.move_to_end(client)
        if len(self._answers) > CLIENTS_KEPT:
            self._answers.popitem(last=False)
        return None

    def begin(self, asked: Asked) -> None:
        """From now on this command is going on."""
        self._going_on = asked

    def finish(self, ok: bool, text: str, run: int | None) -> list[Effect]:
        """Answer the client whose command was going on, if there is one."""
        asked, self._going_on = self._going_on, None
        return self.reply(asked, ok, text, run) if asked is not None else []

    def reply(self, asked: Asked, ok: bool, text: str, run: int | None = None) -> list[Effect]:
        """Answer a request."""
        answer = Answer(asked.ask.number, ok, short(text), run)
        number, _ = self._answers.get(asked.client, (0, None))
        if number == asked.ask.number:
            self._answers[asked.client] = (number, answer)
        return [Reply(asked.client, answer)]
