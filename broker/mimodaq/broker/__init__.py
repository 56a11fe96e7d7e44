"""The broker of a cluster: sockets, run database and setups around `mimodaq.protocol.cluster_brain`."""

from mimodaq.broker._broker import Broker
from mimodaq.broker._options import BrokerError, BrokerOptions

__all__ = ["Broker", "BrokerError", "BrokerOptions"]
