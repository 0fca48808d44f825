"""Other kinds of ports than a plain pair of interfaces, and what happens to ports while they run:
frames longer than the MTU, links that go down, interfaces and peers that go away.

Each test has a network of its own, because most of them change it.
"""

import contextlib
import itertools
import os
import random
import re
import socket
import subprocess
import threading

import pytest

from network import ADDRESS, MAC, Network, Wire
from system import DEADLINE_S, Process, adds_up, needs_driver, wait_until

MB = 1 << 20
PORT = 8000
SMALL = {"workers": 1, "max_concurrency": 2000, "ring_size": 512}
DRIVERS = {
    "af_packet": ("wire_a", "wire_b"),
    "af_xdp": ("net_af_xdp0,iface=wire_a", "net_af_xdp1,iface=wire_b"),
}

_number = itertools.count()


@pytest.fixture
def network(machine):
    made = Network(f"mos-e2e-{os.getpid()}-ports{next(_number)}", (4,))
    yield made
    made.close()


@pytest.fixture
def start(new_system, network):
    """start(PORTS, key=value...): a small system with one worker.

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
        if system.primary is not None:
            assert set(system.stop()) == {0}, system.primary.output()


@pytest.fixture
def download(network, tmp_path):
    """download(SIZE): the client fetches that many random bytes from the server by HTTP."""
    served = tmp_path / "served"
    served.mkdir()
    server = []

    def fetch(size):
        if not server:
            server.append(Process(network.command(
                "server", "/usr/bin/python3", "-u", "-m", "http.server", str(PORT), "--directory",
                str(served))))
            server[0].wait_line("Serving HTTP")
        content = random.Random(size).randbytes(size)
        (served / "file").write_bytes(content)
        got = tmp_path / "got"
        subprocess.run(
            network.command("client", "curl", "-sS", "--fail", "--max-time", str(DEADLINE_S), "-o",
                            str(got), f"http://{ADDRESS['server']}:{PORT}/file"), check=True)
        assert got.read_bytes() == content

    yield fetch
    for process in server:
        process.kill()


@pytest.fixture(params=DRIVERS)
def lines(request):
    """Ports on both wires, by each driver for kernel interfaces."""
    if request.param == "af_xdp":
        request.getfixturevalue("af_xdp")
        needs_driver("af_xdp")
    return DRIVERS[request.param]


def ping(network, *options, **keys):
    """How many of the client's pings the server answers."""
    return network.ping("client", ADDRESS["server"], *options, **keys)


def wait_for_ping(network, what):
    wait_until(lambda: ping(network, count=1, patience=1) == 1, what)


def refusal(new_system, network, ports, **keys):
    """Why the primary does not start."""
    system = new_system(network)
    system.configure(ports, **{**SMALL, **keys})
    system.start_primary(wait=False)
    assert system.primary.status() == 1
    return system.primary.find(r"^mos-primary: (.*)")[-1][1]


@contextlib.contextmanager
def datagrams(network):
    """Meanwhile the client sends some ten thousand datagrams per second to the server."""
    network.introduce_neighbours()
    stop = threading.Event()
    sock = network.socket("client", socket.AF_INET, socket.SOCK_DGRAM)

    def send():
        while not stop.wait(0.002):
            for _ in range(64):
                sock.sendto(b"datagram", (ADDRESS["server"], 9))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sock.close()


def all_forwarded(system):
    """Wait until nothing is under way; nothing may have been lost."""
    counters = system.primary.wait_counters(
        lambda c: c["rx_packets"] == c["tx_packets"], "all frames are forwarded")
    assert counters["w_tcp_checksum"] == 0
    return counters


# ---- kinds of ports ----


def test_af_xdp_carries_ping_and_a_download(start, network, download, af_xdp):
    needs_driver("af_xdp")
    system = start(DRIVERS["af_xdp"])
    assert ping(network) == 10
    download(4 * MB)
    assert all_forwarded(system)["w_flows_created"] == 1


def test_tap_carries_ping_and_a_download(start, network, download):
    needs_driver("tap")
    system = start(("net_tap0,iface=tap_client", "net_tap1,iface=tap_server"))
    for side in ("client", "server"):
        network.run(side, "ip", "link", "delete", "eth0")
        network.run("box", "ip", "link", "set", f"tap_{side}", "netns", network.namespace(side),
                    "name", "eth0")
        network.run(side, "ip", "address", "add", f"{ADDRESS[side]}/24", "dev", "eth0")
        network.run(side, "ip", "link", "set", "eth0", "up")
    assert ping(network) == 10
    download(4 * MB)
    assert all_forwarded(system)["w_flows_created"] == 1


def memif(role, directory):
    return f"net_memif0,role={role},socket={directory}/memif,socket-abstract=no"


def test_memif_joins_two_systems(start, network, download, tmp_path):
    needs_driver("memif")
    systems = [start(("wire_a", memif("server", tmp_path))),
               start((memif("client", tmp_path), "wire_b"))]
    wait_for_ping(network, "the two are connected")
    assert ping(network) == 10
    download(4 * MB)
    for system in systems:
        counters = system.primary.wait_counters(
            lambda c: adds_up(c) and c["w_flows_ended"] == 1, "the flow ends, nothing is lost")
        assert counters["w_flows_created"] == 1


@pytest.mark.parametrize("first, second", [("server", "client"), ("client", "server")])
def test_memif_connects_again_after_the_system_behind_it_was_killed(
        start, network, tmp_path, first, second):
    needs_driver("memif")
    stays = start(("wire_a", memif(first, tmp_path)))
    gone = start((memif(second, tmp_path), "wire_b"))
    wait_for_ping(network, "the two are connected")
    with datagrams(network):
        gone.primary.kill()
        gone.worker[0].status()
        gone.close()
        gone.primary = None
        stays.primary.wait_counters(lambda c: c["drop_link_down"] > 1000, "packets are dropped")
    stays.primary.wait_counters(adds_up, "all frames are accounted for")
    start((memif(second, tmp_path), "wire_b"))
    wait_for_ping(network, "the successor is connected")
    assert ping(network) == 10


