"""Who may talk to a broker: key files, the list of keys it knows, addresses that need them.

Keys are pairs of CURVE keys (ZeroMQ RFC 26). A person or a host needs exactly one file, which holds its own pair and
the broker's public key; the broker keeps the list of public keys with names and roles.
"""

from mimodaq.keys._address import DEFAULT_PORT, AddressError, Endpoints, endpoints_of, is_local
from mimodaq.keys._authorized import FILE as AUTHORIZED_FILE
from mimodaq.keys._authorized import Authorized, Grant, read_authorized
from mimodaq.keys._files import Key, KeysError, default_key, key_folder, read_key, state_folder
from mimodaq.keys._issue import BrokerPair, broker_pair, create, revoke
from mimodaq.keys._sockets import Doorkeeper, use_key, use_pair, user_of

__all__ = [
    "AUTHORIZED_FILE",
    "DEFAULT_PORT",
    "AddressError",
    "Authorized",
    "BrokerPair",
    "Doorkeeper",
    "Endpoints",
    "Grant",
    "Key",
    "KeysError",
    "broker_pair",
    "create",
    "default_key",
    "endpoints_of",
    "is_local",
    "key_folder",
    "read_authorized",
    "read_key",
    "revoke",
    "state_folder",
    "use_key",
    "use_pair",
    "user_of",
]
