"""packet_tool's scripts, and packets in parts: what a rule asks for and what must be on the wire is
made of the same ones.

    | l2: Ethernet, VLAN tags | ip: IPv4 or IPv6 | tcp | data |        each with its options
"""

import collections
import itertools
import os
import struct

from scapy.layers.inet import in4_chksum
from scapy.layers.inet6 import in6_chksum
from scapy.utils import checksum

import frames
from captures import ACK, FIN, MS, PSH, START, SYN, Packet, merged, read_pcap, write_pcap
from system import BUILD

PACKET_TOOL = os.path.join(BUILD, "test/e2e/packet_tool")
SERVER_PORT = 80

# include/mos_api.h and mos_ext.h
ETH_HDR, IP_HDR, TCP_HDR, PAYLOAD, FIX_IP, FIX_TCP, DROP, OVERWRITE, CHOMP, INSERT = (
    1 << n for n in range(10))
SIDE_CLI, SIDE_SVR, SIDE_BOTH = range(3)
DROP_HIDES, LAST_PACKETS = 0x103, 0x104

NOTHING = "-"  # a NULL pointer, as a part of a packet


def letters(count):
    """So many bytes, as a part of a packet."""
    return f"x{count}"


# ---- Headers; lengths and checksums in them are nonsense until they are mended ----


def ip4(source, target, tos=0, ident=1, fragment=0x4000, ttl=64, options=b"", version=4, ihl=None,
        proto=6):
    words = 5 + len(options) // 4 if ihl is None else ihl
    return struct.pack(">BBHHHBBH4s4s", version << 4 | words, tos, 0xdead, ident, fragment, ttl,
                       proto, 0xdead, source, target) + options


def ip6(source, target, traffic_class=0, label=0, hops=64, version=6):
    return struct.pack(">IHBB16s16s", version << 28 | traffic_class << 20 | label, 0xdead, 6, hops,
                       source, target)


def tcp(sport, dport, seq=0, ack=0, flags=ACK, window=65535, urgent=0, options=b"", doff=None,
        reserved=0):
    words = 5 + len(options) // 4 if doff is None else doff
    return struct.pack(">HHIIBBHHH", sport, dport, seq % (1 << 32), ack % (1 << 32),
                       words << 4 | reserved, flags, window, 0xbeef, urgent) + options


class Parts(collections.namedtuple("Parts", "l2 ip tcp data")):
    """A packet in parts."""

    def frame(self):
        return b"".join(self)

    def six(self):
        return self.ip[0] >> 4 == 6

    def with_lengths(self):
        """With the lengths that it has: of the headers and of all."""
        segment = bytearray(self.tcp)
        segment[12] = len(segment) // 4 << 4 | segment[12] & 15
        head = bytearray(self.ip)
        if self.six():
            head[4:6] = (len(head) - 40 + len(segment) + len(self.data)).to_bytes(2, "big")
        else:
            head[0] = head[0] & 0xF0 | len(head) // 4
            head[2:4] = (len(head) + len(segment) + len(self.data)).to_bytes(2, "big")
        return self._replace(ip=bytes(head), tcp=bytes(segment))

    def with_ip_checksum(self):
        return self if self.six() else self._replace(ip=frames.ip4_checksum(self.ip, 0))

    def with_tcp_checksum(self):
        addresses = self.ip[8:40] if self.six() else self.ip[12:20]
        pseudo = addresses + struct.pack(">II", len(self.tcp) + len(self.data), 6)
        head = self.tcp[:16] + b"\0\0" + self.tcp[18:]
        return self._replace(tcp=head[:16] + frames.checksum(pseudo + head + self.data) + head[18:])

    def mended(self):
        """With right lengths and checksums."""
        return self.with_lengths().with_ip_checksum().with_tcp_checksum()


def ip_offset(frame):
    """Where the IP packet lies in a frame, behind two VLAN tags at most; 0: there is none."""
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8") and at < 20:
        at += 4
    return at + 2 if frame[at:at + 2] in (b"\x08\x00", b"\x86\xdd") else 0


