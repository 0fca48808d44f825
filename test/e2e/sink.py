"""stream_sink, and what it has written compared with what was carried."""

import collections
import os

from network import ADDRESS
from system import BUILD

STREAM_SINK = os.path.join(BUILD, "test/e2e/stream_sink")

# include/mos_ext.h
MISSED, OVERRUN, NO_ROOM, BEYOND_WINDOW, CONFLICT, RESTART = range(1, 7)

# What the log must never say.
WRONG = ("twice", "peek-failed", "info-failed", "gap-failed")

DIFFERENCES_MAX = 5

Line = collections.namedtuple("Line", "pid what name side numbers")


def common_length(a, b):
    """How many bytes both begin with."""
    same, end = 0, min(len(a), len(b))
    while same < end:
        half = (same + end + 1) // 2
        if a[same:half] == b[same:half]:
            same = half
        else:
            end = half - 1
    return same


def flow_name(port, server_port=8000):
    """The name of a client's connection in stream_sink's files."""
    return f"{ADDRESS['client']}:{port}-{ADDRESS['server']}:{server_port}"


class Sink:
    """The directory that all workers of a system write to."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()

    def command(self, system, mode="mixed", work_us=0):
        return [STREAM_SINK, "-f", system.config, "-d", str(self.directory), "-m", mode,
                "-w", str(work_us)]

    def log(self, *whats):
        """All lines, or those that say one of these things."""
        path = self.directory / "log"
        text = path.read_text(encoding="ascii") if path.exists() else ""
        rows = (line.split(" ") for line in text[:text.rfind("\n") + 1].splitlines())
        lines = (Line(int(row[0]), *row[1:4], tuple(map(int, row[4:]))) for row in rows)
        return [line for line in lines if not whats or line.what in whats]

    def ends(self):
        """{(name, side): (size, next, iss)}"""
        return {(line.name, line.side): line.numbers for line in self.log("end")}

    def content(self, name, side):
        path = self.directory / f"{name}.{side}"
        return path.read_bytes() if path.exists() else b""

    def announced(self):
        """{(name, side): [(from, to) of bytes that could not be read, ...]}"""
        found = collections.defaultdict(list)
        for line in self.log("lost", "hole"):
            found[line.name, line.side].append((line.numbers[0], sum(line.numbers)))
        return found

    def errors(self, cause):
        """{(name, side): [(from, to) of each MOS_ON_ERROR, ...]}"""
        found = collections.defaultdict(list)
        for line in self.log("error"):
            if line.numbers[0] == cause:
                found[line.name, line.side].append((line.numbers[1], sum(line.numbers[1:3])))
        return found

    def compare(self, name, side, carried, holes=()):
        """None when all is as it was carried but for the holes, which are zeros; else what is not.
        """
        got = self.content(name, side)
        expected = bytearray(carried)
        for start, end in holes:
            expected[start:end] = bytes(end - start)
        if got == expected:
            return None
        return (f"{name}.{side}: differs from byte {common_length(got, expected)} on, "
                f"{len(got)} bytes instead of {len(carried)}, but for the holes {list(holes)}")

    def story(self, name):
        """The lines of one connection, for the reader of a failed test."""
        return "".join(f"\n    {line.pid} {line.what} {line.side} {line.numbers}"
                       for line in self.log() if line.name == name)

    def differences(self, exchange, struck=()):
        """What is not as the exchange has carried it, but for announced holes: in words. A struck
        flow may have lost its SYN, and not be followed at all."""
        holes, ends, found = self.announced(), self.ends(), []
        for port, sides in exchange.carried.items():
            for side, carried in sides.items():
                key = flow_name(port), side
                if key[0] in struck and key not in ends:
                    continue
                difference = self.compare(*key, carried, holes.get(key, ()))
                if difference is None and ends[key][:2] != (len(carried), len(carried)):
                    difference = f"{key}: at the end {ends[key]} for {len(carried)} bytes"
                if difference is not None:
                    found.append(difference + self.story(key[0]))
        return found

    def assert_whole(self, exchange, struck=()):
        """Every byte was read as it was carried, or was announced as missing."""
        found = self.differences(exchange, struck)
        assert not found, "\n".join([f"{len(found)} differences", *found[:DIFFERENCES_MAX]])
        assert not self.log(*WRONG)
