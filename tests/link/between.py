"""Two ends of a link, or of copies, that talk through somebody between them."""

from __future__ import annotations

import select
from dataclasses import replace
from typing import Final

from link.ends import GROUP, LOCAL, End
from link.relay import Keys, Relay
from mimodaq.link import LinkOrder
from mimodaq.protocol.link import Settings
from mimodaq.ring import Ring

SETTINGS: Final = Settings(heartbeat_s=0.1, silence_s=1.0, batch_bytes=3000, largest_batch_bytes=3000)
NO_KEYS: Final[tuple[Keys, Keys]] = (("", ""), ("", ""))


class Between:
    """The two ends, and the relay, which has the keys of both."""

    def __init__(
        self, roles: tuple[str, str], source: Ring, mirror: Ring, relay: type[Relay], keys: tuple[Keys, Keys]
    ) -> None:
        self.source, self.mirror = source, mirror
        server, client = keys
        there = LinkOrder("link", mirror.segment, LOCAL, settings=SETTINGS)
        there = replace(there, public_key=server[0], secret_key=server[1], client_key=client[0])
        self.receiver = End(roles[1], there).start()
        self.relay = relay(self.receiver.expect("ready")["endpoint"], server, client)
        group = GROUP if roles[0] == "sender" else ""
        here = LinkOrder("link", source.segment, self.relay.endpoint, group, settings=SETTINGS)
        here = replace(here, public_key=client[0], secret_key=client[1], server_key=server[0])
        self.sender = End(roles[0], here).start()

    def step(self, lies: int) -> None:
        """Pass on what is there, tell lies, and see that nobody has died of them."""
        self.relay.step(lies)
        for end in (self.sender, self.receiver):
            assert end.is_running or (lies, end.process.returncode) == (0, 0), f"{end.role} has died"

    def has_heard_much(self, *ends: End) -> bool:
        """Whether these ends have reported a hundred things that were no messages."""
        while ready := select.select(ends, [], [], 0)[0]:
            for end in ready:
                assert end.read(), f"{end.role} has died"
        garbage = [[report.get("garbage", 0) for report in end.reports] for end in ends]
        return all(max(found, default=0) > 100 for found in garbage)

    def pass_on_to_the_end(self) -> None:
        """No lies any more; both ends leave by themselves."""
        self.source.end()
        while self.sender.is_running or self.receiver.is_running:
            self.step(0)
        assert [self.sender.end(), self.receiver.end()] == [0, 0]
