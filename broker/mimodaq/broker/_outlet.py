"""Everything a broker says: to one peer, to everybody who watches, and to the log."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Final

import zmq

from mimodaq.broker._logbook import Logbook
from mimodaq.broker._sockets import Context, Socket, rebind_feed
from mimodaq.keys import BrokerPair, Endpoints
from mimodaq.protocol import feed
from mimodaq.protocol.codec import ProtocolError, encode
from mimodaq.protocol.messages import Cluster, LogAsk, LogBatch, LogLine, Message
from mimodaq.protocol.parts import short

_SHOWN_TEXT: Final = 200


def sendable(text: str) -> str:
    """`text` so that a message can carry it: not too long, and without halves of characters (names of files)."""
    return short(text.encode("utf-8", "replace").decode())


class Outlet:
    """Owns what goes out of the two sockets. Nothing here waits: who does not read misses something."""

    def __init__(
        self, control: Socket, feed_socket: Socket, log: Logbook, on_log: Callable[[LogLine], None] | None
    ) -> None:
        self._control, self._feed, self._log, self._on_log = control, feed_socket, log, on_log

    def close(self) -> None:
        """Close the feed; what was sent is given a moment to leave."""
        self._feed.close()

    def send(self, route: bytes, message: Message) -> None:
        """Send to one peer; may be lost."""
        try:
            self._control.send_multipart((route, encode(message)), zmq.NOBLOCK)
        except ProtocolError as error:
            self.say("error", str(error))
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise

    def publish(self, topic: bytes, frame: bytes) -> None:
        """Give to all who watch."""
        self._feed.send_multipart((topic, frame), zmq.NOBLOCK)

    def publish_cluster(self, cluster: Cluster) -> None:
        """Publish the snapshot with where the log is; if hundreds of nodes complain at length, with less of each."""
        cluster = dataclasses.replace(cluster, log=self.newest_line)
        try:
            frame = encode(cluster)
        except ProtocolError:
            nodes = tuple(dataclasses.replace(node, text=node.text[:_SHOWN_TEXT]) for node in cluster.nodes)
            frame = encode(dataclasses.replace(cluster, nodes=nodes))
        self.publish(feed.CLUSTER, feed.pack_cluster(frame))

    def say(self, level: str, text: str) -> None:
        """Write a line of the broker's own into the log."""
        self.note(LogLine("broker", time.time_ns(), level, "broker", sendable(text)))

    def note(self, line: LogLine) -> None:
        """Keep a line of the log and pass it on."""
        before = self._log.problem
        line = self._log.add(line)
        self.publish(feed.LOG, encode(line))
        if self._on_log is not None:
            self._on_log(line)
        if self._log.problem and not before:
            self.say("error", self._log.problem)

    def lines(self, ask: LogAsk) -> LogBatch:
        """The end of the log, or what has followed a line."""
        return self._log.after(ask.after, ask.lines) if ask.after else self._log.last(ask.lines)

    @property
    def newest_line(self) -> int:
        """Number of the last line of the log."""
        return self._log.newest

    def throw_out_watchers(self, context: Context, endpoints: Endpoints, pair: BrokerPair | None) -> None:
        """Let everybody who watches connect again; only those can who still may."""
        self._feed = rebind_feed(context, self._feed, endpoints, pair)
