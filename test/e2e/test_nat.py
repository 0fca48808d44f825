"""nat between kernels that talk TCP: what the server sees, and that all bytes are right.

client 10.77.0.1 -- mos-primary with nat -- server, which knows the way to 10.77.0.200 only

Every frame that reaches the server is looked at: none comes from an inside address, and checksums
are right.
"""

import asyncio
import collections
import hashlib
import itertools
import json
import os
import random
import signal
import socket
import struct
import subprocess
import threading

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether

from deaths import kill_until
from exchange import SEED
from frames import checksum
from network import ADDRESS, MAC, Wire
from system import BUILD, BYTECOUNT, DEADLINE_S, NAT, Process, adds_up, wait_until

FAMILIES = (4,)
OUTSIDE = "10.77.0.200"
INSIDE = f"src host {ADDRESS['client']}"
COMPAT_NAT = os.path.join(BUILD, "test/compat/compat_nat")
PORT = 8000
COUNT, PARALLEL = 1000, 100
MOST_UP, MOST_DOWN = 3000, 12000  # bytes of a round
KEYS = {"fail_policy": "hold 5000 closed", "flow_area": 16, "tcp_checksum": "trust"}


@pytest.fixture(autouse=True)
def neighbours(network):
    """Nobody asks by ARP. The server has no way to the client's own address."""
    network.introduce_neighbours()
    network.run("server", "ip", "neighbour", "replace", OUTSIDE, "lladdr", MAC["client"],
                "dev", "eth0")
    network.run("server", "ip", "neighbour", "replace", ADDRESS["client"],
                "lladdr", "02:00:00:00:00:99", "dev", "eth0")


def content(number, name, most):
    """What a connection carries in one round."""
    chance = random.Random(f"{SEED} {number} {name}")
    return chance.randbytes(chance.randrange(most))


class Server:
    """Answers each piece of a client with a digest of it and a piece of its own.

    peers: (address, port) of each connection as the server sees it.
    """

    def __init__(self, network):
        self.peers = []
        self._listener = network.listen("server", PORT)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._serve, sock=self._listener))
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        self.peers.append(writer.get_extra_info("peername"))
        try:
            while head := await reader.read(8):
                if len(head) < 8:
                    head += await reader.readexactly(8 - len(head))
                number, length = struct.unpack(">II", head)
                up = await reader.readexactly(length)
                writer.write(hashlib.sha256(up).digest() + content(number, "down", MOST_DOWN))
                await writer.drain()
        finally:
            writer.close()

    def assert_saw_outside_only(self, count):
        """Of so many connections."""
        assert {address for address, _ in self.peers} == {OUTSIDE} and len(self.peers) == count

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._listener.close()


class Talk:
    """Connections of the client, in a thread of their own. What they carry is known beforehand."""

    def __init__(self, network, numbers, parallel, rounds, pause):
        self.network = network
        self._failure = None
        self._thread = threading.Thread(target=self._run, daemon=True,
                                        args=(numbers, parallel, rounds, pause))
        self._thread.start()

    async def _connect(self):
        sock = self.network.socket("client")
        sock.setblocking(False)
        sock.bind((ADDRESS["client"], 0))
        await asyncio.get_running_loop().sock_connect(sock, (ADDRESS["server"], PORT))
        return await asyncio.open_connection(sock=sock)

    async def _converse(self, number, rounds, pause):
        reader, writer = await self._connect()
        for n in range(number * 1000, number * 1000 + rounds):
            up, down = content(n, "up", MOST_UP), content(n, "down", MOST_DOWN)
            writer.write(struct.pack(">II", n, len(up)) + up)
            digest = await reader.readexactly(32)
            assert digest == hashlib.sha256(up).digest(), f"to the server, {number}"
            assert await reader.readexactly(len(down)) == down, f"to the client, {number}"
            await asyncio.sleep(pause)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    async def _all(self, numbers, parallel, rounds, pause):
        numbers = iter(numbers)

        async def one_after_the_other():
            for number in numbers:
                await asyncio.wait_for(self._converse(number, rounds, pause), DEADLINE_S)

        await asyncio.gather(*(one_after_the_other() for _ in range(parallel)))

    def _run(self, *args):
        try:
            asyncio.run(self._all(*args))
        except BaseException as error:  # pylint: disable=broad-except
            self._failure = error

    def done(self):
        return not self._thread.is_alive()

    def finish(self):
        self._thread.join(4 * DEADLINE_S)
        assert self.done()
        if self._failure is not None:
            raise self._failure


