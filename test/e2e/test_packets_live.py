"""Packets that a worker edits and sends between kernels, which judge the checksums, and on wires.

client (sockets, curl, iperf3; frames) -- mos-primary with a packet_tool -- server
"""

import collections
import hashlib
import json
import random
import socket
import subprocess
import time

import pytest

from captures import ACK, PSH, RST
from network import ADDRESS, ADDRESS6, WIRE, Wire
from packets import (DROP, FIX_IP, FIX_TCP, INSERT, IP_HDR, OVERWRITE, PAYLOAD, TCP_HDR, Script,
                     Talk, letters, parse, scapy_agrees)
from system import DEADLINE_S, Process, needs_driver, wait_until

MB = 1 << 20
PORT = 8000
LOCAL_PORT = 40000
SIZE = 2 * MB
FIX = FIX_IP | FIX_TCP
VLAN7 = b"\x81\x00\x60\x07"
JUMBO = 9000


@pytest.fixture
def script(tmp_path):
    return Script(tmp_path / "script")


@pytest.fixture
def start_tool(new_system, network, script):
    """Starts a box whose only worker carries out the script: start_tool(ports, key=value...).

    At the end both must end in order.
    """
    made = []

    def start(ports=("wire_a", "wire_b"), **keys):
        system = new_system(network)
        system.configure(ports, workers=1, **{"ipv6": 1, **keys})
        system.start_primary()
        made.append(system)
        return system, system.start_worker(0, command=script.command(system.config))

    yield start
    for system in made:
        assert set(system.stop()) == {0}, system.primary.output()


@pytest.fixture
def mistakes(network):
    """What the kernels of both endpoints have found wrong during the test: {(side, what): count}"""
    network.introduce_neighbours()
    kinds = (("Tcp", "InCsumErrors"), ("Ip", "InHdrErrors"))

    def read():
        return {(side, name): network.snmp(side, protocol, name)
                for side in WIRE for protocol, name in kinds}

    before = read()
    return lambda: {key: n - before[key] for key, n in read().items() if n != before[key]}


@pytest.fixture
def wires(network):
    made = {side: Wire(network, side) for side in WIRE}
    yield made
    for wire in made.values():
        wire.close()


@pytest.fixture
def run(network):
    """Starts a program in a namespace: run(side, argv...)."""
    made = []

    def start(side, *argv):
        made.append(Process(network.command(side, *argv)))
        return made[-1]

    yield start
    for process in made:
        process.kill()


@pytest.fixture
def download(network, run, tmp_path):
    """download(address): the client fetches SIZE random bytes from the server by HTTP."""
    (tmp_path / "served").mkdir()
    content = random.Random(SIZE).randbytes(SIZE)
    (tmp_path / "served" / "file").write_bytes(content)
    server = run("server", "/usr/bin/python3", "-u", "-m", "http.server", str(PORT), "--bind", "::",
                 "--directory", str(tmp_path / "served"))
    server.wait_line("Serving HTTP")

    def fetch(address):
        got = tmp_path / "got"
        subprocess.run(network.command("client", "curl", "-sS", "--fail", "--max-time",
                                       str(DEADLINE_S), "-o", str(got),
                                       f"http://{address}:{PORT}/file"), check=True, timeout=60)
        assert hashlib.sha256(got.read_bytes()).digest() == hashlib.sha256(content).digest()

    return fetch


def exchange_on(wires, talk, **counts):
    """Send the talk's packets, each when a frame has come of the one before. counts: how many
    frames shall arrive at each side. {side: those that did}"""
    got = {side: [] for side in WIRE}

    def wait_for(side, count):
        deadline = time.monotonic() + DEADLINE_S / 3
        while len(got[side]) < count and time.monotonic() < deadline:
            frame = wires[side].receive(0.05)
            if frame is not None and talk.owns(frame):
                got[side].append(frame)

    for packet in talk.packets:
        source, target = ("client", "server") if packet.from_client else ("server", "client")
        wires[source].send(packet.frame)
        wait_for(target, len(got[target]) + 1)
    for side, wire in wires.items():
        wait_for(side, counts.get(side, 0))
        got[side] += [frame for frame in wire.receive_all() if talk.owns(frame)]
    return got


# ---- Kernels ----


