"""Node daemons without rings and processes: the real brain, the real wire, a setup that is fetched and loaded."""

import threading
import time
from contextlib import contextmanager
from queue import SimpleQueue

import zmq

from mimodaq.config import load_unpacked, unpack_setup
from mimodaq.keys import use_key
from mimodaq.protocol import messages as m
from mimodaq.protocol import node_events as ne
from mimodaq.protocol import parts as p
from mimodaq.protocol import run as runs
from mimodaq.protocol.codec import decode, encode
from mimodaq.protocol.node_brain import NodeBrain
from mimodaq.protocol.plan import make_plan

STEP_S = 0.02
EVENTS_PER_STEP = 10


class FakeNode:
    """One node. Its workers are ready at once; sources give events while they are not held."""

    def __init__(self, nodes, name, endpoints, key=None, epoch=1):
        self.nodes, self.name = nodes, name
        self.socket = nodes.context.socket(zmq.DEALER)
        self.socket.linger = 0
        if key is not None:
            use_key(self.socket, key)
        self.socket.connect(endpoints.control)
        self.brain = NodeBrain(name, epoch)
        self.heard = []
        self.parts, self.waiting = b"", None
        self.workers, self.events, self.is_held, self.is_ending = {}, 0, True, False
        self.is_silent = False
        """Cut off: nothing goes in or out."""
        self.is_deaf = False
        """Does not hear commands."""
        self.asked = 0
        self.give(ne.Boot())

    def give(self, event):
        for effect in self.brain.handle(event, time.monotonic()):
            self.carry_out(effect)

    def send(self, message):
        if not self.is_silent:
            self.socket.send(encode(message), zmq.NOBLOCK)

    def ask(self, kind):
        """Send a ClockAsk or a PeersAsk."""
        self.asked += 1
        self.send(kind(self.name, self.brain.epoch, self.asked))

    def step(self):
        while self.socket.poll(0):
            message = decode(self.socket.recv())
            if self.is_silent or (self.is_deaf and isinstance(message, m.Do)):
                continue
            self.heard.append(message)
            match message:
                case m.Do():
                    self.give(message)
                case m.Chunk():
                    self.take_part(message)
        if self.brain.run is not None:
            self.work()
        if time.monotonic() >= self.brain.deadline(time.monotonic()):
            self.give(ne.Wake())

    # -- the setup

    def take_part(self, chunk):
        if self.waiting is None or chunk.offset != len(self.parts):
            return
        self.parts += chunk.data
        ticket, setup_id = self.waiting
        if len(self.parts) < chunk.total:
            self.send(m.Fetch(setup_id, len(self.parts)))
            return
        folder = self.nodes.folder / self.name / setup_id
        unpack_setup(self.parts, folder)
        self.waiting = None
        self.give(ne.Prepared(ticket, make_plan(load_unpacked(folder)).nodes[self.name]))

    # -- the run

    def work(self):
        plan, run = self.brain.plan, self.brain.run
        if not (self.is_held or self.is_ending):
            self.events += EVENTS_PER_STEP if plan.has_sources else 0
        for worker in [worker for worker in self.workers if self.is_done(worker)]:
            del self.workers[worker]
            self.give(ne.InRun(run, runs.Exited(worker, None)))
        if self.brain.run != run:
            return
        line = p.BufferLine("RB_1", self.events, 500.0, 4000.0, 0.25, 0.1, ("Fkt_2",))
        links = tuple(
            p.LinkLine(link.name, True, 500.0, 4000.0, 3, 2, 0, 0, 0.001) for link in (*plan.outgoing, *plan.incoming)
        )
        host = p.HostLine(0.5, 0.25, 41.0, 10**10)
        self.give(ne.Looked(ne.Figures(self.events, (line,), links, p.ClockLine(0.0001, 0.00001, 0), host)))
        self.give(ne.InRun(run, runs.Tick(drained=True)))

    def is_done(self, worker):
        """Sources end when told to, and everything behind them when what it reads has ended."""
        plan = self.brain.plan
        link = next((one for one in plan.incoming if one.name == worker.function), None)
        if link is not None:
            sender = self.nodes.by_name.get(link.sender)
            return self.is_ending and sender is not None and worker not in sender.workers
        function = next((one for one in plan.functions if one.name == worker.function), None)
        if function is not None and function.is_source:
            return self.is_ending
        return self.is_ending and not any(w != worker and self.feeds(w, worker) for w in self.workers)

    def feeds(self, one, other):
        """Sources before links before functions, which is enough for a chain."""
        return self.rank(one) < self.rank(other)

    def rank(self, worker):
        plan = self.brain.plan
        if worker.function in {link.name for link in plan.incoming}:
            return 0
        function = next((f for f in plan.functions if f.name == worker.function), None)
        return 0 if function is not None and function.is_source else 1

    def carry_out(self, effect):
        match effect:
            case ne.Send(message):
                self.send(message)
            case ne.Prepare(ticket, setup_id):
                self.parts, self.waiting = b"", (ticket, setup_id)
                self.send(m.Fetch(setup_id, 0))
            case ne.MakeRings(ticket):
                self.workers, self.events, self.is_held, self.is_ending = {}, 0, True, False
                self.give(ne.RingsMade(ticket))
            case ne.CloseBooks(ticket):
                self.give(ne.BooksClosed(ticket, *self.books()))
            case runs.Launch(worker):
                self.workers[worker] = True
                self.nodes.later(lambda: self.give(ne.InRun(self.brain.run or 0, runs.Ready(worker))))
            case runs.PauseSources():
                self.is_held = True
            case runs.ResumeSources():
                self.is_held = False
            case runs.EndSources() | runs.CloseBuffers():
                self.is_ending = True
            case runs.Interrupt(worker) | runs.Kill(worker):
                if self.workers.pop(worker, None):
                    self.nodes.later(lambda: self.give(ne.InRun(self.brain.run or 0, runs.Exited(worker, "killed"))))
            case ne.Leave():
                self.nodes.by_name.pop(self.name, None)
                self.nodes.later(self.socket.close)
            case runs.Say(level, text):
                self.send(m.LogLine(self.name, time.time_ns(), level, "run", text))

    def books(self):
        plan = self.brain.plan
        rings = tuple(
            p.RingLedger(r.name, tuple(p.GroupLedger(g, self.events, self.events, 0, 0) for g in r.groups))
            for r in plan.rings
        )
        total = max((node.events for node in self.nodes.by_name.values()), default=0)
        links = [p.LinkLedger(link.name, True, total) for link in plan.outgoing]
        links += [p.LinkLedger(link.name, False, total) for link in plan.incoming]
        return rings, tuple(links)