@pytest.fixture
def server(network):
    """Serves all Talks."""
    made = Server(network)
    yield made
    made.close()


@pytest.fixture
def talk(network, server):
    """Starts so many connections: talk(count, ...)."""
    print(f"seed {SEED} (MOS_SEED repeats it)")
    first = itertools.count(step=10000)

    def start(count, parallel=PARALLEL, rounds=1, pause=0.0):
        return Talk(network, range(at := next(first), at + count), parallel, rounds, pause)

    return start


@pytest.fixture
def server_wire(network):
    """What reaches the server."""
    wire = Wire(network, "server")
    yield wire
    wire.close()


@pytest.fixture
def start_system(new_system, network):
    """start(workers, key=...): a primary. At the end of the test all must end in order."""
    made = []

    def start(workers, **keys):
        system = new_system(network)
        system.configure(("wire_a", "wire_b"), **{**KEYS, "workers": workers, **keys})
        system.start_primary()
        made.append(system)
        return system

    yield start
    for system in made:
        assert set(system.stop()) == {0}, system.primary.output()


@pytest.fixture
def start_nat(start_system, tmp_path):
    """start(workers, *options): a primary and as many processes. (system, their lines of JSON)."""

    def start(workers, *options):
        system, out = start_system(workers), str(tmp_path / "out")
        for shard in range(workers):
            system.start_worker(shard, command=command(system, out, *options))
        return system, out

    return start


def command(system, out, *options):
    return [NAT, "-f", system.config, "-i", OUTSIDE, "-s", INSIDE, "-o", out, "-v", "1", *options]


def totals(out):
    """The sum of what all processes said last."""
    last, total = {}, collections.Counter()
    with open(out, encoding="ascii") as file:
        for line in map(json.loads, file):
            last[line["pid"]] = line
    for line in last.values():
        total.update(line.pop("dropped"))
        total.update(line)
    return total


def ip4(frame):
    """The IPv4 packet of a frame without its padding, or None."""
    if frame[12:14] != b"\x08\x00":
        return None
    return frame[14:14 + int.from_bytes(frame[16:18], "big")]


def assert_translated(frames, to_server=True):
    """No TCP from or to an inside address, and checksums add up. Returns how many were TCP."""
    count = 0
    for packet in filter(None, map(ip4, frames)):
        if packet[9] != socket.IPPROTO_TCP:
            continue
        count += 1
        head = (packet[0] & 15) * 4
        source, target = map(socket.inet_ntoa, (packet[12:16], packet[16:20]))
        assert (source, target) == ((OUTSIDE, ADDRESS["server"]) if to_server else
                                    (ADDRESS["server"], ADDRESS["client"])), packet.hex()
        assert checksum(packet[:head]) == b"\0\0", packet.hex()
        pseudo = packet[12:20] + struct.pack(">HH", 6, len(packet) - head)
        assert checksum(pseudo + packet[head:]) == b"\0\0", packet.hex()
    return count


# ---- Connections ----

@pytest.mark.parametrize("workers", [1, 2, 3])
def test_1000_connections_are_whole_and_come_from_outside(start_nat, talk, server, server_wire,
                                                          workers):
    system, out = start_nat(workers)
    talk(COUNT).finish()
    server.assert_saw_outside_only(COUNT)
    counters = system.primary.wait_counters(
        lambda c: c["w_flows_ended"] >= COUNT and adds_up(c), "all connections are over")
    assert counters["w_flows_created"] == COUNT and counters["w_orphans"] == 0
    wait_until(lambda: totals(out)["connections"] == COUNT and totals(out)["open"] == 0,
               "all ports are given back")
    assert totals(out)["no_port"] == 0
    assert assert_translated(server_wire.receive_all()) > 5 * COUNT


def test_checksums_are_right_in_both_directions(start_nat, talk, network, server_wire):
    """Of small packets, odd ones and full ones; what the client gets is looked at, too."""
    start_nat(2)
    wire = Wire(network, "client")
    talk(50, parallel=10, rounds=3).finish()
    assert assert_translated(server_wire.receive_all()) > 300
    assert assert_translated(wire.receive_all(), to_server=False) > 300
    wire.close()


