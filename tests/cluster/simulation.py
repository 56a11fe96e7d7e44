"""A whole cluster in one process on a virtual clock: real brains, modelled shells, hosts, workers and disks.

What survives is what would: rings and workers survive their node daemon, nothing survives its host, the run
database and the stored setups survive the broker. `Simulation.check` holds what must be true at every moment.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import count

from mimodaq.protocol import cluster_events as ce
from mimodaq.protocol import codec as c
from mimodaq.protocol import messages as m
from mimodaq.protocol import node_events as ne
from mimodaq.protocol import parts as p
from mimodaq.protocol import run as runs
from mimodaq.protocol.cluster_brain import ClusterBrain
from mimodaq.protocol.membership import Presence
from mimodaq.protocol.node_brain import NodeBrain
from mimodaq.protocol.run import Verdict, WorkerId
from mimodaq.protocol.situation import Limits
from mimodaq.protocol.states import State
from mimodaq.protocol.testing import Network, World

STEP_S = 0.5
LIMITS = Limits(stop_s=60.0, abort_s=20.0)


@dataclass
class Ring:
    plan: object
    held: bool = True
    ending: bool = False
    closed: bool = False
    writers_done: set = field(default_factory=set)
    events: int = 0

    @property
    def ended(self):
        return len(self.writers_done) >= self.plan.writers


@dataclass
class Worker:
    is_ready: bool = False
    is_finished: bool = False
    is_killed: bool = False
    is_cut: bool = False


def carry_out(shell, effects):
    """Carry out effects one by one; a shell whose hours are numbered dies between two of them."""
    for effect in effects:
        if shell.effects_left is not None:
            shell.effects_left -= 1
            if shell.effects_left < 0:
                shell.crash()
                return
        shell.carry_out(effect)


class Host:
    """A host with its node daemon: everything the shell of a node would own."""

    def __init__(self, sim, name):
        self.sim, self.world, self.name = sim, sim.world, name
        self.epoch = 0
        self.memory = None
        self.run = None
        self.rings = {}
        self.workers = {}
        self.brain = None
        self.effects_left = None
        self.is_stopped = False
        self.inbox = []
        self.armed = []
        self.told = (0, 0)
        self.started = set()
        self.is_stuck = False
        self.computer = None
        """How its computer is, as it reports it."""
        self.budget = 10**9
        self.is_faulty = False
        self.is_unfit = False
        """Its setups never load."""
        self.fails_next_launch = False
        sim.network.receivers[name] = lambda sender, packet: self.give(sim.unpack(packet))
        self.boot()

    # -- the daemon

    def boot(self):
        if self.brain is not None:
            return
        self.epoch += 1
        self.newest = p.RequestId(1, 0)
        self.brain = NodeBrain(self.name, self.epoch)
        self.effects_left = None
        memory, plan = self.memory, None
        if memory is not None and memory.setup_id is not None:
            plan = self.sim.plans[memory.setup_id].nodes[self.name]
        fates = {}
        if plan is not None:
            for one in plan.workers():
                worker = self.workers.get(one.id)
                alive = worker is not None and not worker.is_finished
                done = worker is not None and worker.is_finished
                fates[one.id] = ne.Fate.ALIVE if alive else ne.Fate.FINISHED if done else ne.Fate.DEAD
        there = memory is not None and memory.run is not None and self.run == memory.run
        self.give(ne.Boot(memory, plan, there, fates))
        self.wake(self.epoch)

    def crash(self):
        """SIGKILL of the daemon; its workers and rings stay."""
        self.brain, self.inbox, self.is_stopped = None, [], False

    def reboot(self):
        self.crash()
        if self.rings and self.run in self.sim.flowed:
            self.sim.spoiled.add(self.run)
        self.rings, self.workers, self.run = {}, {}, None

    def wake(self, epoch):
        if self.brain is not None and self.epoch == epoch:
            self.give(ne.Wake())
            if self.brain is not None:
                due = max(self.brain.deadline(self.world.now), self.world.now + 0.05)
                self.world.after(due - self.world.now, lambda: self.wake(epoch))

    def give(self, event):
        if self.brain is None:
            return
        if self.is_stopped:
            self.inbox.append(event)
            return
        brain = self.brain
        before = (brain.state, brain.run, brain.setup_id, set(brain.cut))
        is_stale = isinstance(event, m.Do) and self.is_stale(event)
        effects = brain.handle(event, self.world.now)
        if is_stale and brain.node.force_at is None:
            assert (brain.state, brain.run, brain.setup_id, brain.cut) == before, "acted on a message of the past"
        assert brain.plan is None or brain.plan is self.sim.plans[brain.setup_id].nodes[self.name]
        assert (brain.run is not None) == (brain.state.is_in_run), brain.state
        carry_out(self, effects)

    def is_stale(self, do):
        """Meant for another life, from a broker that was replaced, repeated, or overtaken by a later command."""
        if do.node_epoch != self.epoch:
            return True
        is_stale = do.request <= self.newest
        self.newest = max(self.newest, do.request)
        return is_stale

    def later(self, delay_s, event):
        """Answer this life of the daemon after a while."""
        epoch = self.epoch
        self.world.after(delay_s, lambda: self.epoch == epoch and self.give(event))

    def go_on(self):
        """End of SIGSTOP."""
        self.is_stopped = False
        inbox, self.inbox = self.inbox, []
        for event in inbox:
            self.give(event)

    def carry_out(self, effect):
        rng = self.world.rng
        match effect:
            case ne.Send(message):
                report = message.report if isinstance(message, m.Done) else message
                is_new = (report.epoch, report.number) > self.told
                self.told = max(self.told, (report.epoch, report.number))
                if is_new and isinstance(report, m.Report) and self.memory is not None:
                    told, known = (report.run, report.setup_id), (self.memory.run, self.memory.setup_id)
                    assert told == known, "told before it was remembered"
                self.sim.network.send(self.name, "broker", self.sim.pack(message))
            case ne.Remember(memory):
                self.memory = c.decode(c.encode(memory)) if self.sim.with_codec else memory
            case ne.Prepare(ticket, setup_id):
                plan = self.sim.plans[setup_id].nodes[self.name]
                bad = self.is_unfit or (self.is_faulty and rng.random() < 0.3)
                answer = ne.Impossible(ticket, "no such function") if bad else ne.Prepared(ticket, plan)
                self.later(rng.random() * 0.5, answer)
            case ne.MakeRings(ticket, run):
                if self.is_faulty and rng.random() < 0.2:
                    self.later(0.1, ne.Impossible(ticket, "/dev/shm is full"))
                    return
                assert run not in self.armed, f"run number {run} came twice to {self.name}"
                assert not self.armed or run > self.armed[-1]
                assert not self.rings, "rings of another run are still there"
                self.armed.append(run)
                self.run = run
                self.rings = {ring.name: Ring(ring) for ring in self.brain.plan.rings}
                self.later(rng.random() * 0.1, ne.RingsMade(ticket))
            case ne.CloseBooks(ticket, run):
                rings, links = self.count()
                self.later(rng.random() * 0.2, ne.BooksClosed(ticket, rings, links))
            case ne.Clear():
                self.rings, self.workers, self.run = {}, {}, None
            case ne.Leave():
                self.crash()
            case ne.CutLink(link):
                worker = self.workers.get(WorkerId(link, 0))
                if worker is not None:
                    worker.is_cut = True
            case runs.Launch(worker):
                self.launch(worker)
            case runs.PauseSources() | runs.ResumeSources():
                held = isinstance(effect, runs.PauseSources)
                for ring in self.source_rings():
                    ring.held = held
                if not held:
                    if self.brain.plan.has_sources:
                        self.sim.released(self)
                    self.started.add(self.run)
            case runs.EndSources():
                for ring in self.source_rings():
                    ring.ending = True
            case runs.CloseBuffers():
                for ring in self.rings.values():
                    ring.closed = True
            case runs.Interrupt(worker) | runs.Kill(worker):
                if worker in self.workers:
                    self.workers[worker].is_killed = True
            case runs.GiveUp(worker):
                for name in self.writes(worker):
                    self.rings[name].writers_done.add(worker)

    def is_heard(self):
        """The broker knows this life of the daemon."""
        broker = self.sim.broker.brain
        return self.brain is not None and broker is not None and broker.members.epoch(self.name) == self.epoch

    # -- rings and workers, which need no daemon

    def source_rings(self):
        return [ring for ring in self.rings.values() if ring.plan.is_source]

    def plan(self):
        return self.sim.plans[self.memory.setup_id].nodes[self.name]

    def writes(self, worker):
        plan = self.plan()
        if worker.function in self.sim.functions:
            mine = next(f for f in plan.functions if f.name == worker.function)
            return [mine.rings[b] for b in self.sim.functions[worker.function].writes]
        return [link.to_ring for link in plan.incoming if link.name == worker.function]

    def reads(self, worker):
        plan = self.plan()
        if worker.function in self.sim.functions:
            mine = next(f for f in plan.functions if f.name == worker.function)
            return [mine.rings[b] for b in self.sim.functions[worker.function].reads]
        return [link.from_ring for link in plan.outgoing if link.name == worker.function]

    def launch(self, worker):
        process = self.workers[worker] = Worker()
        run, rng = self.run, self.world.rng
        dies = self.fails_next_launch or (self.is_faulty and rng.random() < 0.1)
        self.fails_next_launch = False

        def come_up():
            if self.workers.get(worker) is process and not process.is_finished:
                if dies:
                    self.leave(worker, "ImportError")
                else:
                    process.is_ready = True
                    self.give(ne.InRun(run, runs.Ready(worker)))

        self.world.after(0.05 + rng.random() * 0.4, come_up)

    def leave(self, worker, reason, fatal=False):
        if reason is None:
            self.workers[worker].is_finished = True
            for name in self.writes(worker):
                self.rings[name].writers_done.add(worker)
        else:
            del self.workers[worker]
        self.give(ne.InRun(self.run, runs.Exited(worker, reason, is_fatal=fatal)))

    def step(self):
        """What the workers do in a moment."""
        for worker, process in list(self.workers.items()):
            if process.is_finished or self.workers.get(worker) is not process:
                continue
            if process.is_killed:
                self.leave(worker, "was killed")
            elif process.is_ready:
                self.work(worker, process)
        if self.brain is not None and self.run is not None:
            events = sum(r.events for r in self.rings.values() if r.plan.is_home and r.plan.limit)
            self.give(ne.Looked(ne.Figures(events, self.sim.lines(self), host=self.computer)))
            self.give(ne.InRun(self.run, runs.Moved(frozenset(w.function for w in self.workers))))
            self.give(ne.InRun(self.run, runs.Tick(drained=True)))

    def work(self, worker, process):
        writes, reads = self.writes(worker), self.reads(worker)
        rings = [self.rings[name] for name in (*writes, *reads)]
        if self.is_stuck:
            return
        if any(ring.closed for ring in rings):
            if any(ring.events for ring in rings):
                self.sim.spoiled.add(self.run)
            self.leave(worker, None)
        elif process.is_cut:
            self.sim.spoiled.add(self.run)
            self.leave(worker, None)
        elif reads:
            if all(self.rings[name].ended for name in reads) and self.is_acknowledged(worker):
                self.leave(worker, None)
        elif worker.function in self.sim.functions:
            self.take_data(worker, [self.rings[name] for name in writes])
        else:
            self.receive(worker)

    def take_data(self, worker, rings):
        if any(ring.ending for ring in rings) or self.budget <= 0:
            self.leave(worker, None)
        elif not any(ring.held for ring in rings):
            self.sim.flow(self)
            self.budget -= 1
            for ring in rings:
                ring.events += 10

    def is_acknowledged(self, worker):
        """The sender of a link stays until the other side has everything."""
        link = next((one for one in self.plan().outgoing if one.name == worker.function), None)
        if link is None:
            return True
        far = self.sim.hosts[link.receiver]
        return not self.sim.network.cut & {self.name, link.receiver} and far.run == self.run and worker in far.workers

    def receive(self, worker):
        """The end of the stream comes over the link, if the network lets it."""
        link = next(one for one in self.plan().incoming if one.name == worker.function)
        sender = self.sim.hosts[link.sender]
        if self.sim.network.cut & {self.name, link.sender} or sender.run != self.run:
            return
        process = sender.workers.get(worker)
        if process is not None and process.is_finished:
            self.leave(worker, None)

    def count(self):
        rings = []
        for name, ring in self.rings.items():
            left = ring.events if ring.closed or not ring.ended else 0
            groups = tuple(p.GroupLedger(g, ring.events, ring.events - left, 0, left) for g in ring.plan.groups)
            rings.append(p.RingLedger(name, groups))
        plan = self.plan()
        links = [p.LinkLedger(link.name, True, 0) for link in plan.outgoing]
        links += [p.LinkLedger(link.name, False, 0) for link in plan.incoming]
        return tuple(rings), tuple(links)


class Broker:
    """The broker's shell, with its disk."""

    def __init__(self, sim):
        self.sim, self.world = sim, sim.world
        self.epoch, self.number = 0, 0
        self.rows, self.late = {}, []
        self.brain = None
        self.effects_left = None
        self.ending_since = None
        sim.network.receivers["broker"] = self.receive
        self.boot()

    def boot(self):
        if self.brain is not None:
            return
        self.epoch += 1
        self.brain = ClusterBrain(self.epoch, LIMITS)
        self.effects_left, self.ending_since = None, None
        closed = [run for run, row in self.rows.items() if row.verdict is not None]
        opened = [run for run, row in self.rows.items() if row.verdict is None]
        self.give(ce.Boot(max(closed, default=0), self.rows[max(opened)] if opened else None))
        self.wake(self.epoch)

    def crash(self):
        self.brain = None

    def wake(self, epoch):
        if self.brain is not None and self.epoch == epoch:
            self.give(ce.Wake())
            if self.brain is not None:
                due = max(self.brain.deadline(self.world.now), self.world.now + 0.002)
                self.world.after(due - self.world.now, lambda: self.wake(epoch))

    def receive(self, sender, packet):
        self.give(ce.Heard(self.sim.unpack(packet)))

    def later(self, delay_s, event):
        epoch = self.epoch
        self.world.after(delay_s, lambda: self.epoch == epoch and self.give(event))

    def give(self, event):
        if self.brain is None:
            return
        brain = self.brain
        effects = brain.handle(event, self.world.now)
        assert not brain.aim.is_in_run or brain.books is not None or brain.aim is State.ARMING, brain.aim
        assert brain.books is None or brain.aim.is_in_run or brain.aim is State.RESETTING, brain.aim
        carry_out(self, effects)

    def carry_out(self, effect):
        rng = self.world.rng
        match effect:
            case ce.Send(node, message):
                self.sim.network.send("broker", node, self.sim.pack(message))
            case ce.Reply(client, answer):
                self.sim.answered(client, answer)
            case ce.LoadSetup(ticket, setup_id):
                self.later(rng.random() * 0.2, ce.SetupLoaded(ticket, self.sim.plans[setup_id]))
            case ce.AskRunNumber(ticket, at_least):
                self.number = max(self.number + 1, at_least)
                self.later(rng.random() * 0.1, ce.RunNumber(ticket, self.number))
            case ce.SaveRun(row):
                before = self.rows.get(row.run)
                assert before is not None or row.run > max(self.rows, default=0), "run numbers must grow"
                assert before is None or before.verdict is None, f"run {row.run} was closed already"
                self.rows[row.run] = row
                if row.verdict is Verdict.GOOD:
                    assert row.run not in self.sim.spoiled, f"run {row.run} has lost events and is called good"
                    assert set(row.accounts) == set(self.sim.hosts), "good, although a node has given no account"
                    assert {account.verdict for account in row.accounts.values()} == {Verdict.GOOD}
            case ce.LateAccount(run, node):
                assert self.rows[run].verdict is not None
                self.late.append((run, node))
            case ce.Leave():
                self.crash()
            case ce.Publish(message):
                self.sim.pack(message)
            case ce.Say(_, text):
                self.sim.said.append(text)


