"""Keep track of the commands a node is told: each is carried out at most once, and answered with the same words.

Pure code. A command may come twice, late or from the past: it says which broker, which request and which life of the
node it means.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from mimodaq.protocol.messages import Do, Done, Report, Verb
from mimodaq.protocol.node_events import Effect, Send
from mimodaq.protocol.parts import RequestId, short

ANSWERS_KEPT: Final = 32


@dataclass(slots=True)
class Requests:
    """The commands to one life of a node daemon."""

    epoch: int
    """Of this life."""
    _broker: int = 0
    _last: int = 0
    _waiting: dict[RequestId, Verb] = field(default_factory=dict)
    _answers: OrderedDict[RequestId, Done] = field(default_factory=OrderedDict)

    def accept(self, do: Do) -> list[Effect] | None:
        """None if the command is to be carried out; for another one the answer it was given, if there is one."""
        request = do.request
        if do.node_epoch != self.epoch or request.epoch < self._broker:
            return []  # meant for another life of this node, or from a broker that has been replaced
        if request.epoch > self._broker:
            self._broker, self._last = request.epoch, 0
            self._waiting.clear()
        if request.number <= self._last:
            again = self._answers.get(request)
            return [Send(again)] if again else []  # being carried out, or overtaken by a later command
        self._last = request.number
        return None

    def wait(self, do: Do) -> None:
        """The command goes on; it is answered when it has come to its end."""
        self._waiting[do.request] = do.verb

    def waiting(self) -> list[tuple[RequestId, Verb]]:
        """The commands that go on."""
        return list(self._waiting.items())

    def answer(self, request: RequestId, words: str | None, report: Report) -> Send:
        """Answer yes, or in words why not."""
        self._waiting.pop(request, None)
        done = self._answers[request] = Done(request, words is None, short(words or ""), report)
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return Send(done)
