"""Look at events of a buffer anywhere in the cluster: copies, at a limited rate, which hold up nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimodaq.client._session_values import SessionError
from mimodaq.client._windows import window_places
from mimodaq.protocol.messages import Topic

if TYPE_CHECKING:
    from mimodaq.client.session import Session
    from mimodaq.link import View


class Looking:
    """The window of the node where a buffer lives. Use it as a context manager."""

    def __init__(self, session: Session, buffer: str, node: str | None = None) -> None:
        """Find the buffer (or a ring such as `RB_1~Fkt_2`). Raises SessionError when there is none."""
        setup, keys = session.inquire(Topic.SETUP), session.inquire(Topic.KEYS)
        place = window_places(setup, keys, session.key, buffer, node)[0]
        self.node, self.ring = place.node, place.rings[0]
        self._window = place.open()
        self._after = -1

    def __enter__(self) -> Looking:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect."""
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
