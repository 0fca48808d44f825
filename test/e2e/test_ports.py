"""Kinds of ports other than a plain pair of interfaces, and what happens to ports while they run:
jumbo frames, links that go down, interfaces that go away.

Each test has a network of its own, because most of them change it.
"""

import itertools
import os
import random
import re
import shutil
import subprocess

import pytest

from network import ADDRESS, Network, Wire
from system import DEADLINE_S, Process, adds_up, dropped, wait_until

MB = 1 << 20
PORT = 8000
SMALL = {"workers": 1, "max_concurrency": 2000, "ring_size": 512}

_number = itertools.count()


@pytest.fixture
def network(machine):
    made = Network(f"mos-e2e-{os.getpid()}-ports{next(_number)}", (4,))
    yield made
    made.close()


@pytest.fixture
def start(new_system, network):
    """start(PORTS, key=value...): a primary with one worker.

    At the end both must end in order, with status 0 and every packet accounted for.
    """
    made = []

    def start(ports, **keys):
        system = new_system(network)
        system.configure(ports, **{**SMALL, **keys})
        system.start_primary()
        made.append(system)
        system.start_worker(0)
        return system

    yield start
    for system in made:
        assert set(system.stop()) == {0}, system.primary.output()
        print(system.primary.output())


def ping(network, *options, side="client", peer="server"):
    """Run ping to its end: how many answers came."""
    done = subprocess.run(network.command(side, "ping", *options, ADDRESS[peer]), check=False,
                          capture_output=True, text=True, timeout=DEADLINE_S)
    return int(re.search(r"(\d+) received", done.stdout)[1])


@pytest.fixture
def download(network, tmp_path):
    """download(SIZE): fetch a file of random bytes by HTTP, and compare it."""
    served = tmp_path / "served"
    served.mkdir()
    processes = []

    def fetch(size, seconds=DEADLINE_S):
        if not processes:
            processes.append(Process(network.command(
                "server", "/usr/bin/python3", "-u", "-m", "http.server", str(PORT), "--directory",
                str(served))))
            processes[0].wait_line("Serving HTTP")
        content = random.Random(size).randbytes(size)
        (served / "file").write_bytes(content)
        got = tmp_path / "got"
        curl = subprocess.run(
            network.command("client", "curl", "-sS", "--fail", "--max-time", str(seconds), "-o",
                            str(got), f"http://{ADDRESS['server']}:{PORT}/file"),
            capture_output=True, text=True, timeout=seconds + 10, check=False)
        assert curl.returncode == 0, curl.stderr
        assert got.read_bytes() == content

    yield fetch
    for process in processes:
        process.kill()


def test_xdp(start, network, download):
    system = start(("net_af_xdp0,iface=wire_a", "net_af_xdp1,iface=wire_b"))
    assert ping(network, "-c", "10", "-i", "0.02") == 10
    download(4 * MB)
    print(system.primary.wait_counters(adds_up, "x"))
    print(system.primary.output())


def test_memif(start, network, download, tmp_path):
    memif = f"socket={tmp_path}/memif,socket-abstract=no"
    first = start(("wire_a", f"net_memif0,role=server,{memif}"))
    second = start((f"net_memif0,role=client,{memif}", "wire_b"))
    wait_until(lambda: ping(network, "-c", "1", "-W", "1") == 1, "memif links")
    assert ping(network, "-c", "10", "-i", "0.02") == 10
    download(4 * MB)
    for s in (first, second):
        print(s.primary.wait_counters(adds_up, "x"))
        print(s.primary.output())


def test_tap(start, network, download):
    for side in ("client", "server"):
        network.run(side, "ip", "link", "delete", "eth0")
    system = start(("net_tap0,iface=tap_client", "net_tap1,iface=tap_server"))
    for side in ("client", "server"):
        network.run("box", "ip", "link", "set", f"tap_{side}", "netns", network.namespace(side), "name", "eth0")
        network._raise_endpoint(side, (4,))
    assert ping(network, "-c", "10", "-i", "0.02") == 10
    download(4 * MB)
    print(system.primary.wait_counters(adds_up, "x"))
    print(system.primary.output())


def set_mtu(network, mtu, sides=("client", "server")):
    for side in sides:
        network.run(side, "ip", "link", "set", "eth0", "mtu", str(mtu))
        network.run("box", "ip", "link", "set", "wire_a" if side == "client" else "wire_b", "mtu", str(mtu))


def test_jumbo_refused(new_system, network):
    set_mtu(network, 9000)
    system = new_system(network)
    system.configure(("wire_a", "wire_b"), **SMALL)
    system.start_primary(wait=False)
    assert system.primary.status() == 1
    print(system.primary.output())


def test_jumbo_passes(start, network, download):
    set_mtu(network, 9000)
    system = start(("wire_a", "wire_b"), mbuf_size=16384)
    assert ping(network, "-c", "10", "-i", "0.02", "-M", "do", "-s", "8000") == 10
    download(4 * MB)
    print(system.primary.wait_counters(adds_up, "x"))
    print(system.primary.output())


def test_jumbo_one_side(start, network, download):
    set_mtu(network, 9000, ("client",))
    system = start(("wire_a", "wire_b"), mbuf_size=16384)
    assert ping(network, "-c", "2", "-i", "0.02", "-W", "1", "-M", "do", "-s", "8000") == 0
    assert ping(network, "-c", "2", "-i", "0.02", "-W", "1", "-M", "do", "-s", "1400") == 2
    print(system.primary.wait_counters(adds_up, "x"))
    print(system.primary.output())


def test_jumbo_xdp(start, network, download):
    set_mtu(network, 9000)
    system = start(("net_af_xdp0,iface=wire_a", "net_af_xdp1,iface=wire_b"))
    print(ping(network, "-c", "2", "-i", "0.02", "-W", "1", "-M", "do", "-s", "8000"))
    print(ping(network, "-c", "2", "-i", "0.02", "-W", "1", "-M", "do", "-s", "1400"))
    print(system.primary.wait_counters(adds_up, "x"))
    print(system.primary.output())