def parse(frame):
    """The parts of a whole TCP packet; padding is left out. None for anything else."""
    at = ip_offset(frame)
    if at and frame[at] >> 4 == 4:
        if frame[at + 9] != 6 or frame[at + 6] & 0x3F or frame[at + 7]:
            return None
        l4, end = at + (frame[at] & 15) * 4, at + int.from_bytes(frame[at + 2:at + 4], "big")
    elif at and frame[at] >> 4 == 6 and frame[at + 6] == 6:
        l4, end = at + 40, at + 40 + int.from_bytes(frame[at + 4:at + 6], "big")
    else:
        return None
    data = l4 + (frame[l4 + 12] >> 4) * 4
    return Parts(frame[:at], frame[at:l4], frame[l4:data], frame[data:end])


def scapy_agrees(frame):
    """Whether scapy would fill in the same checksums."""
    parts = parse(frame)
    segment = parts.tcp[:16] + b"\0\0" + parts.tcp[18:] + parts.data
    if parts.six():
        ip = frames.IPv6(parts.ip)
        right = in6_chksum(6, frames.IPv6(src=ip.src, dst=ip.dst), segment)
    else:
        ip = frames.IP(parts.ip)
        if checksum(parts.ip[:10] + b"\0\0" + parts.ip[12:]) != ip.chksum:
            return False
        right = in4_chksum(6, frames.IP(src=ip.src, dst=ip.dst), segment)
    return right == int.from_bytes(parts.tcp[16:18], "big")


# ---- Conversations ----


class Talk:
    """The packets of one connection. Its number is in its link addresses, which tell its frames
    from those of others, and is its client's port."""

    def __init__(self, number, tags=b"", six=False, ip_options=b"", tcp_options=b"", step=MS):
        self.port = number
        self.tags, self.six = tags, six
        self.ip_options, self.tcp_options = ip_options, tcp_options
        self.packets, self.time, self.step = [], START + number * 1000, step
        self.next = {True: (1 << 32) - 20, False: 1000 * number}  # the client's wraps

    def l2(self, from_client, tags=None, mark=b"\0"):
        ends = [struct.pack(">BBHB", 2, mark[0], self.port, 0) + bytes((n,)) for n in (1, 2)]
        kind = b"\x86\xdd" if self.six else b"\x08\x00"
        source, target = ends if from_client else reversed(ends)
        return target + source + (self.tags if tags is None else tags) + kind

    def addresses(self, from_client):
        if self.six:
            ends = [bytes.fromhex("fd770000000000000000000000000000")[:15] + bytes((n,))
                    for n in (1, 2)]
        else:
            ends = [bytes((10, 77, 0, n)) for n in (1, 2)]
        return ends if from_client else ends[::-1]

    def ip(self, from_client, **fields):
        """A header as of the packets of that side, but for some fields."""
        if self.six:
            return ip6(*self.addresses(from_client), **fields)
        return ip4(*self.addresses(from_client), **{"options": self.ip_options, **fields})

    def tcp(self, from_client, **fields):
        ports = (self.port, SERVER_PORT) if from_client else (SERVER_PORT, self.port)
        return tcp(*ports, **{"seq": self.next[from_client], "ack": self.next[not from_client],
                              "options": self.tcp_options, **fields})

    def parts(self, from_client, data=b"", l2=None, ip=None, **fields):
        """What would come next from that side, but for some parts and TCP fields; not mended."""
        return Parts(l2 or self.l2(from_client), ip or self.ip(from_client),
                     self.tcp(from_client, **fields), data)

    def send(self, from_client, flags, data=b"", padding=b"", **ip_fields):
        parts = self.parts(from_client, data, ip=self.ip(from_client, **ip_fields), flags=flags,
                           **({} if flags & ACK else {"ack": 0}))
        self.packets.append(Packet(self.time, parts.mended().frame() + padding, from_client))
        self.time += self.step
        used = len(data) + bool(flags & SYN) + bool(flags & FIN)
        self.next[from_client] = (self.next[from_client] + used) % (1 << 32)
        return self

    def opened(self):
        return self.send(True, SYN).send(False, SYN | ACK).send(True, ACK)

    def client(self, data=b"from the client", flags=PSH | ACK, **more):
        return self.send(True, flags, data, **more)

    def server(self, data=b"from the server", flags=PSH | ACK, **more):
        return self.send(False, flags, data, **more)

    def closed(self):
        return self.send(True, FIN | ACK).send(False, FIN | ACK).send(True, ACK)

    def sent(self, from_client):
        """The frames of that side."""
        return [packet.frame for packet in self.packets if packet.from_client == from_client]

    def owns(self, frame):
        return frame[2:4] == struct.pack(">H", self.port)