def test_connections_live_on_when_workers_are_killed(
        new_system, network, tmp_path, talk, server, server_wire):
    """Some stay open all the time, while others come and go. Ports are few: to take one for free
    that is in use is soon noticed."""
    system, out = new_system(network), str(tmp_path / "out")
    system.configure(("wire_a", "wire_b"), **KEYS)
    system.start_primary()
    run = system.start_mos_run(2, command(system, out, "-p", "20000-20149"))
    for shard in (0, 1):
        system.primary.wait_line(rf"shard {shard}: served by")
    short = talk(400, parallel=10, pause=0.05)
    long = talk(60, parallel=60, rounds=30, pause=0.1)
    kills = kill_until(system, lambda: long.done() and short.done())
    long.finish()
    short.finish()
    assert kills >= 3
    server.assert_saw_outside_only(460)
    assert run.stop() == 0, run.output()
    assert system.primary.stop() == 0, system.primary.output()
    counters = system.primary.last_counters()
    assert counters["worker_deaths"] == kills
    for reason in ("unmonitored_noworker", "unmonitored_ring", "drop_no_worker",
                   "suspect_forwarded"):
        assert counters[reason] == 0
    assert totals(out)["adopted"] > 0
    assert assert_translated(server_wire.receive_all()) > 60 * 30


@pytest.mark.parametrize("way", ["replace_worker", "fail_over"])
def test_successors_go_on_translating(start_nat, talk, server, server_wire, way):
    """Planned upgrades, and standbys for workers that are killed, while data flows."""
    system, out = start_nat(2, "-p", "20000-20149")
    short = talk(200, parallel=10, pause=0.05)
    long = talk(60, parallel=60, rounds=20, pause=0.1)
    replaced = 0
    while not (long.done() and short.done()):
        getattr(system, way)(replaced % 2, command(system, out, "-p", "20000-20149"))
        replaced += 1
    long.finish()
    short.finish()
    assert replaced >= 3
    server.assert_saw_outside_only(260)
    counters = system.primary.wait_counters(
        lambda c: c["w_flows_ended"] >= 260 and adds_up(c), "all connections are over")
    for reason in ("unmonitored_noworker", "unmonitored_ring", "drop_no_worker",
                   "suspect_forwarded"):
        assert counters[reason] == 0
    wait_until(lambda: totals(out)["adopted"] > 0, "they tell of connections taken over")
    assert assert_translated(server_wire.receive_all()) > 60 * 20


def test_what_another_program_has_stored_is_not_taken_for_a_translation(
        start_system, network, tmp_path, server_wire):
    system, out = start_system(1, flow_area=624), str(tmp_path / "out")
    system.start_worker(0, command=[BYTECOUNT, "-f", system.config, "-o", str(tmp_path / "lines")])
    network.run("server", "ip", "neighbour", "replace", ADDRESS["client"],
                "lladdr", MAC["client"], "dev", "eth0")
    listener = network.listen("server", PORT)
    client = network.connect("client", PORT, "server", DEADLINE_S)
    system.primary.wait_counters(lambda c: c["w_flows_created"] == 1 and adds_up(c), "it is there")
    system.replace_worker(0, command(system, out))
    server_wire.receive_all()
    client.sendall(b"from inside")
    wait_until(lambda: totals(out)["orphans"] > 0, "its packets are dropped")
    assert totals(out)["adopted"] == 0 and assert_translated(server_wire.receive_all()) == 0
    client.close()
    listener.close()


@pytest.mark.parametrize("contexts", [1, 2, 3])
def test_classic_nat_works_unmodified(start_system, talk, server, server_wire, contexts):
    """It asks GetRSSCPUCore() where answers will arrive."""
    system = start_system(contexts)
    process = Process([COMPAT_NAT, system.config, OUTSIDE, str(contexts)])
    system.others.append(process)
    for shard in range(contexts):
        system.primary.wait_line(rf"shard {shard}: served by pid {process.pid}\b")
    talk(200, parallel=20).finish()
    server.assert_saw_outside_only(200)
    assert assert_translated(server_wire.receive_all()) > 1000
    assert process.stop(signal.SIGINT) == 0


# ---- Ports ----