class Nodes:
    """Several nodes in one thread."""

    def __init__(self, folder):
        self.folder = folder
        self.context = zmq.Context()
        self.by_name = {}
        self._todo = SimpleQueue()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.failure = None

    def later(self, what):
        """Do something in the thread of the nodes."""
        self._todo.put(what)

    def do(self, what):
        """The same, and wait for it."""
        done = threading.Event()
        self.later(lambda: (what(), done.set()))
        assert done.wait(20), self.failure

    def add(self, name, endpoints, key=None, epoch=1):
        self.do(lambda: self.by_name.__setitem__(name, FakeNode(self, name, endpoints, key, epoch)))
        return self.by_name[name]

    def states(self):
        return {name: node.brain.state for name, node in list(self.by_name.items())}

    def _run(self):
        try:
            while not self._is_over.is_set():
                for _ in range(self._todo.qsize()):
                    self._todo.get()()
                for node in list(self.by_name.values()):
                    node.step()
                zmq.select([node.socket for node in self.by_name.values()], [], [], STEP_S)
        except BaseException as error:
            self.failure = error
            raise

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()
        self.context.destroy(0)
        assert self.failure is None, self.failure


@contextmanager
def nodes_of(folder, endpoints, *names, keys=None):
    """Nodes that are known to the broker."""
    with Nodes(folder) as nodes:
        for name in names:
            nodes.add(name, endpoints, (keys or {}).get(name))
        yield nodes
