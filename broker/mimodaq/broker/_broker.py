"""The broker: carries messages to the brain of the cluster and carries out what it decides. Decides nothing itself."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections import deque
from contextlib import ExitStack
from typing import Any, Final, assert_never

import zmq

from mimodaq.broker._gate import Gate, node_of, objection
from mimodaq.broker._inquiries import answer
from mimodaq.broker._loader import Loader
from mimodaq.broker._logbook import Logbook
from mimodaq.broker._options import BrokerError, BrokerOptions
from mimodaq.broker._outlet import Outlet, sendable
from mimodaq.broker._runs import RunDatabase
from mimodaq.broker._setups import SetupError, Setups
from mimodaq.broker._sockets import Context, address_of, bind, receive
from mimodaq.keys import AUTHORIZED_FILE, Doorkeeper, Grant, KeysError, broker_pair, read_authorized, user_of
from mimodaq.protocol import cluster_events as ce
from mimodaq.protocol import feed
from mimodaq.protocol.cluster_brain import ClusterBrain
from mimodaq.protocol.codec import ProtocolError, decode, encode
from mimodaq.protocol.membership import Membership, Presence
from mimodaq.protocol.messages import (
    Ask,
    Beat,
    Chunk,
    ClockAnswer,
    ClockAsk,
    Cluster,
    Done,
    Fetch,
    Inquire,
    LogAsk,
    LogLine,
    Message,
    Peers,
    PeersAsk,
    Refused,
    Report,
    Role,
)
from mimodaq.system import FolderLock, LockedError, own_versions, private_folder

HOUSEKEEPING_S: Final = 1.0
_AT_ONCE: Final = 1000
"""Messages read before everything else gets its turn."""
_HELD_UP_S: Final = 0.5
"""A step that begins so much later than it should: this process, not the nodes, has been silent."""


class Broker:
    """One broker, to be stepped by its own process or beside other things: poll `sockets` for `wait_s`, then `step`."""

    def __init__(self, options: BrokerOptions) -> None:
        """Take the state folder, bind, and go on with what was left. Raises BrokerError."""
        self._options = options
        self._opened = ExitStack()
        with ExitStack() as undo:
            undo.callback(self.close)
            try:
                self._open(options)
            except (OSError, sqlite3.Error, KeysError, LockedError) as error:
                raise BrokerError(f"starting the broker: {error}") from error
            undo.pop_all()

    def _open(self, options: BrokerOptions) -> None:
        closing = self._opened.callback
        state = private_folder(options.state)
        remedy = "Use that one, or give this one a folder of its own: --state DIR"
        closing(FolderLock(state, "a broker", remedy).release)
        self._runs = RunDatabase(state)
        closing(self._runs.close)
        epoch = self._runs.begin_epoch()
        log = Logbook(state, epoch)
        closing(log.close)
        self._setups = Setups(state / "setups")
        self._loader = Loader(self._setups)
        closing(self._loader.close)
        self._pair = broker_pair(state) if options.needs_keys else None
        self._keys_seen = self._keys_stamp()
        self._gate = Gate(read_authorized(state) if options.needs_keys else None)
        self._context: Context = zmq.Context()
        closing(self._context.term)
        self._door: Doorkeeper | None = None
        if self._gate.authorized is not None:
            self._door = Doorkeeper(self._context, self._gate.authorized)
            closing(self._door.close)
        self._control, feed_socket, self.endpoints = bind(self._context, options, self._pair)
        self._out = Outlet(self._control, feed_socket, log, options.on_log)
        closing(self._control.close)
        closing(self._out.close)
        self._poller = zmq.Poller()
        for one in self.sockets:
            self._poller.register(one, zmq.POLLIN)
        self._setup_about: dict[str, Any] = {}
        self._is_over = False
        self._events: deque[ce.Event] = deque()
        self._news: dict[str, bytes] = {}
        self._unsaved: dict[int, ce.RunRow] = {}
        self._now = self._due = self._house_at = time.monotonic()
        self._behind_s = 0.0
        self._asked_at = self._now
        members = Membership(lost_s=options.lost_s)
        self._brain = ClusterBrain(epoch, options.limits, members=members)
        self._say_how_it_starts()
        self._give(self._runs.boot())

    def close(self) -> None:
        """Let go of everything; what was sent is given a moment to leave."""
        self._opened.close()

    # -- running ------------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the broker was told to leave (the command shutdown)."""
        return self._is_over

    def hears(self, node: str) -> bool:
        """Whether a node is there; may be called from another thread."""
        return self._brain.members.presence(node) is not Presence.LOST

    @property
    def quiet_s(self) -> float:
        """How long no client has asked anything; may be called from another thread."""
        return time.monotonic() - self._asked_at

    @property
    def is_secure(self) -> bool:
        """Whether nobody can take part without being let in: by keys, or because only this host can connect."""
        return not self._options.is_insecure

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes] | int, ...]:
        """What to poll for input; then call `step`."""
        door = (self._door.socket,) if self._door is not None else ()
        return (self._control, self._loader.fd, *door)

    def wait_s(self) -> float:
        """How long `step` need not be called if there is no input."""
        return max(0.0, self._due - time.monotonic())

    def step(self, timeout_s: float = 0.0) -> None:
        """Wait for something to do, at most so long, and do it."""
        wait_s = min(self.wait_s(), timeout_s)
        if wait_s > 0:
            self._poller.poll(math.ceil(wait_s * 1000))
        began = time.monotonic()
        held_s = began - self._due
        if held_s > _HELD_UP_S:
            self._behind_s += held_s
        # The brain's time stands still while this process does: silence then says nothing about the nodes.
        self._now = began - self._behind_s
        if held_s > _HELD_UP_S:
            text = f"the broker itself was held up for {held_s:.1f} s: its host is overloaded, or was asleep"
            self._out.say("warning", text)
        is_more = self._take_all()
        self._give(ce.Wake())
        if began >= self._house_at:
            self._house_at = began + HOUSEKEEPING_S
            self._keep_house()
        due = min(self._brain.deadline(self._now) + self._behind_s, self._house_at)
        self._due = began if is_more else due

    def _take_all(self) -> bool:
        """Take what has come in; whether there is more."""
        if self._door is not None:
            self._door.step()
        for result, about in self._loader.results():
            if about:
                self._setup_about = {**about, "windows": {**about["windows"], **self._options.windows}}
            self._give(result)
        for _ in range(_AT_ONCE):
            received = receive(self._control)
            if received is None:
                return False
            self._received(*received)
        return True

    def _keep_house(self) -> None:
        """What is done once a second."""
        news, self._news = self._news, {}
        for frame in feed.pack(news.values()):
            self._out.publish(feed.REPORTS, frame)
        if self._gate.authorized is not None and self._keys_stamp() != self._keys_seen:
            self._read_keys()
        for row in list(self._unsaved.values()):
            self._save(row)

    # -- messages -----------------------------------------------------------------------------------------------

    def _received(self, route: bytes, frames: list[zmq.Frame]) -> None:
        received_utc_ns = time.time_ns()
        if not frames:
            return  # an empty message; ZeroMQ does not let it through, but does not promise that
        grant = self._gate.grant(user_of(frames[-1]))
        peer = grant.name if grant is not None and grant.public else address_of(frames[-1])
        if grant is None:
            self._refuse(route, peer, "its key was revoked; get a new one from whoever runs the broker")
            return
        try:
            if len(frames) > 1:
                raise ProtocolError(f"receiving a message: {len(frames)} parts, expected one")
            message = decode(frames[0].buffer)
        except ProtocolError as error:
            self._refuse(route, peer, str(error))
            return
        reason = objection(grant, message)
        if not reason and isinstance(message, Beat | Report | Done | ClockAsk | PeersAsk | LogLine):
            if self._gate.note_route(node_of(message), route):
                self._from_node(route, message, frames[0], received_utc_ns)
                return
            reason = "there are too many nodes already"
        if reason:
            self._refuse(route, peer, reason)
        else:
            self._from_client(route, peer, grant, message)

    def _from_node(
        self,
        route: bytes,
        message: Beat | Report | Done | ClockAsk | PeersAsk | LogLine,
        frame: zmq.Frame,
        received_utc_ns: int,
    ) -> None:
        match message:
            case ClockAsk():
                self._out.send(route, ClockAnswer(message.number, received_utc_ns, time.time_ns()))
            case PeersAsk():
                self._out.send(route, self._peers())
            case LogLine():
                self._out.note(message)
            case Report():
                self._news[message.node] = frame.bytes
                self._pass_on(message)
                self._give(ce.Heard(message))
            case Done():
                self._news[message.report.node] = encode(message.report)
                self._pass_on(message.report)
                self._give(ce.Heard(message))
            case Beat():
                self._give(ce.Heard(message))
            case _:
                assert_never(message)

    def _pass_on(self, news: Cluster | Report) -> None:
        if self._options.on_news is not None:
            self._options.on_news(news)

    def _from_client(self, route: bytes, peer: str, grant: Grant, message: Message) -> None:
        """What clients send, and `Fetch`, which nodes send, too."""
        self._asked_at = time.monotonic()
        match message:
            case Fetch():
                part = self._setups.part(message)
                self._out.send(route, part or Refused(f"the broker does not have the setup {message.setup_id[:12]}"))
            case Ask():
                self._give(ce.Asked(route.hex(), grant.name, grant.role is Role.OPERATOR, message))
            case Chunk():
                self._take_chunk(route, peer, message)
            case LogAsk():
                self._out.send(route, self._out.lines(message))
            case Inquire():
                is_here = self._setup_about and self._setup_about["setup_id"] == self._brain.setup_id
                setup = {**self._setup_about, **self._brain.choices} if is_here else {}
                me = self._about(grant)
                self._out.send(route, answer(message, self._runs, setup, me, self._gate.authorized))

    def _take_chunk(self, route: bytes, peer: str, chunk: Chunk) -> None:
        try:
            self._out.send(route, self._setups.take(chunk))
        except SetupError as error:
            self._refuse(route, peer, str(error))
        except OSError as error:
            self._out.say("error", f"storing a setup: {error}")
            self._out.send(route, Refused(f"the broker cannot store the setup: {error.strerror}; see to its disk"))

    def _about(self, grant: Grant) -> dict[str, Any]:
        return {
            "name": grant.name,
            "role": grant.role.value,
            "may_command": grant.role is Role.OPERATOR,
            "is_secure": self.is_secure,
            "has_keys": self._options.needs_keys,
            "epoch": self._brain.epoch,
            "log": self._out.newest_line,
            "versions": own_versions(),
            "refused_messages": self._gate.refused,
        }

    def _refuse(self, route: bytes, peer: str, reason: str) -> None:
        words = self._gate.refuse(peer, reason, self._now)
        if words:
            self._out.say("warning", f"a message from {peer} was not accepted: {words}")
        self._out.send(route, Refused(sendable(reason)))

    # -- the brain ----------------------------------------------------------------------------------------------

    def _give(self, event: ce.Event) -> None:
        """Let the brain handle something, and carry out what it wants."""
        self._events.append(event)
        if len(self._events) > 1:
            return  # the answer to a question of the brain: it has its turn after the effects that are going on
        while self._events:
            for effect in self._brain.handle(self._events[0], self._now):
                self._carry_out(effect)
            self._events.popleft()

    def _carry_out(self, effect: ce.Effect) -> None:
        match effect:
            case ce.Send(node, do):
                route = self._gate.route(node)
                if route is not None:
                    self._out.send(route, do)
            case ce.Reply(client, message):
                self._out.send(bytes.fromhex(client), message)
            case ce.LoadSetup(ticket, setup_id):
                self._loader.begin(ticket, setup_id)
            case ce.AskRunNumber(ticket, at_least):
                self._allot(ticket, at_least)
            case ce.SaveRun(row):
                self._save(row)
            case ce.LateAccount(run, node, account):
                try:
                    self._runs.add_account(run, node, account)
                except sqlite3.Error as error:
                    self._out.say("error", f"run {run}: the late account of {node} is not in the database: {error}")
            case ce.Say(level, text):
                self._out.say(level, text)
            case ce.Publish(cluster):
                self._out.publish_cluster(cluster)
                self._pass_on(cluster)
            case ce.Leave():
                self._is_over = True
            case _:
                assert_never(effect)

    def _allot(self, ticket: int, at_least: int) -> None:
        ask = self._options.next_number
        try:
            self._give(ce.RunNumber(ticket, self._runs.next_number(at_least) if ask is None else ask()))
        except BrokerError as error:
            self._give(ce.Impossible(ticket, sendable(str(error))))
        except (OSError, sqlite3.Error) as error:
            text = f"no run number can be given, because the broker cannot write to {self._options.state}: {error}"
            self._give(ce.Impossible(ticket, sendable(text)))

    def _save(self, row: ce.RunRow) -> None:
        """Write a run; if that fails, say so once and try again every second."""
        try:
            self._runs.save(row)
        except sqlite3.Error as error:
            if row.run not in self._unsaved:
                self._out.say("error", f"run {row.run} cannot be written to the run database: {error}. See to the disk")
            self._unsaved[row.run] = row
        else:
            if self._unsaved.pop(row.run, None) is not None:
                self._out.say("info", f"run {row.run} is in the run database now")

    def _say_how_it_starts(self) -> None:
        where = f"the broker listens on {self.endpoints}"
        if self._options.is_insecure:
            self._out.say("warning", f"INSECURE: {where} without keys: everybody who can reach it can command it")
        else:
            self._out.say("info", f"{where}, {'with keys' if self._options.needs_keys else 'for this host only'}")
        if self._runs.set_aside is not None:
            text = f"the run database was damaged; it is kept as {self._runs.set_aside}, and a new one was begun"
            self._out.say("error", f"{text}. Run numbers go on")
        if self._gate.authorized is not None and not self._gate.authorized.grants:
            self._out.say("warning", "no key is on the list; make some: mimodaq keys create NAME --role host|operator")

    # -- keys ---------------------------------------------------------------------------------------------------

    def _keys_stamp(self) -> tuple[int, ...]:
        try:
            found = os.stat(self._options.state / AUTHORIZED_FILE)
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _read_keys(self) -> None:
        """The list of keys has changed: use it, tell the nodes, and let those go that are not on it any more."""
        self._keys_seen = self._keys_stamp()
        try:
            authorized = read_authorized(self._options.state)
        except KeysError as error:
            self._out.say("error", f"{error}. The keys known so far stay valid")
            return
        is_one_gone = self._gate.use(authorized)
        assert self._door is not None
        self._door.use(authorized)
        if is_one_gone:
            self._out.throw_out_watchers(self._context, self.endpoints, self._pair)
        self._out.say("info", f"the list of keys has changed; {len(authorized.grants)} are valid")
        peers = self._peers()
        for route in self._gate.routes():
            self._out.send(route, peers)

    def _peers(self) -> Peers:
        lines = self._gate.authorized.lines() if self._gate.authorized is not None else ()
        return Peers(lines, self.is_secure)
