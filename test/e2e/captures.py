"""Capture files, and TCP conversations to fill them with. Times are nanoseconds since the epoch."""

import collections
import struct

import frames

START = 1_000_000_000 * 10**9  # a day in September 2001
MS = 10**6
S = 10**9

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

_ENDS = {  # MAC addresses, IPv4 addresses: from the client, from the server
    True: (bytes.fromhex("020000007702020000007701"), bytes((10, 77, 0, 1, 10, 77, 0, 2))),
    False: (bytes.fromhex("020000007701020000007702"), bytes((10, 77, 0, 2, 10, 77, 0, 1))),
}

Packet = collections.namedtuple("Packet", "time frame from_client")


def write_pcap(path, packets, nano=False, cut=0):
    """Write a capture file; cut: bytes missing at its end."""
    unit = 1 if nano else 1000
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for packet in packets:
        second, rest = divmod(packet.time, S)
        length = len(packet.frame)
        parts += [struct.pack("<IIII", second, rest // unit, length, length), packet.frame]
    data = b"".join(parts)
    with open(path, "wb") as file:
        file.write(data[:len(data) - cut])


def read_pcap(path):
    """The frames of a capture file in their order."""
    with open(path, "rb") as file:
        data = file.read()
    assert struct.unpack_from("<I", data)[0] in (0xA1B2C3D4, 0xA1B23C4D)
    found, at = [], 24
    while at < len(data):
        _, _, captured, length = struct.unpack_from("<IIII", data, at)
        assert captured == length
        found.append(data[at + 16:at + 16 + length])
        at += 16 + length
    assert at == len(data)
    return found


def segment(port, from_client, flags, seq, ack, data=b""):
    """A TCP segment between 10.77.0.1:port and 10.77.0.2:80."""
    macs, addresses = _ENDS[from_client]
    ports = (port, 80) if from_client else (80, port)
    tcp = struct.pack(">HHIIHHHH", *ports, seq, ack, 0x5000 | flags, 65535, 0, 0) + data
    pseudo = addresses + struct.pack(">HH", 6, len(tcp))
    tcp = tcp[:16] + frames.checksum(pseudo + tcp) + tcp[18:]
    head = struct.pack(">HHHHBBH", 0x4500, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + addresses
    head = head[:10] + frames.checksum(head) + head[12:]
    return macs + b"\x08\x00" + head + tcp


class Conversation:
    """The packets of one client port, one after the other, with numbers as TCP would have them."""

    def __init__(self, port, start=START, step=MS):
        self.port = port
        self.packets = []
        self.time = start
        self.step = step
        self._restart()

    def _restart(self):
        self.next = {True: 1000 * self.port & 0xFFFFFFFF, False: 0xFFFFFF00}  # the server's wraps

    def send(self, from_client, flags, data=b""):
        ack = self.next[not from_client] if flags & ACK else 0
        frame = segment(self.port, from_client, flags, self.next[from_client], ack, data)
        self.packets.append(Packet(self.time, frame, from_client))
        self.time += self.step
        used = len(data) + bool(flags & SYN) + bool(flags & FIN)
        self.next[from_client] = self.next[from_client] + used & 0xFFFFFFFF
        return self

    def client(self, flags, data=b""):
        return self.send(True, flags, data)

    def server(self, flags, data=b""):
        return self.send(False, flags, data)

    def wait(self, duration):
        self.time += duration
        return self

    def cross(self):
        """The server closes too, before it has seen that the client does."""
        seen = self.next[True]
        self.next[True] -= 1
        self.server(FIN | ACK)
        self.next[True] = seen
        return self

    def repeat(self):
        """The last packet once more."""
        self.packets.append(self.packets[-1]._replace(time=self.time))
        self.time += self.step
        return self

    def opened(self):
        return self.client(SYN).server(SYN | ACK).client(ACK)

    def talked(self, rounds=1):
        for _ in range(rounds):
            self.client(PSH | ACK, b"question").server(PSH | ACK, b"the answer")
        return self

    def closed(self):
        return self.client(FIN | ACK).server(FIN | ACK).client(ACK)

    def again(self):
        """What follows is a new connection of the same port."""
        self._restart()
        self.next[True] += 1 << 20
        return self


class Story:
    """The packets of one client port; data and ACK numbers are given as offsets of the streams."""

    def __init__(self, port):
        self.port, self.time, self.packets = port, START + port * 1000, []
        self.iss = {True: (1 << 32) - 500, False: 1000 * port}  # the client's wraps
        self.send(True, SYN, -1, 0).send(False, SYN | ACK, -1, 0).send(True, ACK, 0, 0)

    def send(self, from_client, flags, start, acked, data=b""):
        seq = self.iss[from_client] + 1 + start
        ack = self.iss[not from_client] + 1 + acked if flags & ACK else 0
        frame = segment(self.port, from_client, flags, seq % (1 << 32), ack % (1 << 32), data)
        self.packets.append(Packet(self.time, frame, from_client))
        self.time += MS
        return self

    def to_server(self, start, end, acked=0, content=None):
        """The client sends these bytes of its content: zeroes, unless it is given."""
        data = bytes(end - start) if content is None else content[start:end]
        return self.send(True, PSH | ACK, start, acked, data)

    def to_client(self, start, end, acked=0, content=None):
        data = bytes(end - start) if content is None else content[start:end]
        return self.send(False, PSH | ACK, start, acked, data)

    def server_has(self, acked, sent=0):
        """A packet of the server without data."""
        return self.send(False, ACK, sent, acked)

    def client_has(self, acked, sent=0):
        return self.send(True, ACK, sent, acked)

    def closed(self, to_server, to_client=0):
        """Both close after so many bytes."""
        self.send(True, FIN | ACK, to_server, to_client)
        self.send(False, FIN | ACK, to_client, to_server + 1)
        return self.send(True, ACK, to_server + 1, to_client + 1)

    def later(self, duration):
        """All of it happens so much later."""
        self.packets = [packet._replace(time=packet.time + duration) for packet in self.packets]
        self.time += duration
        return self


def merged(*conversations):
    """All their packets in the order of time."""
    packets = [packet for one in conversations for packet in one.packets]
    return sorted(packets, key=lambda packet: packet.time)
