"""bytecount: what each connection has carried, to the byte.

Captures made by hand, in which bytes come again, overlap or are missing, with the numbers that must
come of them; and real connections, of which it is known what they carried.
"""

import collections
import itertools
import json
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from captures import ACK, MS, RST, S, Story, merged
from network import unacknowledged
from system import BYTECOUNT, DEADLINE_S, wait_until

TIMEOUT_S = 30
RAW_PORT = 8080
FLOW_AREA = 624
MTU = 1500
KEYS = ("packets", "ip_bytes", "payload", "unique", "resent", "missed")


# name: (what happens, reason, {direction: (payload, unique, resent, missed)}, 0 where not named)
CASES = {
    "nothing": (lambda c: c.closed(0), "fin", {}),
    "all in order": (
        lambda c: c.to_server(0, 700).to_client(0, 1400, 700).to_client(1400, 2000, 700)
                   .closed(700, 2000),
        "fin", {"to_server": (700, 700, 0, 0), "to_client": (2000, 2000, 0, 0)}),
    "again": (
        lambda c: c.to_server(0, 1000).to_server(0, 1000).server_has(1000).closed(1000),
        "fin", {"to_server": (2000, 1000, 1000, 0)}),
    "again in part": (
        lambda c: c.to_server(0, 400).to_server(300, 800).to_server(799, 1001).to_server(1, 1000)
                   .closed(1001),
        "fin", {"to_server": (400 + 500 + 202 + 999, 1001, 100 + 1 + 999, 0)}),
    "out of order": (
        lambda c: c.to_server(500, 1000).to_server(1500, 2000).to_server(0, 500)
                   .to_server(1000, 1500).closed(2000),
        "fin", {"to_server": (2000, 2000, 0, 0)}),
    "across two holes": (
        lambda c: c.to_server(100, 200).to_server(300, 400).to_server(50, 450).to_server(0, 60)
                   .closed(450),
        "fin", {"to_server": (100 + 100 + 400 + 60, 450, 210, 0)}),
    "missed": (
        lambda c: c.to_client(0, 300).to_client(400, 500).client_has(500).to_client(600, 601)
                   .client_has(1000).closed(0, 1000),
        "fin", {"to_client": (401, 401, 0, 100 + 100 + 399)}),
    "all missed": (
        lambda c: c.client_has(1234).closed(0, 1234), "fin", {"to_client": (0, 0, 0, 1234)}),
    "missed, but it comes late": (
        lambda c: c.to_client(100, 200).client_has(200).to_client(0, 100).closed(0, 200),
        "fin", {"to_client": (200, 200, 0, 0)}),
    "not acknowledged is not missed": (
        lambda c: c.to_server(500, 600).server_has(0), "timeout", {"to_server": (100, 100, 0, 0)}),
    "probes": (
        lambda c: c.to_server(-1, 0).to_server(0, 100).server_has(100).to_server(99, 100)
                   .to_server(99, 100).closed(100),
        "fin", {"to_server": (103, 100, 3, 0)}),
    "reset": (
        lambda c: c.to_server(0, 10).server_has(10).send(False, RST | ACK, 0, 10),
        "rst", {"to_server": (10, 10, 0, 0)}),
    "forged reset": (
        lambda c: c.to_server(0, 10).server_has(10).send(False, RST, 1 << 30, 10).closed(10),
        "fin", {"to_server": (10, 10, 0, 0)}),
    "silent": (
        lambda c: c.to_server(0, 10), "timeout", {"to_server": (10, 10, 0, 0)}),
    "many holes": (
        lambda c: [c.to_server(at, at + 10) for at in range(10, 1210, 20)] and
                  c.to_server(0, 1210).closed(1210),
        "fin", {"to_server": (60 * 10 + 1210, 1210, 600, 0)}),
    "more holes than are kept": (  # of 100 those of 1 byte are closed; the others are exact
        lambda c: [c.to_server(at + 1 if n < 36 else at + 2, at + 10)
                   for n, at in enumerate(range(0, 1000, 10))] and
                  c.to_server(0, 1000).closed(1000),
        "fin", {"to_server": (36 * 9 + 64 * 8 + 1000, 1000 - 36, 36 * 10 + 64 * 8, 36)}),
    "open at the end": (
        lambda c: c.later(2 * TIMEOUT_S * S).to_server(0, 5), "open",
        {"to_server": (5, 5, 0, 0)}),
}


def sums(packets, from_client):
    """(packets, IP bytes) of a direction."""
    found = [packet for packet in packets if packet.from_client == from_client]
    return len(found), sum(len(packet.frame) - 14 for packet in found)


