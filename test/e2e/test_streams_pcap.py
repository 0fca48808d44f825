"""Streams of captures made by hand: frames that the monitor has missed, and the end of the numbers.

    in.pcap -> net_pcap0 -- mos-primary, stream_sink -- net_pcap1

Each case is played for each way of reading, which stream_sink chooses by the client's port.
"""

import random

import pytest

from captures import ACK, FIN, MS, PSH, START, SYN, Packet, merged, segment, write_pcap
from sink import MISSED, WRONG, Sink, flow_name

CLIENT_ISS = 1000
WAYS = 4
PIECE = 100
LENGTH = 2000  # of what the server sends
WRAP = 1 << 32


class Download:
    """The packets of a connection in which only the server sends: bytes of its content, by offset.
    """

    def __init__(self, port, iss, start):
        self.port, self.iss, self.time = port, iss, start
        self.content = random.Random(port).randbytes(LENGTH)
        self.packets = []
        self._add(True, SYN, CLIENT_ISS, 0)
        self._add(False, SYN | ACK, iss, CLIENT_ISS + 1)
        self.ack(0)

    def _add(self, from_client, flags, seq, ack, data=b""):
        frame = segment(self.port, from_client, flags, seq % WRAP, ack % WRAP, data)
        self.packets.append(Packet(self.time, frame, from_client))
        self.time += MS

    def data(self, start, end):
        """The server sends these bytes, in pieces."""
        for at in range(start, end, PIECE):
            self._add(False, PSH | ACK, self.iss + 1 + at, CLIENT_ISS + 1,
                      self.content[at:min(at + PIECE, end)])
        return self

    def ack(self, end):
        """The client has all bytes before end."""
        self._add(True, ACK, CLIENT_ISS + 1, self.iss + 1 + end)
        return self

    def closed(self):
        last = self.iss + 1 + LENGTH
        self._add(False, FIN | ACK, last, CLIENT_ISS + 1)
        self._add(True, FIN | ACK, CLIENT_ISS + 1, last + 1)
        self._add(False, ACK, last + 1, CLIENT_ISS + 2)
        return self


# name: (what is seen, the ranges that are missed)
CASES = {
    "all": (lambda d: d.data(0, 2000).ack(2000), []),
    "out of order": (lambda d: d.data(0, 500).data(1000, 2000).data(500, 1000).ack(2000), []),
    "backwards": (lambda d: d.data(1000, 2000).data(500, 1000).data(0, 500).ack(2000), []),
    "repeated": (lambda d: d.data(0, 1050).data(50, 2000).data(333, 777).ack(2000), []),
    "first missed": (lambda d: d.data(700, 2000).ack(2000), [(0, 700)]),
    "middle missed": (lambda d: d.data(0, 650).data(1313, 2000).ack(2000), [(650, 1313)]),
    "last missed": (lambda d: d.data(0, 1999).ack(2000), [(1999, 2000)]),
    "all missed": (lambda d: d.ack(2000), [(0, 2000)]),
    "missed, and only part of what follows acknowledged":
        (lambda d: d.data(0, 400).data(500, 1500).ack(900).ack(1500).data(1500, 2000).ack(2000),
         [(400, 500)]),
    "missed, and nothing behind it came": (lambda d: d.data(0, 400).ack(900).data(900, 2000)
                                           .ack(2000), [(400, 900)]),
    "comes too late": (lambda d: d.data(0, 400).data(500, 1500).ack(1500).data(400, 500)
                       .data(1500, 2000).ack(2000), [(400, 500)]),
    "twice missed": (lambda d: d.data(0, 400).data(500, 1500).ack(1500).data(1600, 2000).ack(2000),
                     [(400, 500), (1500, 1600)]),
}

# With the byte at this offset the numbers start again.
WRAPS_AT = (None, 0, 1, 450, 1000, 1999)


def iss_of(wraps_at):
    return 5000 if wraps_at is None else (-1 - wraps_at) % WRAP


def make_downloads():
    """{name of the case: its downloads}"""
    downloads, port = {}, 1000  # divisible by WAYS
    for name, (play, _) in CASES.items():
        downloads[name] = []
        for wraps_at in WRAPS_AT:
            for _ in range(WAYS):
                one = Download(port, iss_of(wraps_at), START + port * 1000)
                downloads[name].append(play(one).closed())
                port += 1
    return downloads


@pytest.mark.parametrize("workers", [1, 2])
def test_every_byte_is_read_or_told_to_be_missed(new_system, tmp_path, workers):
    downloads = make_downloads()
    write_pcap(tmp_path / "in.pcap", merged(*(one for same in downloads.values() for one in same)))
    sink = Sink(tmp_path / "sink")
    system = new_system()
    system.configure((f"net_pcap0,rx_pcap={tmp_path}/in.pcap",
                      f"net_pcap1,tx_pcap={tmp_path}/out.pcap"), workers=workers,
                     clock="packet", end_of_file="stop", rmem_size=2 * LENGTH)
    system.start_primary()
    for shard in range(workers):
        system.start_worker(shard, command=sink.command(system))
    assert system.primary.status() == 0, system.primary.output()
    for worker in system.worker.values():
        assert worker.status() == 0, worker.output()

    lost, told, ends = sink.announced(), sink.errors(MISSED), sink.ends()
    for name, (_, missed) in CASES.items():
        for one in downloads[name]:
            flow = flow_name(one.port, 80)
            key, said = (flow, "CLI"), f"{name}, ISS {one.iss}: {sink.story(flow)}"
            assert lost.get(key, []) == missed, said
            assert told.get(key, []) == missed, said
            assert sink.compare(*key, one.content, missed) is None, said
            assert ends[key] == (LENGTH, LENGTH, one.iss), said
            assert sink.content(flow, "SVR") == b""
    assert {line.numbers[0] for line in sink.log("error")} == {MISSED}
    assert not sink.log("hole", *WRONG)
