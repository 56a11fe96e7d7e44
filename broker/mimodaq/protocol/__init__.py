"""Decisions without sockets, clocks or files: `handle(event, now) -> effects`."""
