"""What daemons need of the operating system."""

import os
import select
import signal
import socket
import subprocess
import sys

import pytest

from mimodaq.system import FolderLock, LockedError, Notifier, private_folder, read_number, runtime_home, write_file


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "file"
    write_file(path, b"one")
    write_file(path, b"two", mode=0o644)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_file(tmp_path / "file", b"one")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("content", "number"), [(None, 0), (b"17\n", 17), (b"", 0), (b"x", 0), (b"\xff", 0)])
def test_a_number_is_read_back_or_there_is_none(tmp_path, content, number):
    if content is not None:
        write_file(tmp_path / "n", content)
    assert read_number(tmp_path / "n") == number


def test_a_folder_has_one_owner_and_none_after_it_is_released(tmp_path):
    first = FolderLock(tmp_path, "a broker", "Use that one.")
    with pytest.raises(LockedError, match=rf"a broker that is running \(process {os.getpid()}\)\. Use that one\."):
        FolderLock(tmp_path, "a broker", "Use that one.")
    first.release()
    FolderLock(tmp_path, "a broker", "").release()


def test_a_killed_owner_owns_nothing(tmp_path):
    code = "import sys, time; from pathlib import Path; from mimodaq.system import FolderLock\n"
    code += "lock = FolderLock(Path(sys.argv[1]), 'a', 'b'); print('mine', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert select.select([other.stdout], [], [], 30)[0]
        with pytest.raises(LockedError, match=str(other.pid)):
            FolderLock(tmp_path, "a", "b")
        other.send_signal(signal.SIGKILL)
        other.wait(30)
    FolderLock(tmp_path, "a", "b").release()


def test_a_private_folder_is_made_once(tmp_path):
    path = private_folder(tmp_path / "a" / "b")
    assert path.stat().st_mode & 0o777 == 0o700
    path.chmod(0o750)
    assert private_folder(path).stat().st_mode & 0o777 == 0o750


def test_sockets_are_where_the_login_has_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert runtime_home() == tmp_path / "mimodaq"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert runtime_home() == tmp_path / "mimodaq" / "run"


@pytest.fixture
def systemd(monkeypatch, tmp_path):
    """What a service manager hears."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield heard


def test_systemd_is_told(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = Notifier()
    assert "NOTIFY_SOCKET" not in os.environ, "children would speak for the daemon"
    notifier.ready("on 127.0.0.1:7788")
    assert systemd.recv(100) == b"READY=1\nSTATUS=on 127.0.0.1:7788"
    for now in (10.0, 10.1, 11.4, 11.6):
        notifier.alive(now)
    notifier.stopping()
    assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_watchdog_for_another_process_is_not_fed(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Notifier().watchdog_s is None


def test_without_systemd_nothing_is_told(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.ready("")
    notifier.alive(1.0)
    assert notifier.watchdog_s is None


def test_a_manager_that_has_gone_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    Notifier().ready("")
