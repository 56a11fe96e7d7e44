"""Hosts for tests, see there."""

from mimodaq.client.bench._hosts import Host, HostError, Hosts, why_not

__all__ = ["Host", "HostError", "Hosts", "why_not"]
