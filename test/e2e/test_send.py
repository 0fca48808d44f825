"""An application that sends packets of its own: the kernels at both ends take them for those of
their peers."""

import contextlib
import itertools
import os
import signal
import socket

import pytest

from network import ADDRESS, ADDRESS6, Network
from system import BUILD, DEADLINE_S, adds_up, needs_driver

PORT = 8000
RESET_ON = os.path.join(BUILD, "test/e2e/reset_on")
TAPS = ("net_tap0,iface=tap_client", "net_tap1,iface=tap_server")

_number = itertools.count()


@pytest.fixture
def own_network(machine):
    made = Network(f"mos-e2e-{os.getpid()}-send{next(_number)}")
    yield made
    made.close()


@pytest.fixture
def start(new_system):
    """start(NETWORK, PORTS): a small system whose worker resets connections."""

    def start(network, ports, **keys):
        system = new_system(network)
        system.configure(ports, workers=1, ipv6=1, max_concurrency=2000, ring_size=512, **keys)
        system.start_primary()
        start_worker(system)
        return system

    return start


def start_worker(system):
    return system.start_worker(0, command=[RESET_ON, "-f", system.config])


def assert_ends(system):
    assert system.worker[0].stop(signal.SIGINT) == 0
    assert system.primary.stop() == 0, system.primary.output()


@contextlib.contextmanager
def connection(network, address):
    """Both ends of a TCP connection from the client to the server's address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with network.socket("server", family) as listener, network.socket("client", family) as client:
        for sock in (listener, client):
            sock.settimeout(DEADLINE_S)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        listener.listen()
        client.connect((address, PORT))
        server, _ = listener.accept()
        with server:
            server.settimeout(DEADLINE_S)
            yield client, server


def assert_is_reset(network, address, word=b"reset"):
    """What came before arrives, the word does not, and both ends are told."""
    with connection(network, address) as (client, server):
        client.sendall(b"before")
        assert server.recv(100) == b"before"
        server.sendall(b"answer")
        assert client.recv(100) == b"answer"
        client.sendall(word)
        for end in (client, server):
            with pytest.raises(ConnectionResetError):
                end.recv(100)


@pytest.mark.parametrize("address", [ADDRESS["server"], ADDRESS6["server"]])
def test_both_ends_are_reset(start, own_network, address):
    system = start(own_network, ("wire_a", "wire_b"))
    assert_is_reset(own_network, address)
    counters = system.primary.wait_counters(
        lambda c: c["w_sent"] == 2 and adds_up(c), "all is sent")
    assert counters["w_tcp_checksum"] == counters["garbage"] == 0
    assert_ends(system)


def test_packets_of_a_program_that_dies_at_once_go_out(start, own_network):
    system = start(own_network, ("wire_a", "wire_b"), fail_policy="closed")
    worker = system.worker[0]
    assert_is_reset(own_network, ADDRESS["server"], b"die")
    system.primary.wait_line(r"shard 0: worker pid \d+ died: .* suspect yes")
    assert worker.status() == -signal.SIGKILL
    start_worker(system)
    assert_is_reset(own_network, ADDRESS["server"])
    counters = system.primary.counters()
    assert counters["rescued"] >= 2 and counters["garbage"] == 0
    assert_ends(system)


def test_a_port_fills_the_checksums_in(start, own_network):
    needs_driver("tap")
    system = start(own_network, TAPS)
    for side in ("client", "server"):
        own_network.run(side, "ip", "link", "delete", "eth0")
        own_network.run("box", "ip", "link", "set", f"tap_{side}", "netns",
                        own_network.namespace(side), "name", "eth0")
        own_network.run(side, "ip", "address", "add", f"{ADDRESS[side]}/24", "dev", "eth0")
        own_network.run(side, "ip", "address", "add", f"{ADDRESS6[side]}/64", "dev", "eth0",
                        "nodad")
        own_network.run(side, "ip", "link", "set", "eth0", "up")
    assert_is_reset(own_network, ADDRESS["server"])
    assert_is_reset(own_network, ADDRESS6["server"])
    counters = system.primary.wait_counters(lambda c: c["w_sent"] == 4, "all is sent")
    assert counters["garbage"] == 0
    assert_ends(system)
