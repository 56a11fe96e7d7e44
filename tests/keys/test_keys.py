"""Keys are made once, read only if nobody else can, and taken back for good."""

import os
from datetime import date

import pytest
import yaml

from mimodaq.keys import (
    AUTHORIZED_FILE,
    KeysError,
    broker_pair,
    create,
    default_key,
    key_folder,
    read_authorized,
    read_key,
    revoke,
    state_folder,
)
from mimodaq.protocol.messages import Role

TODAY = date(2026, 5, 4)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def test_one_file_is_all_that_a_person_needs(state, folder):
    path = create("anna", Role.OPERATOR, state, folder, TODAY)
    key = read_key(path)
    assert (key.name, key.role, key.broker) == ("anna", Role.OPERATOR, broker_pair(state).public)
    assert key.secret not in repr(key)
    (grant,) = read_authorized(state).grants
    assert (grant.name, grant.role, grant.public, grant.since) == ("anna", Role.OPERATOR, key.public, "2026-05-04")
    assert read_authorized(state).by_public(key.public) == grant


def test_secrets_are_for_the_owner_alone(state, folder):
    path = create("daq1", Role.HOST, state, folder, TODAY)
    for file in (path, state / "broker.key", state / AUTHORIZED_FILE):
        assert file.stat().st_mode & 0o777 == 0o600
    for made in (state, folder):
        assert made.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_not_used(state, folder, mode):
    path = create("anna", Role.OPERATOR, state, folder, TODAY)
    path.chmod(mode)
    with pytest.raises(KeysError, match=f"mode 0{mode:o}.*chmod 600"):
        read_key(path)


def test_a_broker_key_that_others_can_read_is_not_used(state):
    broker_pair(state)
    (state / "broker.key").chmod(0o644)
    with pytest.raises(KeysError, match="others may read it"):
        broker_pair(state)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no key file"),
        ("name: anna", "role: Field required"),
        ("[1, 2", "no YAML"),
        ("a: &a [*a]", "no"),
        ("\xff\x00", "no"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, words):
    path = tmp_path / "anna.key"
    path.write_bytes(content.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(KeysError, match=words):
        read_key(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(KeysError, match=r"there is no key file .*nobody\.key.*mimodaq keys create"):
        read_key(tmp_path / "nobody.key")


def test_a_name_is_given_once(state, folder):
    create("anna", Role.OPERATOR, state, folder, TODAY)
    with pytest.raises(KeysError, match=r"already.*mimodaq keys revoke anna"):
        create("anna", Role.OBSERVER, state, folder, TODAY)


def test_a_file_that_is_there_is_not_overwritten_and_the_list_stays(state, folder):
    path = create("anna", Role.OPERATOR, state, folder, TODAY)
    revoke("anna", state)
    with pytest.raises(KeysError, match="not overwritten"):
        create("anna", Role.OPERATOR, state, folder, TODAY)
    assert read_authorized(state).grants == ()
    path.unlink()
    create("anna", Role.OPERATOR, state, folder, TODAY)
    assert len(read_authorized(state).grants) == 1


@pytest.mark.parametrize("name", ["", "../anna", "a b", "-x", "a" * 64, "ä"])
def test_names_are_plain(state, folder, name):
    with pytest.raises(KeysError, match="cannot be the name"):
        create(name, Role.HOST, state, folder, TODAY)


def test_a_revoked_key_is_off_the_list(state, folder):
    key = read_key(create("anna", Role.OPERATOR, state, folder, TODAY))
    create("daq1", Role.HOST, state, folder, TODAY)
    assert revoke("anna", state).public == key.public
    assert [grant.name for grant in read_authorized(state).grants] == ["daq1"]
    with pytest.raises(KeysError, match="no key 'anna'; there are: daq1"):
        revoke("anna", state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.append(dict(rows[0])), "there twice"),
        (lambda rows: rows.append({**rows[0], "name": "eve"}), "there twice"),
        (lambda rows: rows[0].update(role="king"), "keys.0.role"),
        (lambda rows: rows[0].update(public="short"), "keys.0.public"),
        (lambda rows: rows[0].update(more=1), "keys.0.more"),
    ],
)
def test_mistakes_in_the_list_are_named(state, folder, change, words):
    create("anna", Role.OPERATOR, state, folder, TODAY)
    content = yaml.safe_load((state / AUTHORIZED_FILE).read_text())
    change(content["keys"])
    (state / AUTHORIZED_FILE).write_text(yaml.safe_dump(content))
    with pytest.raises(KeysError, match=words):
        read_authorized(state)


def test_the_only_key_of_a_person_is_the_default(state, folder, monkeypatch):
    monkeypatch.setenv("MIMODAQ_KEYS", str(folder))
    assert default_key() is None
    create("daq1", Role.HOST, state, folder, TODAY)
    assert default_key() is None
    path = create("anna", Role.OPERATOR, state, folder, TODAY)
    assert default_key() == path
    create("otto", Role.OBSERVER, state, folder, TODAY)
    with pytest.raises(KeysError, match=r"several keys.*anna\.key, otto\.key"):
        default_key()


def test_places_follow_the_environment(monkeypatch, tmp_path):
    for name in ("MIMODAQ_KEYS", "MIMODAQ_STATE", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_folder() == tmp_path / ".config/mimodaq/keys"
    assert state_folder() == tmp_path / ".local/state/mimodaq/broker"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/c")
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")
    assert str(key_folder()) == "/c/mimodaq/keys"
    assert state_folder() == tmp_path / ".local/state/mimodaq/broker"
    monkeypatch.setenv("MIMODAQ_STATE", "/s")
    assert str(state_folder()) == "/s/broker"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(state, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(KeysError, match=r"Choose another place|Choose another"):
        create("anna", Role.OPERATOR, state, closed / "keys", TODAY)
