"""Addresses as typed; and which of them need keys."""

import pytest

from mimodaq.keys import AddressError, Endpoints, endpoints_of, is_local


@pytest.mark.parametrize(
    ("text", "port", "control", "feed"),
    [
        ("127.0.0.1", None, "tcp://127.0.0.1:7788", "tcp://127.0.0.1:7789"),
        ("daq1.lab", 9000, "tcp://daq1.lab:9000", "tcp://daq1.lab:9001"),
        ("daq1.lab:8000", 9000, "tcp://daq1.lab:8000", "tcp://daq1.lab:8001"),
        ("tcp://daq1:8000", None, "tcp://daq1:8000", "tcp://daq1:8001"),
        ("[::1]:80", None, "tcp://[::1]:80", "tcp://[::1]:81"),
        ("::1", None, "tcp://[::1]:7788", "tcp://[::1]:7789"),
        ("127.0.0.1", 0, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0"),
        ("ipc:///run/x/", None, "ipc:///run/x/control", "ipc:///run/x/feed"),
    ],
)
def test_an_address_means_two_endpoints(text, port, control, feed):
    assert endpoints_of(text, port) == Endpoints(control, feed)


@pytest.mark.parametrize(
    "text",
    ["", "a b", "x:", "x:y", "x:65535", "x:99999", "x:-1", "[::1", "1:2:3", "ipc://here", "ipc:///" + "x" * 101, "x;y"],
)
def test_what_is_no_address_is_refused_in_words(text):
    with pytest.raises(AddressError, match=r"expected|port"):
        endpoints_of(text)


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9:1", "localhost", "[::1]", "ipc:///x"])
def test_addresses_of_this_host_only(text):
    assert endpoints_of(text).is_local


@pytest.mark.parametrize("text", ["0.0.0.0", "10.0.0.1", "daq1", "*", "[::]", "localhost.evil.org"])
def test_addresses_that_others_can_reach(text):
    assert not endpoints_of(text).is_local


def test_a_bare_host_can_be_judged_too():
    assert is_local("127.0.0.1")
    assert not is_local("10.0.0.11")