# ---- Scripts ----

Result = collections.namedtuple("Result", "value errno fields")


def _in_words(value):
    return value.hex() if isinstance(value, bytes) else str(value)


class Script:
    """Rules for packet_tool, and what came of them."""

    def __init__(self, path):
        self.path = path
        self.lines = []

    def rule(self, where, verb, **words):
        """A line of the script; `sender` for `from`. Returns its number."""
        if "sender" in words:
            words["from"] = words.pop("sender")
        self.lines.append(" ".join([where, verb, *(f"{key}={_in_words(value)}"
                                                   for key, value in words.items())]))
        return len(self.lines)

    def command(self, config):
        self.path.write_text("".join(f"{line}\n" for line in self.lines), encoding="ascii")
        return [PACKET_TOOL, "-f", config, "-s", str(self.path)]

    def results(self, process):
        """{line: [what came of each call, ...]}"""
        found = collections.defaultdict(list)
        for match in process.find(r"^(\d+) [a-z]+ (-?\d+) (\w+)((?: \w+=\S*)*)$"):
            fields = dict(word.split("=", 1) for word in match[4].split())
            found[int(match[1])].append(Result(int(match[2]), match[3], fields))
        return found


class Bench:
    """Talks through a system with one packet_tool, from capture files and into such.

        client.pcap -> net_pcap0 -> client.out        server.pcap -> net_pcap1 -> server.out
    """

    def __init__(self, new_system, directory):
        self.new_system, self.directory = new_system, directory
        self.script = Script(directory / "script")
        self.rule = self.script.rule
        self.talks = []
        self.numbers = itertools.count(2001)
        self.out, self.results, self.counters, self.all_out = {}, {}, {}, {}

    def talk(self, **keys):
        self.talks.append(Talk(next(self.numbers), **keys))
        return self.talks[-1]

    def run(self, more_packets=(), pairs=((0, 1),), **keys):
        """All talks at once. Fills out: {(talk, to client or server): frames}"""
        packets = sorted([*merged(*self.talks), *more_packets], key=lambda packet: packet.time)
        for side, from_client in (("client", True), ("server", False)):
            write_pcap(self.directory / f"{side}.pcap",
                       [packet for packet in packets if packet.from_client == from_client])
        system = self.new_system()
        system.configure([f"net_pcap{n},rx_pcap={self.directory}/{side}.pcap,"
                          f"tx_pcap={self.directory}/{side}.out"
                          for n, side in enumerate(("client", "server"))], pairs, workers=1,
                         **{"clock": "packet", "end_of_file": "stop", "ipv6": 1, **keys})
        system.start_primary()
        worker = system.start_worker(0, command=self.script.command(system.config))
        assert system.primary.status() == 0, system.primary.output()
        assert worker.status() == 0, worker.output()
        self.results = self.script.results(worker)
        self.counters = system.primary.last_counters()
        for side in ("client", "server"):
            self.all_out[side] = read_pcap(self.directory / f"{side}.out")
            for talk in self.talks:
                self.out[talk, side] = [frame for frame in self.all_out[side] if talk.owns(frame)]
        return self

    def errors(self, line):
        """errno of each call of that line, "0" where there was none."""
        return [result.errno for result in self.results[line]]

    def shown(self, line):
        """What the `show` of that line has shown, once."""
        result, = self.results[line]
        assert result.errno == "0", f"line {line}: {result.errno}"
        return result.fields


def shown_parts(fields):
    """The bytes that `show` has shown; None for NULL."""
    return [None if fields[name] == "-" else bytes.fromhex(fields[name]) for name in Parts._fields]
