"""Look at events of a buffer anywhere in the cluster: copies, at a limited rate, which hold up nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mimodaq.client._session_values import SessionError
from mimodaq.protocol.messages import Topic

if TYPE_CHECKING:
    from mimodaq.client.session import Session
    from mimodaq.link import View, Window


class Looking:
    """The window of the node where a buffer lives. Use it as a context manager."""

    def __init__(self, session: Session, buffer: str, node: str | None = None) -> None:
        """Find the buffer (or a ring such as `RB_1~Fkt_2`). Raises SessionError when there is none."""
        from mimodaq.link import Window

        setup = session.inquire(Topic.SETUP)
        self.node, self.ring = _find(setup, buffer, node)
        keys = session.inquire(Topic.KEYS)
        publics = {one["name"]: one["public"] for one in keys["keys"] if one["role"] == "host"}
        endpoint, key = setup["windows"][self.node], session.key
        if key is None:
            self._window: Window = Window(endpoint)
        elif self.node in publics:
            self._window = Window(endpoint, public_key=key.public, secret_key=key.secret, server_key=publics[self.node])
        else:
            raise SessionError(f"the broker knows no key of {self.node}, so its window cannot be believed")
        self._after = -1

    def __enter__(self) -> Looking:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        self._window.close()

    def next(self, most: int = 1, timeout_s: float = 5.0) -> View | None:
        """Newest events that have not been shown yet, perhaps none; None once the run has ended.

        Raises SessionError when the node does not answer or refuses.
        """
        from mimodaq.link import LinkError

        try:
            view = self._window.get(self.ring, most, self._after, timeout_s)
        except (LinkError, TimeoutError) as error:
            raise SessionError(
                f"{error}. A window is open only during a run, and only to keys the node knows"
            ) from error
        if len(view.events):
            self._after = view.newest
        return None if view.is_ended and not len(view.events) else view

    def views(self) -> Iterator[View]:
        """Views of new events as they come, until the run ends; `skipped` tells how many were left out."""
        while (view := self.next()) is not None:
            if len(view.events):
                yield view


def _find(setup: dict[str, Any], buffer: str, node: str | None) -> tuple[str, str]:
    """The node and ring that are meant: the buffer's home, unless a node is named."""
    places = [
        (name, ring["name"], ring["is_home"])
        for name, plan in setup["nodes"].items()
        for ring in plan["rings"]
        if buffer in (ring["name"], ring["buffer"]) and node in (None, name)
    ]
    if not places:
        names = sorted({ring["buffer"] for plan in setup["nodes"].values() for ring in plan["rings"]})
        where = f" on {node}" if node else ""
        raise SessionError(f"there is no buffer {buffer!r}{where}; there are {', '.join(names)}")
    name, ring, _ = max(places, key=lambda place: (place[1] == buffer, place[2]))
    return name, ring