def set_mss(network, mss):
    """What both kernels tell each other, from the next connection on."""
    for side in WIRE:
        network.run(side, "ip", "route", "replace", "10.77.0.0/24", "dev", "eth0", "advmss",
                    str(mss))


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS6], ids=["IPv4", "IPv6"])
def test_kernels_take_resets_that_the_box_sends(start_tool, network, script, mistakes, address):
    mine = {"port": LOCAL_PORT, "sender": "cli", "nth": 3}
    lines = [script.rule("snd", "send", flags=RST | ACK, data=b"", **mine),
             script.rule("snd", "send", flags=RST | ACK, data=b"", turn=1, **mine),
             script.rule("snd", "edit", option=DROP, **mine)]
    _, worker = start_tool()
    family = socket.AF_INET6 if address is ADDRESS6 else socket.AF_INET
    listener, client = (network.socket(side, family) for side in ("server", "client"))
    for sock, side, port in ((listener, "server", PORT + 1), (client, "client", LOCAL_PORT)):
        sock.settimeout(DEADLINE_S)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address[side], port))
    with listener, client:
        listener.listen()
        client.connect((address["server"], PORT + 1))
        server, _ = listener.accept()
        with server:
            server.settimeout(DEADLINE_S)
            client.send(b"request")
            for sock in (server, client):
                with pytest.raises(ConnectionResetError):
                    sock.recv(100)
    wait_until(lambda: len(script.results(worker)) == len(lines), "all results are printed")
    results = script.results(worker)
    assert [[result.errno for result in results[line]] for line in lines] == [["0"]] * 3
    assert not mistakes()


@pytest.mark.parametrize("address", [ADDRESS["server"], f"[{ADDRESS6['server']}]"],
                         ids=["IPv4", "IPv6"])
def test_kernels_take_every_packet_twice(start_tool, script, mistakes, download, address):
    line = script.rule("snd", "resend", quiet=1)
    system, worker = start_tool()
    download(address)
    counters = system.primary.counters()
    errors = collections.Counter(result.errno for result in script.results(worker)[line])
    assert set(errors) <= {"ENOBUFS"}
    assert counters["w_sent"] == counters["w_tcp"] - errors["ENOBUFS"]
    assert counters["tx_packets"] == counters["rx_packets"] + counters["w_sent"]
    assert counters["w_sent"] > counters["w_tcp"] // 2 > SIZE // 3000
    assert not mistakes()


EDITS = {
    "fields": [
        ("snd", {"option": OVERWRITE | IP_HDR, "off": 8, "data": b"\x3f"}),
        ("snd", {"option": OVERWRITE | IP_HDR | FIX_IP, "off": 1, "data": b"\xb8"}),
        ("rcv", {"option": OVERWRITE | TCP_HDR | FIX_TCP, "off": 14, "data": b"\x01\x00"}),
    ],
    "fields, checksums at last": [
        ("raw", {"option": OVERWRITE | IP_HDR | FIX_IP, "off": 8, "data": b"\x3f"}),
        ("snd", {"option": OVERWRITE | IP_HDR, "off": 1, "data": b"\xb8"}),
        ("rcv", {"option": OVERWRITE | TCP_HDR | FIX, "off": 14, "data": b"\x01\x00"}),
    ],
    "longer headers": [
        ("snd", {"option": OVERWRITE | IP_HDR, "off": 8, "data": b"\x3f\x06"}),
        ("snd", {"option": OVERWRITE | IP_HDR, "off": 1, "data": b"\xb8"}),
        ("snd", {"option": INSERT | IP_HDR, "off": 20, "data": b"\x01\x01\x01\x00"}),
        ("rcv", {"option": OVERWRITE | TCP_HDR, "off": 14, "data": b"\x01\x00"}),
    ],
}


