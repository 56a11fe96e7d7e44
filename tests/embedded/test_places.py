"""Where runs of this host are found, and which one is meant by an address."""

import fcntl
import os
import stat

import pytest

from mimodaq.client import _embedded_place
from mimodaq.client._embedded import Begun, Configured, Ended, NotStarted, Order, Refused, as_line, news_of, order_of
from mimodaq.client._embedded_place import HERE, Place, PlaceError, base_folder, meant_by, remove_if_dead, running
from mimodaq.client.session import SessionError
from mimodaq.node._folder import Folder, remove_dead_folders


@pytest.fixture
def runtime(monkeypatch, seat):
    """A folder for sockets, and nobody at the usual address of a broker."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(seat.runtime))
    monkeypatch.setattr(_embedded_place, "DEFAULT_PORT", 1)
    return seat.runtime


@pytest.fixture
def take(monkeypatch, runtime):
    """Make the place of a run, as if by another process each."""
    taken = []

    def make(name, pid):
        with monkeypatch.context() as as_other:
            as_other.setattr(os, "getpid", lambda: pid)
            taken.append(Place(name))
        (taken[-1].path / "control").touch()
        return taken[-1]

    yield make
    for place in taken:
        place.remove()


def test_the_one_run_of_this_host_is_what_the_usual_address_means(take):
    assert running() == []
    assert meant_by(HERE) == HERE
    place = take("muon", 1)
    assert running() == [place.address]
    assert meant_by(HERE) == place.address == f"ipc://{place.path}"
    assert meant_by("daq1:7788") == "daq1:7788"
    place.remove()
    assert meant_by(HERE) == HERE


def test_where_there_are_several_one_must_be_named(take):
    first, second = take("muon", 1), take("pulse shapes", 2)
    with pytest.raises(SessionError, match="several runs go on") as error:
        meant_by(HERE)
    assert first.address in str(error.value)
    assert second.address in str(error.value)
    assert second.path.name == "pulseshapes-2"


def test_a_broker_at_the_usual_address_is_the_one_that_is_meant(take, monkeypatch):
    import socket

    take("muon", 1)
    with socket.create_server((HERE, 0)) as server:
        monkeypatch.setattr(_embedded_place, "DEFAULT_PORT", server.getsockname()[1])
        assert meant_by(HERE) == HERE


def test_what_a_killed_run_has_left_is_removed_by_the_next(take, runtime):
    dead = runtime / "mimodaq" / "runs" / "muon-77"
    take("first", 1)
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "control").touch()
    assert len(running()) == 1
    take("second", 2)
    assert not dead.exists()
    dead.mkdir()
    remove_if_dead(f"ipc://{dead}")
    assert not dead.exists()
    assert len(running()) == 2
    remove_if_dead(running()[0])
    assert len(running()) == 2


def test_a_window_alone_does_not_keep_the_folder_of_a_run_that_was_killed():
    left = {name: Folder.of(f"{os.getpid()}-{name}") for name in ("window[0]", "Fkt_1[0]")}
    locks = []
    for label, folder in left.items():
        locks.append(folder.lock_path(label).open("w"))
        fcntl.flock(locks[-1], fcntl.LOCK_EX)
        folder.release()
    removed = remove_dead_folders()
    assert left["window[0]"].path in removed
    assert left["Fkt_1[0]"].path.is_dir()
    for lock in locks:
        lock.close()
    remove_dead_folders()
    assert not left["Fkt_1[0]"].path.exists()


def test_nobody_else_can_enter(take, runtime):
    place = take("muon", 1)
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o700
    base_folder().chmod(0o755)
    assert running() == []
    with pytest.raises(PlaceError, match="chmod 700"):
        take("second", 2)
    base_folder().chmod(0o700)


def test_a_folder_whose_name_is_too_long_for_sockets_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * 80)))
    assert str(tmp_path) not in str(base_folder())


@pytest.mark.parametrize(
    "news", [Refused("no"), Configured("ipc:///x"), Begun("/a b"), NotStarted("no µ"), Ended(7, "good", "a\nb")]
)
def test_what_is_said_is_understood(news):
    line = as_line(news)
    assert line.count(b"\n") == 1
    assert news_of(line) == news


def test_an_order_is_understood():
    order = Order("setup.yaml", ("runevents=3",), None, "first light", ("mimodaq", "run"))
    assert order_of(as_line(order)) == order