def test_out_of_ports_a_connection_waits_for_one(start_nat, network):
    system, out = start_nat(1, "-p", "5000-5004")
    listener = network.listen("server", PORT)
    listener.settimeout(DEADLINE_S)
    clients = [network.connect("client", PORT, "server", DEADLINE_S) for _ in range(5)]
    servers = [listener.accept() for _ in clients]
    assert sorted(port for _, (_, port) in servers) == list(range(5000, 5005))
    with network.socket("client") as late:
        late.setblocking(False)
        late.connect_ex((ADDRESS["server"], PORT))
        system.primary.wait_counters(lambda c: c["drop_by_app"] > 0, "its SYN is dropped")
        gone = servers[2][1][1]
        clients[2].close()
        servers[2][0].close()
        sock, peer = listener.accept()
        assert peer == (OUTSIDE, gone)
        late.setblocking(True)
        late.sendall(b"at last")
        assert sock.recv(100) == b"at last"
        sock.close()
    wait_until(lambda: totals(out)["no_port"] > 0, "it is counted")
    for sock in (*clients, *(server for server, _ in servers), listener):
        sock.close()


# ---- What belongs to no connection ----

def numbered(*packets):
    """As frames with IP identifications that nobody else uses."""
    frames = []
    for n, (packet, from_client) in enumerate(packets):
        packet[IP].id = 0xfe00 + n
        ends = (MAC["client"], MAC["server"])[::1 if from_client else -1]
        frames.append(bytes(Ether(src=ends[0], dst=ends[1]) / packet))
    return frames


def test_what_is_not_translated_does_not_leave(start_nat, network):
    system, out = start_nat(2)
    client, server = ADDRESS["client"], ADDRESS["server"]
    inside, answer = IP(src=client, dst=server), IP(src=server, dst=OUTSIDE)
    pieces = fragment(inside / TCP(dport=PORT) / (b"x" * 64), 24)
    dropped = [(inside / TCP(dport=PORT, flags="A"), True),
               (inside / TCP(dport=PORT, flags="SA"), True),
               (inside / TCP(dport=PORT, flags="R"), True),
               (answer / TCP(sport=PORT, dport=6000, flags="SA"), False),
               *((piece, True) for piece in pieces)]
    passed = [(inside / UDP(dport=PORT) / b"datagram", True),
              (IP(src="10.77.0.9", dst=server) / TCP(dport=PORT), True),
              (IP(src=server, dst=client) / TCP(sport=PORT, flags="A"), False)]
    wires = [Wire(network, "client"), Wire(network, "server")]
    frames = numbered(*dropped, *passed)
    for frame, (_, from_client) in zip(frames, [*dropped, *passed]):
        wires[not from_client].send(frame)
    seen = set()

    def arrived():
        seen.update(frame for wire in wires for frame in wire.receive_all())
        return seen.issuperset(frames[len(dropped):])

    wait_until(arrived, "the others arrive")
    system.primary.wait_counters(lambda c: c["drop_by_app"] >= len(dropped) and adds_up(c),
                                 "each is dropped")  # and what sockets of tests before send again
    assert arrived() and not seen.intersection(frames[:len(dropped)])
    wait_until(lambda: totals(out)["orphans"] >= 4 and totals(out)["fragments"] == len(pieces),
               "each is counted")
    for wire in wires:
        wire.close()


# ---- Start and end ----

def test_it_says_that_flow_area_is_too_small(start_system):
    system = start_system(1, flow_area=8)
    process = Process([NAT, "-f", system.config, "-i", OUTSIDE])
    assert process.status() == 1
    assert process.find("^nat: mos.conf has flow_area = 8; set it to 16 or more$")


def test_it_says_what_is_wrong_with_the_expression(start_system):
    system = start_system(1)
    process = Process([NAT, "-f", system.config, "-i", OUTSIDE, "-s", "source net 10/8"])
    assert process.status() == 1
    assert process.find("^nat: -s: .")


@pytest.mark.parametrize("args", [
    (), ("-f", "x"), ("-i", OUTSIDE), ("-f", "x", "-i", "0.0.0.0"), ("-f", "x", "-i", "fd00::1"),
    ("-f", "x", "-i", OUTSIDE, "more"),
    *(("-f", "x", "-i", OUTSIDE, *more) for more in (
        ("-p", "0-5"), ("-p", "5"), ("-p", "6-5"), ("-p", "5-65536"), ("-p", "5-6x"), ("-s", " "),
        ("-v", "0"), ("-n", "0")))])
def test_wrong_options_are_refused(args):
    done = subprocess.run([NAT, *args], capture_output=True, text=True, check=False,
                          timeout=DEADLINE_S)
    assert done.returncode == 1 and done.stderr != ""