class Simulation:
    """A cluster and those who command it."""

    def __init__(self, seed, plans, functions, with_codec=False, lines=lambda host: ()):
        self.world = World(seed)
        self.network = Network(self.world)
        self.plans, self.functions, self.with_codec = plans, functions, with_codec
        self.lines = lines
        self.flowed, self.spoiled = set(), set()
        self.asks, self.answers = {}, {}
        self.said = deque(maxlen=1000)
        self.numbers = count(1)
        names = next(iter(plans.values())).nodes
        self.hosts = {}
        for name in names:
            self.hosts[name] = Host(self, name)
        self.broker = Broker(self)
        self.step()

    def pack(self, message):
        return c.encode(message) if self.with_codec else message

    def unpack(self, packet):
        return c.decode(packet) if self.with_codec else packet

    def step(self):
        for host in self.hosts.values():
            host.step()
        self.check()
        self.world.after(STEP_S, self.step)

    # -- clients

    def ask(self, client, command, operator="anna", may_command=True, **arguments):
        ask = m.Ask(next(self.numbers), command, **arguments)
        self.asks[client, ask.number] = (command, self.world.now, self.broker.epoch)
        self.broker.give(ce.Asked(client, operator, may_command, ask))
        if self.world.rng.random() < 0.1:
            self.broker.give(ce.Asked(client, operator, may_command, ask))
        return client, ask.number

    def answered(self, client, answer):
        assert (client, answer.number) in self.asks, "an answer to nothing"
        before = self.answers.setdefault((client, answer.number), answer)
        assert before == answer, "two answers to one request"

    def do(self, command, limit_s=100.0, **arguments):
        """Ask and wait for the answer."""
        if "on_loss" in arguments:
            arguments["on_loss"] = p.OnLoss(arguments["on_loss"])
        key = self.ask("script", command, **arguments)
        assert self.world.run_until(lambda: key in self.answers, limit_s), f"no answer to {command}"
        return self.answers[key]

    # -- what must be true

    def released(self, host):
        """The sources of a host are let go."""
        if host.run in self.flowed:
            return
        for other in self.hosts.values():
            assert host.run in other.armed, f"run {host.run} starts although {other.name} was never armed for it"
            if not self.plans[host.memory.setup_id].nodes[other.name].has_sources:
                assert host.run in other.started, f"sources of run {host.run} start before the sinks on {other.name}"

    def flow(self, host):
        """A source takes data."""
        self.flowed.add(host.run)
        row = self.broker.rows.get(host.run)
        assert row is not None, "data of a run that is in no database"

    def check(self):
        flowing = {
            h.run
            for h in self.hosts.values()
            for r in h.source_rings()
            if not (r.held or r.ending or r.closed or r.ended)
        }
        assert len(flowing) <= 1, f"runs {flowing} at once"
        brain, now = self.broker.brain, self.world.now
        if brain is None or brain.aim not in (State.STOPPING, State.ABORTING):
            self.broker.ending_since = None
        elif self.broker.ending_since is None:
            self.broker.ending_since = now
        else:
            limit = LIMITS.stop_s + LIMITS.abort_s + 2
            assert now - self.broker.ending_since <= limit, f"the run does not end, {brain.aim}"

    def states(self):
        return {name: host.brain.state if host.brain else None for name, host in self.hosts.items()}

    def is_settled(self):
        """Nothing is going on, and brokers and nodes agree."""
        brain = self.broker.brain
        if brain is None or brain.aim.is_transitional or brain.control.learn_until is not None:
            return False
        if any(brain.members.presence(h.name) is not Presence.HERE or not h.is_heard() for h in self.hosts.values()):
            return False
        return brain.state() is brain.aim or brain.state() is State.ERROR
