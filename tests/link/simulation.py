"""A link, or several of one reader group, on a virtual clock over a network that does what it likes.

The sessions are the real ones and every message goes through the real codec; rings, processes and network are models:
rings survive a crash of the process that uses them, nothing else does. A schedule follows from its seed alone; run one
again with `MIMODAQ_LINK_SEED=SEED python -m pytest tests/link/test_schedules.py`.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from mimodaq.protocol import link, link_receiver, link_sender
from mimodaq.protocol.link import Batch, Cut, Finish, Gap, GiveUp, Identity, Message, Outcome, Settings
from mimodaq.protocol.link_messages import Ack, Bye, Hello, Open, Ping, Refused, Unknown, Welcome

EVENT_BYTES = 1000
STEPS = 200_000
"""More steps than any schedule needs: a schedule that takes longer never ends."""


class Crash(Exception):
    """The process is killed here."""


@dataclass
class PlaceModel:
    """What the source ring keeps of a place."""

    stream: int
    released: int = 0
    handed: list[int] = field(default_factory=list)
    is_finished: bool = False

    @property
    def held(self) -> list[int]:
        return self.handed[self.released :]


@dataclass
class SourceModel:
    """A source ring with one reader group."""

    slots: int
    pending: list[int] = field(default_factory=list)
    places: dict[str, PlaceModel] = field(default_factory=dict)
    is_complete: bool = False
    dropped: list[int] | None = None
    """What is thrown away because its link was given up; None = it was not."""

    def room(self) -> int:
        return self.slots - len(self.pending) - sum(len(p.held) for p in self.places.values())

    def take(self, name: str, n: int) -> int | None:
        """How many were handed out; None at the end of the stream."""
        place = self.places[name]
        count = min(n, len(self.pending))
        place.handed += self.pending[:count]
        del self.pending[:count]
        others = any(p.held for other, p in self.places.items() if other != name)
        return None if self.is_complete and not (self.pending or count or others) else count

    def resign(self, name: str) -> None:
        self.pending = sorted(self.pending + self.places.pop(name).held)

    def retire(self, name: str) -> None:
        place = self.places[name]
        self.pending = sorted(self.pending + place.held)
        del place.handed[place.released :]
        place.is_finished = True
        self.dropped = self.dropped or []


@dataclass
class MirrorModel:
    """A mirror ring: what it keeps of its link, its events, and those its consumer has not released."""

    slots: int
    stream: int = 0
    previous: int = 0
    position: int = 0
    is_ended: bool = False
    events: list[int] = field(default_factory=list)
    unread: int = 0
    foreign: int = 0
    """Slots in use by another writer."""

    def room(self) -> int:
        return max(0, self.slots - self.unread - self.foreign)


@dataclass
class World:
    """Everything that happens in one schedule."""

    seed: int
    chaos: random.Random = field(init=False)
    now: float = 0.0
    steps: int = 0
    agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    calm_at: float = 0.0
    """No faults after this moment."""

    def __post_init__(self) -> None:
        self.chaos = random.Random(self.seed)

    def at(self, delay: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (self.now + delay, next(self.numbers), what))

    def fresh(self) -> int:
        return self.chaos.getrandbits(62) | 1

    def run(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            assert self.agenda, "nothing is left to happen, but the schedule is not done"
            self.now, _, what = heapq.heappop(self.agenda)
            self.steps += 1
            assert self.steps < STEPS, "the schedule never ends"
            what()

    @property
    def is_stormy(self) -> bool:
        return self.now < self.calm_at


@dataclass
class Network:
    """The way between the ends of one link."""

    world: World
    drop: float
    double: float
    delay_s: float
    is_ordered: bool
    """Like TCP: nothing overtakes within a connection."""
    cuts: list[tuple[float, float]]
    last: dict[tuple[bytes, bool], float] = field(default_factory=dict)

    def is_cut(self) -> bool:
        return any(begin <= self.world.now < end for begin, end in self.cuts)

    def carry(self, connection: bytes, inward: bool, arrive: Callable[[], None]) -> None:
        chaos = self.world.chaos
        for _ in range(2 if self.world.is_stormy and chaos.random() < self.double else 1):
            if self.is_cut() or (self.world.is_stormy and chaos.random() < self.drop):
                continue
            delay = chaos.expovariate(1 / self.delay_s)
            if self.is_ordered:
                earliest = self.last.get((connection, inward), 0.0)
                self.last[connection, inward] = at = max(earliest, self.world.now + delay)
                delay = at - self.world.now
            self.world.at(delay, arrive)


class Process:
    """Something that can be killed at any moment and is started again."""

    def __init__(self, world: World, crash: float) -> None:
        self.world = world
        self.crash = crash
        self.life = 0
        self.is_alive = self.is_finished = False
        self.outcome: Outcome | None = None
        self.alarm = 0
        self.is_cut = False
        self.cuts: list[Cut] = []

    def risk(self) -> None:
        """A place where the process may die."""
        if self.world.is_stormy and self.world.chaos.random() < self.crash:
            raise Crash

    def guarded(self, work: Callable[[], None]) -> None:
        if self.is_finished:
            return
        try:
            work()
        except Crash:
            self.is_alive = False
            self.life += 1
            self.world.at(self.world.chaos.uniform(0.0, 1.5), lambda: self.guarded(self.start))

    def start(self) -> None:
        raise NotImplementedError

    def cut(self) -> None:
        """The link is given up: a process that lives is told at once, one that is dead when it is started again."""
        self.is_cut = True
        if self.is_alive and not self.is_finished:
            self.guarded(self.hear_of_cut)

    def hear_of_cut(self) -> None:
        raise NotImplementedError

    def look(self) -> None:
        raise NotImplementedError

    def set_alarm(self, at: float) -> None:
        self.alarm += 1
        alarm, life = self.alarm, self.life

        def ring() -> None:
            if self.life == life and self.alarm == alarm and self.is_alive:
                self.guarded(self.look)

        self.world.at(max(0.0, at - self.world.now), ring)


class SenderModel(Process):
    """The shell of a sender."""

    def __init__(self, world: World, cluster: Cluster, name: str, settings: Settings, crash: float) -> None:
        super().__init__(world, crash)
        self.cluster = cluster
        self.name = name
        self.settings = settings
        self.connection = b""
        self.gaps: list[Gap] = []
        self.resigned: dict[int, link_sender.Place] = {}
        self.doubled: list[link_sender.Doubled] = []

    def start(self) -> None:
        self.is_alive = True
        place = self.place()
        if self.cluster.source.places[self.name].is_finished:
            self.is_finished, self.outcome = True, Outcome.CUT if self.is_cut else Outcome.DONE
            return
        self.resigned.pop(place.stream, None)  # killed between the record and the deed
        self.session = link_sender.Sender(identity(self.name), self.settings, place, self.world.fresh)
        self.do(GiveUp() if self.is_cut else link_sender.Begin())
        self.look()

    def hear_of_cut(self) -> None:
        self.do(GiveUp())

    def place(self) -> link_sender.Place:
        source = self.cluster.source
        kept = source.places.setdefault(self.name, PlaceModel(self.world.fresh()))
        return link_sender.Place(kept.stream, kept.released, len(kept.handed))

    def look(self) -> None:
        while wanted := self.session.wanted:
            count = self.cluster.source.take(self.name, wanted)
            self.risk()
            if not count:
                if count is None:
                    self.do(link_sender.SourceEnded())
                break
            self.do(link_sender.Taken(count))
        if self.session.asks_for_end and self.cluster.source.take(self.name, 0) is None:
            self.do(link_sender.SourceEnded())
        self.do(link.Tick())
        if not self.is_finished:
            # the source is polled like the real one, by a take with a short time-out
            pause = 0.02 if self.session.wanted else 10.0
            self.set_alarm(min(self.session.deadline(self.world.now), self.world.now + pause))

    def hear(self, connection: bytes, raw: bytes) -> None:
        def work() -> None:
            if self.is_alive and connection == self.connection:
                self.do(link_sender.Heard(link.decode(raw)))
                self.look()

        self.guarded(work)

    def do(self, event: link_sender.Event) -> None:
        for effect in self.session.handle(event, self.world.now):
            self.risk()
            self.carry_out(effect)
            self.risk()

    def carry_out(self, effect: link_sender.Effect) -> None:
        source = self.cluster.source
        match effect:
            case link_sender.Connect():
                self.connection = f"{self.name}{next(self.world.numbers)}".encode()
            case link.Transmit(message):
                self.cluster.to_receiver(self, link.encode(message), ())
            case link_sender.TransmitBatch(nonce, first, count):
                events = source.places[self.name].handed[first : first + count]
                assert len(events) == count
                batch = Batch(nonce, first, count, events[-1], "none")
                self.cluster.to_receiver(self, link.encode(batch), tuple(events))
            case link_sender.Release(count):
                place = source.places[self.name]
                place.released += count
                assert place.released <= len(place.handed)
            case link_sender.Resign(place):
                self.resigned[place.stream] = place
                self.risk()
                source.resign(self.name)
            case link_sender.Join():
                self.do(link_sender.Joined(self.place()))
            case link_sender.Doubled():
                self.doubled.append(effect)
            case Gap():
                self.gaps.append(effect)
            case Cut():
                self.cuts.append(effect)
            case Finish(Outcome.CUT, _):
                source.retire(self.name)
                self.risk()
                self.is_finished, self.outcome = True, Outcome.CUT
            case Finish(outcome, _):
                if self.name in source.places:  # else it has resigned
                    source.places[self.name].is_finished = outcome is Outcome.DONE
                self.risk()
                self.is_finished, self.outcome = True, outcome


class ReceiverModel(Process):
    """The shell of a receiver."""

    def __init__(self, world: World, cluster: Cluster, name: str, settings: Settings, crash: float) -> None:
        super().__init__(world, crash)
        self.cluster = cluster
        self.name = name
        self.settings = settings
        self.gaps: list[Gap] = []

    @property
    def mirror(self) -> MirrorModel:
        return self.cluster.mirrors[self.name]

    def start(self) -> None:
        self.is_alive = True
        m = self.mirror
        self.backlog: list[list[int]] = []
        kept = link_receiver.Kept(m.stream, m.position, m.is_ended, m.previous)
        self.session = link_receiver.Receiver(
            identity(self.name), self.settings, kept, self.world.fresh, self.world.now
        )
        if self.is_cut:
            self.do(GiveUp(), ())
        self.look()

    def hear_of_cut(self) -> None:
        self.do(GiveUp(), ())
        self.look()

    def look(self) -> None:
        while self.backlog and self.mirror.room():
            self.store()
        self.do(link_receiver.Room(self.mirror.room()), ())
        if self.world.chaos.random() < 0.5:  # or more messages wait
            self.do(link.Tick(), ())
        if not self.is_finished:
            self.set_alarm(self.session.deadline(self.world.now))

    def store(self) -> None:
        m, events = self.mirror, self.backlog[0]
        count = min(len(events), m.room(), self.world.chaos.randint(1, 10))
        assert not m.is_ended
        m.events += events[:count]  # one step with the position, as the ring promises
        m.position += count
        m.unread += count
        self.risk()
        last = events[count - 1]
        del events[:count]
        if not events:
            self.backlog.pop(0)
        self.do(link_receiver.Stored(count, last), ())

    def hear(self, peer: bytes, raw: bytes, events: tuple[int, ...]) -> None:
        def work() -> None:
            if self.is_alive:
                self.do(link_receiver.Room(self.mirror.room()), ())
                self.do(link_receiver.Heard(peer, link.decode(raw)), events)
                self.look()

        self.guarded(work)

    def do(self, event: link_receiver.Event, events: tuple[int, ...]) -> None:
        for effect in self.session.handle(event, self.world.now):
            self.risk()
            self.carry_out(effect, events)
            self.risk()
        waiting = sum(map(len, self.backlog)) * EVENT_BYTES
        assert waiting <= self.settings.window_bytes + self.settings.most_batch_bytes

    def carry_out(self, effect: link_receiver.Effect, events: tuple[int, ...]) -> None:
        m = self.mirror
        match effect:
            case link_receiver.Reply(peer, message):
                self.cluster.to_sender(self, peer, link.encode(message))
            case link_receiver.Store(skip):
                self.backlog.append(list(events[skip:]))
            case link_receiver.Discard():
                self.backlog.clear()
            case link_receiver.BeginStream(stream, position):
                m.previous, m.stream, m.position = m.stream, stream, position
            case link_receiver.EndStream():
                m.is_ended = True
            case Gap():
                self.gaps.append(effect)
            case Cut():
                self.cuts.append(effect)
            case Finish(outcome, _):
                self.is_finished, self.outcome = True, outcome


def identity(name: str) -> Identity:
    return Identity(name, f"ring of {name}", "[]", EVENT_BYTES)


class Cluster:
    """One source ring, one or more links of the same group, a mirror each."""

    def __init__(
        self,
        seed: int,
        *,
        hosts: int = 1,
        give_back_s: float | None = None,
        storm_s: float = 4.0,
        strangers: bool = False,
    ) -> None:
        self.world = world = World(seed)
        chaos = world.chaos
        world.calm_at = storm_s
        self.total = chaos.choice([0, 5, 30, 100])
        self.made = 0
        self.source = SourceModel(chaos.randint(1, 40))
        settings = Settings(
            batch_bytes=chaos.choice([1, 3000, 10000]),
            largest_batch_bytes=chaos.choice([1, 20000]),
            window_bytes=chaos.choice([2000, 15000, 100000]),
            window_batches=chaos.choice([1, 3, 64]),
            give_back_s=give_back_s,
        )
        crash = chaos.choice([0.0, 0.003, 0.02])
        names = [f"link{i}" for i in range(hosts)]
        self.mirrors = {name: MirrorModel(chaos.randint(1, 30)) for name in names}
        self.networks = {name: self.network(storm_s) for name in names}
        self.senders = {name: SenderModel(world, self, name, settings, crash) for name in names}
        self.receivers = {name: ReceiverModel(world, self, name, settings, crash) for name in names}
        self.lost_mirrors: list[MirrorModel] = []
        for process in self.processes:
            world.at(chaos.uniform(0.0, 0.5), lambda process=process: process.guarded(process.start))  # type: ignore[misc]
        self.rate = chaos.choice([20.0, 100.0, 1000.0])
        self.drains = {name: chaos.choice([20.0, 100.0, 400.0]) for name in names}
        self.has_other_writer = chaos.random() < 0.2
        self.produce()
        if strangers:
            self.babble()
        for name in names:
            self.consume(name)

    @property
    def processes(self) -> list[Process]:
        return [*self.senders.values(), *self.receivers.values()]

    def network(self, storm_s: float) -> Network:
        chaos = self.world.chaos
        cuts = []
        for _ in range(chaos.choice([0, 0, 1, 3])):
            begin = chaos.uniform(0.0, storm_s)
            cuts.append((begin, begin + chaos.choice([0.1, 1.0, 3.0])))
        drop, double = (chaos.choice([0.0, 0.05, 0.3]), chaos.choice([0.0, 0.05, 0.5]))
        return Network(self.world, drop, double, chaos.choice([0.0005, 0.01, 0.2]), chaos.random() < 0.4, cuts)

    def babble(self) -> None:
        """Somebody else talks to both ends all the time, in valid messages and in noise."""
        chaos = self.world.chaos
        for name, sender in self.senders.items():
            receiver = self.receivers[name]
            if sender.is_alive and not sender.is_finished:
                message = chaos.choice(messages_of(self.world))
                sender.guarded(lambda s=sender, m=message: s.do(link_sender.Heard(m)))  # type: ignore[misc]
                sender.guarded(lambda s=sender: s.do(link.Garbled("noise")))  # type: ignore[misc]
            if receiver.is_alive and not receiver.is_finished:
                heard = link_receiver.Heard(b"stranger", chaos.choice(messages_of(self.world)))
                receiver.guarded(lambda r=receiver, h=heard: r.do(h, ()))  # type: ignore[misc]
        if not all(p.is_finished for p in self.processes):
            self.world.at(chaos.expovariate(20.0), self.babble)

    def produce(self) -> None:
        while self.made < self.total and self.source.room() > 0 and self.world.chaos.random() < 0.7:
            self.source.pending.append(self.made)
            self.made += 1
        if self.source.dropped is not None:
            self.source.dropped += self.source.pending
            self.source.pending.clear()
        self.source.is_complete = self.made == self.total
        if not self.source.is_complete:
            self.world.at(self.world.chaos.expovariate(self.rate), self.produce)

    def consume(self, name: str) -> None:
        m = self.mirrors[name]
        m.unread -= self.world.chaos.randint(0, m.unread)
        if self.has_other_writer:
            m.foreign = self.world.chaos.randint(0, m.slots // 2)
        if m.unread or not all(p.is_finished for p in self.processes):
            self.world.at(self.world.chaos.expovariate(self.drains[name]), lambda: self.consume(name))

    def to_receiver(self, sender: SenderModel, raw: bytes, events: tuple[int, ...]) -> None:
        connection, receiver = sender.connection, self.receivers[sender.name]
        self.networks[sender.name].carry(connection, True, lambda: receiver.hear(connection, raw, events))

    def to_sender(self, receiver: ReceiverModel, peer: bytes, raw: bytes) -> None:
        sender = self.senders[receiver.name]
        self.networks[receiver.name].carry(peer, False, lambda: sender.hear(peer, raw))

    def run(self) -> None:
        """Until every process has finished."""
        self.world.run(lambda: all(p.is_finished for p in self.processes))

    def run_until_sender_is_done(self) -> None:
        """The same when the mirror may get lost after its end: then nobody will serve it any more."""
        self.world.run(lambda: all(p.is_finished for p in self.senders.values()))

    # -- losing a ring ----------------------------------------------------------------------------------------

    def lose_source(self) -> list[int]:
        """The source host is started again: sender and ring are gone; returns what was in the ring, released or not."""
        sender = self.senders["link0"]
        lost = [*self.source.pending, *(self.source.places["link0"].held if self.source.places else ())]
        self.source = SourceModel(self.source.slots, is_complete=self.source.is_complete)
        self.restart(sender)
        return lost

    def lose_mirror(self) -> None:
        """The host of the mirror is started again: its ring is new."""
        self.lost_mirrors.append(self.mirrors["link0"])
        self.mirrors["link0"] = MirrorModel(self.mirrors["link0"].slots)
        self.restart(self.receivers["link0"])

    def restart(self, process: Process) -> None:
        process.life += 1
        process.is_alive = False
        self.world.at(0.1, lambda: process.guarded(process.start))

    # -- the books --------------------------------------------------------------------------------------------

    def doubled(self) -> int:
        """How many events are in two mirrors, by the records of the two ends."""
        count = 0
        for name, sender in self.senders.items():
            mirror = self.mirrors[name]
            known = {gap.old_stream: gap.old_position for gap in self.receivers[name].gaps}
            known[mirror.stream] = mirror.position
            for stream, place in sender.resigned.items():
                count += max(0, min(known.get(stream, 0), place.taken) - place.released)
        return count


def messages_of(world: World) -> list[Message]:
    """Messages of random content; the nonces are small and thus nobody's."""
    n = world.chaos.randint
    return [
        Hello("another link", "a foreign ring", n(0, 9), "[]", EVENT_BYTES, 1),
        Hello("link0", "a foreign ring", n(0, 9), "[['x', 'f4', [1]]]", EVENT_BYTES, 1),
        Welcome(n(0, 9), n(0, 9), n(0, 9), n(0, 300), n(0, 300), bool(n(0, 1))),
        Refused(n(0, 9), "no"),
        Open(n(0, 9), n(0, 9), n(0, 300), n(0, 9)),
        Batch(n(0, 9), n(0, 300), n(1, 9), n(0, 300), "none"),
        Ping(n(0, 9), n(0, 9), n(0, 300), n(-1, 300)),
        Ack(n(0, 9), n(0, 9), n(0, 300), n(0, 300), bool(n(0, 1)), bool(n(0, 1))),
        Unknown(n(0, 9)),
        Bye(n(0, 9)),
    ]