def read_lines(path):
    """The lines about connections, and those with totals."""
    with open(path, encoding="ascii") as file:
        text = file.read()
    rows = [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]
    return [row for row in rows if "start" in row], [row for row in rows if "pid" in row]


@pytest.mark.parametrize("workers", [1, 2])
def test_numbers_of_a_capture_are_exact(replay_into, workers):
    stories = {1001 + n: Story(1001 + n) for n in range(len(CASES))}
    for story, (tell, _, _) in zip(stories.values(), CASES.values()):
        tell(story)
    lines, totals = read_lines(replay_into([BYTECOUNT], merged(*stories.values()), workers,
                                           tcp_timeout=TIMEOUT_S))
    assert len(lines) == len(CASES)
    total = {direction: collections.Counter() for direction in ("to_server", "to_client")}
    for line in lines:
        port = int(line["client"].split(":")[1])
        name, (_, reason, expected) = list(CASES.items())[port - 1001]
        packets = stories[port].packets
        for direction, from_client in (("to_server", True), ("to_client", False)):
            counted = tuple(line[direction][key] for key in KEYS)
            assert counted == (sums(packets, from_client)
                               + expected.get(direction, (0, 0, 0, 0))), (name, direction)
            total[direction].update(line[direction])
        assert line["reason"] == reason, name
        assert line["server"] == "10.77.0.2:80" and "joined" not in line
        assert line["start"] * 10**9 == pytest.approx(packets[0].time, abs=1000)
        assert line["ms"] == pytest.approx((packets[-1].time - packets[0].time) / MS, abs=0.01)
    assert len(totals) == workers
    assert sum(row["connections"] for row in totals) == len(CASES)
    assert sum(row["open"] for row in totals) == sum(row["reason"] == "open" for row in lines)
    for direction, key in itertools.product(total, KEYS):
        assert sum(row[direction][key] for row in totals) == total[direction][key], key


# ---- Real connections ----

class Count:
    """bytecount processes that append to one file."""

    def __init__(self, system, directory, *options):
        self.file = os.path.join(directory, "lines")
        self.command = [BYTECOUNT, "-f", system.config, "-o", self.file, *options]
        self.processes = [system.start_worker(shard, command=self.command) for shard in (0, 1)]

    def lines(self):
        if not os.path.exists(self.file):
            return []
        return read_lines(self.file)[0]

    def totals(self):
        return read_lines(self.file)[1] if os.path.exists(self.file) else []

    def stop(self):
        for process in self.processes:
            assert process.stop(signal.SIGINT) == 0, process.output()


@pytest.fixture
def start_count(start_box, network, tmp_path):
    """A box with two bytecount processes: start(*options, key=value...) -> (system, count)."""
    network.introduce_neighbours()

    def start(*options, **keys):
        system = start_box(workers=0, fail_policy="hold 20000 open", **keys)
        return system, Count(system, tmp_path, *options)

    return start


@pytest.fixture
def pair(network):
    """pair(): both ends of a connection to RAW_PORT."""
    opened = [network.listen("server", RAW_PORT)]

    def connect():
        client = network.connect("client", RAW_PORT, "server", DEADLINE_S)
        server = opened[0].accept()[0]
        server.settimeout(DEADLINE_S)
        opened.extend((client, server))
        return client, server

    yield connect
    for sock in opened:
        sock.close()


def pass_on(sender, receiver, count):
    """Send so many bytes, and wait until they have come and the sender knows."""
    left = count
    while count > 0 or left > 0:
        if count > 0:
            count -= sender.send(bytes(min(count, 1 << 16)))
        if left > 0:
            left -= len(receiver.recv(1 << 20))
    wait_until(lambda: unacknowledged(sender) == 0, "the sender knows")


def close(client, server):
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.close()
    assert client.recv(1) == b""
    client.close()


def test_real_connections_are_counted_to_the_byte(start_count, pair):
    _, count = start_count()
    sizes = [(0, 0), (1, 1), (100, 70000), (300000, 0), (12345, 5000000)]
    for to_server, to_client in sizes:
        client, server = pair()
        pass_on(client, server, to_server)
        pass_on(server, client, to_client)
        close(client, server)
    wait_until(lambda: len(count.lines()) == len(sizes), "a line for each connection")
    lines = sorted(count.lines(), key=lambda line: line["start"])
    for line, size in zip(lines, sizes):
        assert (line["to_server"]["unique"], line["to_client"]["unique"]) == size
        assert line["reason"] == "fin"
        for direction in ("to_server", "to_client"):
            volume = line[direction]
            assert volume["missed"] == 0
            assert volume["payload"] == volume["unique"] + volume["resent"]
            assert volume["ip_bytes"] >= volume["payload"] + 40 * volume["packets"]
    count.stop()
    totals = count.totals()
    assert sum(row["connections"] for row in totals) == len(sizes)
    assert sum(row["open"] for row in totals) == 0
    assert sum(row["to_client"]["unique"] for row in totals) == sum(size[1] for size in sizes)


