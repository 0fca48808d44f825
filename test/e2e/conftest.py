"""Fixtures: networks and systems with names of this run, which end with the test.

Tests that start mos-primary need root, network namespaces and hugepages; without, they are skipped
and say what is missing.
"""

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from captures import write_pcap
from exchange import SEED, Exchange
from network import FAR, NEAR, Network, remove_leftovers
from packets import Bench
from sink import Sink
from system import IMPAIR, PRIMARY, Process, System

HUGE_MB = 256  # of which one system needs most
NAME = "mos-e2e"
AF_XDP = 44

os.environ["no_proxy"] = "*"  # curl talks to the test's server, not to the machine's proxy

_number = itertools.count()


def _new_name():
    return f"{NAME}-{os.getpid()}-{next(_number)}"


def pytest_configure(config):
    """A test run that is told to end still removes what it has made."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _free_hugepages_mb():
    with open("/proc/meminfo", encoding="ascii") as file:
        text = file.read()
    free = re.search(r"HugePages_Free: +(\d+)", text)
    size = re.search(r"Hugepagesize: +(\d+) kB", text)
    return int(free[1]) * int(size[1]) // 1024 if free and size else 0


def _what_is_missing():
    if os.geteuid() != 0:
        return "needs root for hugepages and network namespaces; run with sudo"
    for tool in ("ip", "ethtool", "setpriv", "ping", "curl", "iperf3"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed; run scripts/setup"
    if _free_hugepages_mb() < HUGE_MB:
        return f"needs {HUGE_MB} MB of free hugepages; run scripts/setup"
    name = f"{_new_name()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    return f"no network namespaces here: {made.stderr.strip()}" if made.returncode != 0 else None


@pytest.fixture(scope="session")
def machine():
    """The machine can run the system."""
    if missing := _what_is_missing():
        pytest.skip(missing)
    assert os.access(PRIMARY, os.X_OK), f"{PRIMARY} is not built; see MOS_BUILD"
    remove_leftovers(NAME)


@pytest.fixture(scope="session")
def af_xdp(machine):
    """The kernel has AF_XDP sockets."""
    try:
        socket.socket(AF_XDP, socket.SOCK_RAW).close()
    except OSError as error:
        pytest.skip(f"this kernel has no AF_XDP sockets: {error.strerror}")


@pytest.fixture(scope="module")
def network(machine, request):
    """Client, box, server. FAMILIES of the test module are those it uses, CUT the wires it cuts."""
    made = Network(_new_name(), getattr(request.module, "FAMILIES", (4, 6)),
                   getattr(request.module, "CUT", ()))
    yield made
    made.close()


@pytest.fixture
def new_system(machine, tmp_path):
    """Makes systems; each is killed at the end of the test, if it still runs."""
    made = []

    def make(net=None):
        directory = tmp_path / f"system{len(made)}"
        directory.mkdir()
        made.append(System(str(directory), _new_name(), net))
        return made[-1]

    yield make
    for system in made:
        system.close()


@pytest.fixture
def replay_into(new_system, tmp_path):
    """Plays packets to workers that print lines: replay_into(command, packets, workers, key=...)

    returns the file that they have written. The system has ended by itself.
    """

    def replay(command, packets, workers=1, **keys):
        write_pcap(tmp_path / "in.pcap", packets)
        out = str(tmp_path / "lines")
        system = new_system()
        system.configure([f"net_pcap0,rx_pcap={tmp_path}/in.pcap",
                          f"net_pcap1,tx_pcap={tmp_path}/out.pcap"], workers=workers,
                         clock="packet", end_of_file="stop", **keys)
        system.start_primary()
        for shard in range(workers):
            system.start_worker(shard, command=[*command, "-f", system.config, "-o", out])
        assert system.primary.status() == 0, system.primary.output()
        for worker in system.worker.values():
            assert worker.status() == 0, worker.output()
        return out

    return replay


@pytest.fixture
def bench(new_system, tmp_path):
    """Connections from capture files, and a packet_tool that deals with their packets."""
    return Bench(new_system, tmp_path)


@pytest.fixture
def start_box(new_system, network):
    """Starts primary and workers between client and server: start_box(workers=2, key=value...).

    At the end of the test all must end in order, with status 0 and every packet accounted for.
    """
    made = []

    def start(workers=2, ports=("wire_a", "wire_b"), **keys):
        system = new_system(network)
        made.append(system)
        system.configure(ports, **keys)
        system.start_primary()
        for shard in range(workers):
            system.start_worker(shard)
        return system

    yield start
    for system in made:
        assert set(system.stop()) == {0}, system.primary.output()


@pytest.fixture
def start_apps(new_system, network):
    """Starts a box of so many shards, all served by command(system):
    start_apps(3, command, key=...). All must end in order."""
    made = []

    def start(workers, command, **keys):
        system = new_system(network)
        made.append(system)
        system.configure(("wire_a", "wire_b"), workers=workers, **keys)
        system.start_primary()
        for shard in range(workers):
            system.start_worker(shard, command=command(system))
        return system

    yield start
    for system in made:
        assert set(system.stop()) == {0}, system.primary.output()


@pytest.fixture
def start_sinks(start_box, tmp_path):
    """Starts a box whose two workers are stream_sinks: start_sinks(mode, key=value...)."""

    def start(mode="mixed", **keys):
        sink = Sink(tmp_path / "sink")
        system = start_box(workers=0, **{"rmem_size": 1 << 20, **keys})
        for shard in (0, 1):
            system.start_worker(shard, command=sink.command(system, mode))
        return system, sink

    return start


@pytest.fixture
def start_sinks_to_kill(new_system, network, tmp_path):
    """The same, but mos-run starts them, and starts them again; some deaths will come while one has
    bytes in hand. All must end in order."""
    made = []

    def start():
        sink = Sink(tmp_path / "sink")
        system = new_system(network)
        system.configure(("wire_a", "wire_b"), rmem_size=1 << 20, fail_policy="hold 20000 open")
        system.start_primary()
        made.append((system, system.start_mos_run(2, sink.command(system, work_us=200))))
        for shard in (0, 1):
            system.primary.wait_line(rf"shard {shard}: served by")
        return system, sink

    yield start
    for system, run in made:
        assert run.stop() == 0, run.output()
        assert system.primary.stop() == 0, system.primary.output()


@pytest.fixture
def exchange(network):
    """Makes an Exchange of the network and starts it: exchange(directory, count, ...)."""
    network.introduce_neighbours()
    made = []

    def start(directory, *args, **kwargs):
        print(f"seed {SEED} (MOS_SEED repeats it)")
        made.append(Exchange(network, *args, **kwargs))
        made[-1].start(directory)
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def impair(network):
    """Joins the wire of an endpoint, which the test module has CUT:
    impair(side, there=faults of what it sends, back=, round=)."""
    network.introduce_neighbours()
    made = []

    def start(side, there="", back="", around=None):
        argv = [IMPAIR, "-s", str(SEED + len(made)), "-t", there, "-b", back,
                *(["-r", around] if around else []), FAR[side], NEAR[side]]
        process = Process(network.command("box", *argv))
        made.append(process)
        process.wait_line("impair: up")
        return process

    yield start
    for process in made:
        process.stop()
        print("\n".join(process.lines[-3:-1]))