@pytest.mark.parametrize("edits", EDITS)
def test_transfers_complete_while_each_packet_is_edited(
        start_tool, network, script, mistakes, download, run, wires, edits):
    longer = edits == "longer headers"
    for where, words in EDITS[edits]:
        script.rule(where, "edit", quiet=1, **words)
    if longer:
        script.rule("rcv", "edit", quiet=1, option=INSERT | TCP_HDR | FIX, off=20,
                    data=b"\x01\x01\x01\x01")
    set_mss(network, 1400)  # leaves room for options in each segment
    system, worker = start_tool()
    download(ADDRESS["server"])
    seen = [parse(frame) for side in WIRE for frame in wires[side].receive_all() if parse(frame)]
    server = run("server", "iperf3", "-s", "-p", "5201", "--forceflush")
    server.wait_line("Server listening")
    for direction in ([], ["-R"]):
        client = run("client", "iperf3", "-c", ADDRESS["server"], "-n", "4M", "-J", *direction)
        assert client.status() == 0, client.output()
        end = json.loads("\n".join(client.lines[:-1]))["end"]
        assert end["sum_received"]["bytes"] > 0
    assert len(seen) > SIZE // 1500
    assert {(p.ip[8], p.ip[1], p.tcp[14:16], len(p.ip)) for p in seen} == {
        (0x3F, 0xB8, b"\x01\x00", 24 if longer else 20)}
    assert {p.tcp[20:24] for p in seen} == {b"\x01" * 4} or not longer
    errors = {(script.lines[line - 1].split()[0], result.errno)
              for line, results in script.results(worker).items() for result in results}
    assert errors <= {("raw", "EACCES")}  # of IPv6 packets
    assert system.primary.counters()["w_tcp_checksum"] == 0
    assert not mistakes()


def test_kernels_refuse_what_was_edited_without_mending(
        start_tool, network, script, mistakes):
    """The test of the tests: a mistake would be seen."""
    script.rule("rcv", "edit", port=LOCAL_PORT + 1, sender="cli", nth=3, data=b"X",
                option=OVERWRITE | PAYLOAD)
    start_tool()
    with network.listen("server", PORT + 1) as listener:
        with network.connect("client", PORT + 1, "server", DEADLINE_S, LOCAL_PORT + 1) as client:
            server, _ = listener.accept()
            with server:
                server.settimeout(DEADLINE_S)
                client.sendall(b"original")
                assert server.recv(100) == b"original"  # sent again
    assert mistakes() == {("server", "InCsumErrors"): 1}


# ---- Wires ----


PORTS = {
    "af_packet": ("wire_a", "wire_b"),
    "af_xdp": ("net_af_xdp0,iface=wire_a", "net_af_xdp1,iface=wire_b"),
    "tap": ("net_tap0,iface=tap_client", "net_tap1,iface=tap_server"),
}


@pytest.fixture(params=PORTS)
def driver(request):
    if request.param == "af_xdp":
        request.getfixturevalue("af_xdp")
    needs_driver(request.param)
    return request.param


def take_taps(network):
    """The taps of the box become interfaces of the endpoints. Wires to them."""
    for side in WIRE:
        network.run("box", "ip", "link", "set", f"tap_{side}", "netns", network.namespace(side))
        network.set(side, f"net/ipv6/conf/tap_{side}/disable_ipv6", 1)
        network.run(side, "ip", "link", "set", f"tap_{side}", "up")
    return {side: Wire(network, side, f"tap_{side}") for side in WIRE}


@pytest.mark.parametrize("six, tags", [(False, b""), (True, VLAN7)], ids=["IPv4", "IPv6 in VLAN"])
def test_sent_packets_are_on_the_wires_as_asked(
        start_tool, network, script, wires, driver, six, tags):
    """Whoever computes the checksums: net_tap does it itself."""
    talk = Talk(2001, tags=tags, six=six, tcp_options=b"\x01\x01\x08\x0a" + bytes(range(8)))
    talk.opened().client(b"at hand")
    room = 1500 - len(talk.ip(True)) - len(talk.tcp(True))
    expected = {side: [] for side in WIRE}
    lines = []
    for size in (0, 1, room - 1, room):
        for side, from_client in (("server", True), ("client", False)):
            parts = talk.parts(from_client, b"x" * size, flags=PSH | ACK, urgent=size)
            lines.append(script.rule("snd", "send", port=talk.port, sender="cli", nth=3,
                                     **{"ip6" if six else "ip": parts.ip}, tcp=parts.tcp,
                                     data=letters(size)))
            expected[side].append(parts.mended().frame())
    _, worker = start_tool(PORTS[driver])
    if driver == "tap":
        wires = take_taps(network)
    got = exchange_on(wires, talk, server=7, client=5)
    wait_until(lambda: len(script.results(worker)) == len(lines), "all results are printed")
    assert {line: [r.errno for r in results] for line, results in
            script.results(worker).items()} == {line: ["0"] for line in lines}
    assert got["server"] == talk.sent(True)[:2] + expected["server"] + talk.sent(True)[2:]
    assert got["client"] == talk.sent(False) + expected["client"]
    assert all(scapy_agrees(frame) for frames in got.values() for frame in frames)


