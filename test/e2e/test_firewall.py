"""simple-firewall between kernels that talk TCP: what its rules let through, and what they count.

client (sockets, frames) -- mos-primary with simple-firewall -- server

A page is asked for by SIGUSR1, so its counts are those of one moment.
"""

import collections
import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import threading

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment

from frames import ether, ip, tcp
from network import ADDRESS, ADDRESS6, Wire
from system import DEADLINE_S, FIREWALL, Process, adds_up, dropped, wait_until

OPEN, SHUT = 8000, 8001  # ports of the server
SYN_BYTES = 60           # an IPv4 SYN of Linux
RULES = f"""
# the first that matches decides
drop src 10.77.0.0/24 dst 10.77.0.2 port {SHUT}
pass dst port {OPEN}-{SHUT}
drop dst port 7000-7999
"""
DROP_SHUT, PASS_BOTH, DROP_7000, REST = (
    f"drop src 10.77.0.0/24 dst 10.77.0.2 port {SHUT}", f"pass dst port {OPEN}-{SHUT}",
    "drop dst port 7000-7999", "pass what no rule matches")


class Firewall:
    """Processes that share one rule file; what they counted is summed."""

    def __init__(self, directory, rules):
        self.rules = os.path.join(directory, "rules")
        self.processes = []
        self.write(rules)

    def write(self, rules):
        """Put new rules in place of the file, in one step."""
        with open(self.rules + ".new", "w", encoding="ascii") as file:
            file.write(rules)
        os.rename(self.rules + ".new", self.rules)

    def command(self, system, *options):
        return [FIREWALL, "-f", system.config, "-r", self.rules, "-i", "0", *options]

    def reload(self, rules):
        """What each process says to new rules."""
        since = [process.mark() for process in self.processes]
        self.write(rules)
        for process in self.processes:
            process.send(signal.SIGHUP)
        return [process.wait_line("(.*rules are in force|.*the rules in force stay)", at)[1]
                for process, at in zip(self.processes, since)]

    def pages(self):
        """The lines of a new page of each process."""
        for process in self.processes:
            since = process.mark()
            process.send(signal.SIGUSR1)
            process.wait_line("^total:", since)
            yield [line for line in process.lines[since:] if line is not None]

    def counts(self):
        """(packets, bytes) of each rule, by its text."""
        return self.sums(line for page in self.pages() for line in page)

    @staticmethod
    def sums(lines):
        packets, size = collections.Counter(), collections.Counter()
        for line in lines:
            if match := re.match(r" +(?:\d+|-) +(\d+) +(\d+)  (.*)", line):
                packets[match[3]] += int(match[1])
                size[match[3]] += int(match[2])
        return {rule: (packets[rule], size[rule]) for rule in packets}

    def packets(self, rule):
        return self.counts()[rule][0]

    def totals(self):
        """(dropped, passed) by all rules of all times."""
        totals = [re.match(r"total: (\d+) dropped.*; (\d+) passed", page[-1]) for page
                  in ([line for line in page if line.startswith("total:")] for page in self.pages())]
        return sum(int(t[1]) for t in totals), sum(int(t[2]) for t in totals)


@pytest.fixture
def start_firewall(start_box, tmp_path):
    """start(rules, *options, key=value...): a box with one process of two contexts, or with
    processes=2 with two of one. Returns (system, firewall)."""

    def start(rules, *options, processes=1, **keys):
        system = start_box(workers=0, **{"fail_policy": "hold 20000 closed", **keys})
        firewall = Firewall(tmp_path, rules)
        command = firewall.command(system, *options)
        if processes == 2:
            firewall.processes = [system.start_worker(n, command=command) for n in (0, 1)]
        else:
            process = Process([*command, "-n", "2"])
            firewall.processes = [process]
            system.others.append(process)
            system.worker[0] = process
            for shard in (0, 1):
                system.primary.wait_line(rf"shard {shard}: served by pid {process.pid}\b")
        return system, firewall

    return start


@pytest.fixture(autouse=True)
def listeners(network):
    """Open ports: whoever cannot connect is kept from it. Nobody is silent because of ARP."""
    network.introduce_neighbours()
    made = {port: network.listen("server", port) for port in (OPEN, SHUT, 7500, 9000)}
    yield made
    for listener in made.values():
        listener.close()


