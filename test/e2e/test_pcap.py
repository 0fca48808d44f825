"""Offline: capture files go in as ports, their clock is the stack's clock, and the whole system
ends by itself when they do. What midstat saw and what was forwarded is compared exactly.

    in.pcap -> net_pcap0 -- mos-primary, midstat -- net_pcap1 -> out.pcap
"""

import collections
import os
import pathlib
import random

import pytest

import frames
from captures import (ACK, FIN, MS, PSH, RST, START, SYN, Conversation, Packet, S, merged,
                      read_pcap, write_pcap)
from system import adds_up

TIMEOUT_S = 30
REPLAY_FLOWS = 1000
REPLAY_ROUNDS = 100  # of two packets
STEP = MS // 100  # from packet to packet
KILLS = 5


@pytest.fixture
def replay(new_system, tmp_path):
    """Starts a system over capture files in tmp_path, which is {} in the names of ports."""

    def make(ports=("net_pcap0,rx_pcap={}/in.pcap", "net_pcap1,tx_pcap={}/out.pcap"), workers=1,
             **keys):
        system = new_system()
        system.configure([port.replace("{}", str(tmp_path)) for port in ports], workers=workers,
                         **{"clock": "packet", "end_of_file": "stop", "tcp_timeout": TIMEOUT_S,
                            **keys})
        system.start_primary()
        for shard in range(workers):
            system.start_worker(shard)
        return system

    return make


def end_by_itself(system):
    """Wait for the end of all. Returns the last counters."""
    assert system.primary.status() == 0, system.primary.output()
    for worker in system.worker.values():
        assert worker.status() == 0, worker.output()
    assert system.primary.find("end of file: all packets processed")
    assert system.primary.find(r"mbuf audit: (\d+) of \1 found")
    counters = system.primary.last_counters()
    assert adds_up(counters)
    return counters


def stories(system):
    """{client port: ["event client-state server-state", ...]}"""
    told = collections.defaultdict(list)
    for e in system.events():
        assert e.client.startswith("10.77.0.1:") and e.server == "10.77.0.2:80"
        told[int(e.client.split(":")[1])].append(f"{e.name} {e.client_is} {e.server_is}")
    return told


CONVERSATIONS = {
    "client closes": lambda c: c.opened().talked().closed(),
    "server closes": lambda c: c.opened().talked().server(FIN | ACK).client(ACK)
                               .client(FIN | ACK).server(ACK),
    "half closed": lambda c: c.opened().client(FIN | ACK).server(ACK).server(PSH | ACK, b"more")
                             .client(ACK).server(FIN | ACK).client(ACK),
    "both close": lambda c: c.opened().client(FIN | ACK).cross().client(ACK).server(ACK),
    "reset": lambda c: c.opened().talked().client(RST | ACK),
    "refused": lambda c: c.client(SYN).server(RST | ACK),
    "repeated": lambda c: c.client(SYN).repeat().server(SYN | ACK).repeat().client(ACK).talked()
                          .repeat().closed().repeat(),
    "without start": lambda c: c.client(PSH | ACK, b"data").server(ACK),
    "opened twice": lambda c: c.opened().closed().again().opened().talked().client(RST | ACK),
    "silent": lambda c: c.opened().talked(),
    "late": lambda c: c.opened().wait((TIMEOUT_S + 2) * S).talked(),
    "just in time": lambda c: c.opened().wait((TIMEOUT_S - 2) * S).talked().closed(),
    "late and new": lambda c: c.opened().wait((TIMEOUT_S + 2) * S).again().opened().closed(),
}


def in_words(told):
    """What was told of CONVERSATIONS, as in golden_events.txt."""
    return "\n".join(f"# {name}\n" + "".join(f"{line}\n" for line in told[1001 + n])
                     for n, name in enumerate(CONVERSATIONS))


def by_connection(found):
    """{client port, as bytes: its frames in their order}; all are plain IPv4 and TCP."""
    streams = collections.defaultdict(list)
    for frame in found:
        ports = frame[34:36], frame[36:38]
        streams[ports[ports[0] == b"\0\x50"]].append(frame)
    return streams


def all_conversations():
    """The packets of CONVERSATIONS, side by side, from client ports 1001, 1002, ..."""
    return merged(*(make(Conversation(1001 + n, START + n * 1000))
                    for n, make in enumerate(CONVERSATIONS.values())))


def golden():
    return pathlib.Path(__file__).with_name("golden_events.txt").read_text(encoding="ascii")


@pytest.mark.parametrize("nano", [False, True], ids=["us", "ns"])
@pytest.mark.parametrize("workers", [1, 2])
def test_events_of_a_capture_are_the_golden_ones(replay, tmp_path, nano, workers):
    packets = all_conversations()
    write_pcap(tmp_path / "in.pcap", packets, nano)
    system = replay(workers=workers)
    counters = end_by_itself(system)
    assert counters["rx_packets"] == counters["tx_packets"] == len(packets)
    forwarded, sent = read_pcap(tmp_path / "out.pcap"), [packet.frame for packet in packets]
    assert by_connection(forwarded) == by_connection(sent)
    assert forwarded == sent or workers > 1
    assert in_words(stories(system)) == golden()
    assert counters["w_expired"] == 3
    # One packet behind the end of "repeated", those of "without start", the late ones of "late".
    assert counters["w_orphans"] == 1 + 2 + 2