def test_successor_says_that_it_has_joined(start_count, pair):
    system, count = start_count()
    client, server = pair()
    pass_on(client, server, 1000)
    for shard in (0, 1):
        system.worker[shard].kill()
        count.processes[shard] = system.start_worker(shard, command=count.command)
    pass_on(client, server, 500)
    pass_on(server, client, 200)
    close(client, server)
    wait_until(count.lines, "a line")
    line, = count.lines()
    assert line["joined"] is True and line["reason"] == "fin"
    assert (line["to_server"]["unique"], line["to_client"]["unique"]) == (500, 200)
    assert line["to_server"]["missed"] == line["to_client"]["missed"] == 0


def test_counts_survive_deaths(start_count, pair):
    """Each death may cost the packet in hand: it has passed (fail policy) and was not counted."""
    system, count = start_count(flow_area=FLOW_AREA)
    kills = 0

    def kill():
        nonlocal kills
        for shard in (0, 1):
            system.worker[shard].kill()
            count.processes[shard] = system.start_worker(shard, command=count.command)
            kills += 1

    client, server = pair()
    sizes = (20 * 10**6, 20 * 10**6)
    pass_on(client, server, 12345)
    kill()
    with ThreadPoolExecutor() as pool:
        transfers = [pool.submit(pass_on, client, server, sizes[0] - 12345),
                     pool.submit(pass_on, server, client, sizes[1])]
        while not all(transfer.done() for transfer in transfers):
            kill()
        for transfer in transfers:
            transfer.result()
    kill()
    close(client, server)
    wait_until(count.lines, "a line")
    line, = count.lines()
    assert kills > 4 and "joined" not in line and line["reason"] == "fin"
    missed = 0
    for direction, size in zip(("to_server", "to_client"), sizes):
        volume = line[direction]
        assert volume["unique"] + volume["missed"] == size, direction
        assert volume["payload"] == volume["unique"] + volume["resent"]
        missed += volume["missed"]
    assert missed <= kills * MTU


def test_a_successor_goes_on_counting_and_tells_it_once(start_count, pair):
    """A planned upgrade costs nothing. Who hands over tells of no connection."""
    system, count = start_count(flow_area=FLOW_AREA)
    client, server = pair()
    pass_on(client, server, 1000)
    for shard in (0, 1):
        system.replace_worker(shard, count.command)
        count.processes[shard] = system.worker[shard]
    pass_on(client, server, 500)
    pass_on(server, client, 200)
    assert count.lines() == []
    close(client, server)
    wait_until(count.lines, "a line")
    count.stop()
    line, = count.lines()
    assert "joined" not in line and line["reason"] == "fin"
    assert (line["to_server"]["unique"], line["to_client"]["unique"]) == (1500, 200)
    assert line["to_server"]["missed"] == line["to_client"]["missed"] == 0
    totals = count.totals()
    assert len(totals) == 4 and sum(row["open"] for row in totals) == 0
    for direction, key in itertools.product(("to_server", "to_client"), KEYS):
        assert sum(row[direction][key] for row in totals) == line[direction][key], key


def test_it_says_that_flow_area_is_too_small(start_count):
    _, count = start_count()
    assert count.processes[0].find(
        rf"^bytecount: mos.conf has flow_area = 0: .* is lost with this process; {FLOW_AREA} keeps")


def test_what_is_open_is_told_at_the_end_and_totals_meanwhile(start_count, pair):
    _, count = start_count("-i", "1", "-e", f"dst port {RAW_PORT}")
    client, server = pair()
    pass_on(client, server, 777)
    wait_until(lambda: any(row["open"] == 1 and row["to_server"]["unique"] == 777
                           for row in count.totals()), "totals with the open connection")
    assert count.lines() == []
    count.stop()
    line, = count.lines()
    assert line["reason"] == "open" and line["to_server"]["unique"] == 777
    close(client, server)


def test_mistakes_are_told(start_box):
    system = start_box(workers=0)
    for options, says in ((("-e", "dst prt 80"), "bytecount: -e 'dst prt 80': "),
                          (("-o", "/nowhere/file"), "bytecount: /nowhere/file: No such file"),
                          (("-i", "0"), "bytecount: -i 0: expected a number from 1 to 86400"),
                          (("-n", "x"), "bytecount: -n x: expected a number from 1 to 128")):
        done = subprocess.run([BYTECOUNT, "-f", system.config, *options], capture_output=True,
                              text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 1, done
        assert done.stderr.startswith(says), done
