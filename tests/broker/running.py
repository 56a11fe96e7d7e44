"""Brokers for tests: as a process that can be killed, or in a thread of the test."""

import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import zmq

from mimodaq.broker import Broker, BrokerOptions
from mimodaq.keys import endpoints_of, use_key
from mimodaq.protocol.codec import decode, encode
from mimodaq.protocol.situation import Limits

DEADLINE_S = 30.0
QUICK = Limits(learn_s=0.2)
"""A broker that starts listens only shortly; the rest is as it is."""

_PROCESS = """
import sys
from pathlib import Path
from mimodaq.broker import BrokerOptions
from mimodaq.broker.process import run
from mimodaq.keys import endpoints_of
from mimodaq.protocol.situation import Limits
state, address, port, learn_s, insecure = sys.argv[1:]
options = BrokerOptions(endpoints_of(address, int(port)), Path(state), insecure == "1", Limits(learn_s=float(learn_s)))
run(options, lambda text: print(text, flush=True))
"""


def wait_until(condition, complaint, limit_s=DEADLINE_S):
    """Wait for something that another process or thread does."""
    give_up = time.monotonic() + limit_s
    while not (answer := condition()):
        assert time.monotonic() < give_up, complaint
        threading.Event().wait(0.005)
    return answer


class BrokerProcess:
    """A broker as a process of its own."""

    def __init__(self, state, address="127.0.0.1", port=0, *, insecure=False, learn_s=QUICK.learn_s, env=None):
        command = [sys.executable, "-c", _PROCESS, str(state), address, str(port), str(learn_s), str(int(insecure))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )
        try:
            ready = select.select([self.process.stdout], [], [], DEADLINE_S)[0]
            self.said = self.process.stdout.readline() if ready else ""
            assert self.said, self.process.stderr.read() if self.process.poll() is not None else "the broker is silent"
        except BaseException:
            self.close()
            raise
        where = self.said.split()[2].rstrip(",")
        self.address = where.replace("0.0.0.0", "127.0.0.1")
        self.endpoints = endpoints_of(self.address if "://" not in where else where.rpartition("/")[0])
        self.port = int(where.rpartition(":")[2]) if "://" not in where else 0

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def stop(self):
        """SIGTERM; answers the exit code."""
        self.process.terminate()
        return self.process.wait(DEADLINE_S)

    @contextmanager
    def held(self):
        """SIGSTOP meanwhile."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(DEADLINE_S)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class BrokerThread:
    """A broker in a thread; `do` calls something there."""

    def __init__(self, state, address="127.0.0.1", limits=QUICK, **options):
        self.options = BrokerOptions(endpoints_of(address, 0), state, limits=limits, **options)
        self.broker = self.endpoints = self.failure = None
        self._todo = queue.SimpleQueue()
        self._is_over, self._is_there = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.broker = Broker(self.options)
            self.endpoints = self.broker.endpoints
            self._is_there.set()
            while not self._is_over.is_set():
                self.broker.step(0.02)
                while not self._todo.empty():
                    self._todo.get()()
        except BaseException as error:
            self.failure = error
        finally:
            self._is_there.set()
            if self.broker is not None:
                self.broker.close()

    @property
    def address(self):
        return str(self.endpoints).replace("0.0.0.0", "127.0.0.1")

    def do(self, what):
        answers = queue.SimpleQueue()
        self._todo.put(lambda: answers.put(what(self.broker)))
        return answers.get(timeout=DEADLINE_S)

    def __enter__(self):
        self._thread.start()
        self._is_there.wait(DEADLINE_S)
        if self.failure is not None:
            self._thread.join()
            raise self.failure
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()
        assert self.failure is None, self.failure


class Wire:
    """A bare socket: whatever anybody could send."""

    def __init__(self, endpoints, key=None, most_unread=1000):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvhwm = most_unread
        if key is not None:
            use_key(self.socket, key)
        self.socket.connect(endpoints.control.replace("0.0.0.0", "127.0.0.1"))

    def send(self, *frames):
        self.socket.send_multipart(frames)

    def tell(self, message):
        self.socket.send(encode(message))

    def hear(self, limit_s=DEADLINE_S):
        assert self.socket.poll(limit_s * 1000), "nothing is heard"
        return decode(self.socket.recv())

    def ask(self, message):
        self.tell(message)
        return self.hear()

    def close(self):
        self.context.destroy(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def environment(folder, **more):
    """For commands: nothing of the real user."""
    given = {"MIMODAQ_KEYS": str(folder / "keys"), "MIMODAQ_STATE": str(folder / "state"), "HOME": str(folder)}
    return {**os.environ, **given, **more}