def syns_sent(network):
    """How many SYNs the client has sent since it exists, those it sent again included."""
    with network.inside("client"):
        counters = {}
        for name in ("snmp", "netstat"):
            with open(f"/proc/thread-self/net/{name}", encoding="ascii") as file:
                rows = [line.split() for line in file]
            for names, values in zip(rows[::2], rows[1::2]):
                counters.update({names[0] + key: value for key, value in zip(names, values)})
    return int(counters["Tcp:ActiveOpens"]) + int(counters["TcpExt:TCPSynRetrans"])


def connect(network, port):
    network.connect("client", port, "server", DEADLINE_S).close()


def connects(network, port, seconds=0.3):
    """Whether a connection comes to be, where none should."""
    try:
        network.connect("client", port, "server", seconds).close()
    except TimeoutError:
        return False
    return True


def is_kept_out(network, firewall, port, address=ADDRESS["server"], dropped_syns=1):
    """Try to connect until so many SYNs were dropped."""
    before = firewall.totals()[0]
    with network.socket("client", socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
        client.setblocking(False)
        client.connect_ex((address, port))
        wait_until(lambda: firewall.totals()[0] >= before + dropped_syns, "SYNs are dropped")
        try:
            client.getpeername()
        except OSError:
            return True
    return False


# ---- Rules ----

@pytest.mark.parametrize("processes", [1, 2])
def test_rules_drop_and_pass_and_count(start_firewall, network, processes):
    system, firewall = start_firewall(RULES, processes=processes)
    before = syns_sent(network)
    for _ in range(20):  # of both shards: ports of the client differ
        connect(network, OPEN)
        connect(network, 9000)
    assert is_kept_out(network, firewall, 7500)
    sent = syns_sent(network) - before
    spare = sent - 41  # SYNs that were sent again on a slow machine
    wait_until(lambda: sum(firewall.totals()) == sent, "each SYN is counted")
    counts = firewall.counts()
    for rule, number in ((PASS_BOTH, 20), (REST, 20), (DROP_7000, 1), (DROP_SHUT, 0)):
        packets, size = counts[rule]
        assert number <= packets <= number + spare and size == packets * SYN_BYTES
    counters = system.primary.wait_counters(adds_up, "all packets are accounted for")
    assert counters["drop_by_app"] == dropped(counters) == firewall.totals()[0]
    assert counters["w_flows_created"] == counters["w_flows_forgotten"] == sent


def test_dropped_syn_is_dropped_and_counted_each_time_it_is_sent(start_firewall, network):
    system, firewall = start_firewall(RULES)
    wire = Wire(network, "server")
    before = syns_sent(network)
    assert is_kept_out(network, firewall, SHUT, dropped_syns=3)
    sent = syns_sent(network) - before
    wait_until(lambda: firewall.packets(DROP_SHUT) >= sent, "each SYN is counted")
    assert firewall.counts()[DROP_SHUT] == (sent, sent * SYN_BYTES)
    system.primary.wait_counters(lambda c: c["drop_by_app"] == sent, "each is dropped")
    assert not [frame for frame in wire.receive_all() if frame[36:38] == SHUT.to_bytes(2, "big")]
    wire.close()


def test_rules_for_ipv6_are_asked_about_ipv6(start_firewall, network):
    drop = f"drop src fd77::/64 dst fd77::2 port {SHUT}"
    _, firewall = start_firewall(f"{drop}\ndrop dst 10.77.0.2 port {OPEN}\n", ipv6=1)
    with (network.socket("server", socket.AF_INET6) as listener,
          network.socket("client", socket.AF_INET6) as client):
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((ADDRESS6["server"], OPEN))
        listener.listen()
        client.settimeout(DEADLINE_S)
        client.connect((ADDRESS6["server"], OPEN))
    assert is_kept_out(network, firewall, SHUT, ADDRESS6["server"])
    for rule, (packets, size) in firewall.counts().items():
        assert (packets > 0) == (rule in (drop, REST)) and size == packets * 80


@contextlib.contextmanager
def sending(network, frames):
    """Send the client's frames; gives a function that tells which of them have reached the server.
    IP identifications tell them apart."""
    wire, sender = Wire(network, "server"), Wire(network, "client")
    seen = set()

    def arrived():
        seen.update(frame[18:20] for frame in wire.receive_all() if frame[12:14] == b"\x08\x00")
        return [bytes(frame)[18:20] in seen for frame in frames]

    try:
        for frame in frames:
            sender.send(bytes(frame))
        yield arrived
    finally:
        wire.close()
        sender.close()


def numbered(packets):
    """Frames of the packets with IP identifications that the kernel is unlikely to use."""
    return [ether() / ip(id=0xfe00 + n) / packet for n, packet in enumerate(packets)]


def test_no_syn_gets_past_by_other_flags_or_without_a_flow(start_firewall, network):
    system, firewall = start_firewall("drop any\n")
    flags = ["S", "SF", "SR", "SFR", "SPU", "SEC", "A", "SA", "R"]
    pass_on = [f in ("A", "SA", "R") for f in flags]
    with sending(network, numbered(tcp(dport=9999, flags=f) for f in flags)) as arrived:
        system.primary.wait_counters(lambda c: c["drop_by_app"] == 6, "each SYN is dropped")
        wait_until(lambda: arrived() == pass_on, "the others arrive")
    assert firewall.packets("drop any") == 6


def test_tcp_in_fragments_is_dropped_when_asked_for(start_firewall, network):
    segment = TCP(sport=1234, dport=SHUT, flags="S") / (b"x" * 64)
    datagram = UDP(sport=1234, dport=SHUT) / (b"x" * 64)
    parts = [ether() / part for n, packet in enumerate((segment, datagram))
             for part in fragment(IP(src="10.77.0.1", dst="10.77.0.2", id=0xff00 + n) / packet, 24)]
    passes = [part[IP].proto == 17 for part in parts]
    system, firewall = start_firewall("drop any\n", "-F")
    with sending(network, parts) as arrived:
        system.primary.wait_counters(lambda c: c["drop_by_app"] == passes.count(False),
                                     "fragments of TCP are dropped")
        wait_until(lambda: arrived() == passes, "the others arrive")
    assert next(firewall.pages())[-2].endswith(f"; {passes.count(False)} fragments dropped")
    assert firewall.totals() == (0, 0)


# ---- Reload ----

def test_reloads_under_a_transfer_lose_no_packet(start_firewall, network, listeners):
    """Rules come and go, some of them wrong, while a connection that they let in sends on."""
    system, firewall = start_firewall(RULES)
    rounds, piece = 30, 400_000
    content = random.Random(2).randbytes(rounds * piece)
    gate = threading.Semaphore(0)

    def serve():
        with listeners[OPEN].accept()[0] as sock:
            for at in range(0, len(content), piece):
                gate.acquire()
                sock.sendall(content[at:at + piece])

    received = []

    def fetch():
        with network.connect("client", OPEN, "server", DEADLINE_S) as sock:
            while data := sock.recv(1 << 16):
                received.append(data)

    before = syns_sent(network)
    threads = [threading.Thread(target=target, daemon=True) for target in (serve, fetch)]
    for thread in threads:
        thread.start()
    for n in range(rounds):
        gate.release()
        if n % 3 == 0:
            answer = firewall.reload(f"drop dst port 9000 # {n}\n")
            assert answer[0].endswith(": 1 rules are in force")
            assert is_kept_out(network, firewall, 9000)
        elif n % 3 == 1:
            answer = firewall.reload(f"pass dst port 9000\ndrop dst port {'x' * n}\n")
            assert ":2: " in answer[0] and answer[0].endswith("; the rules in force stay")
            assert is_kept_out(network, firewall, 9000)
        else:
            answer = firewall.reload(f"pass dst port 9000\ndrop dst port {SHUT}\n")
            assert answer[0].endswith(": 2 rules are in force")
            connect(network, 9000)
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert hashlib.sha256(b"".join(received)).digest() == hashlib.sha256(content).digest()

    # Also what replaced rules counted is not lost.
    replaced = rounds - rounds // 3
    process = firewall.processes[0]
    wait_until(lambda: len(process.find("  replaced: ")) == replaced, "all old rules are done with")
    sent = syns_sent(network) - before
    wait_until(lambda: sum(firewall.totals()) == sent, "each SYN is counted")
    counters = system.primary.wait_counters(adds_up, "all packets are accounted for")
    assert dropped(counters) == counters["drop_by_app"] == firewall.totals()[0]
    assert counters["unmonitored_ring"] == counters["unmonitored_noworker"] == 0


@pytest.mark.parametrize("rules, says", [
    ("pass any\ndrop\n", r":2: what to drop\? .*"),
    ("pass any\n\n\ndrop src 10.0.0.0/33", r":4: '10.0.0.0/33': .*"),
    ("pass any\n\0", r":2: a character .*"),
    (None, r": No such file or directory"),
])
def test_file_with_a_mistake_changes_nothing(start_firewall, network, rules, says):
    _, firewall = start_firewall(RULES, processes=2)
    if rules is None:
        os.rename(firewall.rules, firewall.rules + ".old")
        os.mkdir(firewall.rules + ".new")  # nothing to put in its place
        answers = []
        for process in firewall.processes:
            since = process.mark()
            process.send(signal.SIGHUP)
            answers.append(process.wait_line("(.*the rules in force stay)", since)[1])
    else:
        answers = firewall.reload(rules)
    for answer in answers:
        assert re.fullmatch(f"simple-firewall: .*/rules{says}; the rules in force stay", answer)
    assert is_kept_out(network, firewall, SHUT)
    connect(network, OPEN)


# ---- Life and death ----

def test_killed_worker_is_replaced_and_the_rules_go_on(new_system, network, tmp_path, listeners):
    system = new_system(network)
    system.configure(("wire_a", "wire_b"), fail_policy="hold 20000 closed")
    system.start_primary()
    firewall = Firewall(tmp_path, RULES)
    run = system.start_mos_run(2, firewall.command(system))
    for shard in (0, 1):
        system.primary.wait_line(rf"shard {shard}: served by")
    with network.connect("client", OPEN, "server", DEADLINE_S) as client:
        server = listeners[OPEN].accept()[0]
        for _ in range(3):
            since = system.primary.mark()
            for shard in (0, 1):
                os.kill(system.primary.holder(shard), signal.SIGKILL)
            for shard in (0, 1):
                system.primary.wait_line(rf"shard {shard}: served by", since)
            client.sendall(b"after")
            assert server.recv(100) == b"after"
            for _ in range(3):
                assert not connects(network, SHUT)
                connect(network, 9000)
        server.close()
    assert len(run.find("killed by SIGKILL")) == 6
    assert run.stop() == 0
    assert system.primary.stop() == 0
    counters = system.primary.last_counters()
    assert counters["drop_by_app"] >= 9 and counters["drop_no_worker"] == 0
    assert counters["unmonitored_noworker"] == counters["suspect_forwarded"] == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order_and_prints_what_it_counted(start_firewall, network, signum):
    _, firewall = start_firewall(RULES)
    before = syns_sent(network)
    connect(network, OPEN)
    sent = syns_sent(network) - before
    process = firewall.processes[0]
    assert process.stop(signum) == 0
    assert firewall.sums(line for line in process.lines if line)[PASS_BOTH][0] == sent
    assert process.find(rf"^total: 0 dropped, 0 bytes; {sent} passed, {sent * SYN_BYTES} bytes$")


def test_page_comes_every_interval(start_firewall):
    _, firewall = start_firewall(RULES, "-i", "1")
    process = firewall.processes[0]
    for _ in range(3):
        process.wait_line("^total: 0 dropped", process.mark(), 10)


@pytest.mark.parametrize("reader", ["sleeps", "has gone"])
def test_output_that_nobody_reads_stops_nothing(start_box, network, tmp_path, reader):
    system = start_box(workers=0)
    firewall = Firewall(tmp_path, "drop dst port 7500\n" * 5000)  # a page fills the pipe
    ours, theirs = os.pipe()
    process = subprocess.Popen([*firewall.command(system, "-n", "2")], stdout=theirs,
                               stderr=subprocess.DEVNULL)
    os.close(theirs)
    try:
        for shard in (0, 1):
            system.primary.wait_line(rf"shard {shard}: served by pid {process.pid}\b")
        if reader == "has gone":
            os.close(ours)
        process.send_signal(signal.SIGUSR1)
        for _ in range(5):
            assert not connects(network, 7500)
            connect(network, OPEN)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
    if reader == "sleeps":
        os.close(ours)


def test_it_ends_with_the_primary(start_firewall):
    system, firewall = start_firewall(RULES)
    assert system.primary.stop() == 0
    assert firewall.processes[0].status() == 1


def test_rules_are_checked_without_a_system(tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(RULES)
    bad.write_text("pass any\ndrop dst port 80-79\n")
    for path, status, says in ((good, 0, f"{good}: 3 rules, no mistake\n"),
                               (bad, 1, f"simple-firewall: {bad}:2: '80-79': the range ends")):
        done = subprocess.run([FIREWALL, "-c", "-r", path], capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)
        assert done.returncode == status and (done.stdout + done.stderr).startswith(says)


@pytest.mark.parametrize("args", [(), ("-f", "x"), ("-r", "x"), ("-f", "x", "-r", "x", "-n", "0"),
                                  ("-f", "x", "-r", "x", "-i", "1x"), ("-c", "-r", "x", "more")])
def test_wrong_options_are_refused(args):
    done = subprocess.run([FIREWALL, *args], capture_output=True, text=True, check=False,
                          timeout=DEADLINE_S)
    assert done.returncode == 1 and done.stderr != ""