def test_two_captures_are_merged_by_their_time(replay, tmp_path):
    packets = all_conversations()
    for name, from_client in (("a", True), ("b", False)):
        write_pcap(tmp_path / f"{name}.pcap",
                   [packet for packet in packets if packet.from_client == from_client])
    system = replay(("net_pcap0,rx_pcap={}/a.pcap,tx_pcap={}/a.out",
                     "net_pcap1,rx_pcap={}/b.pcap,tx_pcap={}/b.out"))
    end_by_itself(system)
    assert in_words(stories(system)) == golden()
    assert read_pcap(tmp_path / "b.out") == [packet.frame for packet in packets
                                             if packet.from_client]
    assert read_pcap(tmp_path / "a.out") == [packet.frame for packet in packets
                                             if not packet.from_client]


def test_200_interleaved_connections_are_told_apart(replay, tmp_path):
    chance = random.Random(2)
    started = (Conversation(2000 + n, START + chance.randrange(100) * MS) for n in range(200))
    packets = merged(*(one.opened().talked(chance.randrange(20)).closed() for one in started))
    write_pcap(tmp_path / "in.pcap", packets)
    system = replay(workers=2)
    counters = end_by_itself(system)
    assert counters["w_flows_created"] == counters["w_flows_ended"] == 200
    assert by_connection(read_pcap(tmp_path / "out.pcap")) == by_connection(
        packet.frame for packet in packets)
    told = stories(system)
    closes = golden().split("\n\n")[0].splitlines()[1:]
    assert {port: closes for port in range(2000, 2200)} == told


def test_frames_of_all_kinds_and_lengths_pass_or_are_dropped_for_their_reason(replay, tmp_path):
    lies = frames.lies() + [(f"{n} bytes", b"x" * n, "drop_l2_short") for n in range(14)]
    sound = list(frames.sound().values()) + [frames.jumbo()]
    all_frames = sound + [frame for _, frame, _ in lies]
    random.Random(3).shuffle(all_frames)
    write_pcap(tmp_path / "in.pcap", [Packet(START + n * MS, frame, True)
                                      for n, frame in enumerate(all_frames)])
    system = replay(workers=2, mbuf_size=2048)
    counters = end_by_itself(system)
    assert counters["rx_packets"] == len(all_frames)
    assert collections.Counter(read_pcap(tmp_path / "out.pcap")) == collections.Counter(sound)
    assert {name: n for name, n in counters.items() if name.startswith("drop_")
            } == collections.Counter(counter for _, _, counter in lies)


def test_truncated_capture_is_read_to_its_last_whole_packet(replay, tmp_path):
    packets = all_conversations()
    write_pcap(tmp_path / "in.pcap", packets, cut=5)
    system = replay()
    counters = end_by_itself(system)
    assert counters["rx_packets"] == len(packets) - 1
    assert read_pcap(tmp_path / "out.pcap") == [packet.frame for packet in packets[:-1]]


def test_capture_without_packets_is_an_end_at_once(replay, tmp_path):
    write_pcap(tmp_path / "in.pcap", [])
    system = replay()
    assert end_by_itself(system)["rx_packets"] == 0
    assert read_pcap(tmp_path / "out.pcap") == []


@pytest.mark.parametrize("content", [None, b"", b"\xd4\xc3\xb2\xa1", b"no capture" * 100],
                         ids=["missing", "empty", "cut header", "no capture"])
def test_what_is_no_capture_is_refused_in_one_line(new_system, tmp_path, content):
    if content is not None:
        (tmp_path / "in.pcap").write_bytes(content)
    system = new_system()
    system.configure((f"net_pcap0,rx_pcap={tmp_path}/in.pcap", "net_null0"), clock="packet",
                     end_of_file="stop")
    system.start_primary(wait=False)
    assert system.primary.status() == 1
    said = [line for line in system.primary.lines if line is not None]
    assert any("net_pcap0" in line and "in.pcap" in line for line in said), said
    assert not os.path.exists(f"/run/mos-mp/{system.prefix}/control")


def test_nothing_is_lost_when_workers_are_killed_in_a_replay(replay, tmp_path):
    packets = merged(*(Conversation(10000 + n, START + n * STEP, step=REPLAY_FLOWS * STEP).opened()
                       .talked(REPLAY_ROUNDS).closed() for n in range(REPLAY_FLOWS)))
    write_pcap(tmp_path / "in.pcap", packets)
    system = replay(workers=2, tcp_timeout=-1)
    for kill in range(KILLS):
        part = len(packets) * (kill + 1) // (KILLS + 3)
        system.primary.wait_counters(lambda c: c["rx_packets"] >= part, "so much is read")
        system.worker[kill % 2].kill()
        system.primary.wait_line(f"pid {system.worker[kill % 2].pid} died")
        assert not system.primary.find("end of file"), "too late"
        system.start_worker(kill % 2)
    counters = end_by_itself(system)
    assert counters["worker_deaths"] == KILLS
    assert counters["rx_packets"] == counters["tx_packets"] == len(packets)
    assert counters["mbufs_recovered"] == 0
    assert by_connection(read_pcap(tmp_path / "out.pcap")) == by_connection(
        packet.frame for packet in packets)

    print(*(match[0] for match in system.primary.find("shard .: worker pid .* died.*")), sep="\n")
    told = stories(system)
    assert len(told) == REPLAY_FLOWS
    assert all(lines[0].startswith("start") for lines in told.values())
    incomplete = {port: lines for port, lines in told.items() if not lines[-1].startswith("end")}
    assert len(incomplete) <= counters["suspect_forwarded"], incomplete
