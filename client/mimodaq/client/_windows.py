"""Where the windows of nodes are, and how to show who one is: all that is needed to look at a run, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mimodaq.client._session_values import SessionError
from mimodaq.keys import Key

if TYPE_CHECKING:
    from mimodaq.link import Window


@dataclass(frozen=True, slots=True)
class WindowPlace:
    """The window of one node."""

    node: str
    endpoint: str
    key: Key | None
    """Who looks; None where there are no keys."""
    server_key: str = ""
    """The node's public key."""
    rings: tuple[str, ...] = ()
    """The rings of the buffer that is looked at, the one meant first."""

    def open(self) -> Window:
        """Connect. Raises SessionError when the node's key is not known."""
        from mimodaq.link import Window

        if self.key is None:
            return Window(self.endpoint)
        if not self.server_key:
            raise SessionError(f"the broker knows no key of {self.node}, so its window cannot be believed")
        return Window(self.endpoint, public_key=self.key.public, secret_key=self.key.secret, server_key=self.server_key)


def window_places(
    setup: Mapping[str, Any], keys: Mapping[str, Any], key: Key | None, buffer: str = "", node: str | None = None
) -> list[WindowPlace]:
    """The windows of a cluster, of all nodes or of those with a ring of a buffer, the one meant first.

    `setup` and `keys` are what the broker has answered (`Topic.SETUP`, `Topic.KEYS`); `buffer` may be a ring such as
    `RB_1~Fkt_2`. Raises SessionError when there is no such buffer.
    """
    ranked = sorted(
        (ring["name"] != buffer, not ring["is_home"], name, ring["name"])
        for name, plan in setup["nodes"].items()
        for ring in plan["rings"]
        if buffer in ("", ring["name"], ring["buffer"]) and node in (None, name)
    )
    if not ranked:
        known = sorted({ring["buffer"] for plan in setup["nodes"].values() for ring in plan["rings"]})
        where = f" on {node}" if node else ""
        raise SessionError(f"there is no buffer {buffer!r}{where}; there are {', '.join(known)}")
    publics = {one["name"]: one["public"] for one in keys["keys"] if one["role"] == "host"}
    rings: dict[str, list[str]] = {}
    for _, _, name, ring in ranked:
        rings.setdefault(name, []).append(ring)
    return [
        WindowPlace(name, setup["windows"][name], key, publics.get(name, ""), tuple(own)) for name, own in rings.items()
    ]
