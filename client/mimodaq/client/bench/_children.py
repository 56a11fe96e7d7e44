"""The other processes of a measurement: readers and observers of rings, receivers of messages.

Started as `python -m mimodaq.client.bench._children ROLE ARGUMENTS`, with the arguments as JSON. A child writes
`ready`, perhaps with an address, when it is, and at its end one line of JSON. Times are of the monotonic clock, which
all processes of a host share.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from mimodaq.client.bench._results import BenchError

RESULT_S: Final = 120.0
"""How long a child may take to its end."""


class Child:
    """One child process; ended by force when its block is left without its result."""

    def __init__(self, role: str, prefix: Sequence[str] = (), **arguments: Any) -> None:
        self._role = role
        self.address = ""
        """Where it can be reached, if it has said so."""
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", __spec__.name, role, json.dumps(arguments)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its children
        )

    def __enter__(self) -> Self:
        """Wait until the child is ready. Raises BenchError when it dies instead."""
        assert self._process.stdout is not None
        word, _, self.address = self._process.stdout.readline().strip().partition(" ")
        if word != "ready":
            raise BenchError(f"starting a {self._role}: it ended with exit code {self._process.wait()}, see above")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the child if it still runs."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def result(self) -> dict[str, Any]:
        """What the child has found. Raises BenchError when it fails or does not end in time."""
        try:
            output, _ = self._process.communicate(timeout=RESULT_S)
            found: dict[str, Any] = json.loads(output)
        except subprocess.TimeoutExpired:
            raise BenchError(f"waiting for a {self._role}: it did not end within {RESULT_S:.0f} s") from None
        except ValueError as error:
            raise BenchError(f"waiting for a {self._role}: it gave no result, see above") from error
        return found


def _ready(address: str = "") -> None:
    print(f"ready {address}".strip(), flush=True)


def _reader(segment: str, group: str, batch: int) -> dict[str, Any]:
    """Read a ring to its end, by single events or in batches."""
    from mimodaq.ring import Ring

    events = 0
    with Ring.attach(segment).reader(group) as reader:
        _ready()
        if batch:
            while (taken := reader.take(batch)) is not None:
                events += len(taken.events)
                reader.release()
        else:
            get = reader.get
            while get() is not None:
                events += 1
        end = time.monotonic()
    return {"events": events, "end": end}


def _observer(segment: str, rate_hz: float) -> dict[str, Any]:
    """Look at a ring at a fixed rate to its end."""
    from mimodaq.ring import Ring

    seen = 0
    with Ring.attach(segment).observer() as observer:
        _ready()
        while observer.get() is not None:
            seen += 1
            time.sleep(1 / rate_hz)
        torn = observer.torn
    return {"seen": seen, "torn": torn}


def _receiver(address: str, events: int) -> dict[str, Any]:
    """Receive so many messages."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.bind(address)
        _ready()
        receive = socket.recv
        for _ in range(events):
            receive()
        end = time.monotonic()
    return {"events": events, "end": end}


def _latency_reader(segment: str, group: str) -> dict[str, Any]:
    """How long the events of a ring, each with its time of departure in ns, were on their way, in µs."""
    from mimodaq.ring import Ring

    delays = []
    with Ring.attach(segment).reader(group) as reader:
        _ready()
        while (event := reader.get()) is not None:
            now = time.monotonic_ns()
            delays.append((now - int(event["sent"][0])) / 1000)
    return {"delays_us": delays}


def _latency_receiver(address: str, events: int) -> dict[str, Any]:
    """The same for messages."""
    import zmq

    delays = []
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.bind(address)
        _ready(socket.get_string(zmq.LAST_ENDPOINT))
        for _ in range(events):
            message = socket.recv()
            now = time.monotonic_ns()
            delays.append((now - int.from_bytes(message[:8], sys.byteorder)) / 1000)
    return {"delays_us": delays}


def _link_writer(segment: str, events: int, batch: int) -> dict[str, Any]:
    """Commit so many events as they lie in the slots of a ring."""
    from mimodaq.ring import Ring

    with Ring.attach(segment).writer() as writer:
        _ready()
        left = events
        while left:
            left -= len(writer.claim(min(batch, left)).events)
            writer.commit_batch()
    return {"events": events}


def _raw_receiver(address: str, count: int, size: int, span: int, keys: Sequence[str]) -> dict[str, Any]:
    """Receive so many large messages, and copy them to `span` places in turn; `keys` are its public and secret key."""
    import numpy as np
    import zmq

    places = np.ones((span, size), "u1")
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        if keys[0]:
            socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in keys)
            socket.curve_server = True
        socket.bind(address)
        _ready(socket.get_string(zmq.LAST_ENDPOINT))
        used_s = time.process_time()
        for i in range(count):
            frame = socket.recv(copy=False)
            if span:
                places[i % span] = np.frombuffer(frame.buffer, "u1")
        end = time.monotonic()
    return {"end": end, "cpu_s": time.process_time() - used_s}


def _raw_sender(address: str, count: int, size: int, span: int, server: str, keys: Sequence[str]) -> dict[str, Any]:
    """Send so many large messages without copying them: always the same one, or those of `span` places in turn."""
    import zmq

    places = max(1, span)
    memory = memoryview(bytearray(b"m" * (places * size)))
    messages = [memory[i * size : (i + 1) * size] for i in range(places)]
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        if server:
            socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in keys)
            socket.curve_serverkey = server.encode()
        socket.sndhwm = 64
        socket.connect(address)
        _ready()
        begin, used_s = time.monotonic(), time.process_time()
        for i in range(count):
            socket.send(messages[i % places], copy=False)
    return {"begin": begin, "cpu_s": time.process_time() - used_s}


def _paced_writer(segment: str, events: int, rate_hz: float) -> dict[str, Any]:
    """Put events with the time of their departure into a ring, at equal distances."""
    from mimodaq.ring import Ring

    with Ring.attach(segment).writer() as writer:
        _ready()
        begin = time.monotonic()
        for i in range(events):
            time.sleep(max(0.0, begin + i / rate_hz - time.monotonic()))
            slot = writer.slot()
            slot["sent"][0] = time.monotonic_ns()
            writer.commit()
    return {"events": events}


def _watcher(address: str, node: str) -> dict[str, Any]:
    """Listen to a broker without keys; ready once the node is there, and at its end when told that it is silent."""
    from mimodaq.client.bench._silence import is_silent
    from mimodaq.client.session import Session

    with Session.connect(address, is_insecure=True) as session:
        while not any(n.node == node and n.presence == "here" for n in session.status().cluster.nodes):
            session.news(0.05)
        session.news(0.0)
        _ready()
        while not any(is_silent(news, node) for news in session.news(0.05)):
            pass
        return {"told": time.monotonic()}


_ROLES: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "reader": _reader,
    "observer": _observer,
    "receiver": _receiver,
    "latency_reader": _latency_reader,
    "latency_receiver": _latency_receiver,
    "link_writer": _link_writer,
    "raw_receiver": _raw_receiver,
    "raw_sender": _raw_sender,
    "paced_writer": _paced_writer,
    "watcher": _watcher,
}


def main() -> None:
    """Entry point of a child."""
    role, arguments = sys.argv[1:]
    print(json.dumps(_ROLES[role](**json.loads(arguments))), flush=True)


if __name__ == "__main__":
    main()