# ---- frames longer than the MTU ----


def test_jumbo_frames_pass_with_the_mbuf_size_that_the_refusal_names(
        new_system, start, network, download):
    network.set_mtu(9000, "client", "server")
    match = re.fullmatch(r"port wire_a: MTU 9000 does not fit mbuf_size = 2048; "
                         r"set mbuf_size = (\d+), or `ip link set wire_a mtu 1500`",
                         refusal(new_system, network, DRIVERS["af_packet"]))
    system = start(DRIVERS["af_packet"], mbuf_size=match[1])
    assert ping(network, "-M", "do", "-s", "8000") == 10
    assert ping(network, "-M", "do", "-s", "8972") == 10
    download(4 * MB)
    counters = all_forwarded(system)
    assert counters["w_tcp"] < 4 * MB / 1500  # they were long indeed


def test_af_xdp_carries_what_fits_an_mbuf_and_refuses_what_does_not(
        new_system, start, network, af_xdp):
    needs_driver("af_xdp")
    network.set_mtu(9000, "client", "server")
    assert "net_af_xdp0: MTU 9000 does not fit mbuf_size = 2048" in refusal(
        new_system, network, DRIVERS["af_xdp"])
    match = re.fullmatch(
        r"port net_af_xdp0: AF_XDP takes no packets of mbuf_size = 16384; "
        r"set mbuf_size = (\d+), or less",
        refusal(new_system, network, DRIVERS["af_xdp"], mbuf_size=16384))
    network.set_mtu(int(match[1]) - 22, "client", "server")
    assert re.search(
        r"port net_af_xdp0: .*MTU \d+ may be too large .*`ip link set wire_a mtu 1500`",
        refusal(new_system, network, DRIVERS["af_xdp"], mbuf_size=match[1]))
    network.set_mtu(2500, "client", "server")
    system = start(DRIVERS["af_xdp"], mbuf_size=match[1])
    assert ping(network, "-M", "do", "-s", "2472") == 10
    all_forwarded(system)


def test_frames_longer_than_the_output_port_takes_are_dropped_and_counted(start, network):
    network.set_mtu(9000, "client")
    system = start(DRIVERS["af_packet"], mbuf_size=16384)
    assert ping(network, "-M", "do", "-s", "8000", count=5, patience=0.2) == 0
    assert ping(network, "-M", "do", "-s", "1472", count=5) == 5
    counters = system.primary.wait_counters(adds_up, "all frames are accounted for")
    assert counters["drop_too_long"] == 5


def test_no_part_of_a_frame_is_forwarded_when_an_mtu_grows_meanwhile(start, network, lines):
    """Frames of an unknown kind and pings, between interfaces of other MTUs than at the start."""
    network.set_mtu(2900, "server")
    kernel = lines == DRIVERS["af_packet"]
    system = start(lines, mbuf_size=4096 if kernel else 3072)
    network.introduce_neighbours()
    network.set_mtu(9000 if kernel else 3400, "client")  # XDP allows no more
    header = b"".join(bytes.fromhex(MAC[side].replace(":", "")) for side in ("server", "client"))
    sizes = range(100, 9000 if kernel else 3400, 100)
    sent = {header + b"\x88\xb5" + bytes(size - 14) for size in sizes}
    wires = [Wire(network, side) for side in ("client", "server")]
    for frame in sent:
        wires[0].send(frame)
    assert ping(network, "-M", "do", "-s", "1472", count=5) == 5
    assert ping(network, "-M", "do", "-s", "3200", count=5, patience=0.2) == 0
    received = {frame for frame in wires[1].receive_all() if frame[12:14] == b"\x88\xb5"}
    for wire in wires:
        wire.close()
    assert received <= sent and len(received) >= 15
    counters = system.primary.wait_counters(adds_up, "all frames are accounted for")
    assert counters["drop_too_long"] >= 10


# ---- links and interfaces that go away ----


@pytest.mark.parametrize("side, interface", [("server", "eth0"), ("box", "wire_b")])
def test_a_port_that_loses_its_link_drops_by_name_and_recovers(
        start, network, lines, side, interface):
    system = start(lines)
    assert ping(network) == 10
    with datagrams(network):
        network.run(side, "ip", "link", "set", interface, "down")
        system.primary.wait_counters(lambda c: c["drop_link_down"] > 1000, "packets are dropped")
        network.run(side, "ip", "link", "set", interface, "up")
        wait_for_ping(network, "the link is back")
    assert ping(network) == 10
    system.primary.wait_counters(adds_up, "all frames are accounted for")


def test_an_interface_that_is_deleted_drops_by_name_and_does_no_harm(start, network, lines):
    system = start(lines)
    assert ping(network) == 10
    with datagrams(network):
        network.run("box", "ip", "link", "delete", "wire_b")
        counters = system.primary.wait_counters(lambda c: c["drop_link_down"] > 1000,
                                                "packets are dropped")
        network.connect_box("server")  # another one of that name
        system.primary.wait_counters(
            lambda c: c["drop_link_down"] > counters["drop_link_down"] + 10000,
            "packets are still dropped")
    system.primary.wait_counters(adds_up, "all frames are accounted for")
    network.run("box", "ip", "link", "delete", "wire_a")
    assert system.primary.counters()["rx_packets"] > 11000
    assert system.worker[0].alive()
