"""The document of the protocol tells of every message."""

import re
from pathlib import Path

from mimodaq.protocol import codec, feed
from mimodaq.protocol.messages import Topic

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


def test_every_kind_of_message_is_told_of():
    told = set(re.findall(r"`([A-Z][A-Za-z]+)s?`", TEXT))
    known = {cls.__name__ for cls in codec._ALL}
    assert known <= told


def test_topics_version_and_length_are_those_of_the_program():
    for topic in Topic:
        assert f"`{topic.value}`" in TEXT
    for topic in feed.TOPICS:
        assert f"| `{topic.decode()}` |" in TEXT
    assert f"Version {codec.VERSION}." in TEXT
    assert codec.MAX_BYTES == 1 << 20
