"""Killing workers while connections are carried, and who may suffer from it: for each death the one
flow that the worker had in hand, which the primary names.
"""

import os
import random
import signal
import time

from exchange import SEED
from sink import MISSED, RESTART
from system import wait_until

KILL_EVERY_S = 1.0


def kill_until(system, over):
    """Kill a worker each second, one after the other, until over(). How many were killed."""
    chance = random.Random(SEED)
    kills, start = 0, time.monotonic()
    while not over():
        at = start + (kills + chance.random()) * KILL_EVERY_S
        wait_until(lambda: time.monotonic() > at or over(), "it is time")
        shard = kills % 2
        since = system.primary.mark()
        pid = system.primary.holder(shard)
        os.kill(pid, signal.SIGKILL)
        system.primary.wait_line(f"shard {shard}: worker pid {pid} died", since)
        system.primary.wait_line(f"shard {shard}: served by", since)
        kills += 1
    return kills


def suspects(system):
    """The names of the flows on which workers died, as in stream_sink's files."""
    found = system.primary.find(r"died: .* flow \d+ \(([0-9.:]+) > ([0-9.:]+)\)")
    return [f"{match[1]}-{match[2]}" for match in found]


def assert_only_suspects_suffer(system, sink, kills):
    """Holes are in suspect flows only, and what the library has lost it has told by an event."""
    counters, struck, holes = system.primary.counters(), suspects(system), sink.announced()
    print(f"{kills} kills, {len(struck)} suspect flows; holes: {dict(holes)}")
    assert counters["worker_deaths"] == kills and len(struck) <= kills
    assert counters["unmonitored_noworker"] + counters["unmonitored_ring"] == 0, "not all was seen"
    assert {name for name, _ in holes} <= set(struck)
    errors, lost = sink.log("error"), sink.log("lost")
    assert {line.name for line in errors} <= set(struck)
    assert {line.numbers[0] for line in errors} <= {RESTART, MISSED}
    assert {(line.name, line.side) for line in lost} <= {(line.name, line.side) for line in errors}