@pytest.mark.parametrize("tags", [b"", VLAN7], ids=["untagged", "VLAN"])
def test_jumbo_frames_are_sent_and_edited(start_tool, network, script, wires, tags):
    talk = Talk(2002, tags=tags).opened()
    data = bytes(n % 251 for n in range(JUMBO - 40))
    talk.client(data).client(data[1:])
    mine = {"port": talk.port, "sender": "cli"}
    parts = [talk.parts(from_client, b"x" * (JUMBO - 40)) for from_client in (True, False)]
    good = [script.rule("snd", "send", nth=3, ip=p.ip, tcp=p.tcp, data=letters(JUMBO - 40), **mine)
            for p in parts]
    again = script.rule("snd", "resend", nth=3, **mine)
    too_long = script.rule("snd", "send", nth=3, data=letters(JUMBO - 39), **mine)
    show = script.rule("rcv", "show", nth=3, **mine)
    words = {"option": INSERT | PAYLOAD | FIX, "off": 5000, "nth": 4, **mine}
    lines = [script.rule("snd", "edit", data=new, **words) for new in (b"ab", b"c", b"d")]
    network.set_mtu(JUMBO, *WIRE)
    try:
        _, worker = start_tool(mbuf_size=16352)
        got = exchange_on(wires, talk, server=6, client=2)
    finally:
        network.set_mtu(1500, *WIRE)
    wait_until(lambda: {*good, again, show, too_long} <= set(script.results(worker)),
               "all results are printed")
    results = {line: results[0] for line, results in script.results(worker).items()}
    assert {results[line].errno for line in (*good, again, show)} == {"0"}
    assert results[too_long].errno == "EMSGSIZE"
    assert [results[line].errno for line in lines] == ["EMSGSIZE", "0", "EMSGSIZE"]
    assert results[show].fields["data"] == data.hex()
    sent = talk.sent(True)
    last = parse(sent[3])
    last = last._replace(data=last.data[:5000] + b"c" + last.data[5000:])
    assert got["server"] == [*sent[:2], parts[0].mended().frame(), sent[2], sent[2],
                             last.mended().frame()]
    assert got["client"] == [*talk.sent(False), parts[1].mended().frame()]


def test_a_link_that_is_down_is_an_error_until_it_is_back(start_tool, network, script, wires):
    talk = Talk(2003).opened().client()
    to_server = script.rule("snd", "resend", port=talk.port, sender="cli")
    to_client = script.rule("snd", "send", port=talk.port, sender="cli", turn=1)
    _, worker = start_tool()
    exchange_on(wires, talk)

    def send_until(result):
        since = worker.mark()

        def again():
            wires["client"].send(talk.packets[-1].frame)
            time.sleep(0.01)
            return worker.find(f"^{to_server} resend {result}$", since)

        wait_until(again, f"a packet with {result}")

    network.run("box", "ip", "link", "set", "wire_b", "down")
    send_until("-1 ENETDOWN")
    network.run("box", "ip", "link", "set", "wire_b", "up")
    send_until("0 0")
    wait_until(lambda: any(map(talk.owns, wires["server"].receive_all())) or
               wires["client"].send(talk.packets[-1].frame), "it arrives")
    errors = {result.errno for result in script.results(worker)[to_client]}
    assert errors == {"0"}


def test_what_was_sent_goes_out_though_the_worker_dies_over_the_packet(
        start_tool, script, wires):
    talk = Talk(2004).opened().client(b"deadly").client(b"another")
    mine = {"port": talk.port, "sender": "cli", "nth": 3}
    script.rule("snd", "send", data=b"sent before", **mine)
    script.rule("snd", "send", data=b"answer", turn=1, **mine)
    script.rule("snd", "die", **mine)
    system, worker = start_tool(fail_policy="open")
    got = exchange_on(wires, talk, server=5, client=2)
    system.primary.wait_line(f"worker pid {worker.pid} died")
    sent = talk.sent(True)
    before = parse(sent[2])._replace(data=b"sent before").mended().frame()
    assert got["server"] == [*sent[:2], before, *sent[2:]]
    assert [parse(frame).data for frame in got["client"]] == [b"", b"answer"]
