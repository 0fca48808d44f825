"""What becomes of packets that nobody monitors: each fail policy, on the wire, with its counters.

client (ping, TCP connect) -- mos-primary, its workers gone or stopped -- server
"""

import concurrent.futures
import signal
import socket
import struct

import pytest

from network import ADDRESS, ping_command, replied
from system import DEADLINE_S, Process, adds_up, dropped

FAMILIES = (4,)  # IPv6 would add packets of its own
PORT = 8001
MB = 1 << 20
PINGS = 10


@pytest.fixture(autouse=True)
def listener(network):
    """A port that accepts connections. Whoever is silent is so because of the box, not of ARP."""
    network.introduce_neighbours()
    with network.listen("server", PORT) as sock:
        yield sock


@pytest.fixture
def start_ping(network):
    """Starts a ping that goes on until all are answered, or with patience: where none will be."""
    made = []

    def start(patience=None):
        made.append(Process(network.command(
            "client", *ping_command(ADDRESS["server"], count=PINGS, patience=patience))))
        return made[-1]

    yield start
    for process in made:
        process.kill()


def answers(ping):
    """How many of its pings were answered at the end."""
    ping.status(90)
    return replied("\n".join(ping.lines[:-1]), PINGS)


def connects(network, timeout=1.0):
    try:
        network.connect("client", PORT, "server", timeout).close()
    except TimeoutError:
        return False
    return True


def unmonitored(counters):
    return counters["unmonitored_noworker"] + counters["unmonitored_ring"]


def test_open_forwards_what_no_worker_sees(start_box, start_ping, network):
    system = start_box(workers=0, fail_policy="open")
    assert answers(start_ping()) == PINGS
    assert connects(network, DEADLINE_S)
    counters = system.primary.wait_counters(
        lambda c: c["unmonitored_noworker"] >= 2 * PINGS + 3, "pings and a handshake are counted")
    assert dropped(counters) == counters["to_shard"] == 0


def test_closed_drops_what_no_worker_sees(start_box, start_ping, network):
    system = start_box(workers=0, fail_policy="closed")
    assert answers(start_ping(patience=1)) == 0
    assert not connects(network)
    counters = system.primary.counters()
    assert counters["drop_no_worker"] >= PINGS + 1
    assert counters["drop_no_worker"] == dropped(counters)
    assert unmonitored(counters) == 0

    for shard in (0, 1):
        system.start_worker(shard)
    assert answers(start_ping()) == PINGS
    assert connects(network, DEADLINE_S)


def test_hold_keeps_packets_for_the_successor(start_box, start_ping, network):
    system = start_box(fail_policy="hold 60000 closed")
    for worker in system.worker.values():
        assert worker.stop() == 0
    before = system.primary.counters()
    ping = start_ping()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        connected = pool.submit(connects, network, DEADLINE_S)
        system.primary.wait_counters(
            lambda c: c["to_shard"] >= before["to_shard"] + PINGS + 1, "all packets wait")
        assert not ping.find("bytes from") and not connected.done()
        for shard in (0, 1):
            system.start_worker(shard)
        assert answers(ping) == PINGS
        assert connected.result()
    counters = system.primary.counters()
    assert dropped(counters) == unmonitored(counters) == 0


@pytest.mark.parametrize("then", ["open", "closed"])
@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_hold_ends_with_the_policy_behind_it(start_box, start_ping, then, end):
    system = start_box(fail_policy=f"hold 400 {then}")
    for worker in system.worker.values():
        worker.kill() if end == "killed" else worker.stop()
    ping = start_ping(patience=None if then == "open" else 1)
    for _ in range(2):
        system.primary.wait_line("no worker within 400 ms; packets are "
                                 + ("forwarded unmonitored" if then == "open" else "dropped"))
    assert answers(ping) == (PINGS if then == "open" else 0)
    counters = system.primary.counters()
    assert counters["worker_deaths"] == (2 if end == "killed" else 0)
    if then == "open":
        assert unmonitored(counters) >= PINGS and counters["drop_no_worker"] == 0
    else:
        assert unmonitored(counters) == 0 and counters["drop_no_worker"] >= PINGS


@pytest.mark.parametrize("policy", ["open", "closed", "hold 1000 open", "hold 1000 closed"])
def test_full_ring_of_a_stopped_worker_gets_the_policy_behind(start_box, network, policy):
    room, count = 256, 600
    reason = "unmonitored_ring" if "open" in policy else "drop_ring_full"
    system = start_box(fail_policy=policy, ring_size=room)
    for worker in system.worker.values():
        worker.pause()
    with (network.socket("server", socket.AF_INET, socket.SOCK_DGRAM) as server,
          network.socket("client", socket.AF_INET, socket.SOCK_DGRAM) as client):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MB)
        server.bind((ADDRESS["server"], PORT))
        server.settimeout(DEADLINE_S)
        for number in range(count):
            client.sendto(struct.pack(">I", number), (ADDRESS["server"], PORT))
        system.primary.wait_counters(lambda c: c[reason] >= count - room, "the ring is full")
        for worker in system.worker.values():
            worker.resume()
        kept = range(room - 1)  # a ring of 256 holds 255
        for expected in (*range(len(kept), count), *kept) if "open" in policy else kept:
            assert struct.unpack(">I", server.recv(100))[0] == expected
    counters = system.primary.wait_counters(adds_up, "all packets are accounted for")
    assert counters[reason] == count - len(kept)
    assert counters["worker_deaths"] == 0


def test_worker_that_makes_no_progress_is_killed_when_so_configured(start_box, start_ping):
    system = start_box(fail_policy="hold 60000 closed", stall_kill=500)
    assert answers(start_ping()) == PINGS
    for worker in system.worker.values():
        worker.pause()
    ping = start_ping()
    shard = int(system.primary.wait_line(r"shard (\d): .* is killed: no progress for 500 ms")[1])
    assert system.worker[shard].status() == -signal.SIGKILL
    system.primary.wait_line(rf"shard {shard}: worker pid {system.worker[shard].pid} died")
    system.start_worker(shard)
    assert answers(ping) == PINGS
    other = system.worker[1 - shard]
    assert other.alive()  # no packets waited for it
    other.resume()
    counters = system.primary.counters()
    assert counters["stalls"] == counters["worker_deaths"] == 1
