"""Run a function of the mimoCoRB form in this process, on rings given by name.

This is what a runtime needs: it knows rings, groups and configurations, the function wants lists of setup dictionaries.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mimodaq.mimocorb._endpoints import SetupDict, collect
from mimodaq.mimocorb._slots import Layout
from mimodaq.mimocorb.mimo_buffer import setup_dict
from mimodaq.ring import Ring, RingClosed


class WorkerArguments(NamedTuple):
    """The arguments of a function of the mimoCoRB form; a list is None when it would be empty."""

    source_list: list[SetupDict] | None
    sink_list: list[SetupDict] | None
    observe_list: list[SetupDict] | None
    config_dict: dict[str, Any]
    rb_info: dict[str, str]


def worker_arguments(
    *,
    sources: Sequence[tuple[str, str]],
    sinks: Sequence[str],
    observes: Sequence[str],
    config: Mapping[str, Any],
    rb_assign: Mapping[str, str],
    label: str,
    owner: int | None = None,
) -> WorkerArguments:
    """Describe rings the way a mimoCoRB function wants them.

    sources: (segment, reader group) of each buffer to read. sinks, observes: segments. All in the order of `rb_assign`.
    config: the function's options; `directory_prefix`, the folder for its files, defaults to the working directory.
    label: name of this worker in the rings.

    owner: process whose death ends the run; None = none.

    A ring whose description says ``plain: true`` (one field, written in the setup without a name) is shown without
    field names. Raises SegmentError for a ring that does not exist, TypeError for one whose fields differ in length.
    """
    more = {"label": label} if owner is None else {"label": label, "owner": owner}
    readers = [{**_describe(segment), **more, "group": group} for segment, group in sources]
    writers = [{**_describe(segment), **more} for segment in sinks]
    observers = [{**_describe(segment), **more} for segment in observes]
    prefix = str(config.get("directory_prefix", os.getcwd()))
    # programs put file names straight behind it, as mimoCoRB's ended with a slash
    options = {**config, "directory_prefix": prefix if prefix.endswith("/") else prefix + "/"}
    return WorkerArguments(readers or None, writers or None, observers or None, options, dict(rb_assign))


def _describe(segment: str) -> SetupDict:
    ring = Ring.attach(segment)
    layout = Layout(ring.dtype, plain=bool(ring.description.get("plain")))
    return setup_dict(segment, ring.slots, layout.values_per_slot, layout.dtype)


def call_function(
    function: Callable[..., Any],
    *,
    sources: Sequence[tuple[str, str]],
    sinks: Sequence[str],
    observes: Sequence[str],
    config: Mapping[str, Any],
    rb_assign: Mapping[str, str],
    label: str,
    owner: int | None = None,
) -> None:
    """Run one function of the mimoCoRB form to its end; arguments as in `worker_arguments`.

    It ends by returning or with SystemExit, which is how it leaves at the end of the run. Then this process is done
    with every sink (exactly once, however many Writers the function made), so that the end of the stream reaches
    their readers.

    An exception is passed on, an exit with an error code becomes RuntimeError, and RingClosed is raised if a buffer was
    closed with work left. Then nothing counts as finished: the event in hand goes back to its reader group, and
    the streams of the sinks stay open for a successor.
    """
    arguments = worker_arguments(
        sources=sources,
        sinks=sinks,
        observes=observes,
        config=config,
        rb_assign=rb_assign,
        label=label,
        owner=owner,
    )
    written = [Ring.attach(segment) for segment in sinks]  # now: at the end the names may be gone already
    with collect() as ends:
        try:
            function(*arguments[:4], **arguments.rb_info)
        except SystemExit as end:
            is_normal = end.code in (None, 0)
            ends.leave(is_done=is_normal)
            if not is_normal:
                raise RuntimeError(f"{label} has ended itself with exit code {end.code!r}") from end
        except BaseException:
            ends.leave(is_done=False)
            raise
        else:
            ends.leave(is_done=True)
    if ends.is_aborted:
        raise RingClosed(f"{label}: the run was aborted")
    for ring in written:
        ring.writer(label).close()
