"""Frames to throw at the box: sound ones of all kinds, and ones that lie, with the reason to drop.

Scapy builds them; what is compared are bytes. Each frame is unlike any other.
"""

import itertools
import logging
import struct

logging.getLogger("scapy").setLevel(logging.ERROR)
# pylint: disable=wrong-import-position
from scapy.layers.inet import (GRE, ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR, fragment,
                               in4_chksum)
from scapy.layers.inet6 import (ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, LLC, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.packet import Raw

CLIENT, SERVER = "02:00:00:00:77:01", "02:00:00:00:77:02"
L2 = 14  # bytes of an Ethernet header

_port = itertools.count(1024)


def ether(**fields):
    return Ether(src=CLIENT, dst=SERVER, **fields)


def ip(**fields):
    return IP(src="10.77.0.1", dst="10.77.0.2", **fields)


def ip6(**fields):
    return IPv6(src="fd77::1", dst="fd77::2", **fields)


def tcp(**fields):
    return TCP(**{"sport": next(_port), "dport": 80, "flags": "S", **fields})


def udp():
    return UDP(sport=next(_port), dport=53) / b"question"


def options(*kinds):
    """TCP options as raw bytes, padded to words."""
    text = b"".join(kinds)
    return text + b"\0" * (-len(text) % 4)


def tcp_with(text):
    """A SYN with these option bytes, whatever they mean, and a right checksum."""
    segment = bytearray(bytes(TCP(sport=next(_port), dport=80, flags="S")) + text)
    segment[12] = (5 + len(text) // 4) << 4
    segment[16:18] = in4_chksum(6, ip(), bytes(segment)).to_bytes(2, "big")
    return ether() / ip(proto=6) / Raw(bytes(segment))


def _ip4_parts():
    parts = fragment(ip(id=7) / udp() / (b"F" * 2800), fragsize=1400)
    return {f"IPv4 fragment {n}": ether() / part for n, part in enumerate(parts)}


def _tcp_options():
    return {
        "TCP options of Linux": ether() / ip() / tcp(options=[
            ("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]),
        "TCP option of length 0": tcp_with(options(b"\x02\x00\x05\xb4")),
        "TCP option of length 1": tcp_with(options(b"\x08\x01")),
        "TCP option that is cut": tcp_with(options(b"\x01\x01\x02\x04")),
        "TCP option longer than all": tcp_with(options(b"\x03\xff\x07")),
        "TCP options after the end": tcp_with(options(b"\x00\xff\xff\xff")),
        "TCP options of 40 bytes": tcp_with(options(b"\xfe\x28" + b"x" * 38)),
        "TCP MSS of 0": tcp_with(options(b"\x02\x04\x00\x00")),
        "TCP window scale of 255": tcp_with(options(b"\x03\x03\xff")),
    }


def sound():
    """{name: frame} of what passes unchanged."""
    frames = {
        "ARP": Ether(src=CLIENT, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.77.0.1", pdst="10.77.0.9"),
        "LLDP": Ether(src=CLIENT, dst="01:80:c2:00:00:0e", type=0x88CC) / b"\x02\x03\x07ab\0\0",
        "STP": Dot3(src=CLIENT, dst="01:80:c2:00:00:00")
               / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP(),
        "MPLS": ether(type=0x8847) / b"\x00\x01\x01\x40payload",
        "unknown EtherType": ether(type=0x1234) / b"anything",
        "no payload": ether(type=0x1235),
        "longest": ether(type=0x1236) / (b"L" * 1500),
        "VLAN": ether() / Dot1Q(vlan=7, prio=5) / ip() / tcp(),
        "VLAN, priority only": ether() / Dot1Q(vlan=0, prio=3) / ip() / tcp(),
        "VLAN, longest": ether() / Dot1Q(vlan=7) / ip() / tcp() / (b"L" * 1460),
        "VLAN with ARP": ether() / Dot1Q(vlan=7) / ARP(pdst="10.77.0.9"),
        "two tags": ether() / Dot1Q(vlan=7) / Dot1Q(vlan=8) / ip() / tcp(),
        "three tags": ether() / Dot1Q(vlan=7) / Dot1Q(vlan=8) / Dot1Q(vlan=9) / ip() / tcp(),
        "QinQ": ether() / Dot1AD(vlan=7) / Dot1Q(vlan=8) / ip() / tcp(),
        "TCP SYN": ether() / ip() / tcp(),
        "TCP without flow": ether() / ip() / tcp(flags="PA") / b"data",
        "TCP SYN with data": ether() / ip() / tcp() / b"data",
        "TCP without flags": ether() / ip() / tcp(flags=0),
        "TCP with all flags": ether() / ip() / tcp(flags="FSRPAUEC"),
        "TCP with wrong checksum": ether() / ip() / tcp(chksum=0x1234),
        "TCP with padding": Raw(bytes(ether() / ip() / tcp(flags="A")) + b"\x5a" * 46),
        "UDP": ether() / ip() / udp(),
        "UDP of wrong length": ether() / ip() / UDP(sport=next(_port), dport=53, len=3) / b"data",
        "ICMP": ether() / ip() / ICMP() / b"echo",
        "GRE": ether() / ip() / GRE() / ip() / udp(),
        "ESP": ether() / ip(proto=50) / ESP(spi=5, seq=1, data=b"secret" * 4),
        "IPv4 in IPv4": ether() / ip() / ip() / tcp(),
        "unknown protocol": ether() / ip(proto=253) / b"anything",
        "IPv4 without payload": ether() / ip(proto=17),
        "IPv4 options": ether() / ip(options=[IPOption_NOP(), IPOption_RR(routers=["0.0.0.0"] * 3)])
                        / tcp(),
        "IPv4 TTL 0": ether() / ip(ttl=0) / tcp(),
        "IPv4 from itself": ether() / IP(src="10.77.0.2", dst="10.77.0.2") / tcp(),
        "IPv4 multicast": ether() / IP(src="10.77.0.1", dst="224.0.0.251") / udp(),
        "TCP fragment": ether() / ip(flags="MF", frag=0) / tcp(),
        "TCP fragment of one byte": ether() / ip(frag=3, proto=6) / b"x",
        "IPv6 TCP": ether() / ip6() / tcp(),
        "IPv6 UDP": ether() / ip6() / udp(),
        "ICMPv6": ether() / ip6() / ICMPv6EchoRequest(data=b"echo"),
        "IPv6 without next header": ether() / ip6(nh=59),
        "IPv6 hop-by-hop": ether() / ip6() / IPv6ExtHdrHopByHop() / tcp(),
        "IPv6 destination options": ether() / ip6() / IPv6ExtHdrDestOpt() / tcp(),
        "IPv6 routing": ether() / ip6() / IPv6ExtHdrRouting(addresses=["fd77::9"]) / tcp(),
        "IPv6 first fragment": ether() / ip6() / IPv6ExtHdrFragment(m=1, id=9) / udp(),
        "IPv6 last fragment": ether() / ip6() / IPv6ExtHdrFragment(offset=2, id=9, nh=17) / b"tail",
        "IPv6 atomic fragment": ether() / ip6() / IPv6ExtHdrFragment(id=9) / tcp(),
        "IPv6 with 8 headers": ether() / ip6() / _chain(8) / tcp(),
        "IPv6 in VLAN": ether() / Dot1Q(vlan=7) / ip6() / tcp(),
        **_ip4_parts(),
        **_tcp_options(),
    }
    return {name: bytes(frame) for name, frame in frames.items()}


def tagged(frame, vlan):
    """The frame in a VLAN."""
    return frame[:12] + struct.pack(">HH", 0x8100, vlan) + frame[12:]


def jumbo():
    """A frame that no packet buffer of the usual size holds."""
    return bytes(ether() / ip() / tcp(flags="A") / (b"J" * 8900))


def _chain(count):
    chain = IPv6ExtHdrDestOpt()
    for _ in range(count - 1):
        chain = chain / IPv6ExtHdrDestOpt()
    return chain


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


def ip4_checksum(frame, at=L2):
    """The frame with a right IPv4 header checksum, if it has a header."""
    head = frame[at:at + (frame[at] & 15) * 4]
    if len(head) < 20 or len(head) < (frame[at] & 15) * 4:
        return frame
    return frame[:at + 10] + checksum(head[:10] + b"\0\0" + head[12:]) + frame[at + 12:]


def _with(frame, at, *values):
    return frame[:at] + bytes(values) + frame[at + len(values):]


def _plain4():
    return bytes(ether() / ip() / tcp(flags="PA") / b"0123456789")


def _plain6():
    return bytes(ether() / ip6() / tcp(flags="PA") / b"0123456789")


def lies():
    """[(name, frame, counter)]: frames that must be dropped, and under which reason."""
    rows = []

    def add(name, frame, counter):
        rows.append((name, frame, counter))

    for ihl in range(16):
        frame = ip4_checksum(_with(_plain4(), L2, 0x40 | ihl))
        if ihl < 5 or ihl * 4 > len(frame) - L2:
            add(f"IPv4 header of {ihl} words", frame, "drop_ip_hdr_len")
        elif ihl * 4 > 40:
            add(f"IPv4 header of {ihl} words", frame, "drop_tcp_hdr_len")
    for version in (0, 5, 6, 15):
        add(f"IPv4 of version {version}", ip4_checksum(_with(_plain4(), L2, version << 4 | 5)),
            "drop_ip_version")
    whole = len(_plain4()) - L2
    for total in (0, 1, 19, whole + 1, whole + 256, 65535):
        add(f"IPv4 total length {total}",
            ip4_checksum(_with(_plain4(), L2 + 2, *total.to_bytes(2, "big"))), "drop_ip_total_len")
    for total in range(20, 40):
        add(f"TCP cut by IPv4 total length {total}",
            ip4_checksum(_with(_plain4(), L2 + 2, *total.to_bytes(2, "big"))), "drop_tcp_hdr_len")
    for bit in range(16):
        frame = _plain4()
        value = int.from_bytes(frame[L2 + 10:L2 + 12], "big") ^ 1 << bit
        add(f"IPv4 checksum, bit {bit}", _with(frame, L2 + 10, *value.to_bytes(2, "big")),
            "drop_ip_checksum")
    for doff in (0, 1, 4, 8, 15):
        add(f"TCP header of {doff} words", _with(_plain4(), L2 + 20 + 12, doff << 4),
            "drop_tcp_hdr_len")
        add(f"IPv6, TCP header of {doff} words", _with(_plain6(), L2 + 40 + 12, doff << 4),
            "drop_tcp_hdr_len")
    for version in (0, 4, 15):
        add(f"IPv6 of version {version}", _with(_plain6(), L2, version << 4), "drop_ip_version")
    whole = len(_plain6()) - L2 - 40
    for length in (0, whole + 1, whole + 256, 65535):
        add(f"IPv6 payload length {length}", _with(_plain6(), L2 + 4, *length.to_bytes(2, "big")),
            "drop_ip_total_len")
    for length in range(1, 20):
        add(f"TCP cut by IPv6 payload length {length}",
            _with(_plain6(), L2 + 4, *length.to_bytes(2, "big")), "drop_tcp_hdr_len")
    add("IPv6 with 9 headers", bytes(ether() / ip6() / _chain(9) / tcp()), "drop_ip6_ext")
    frame = bytes(ether() / ip6() / IPv6ExtHdrDestOpt() / tcp())
    add("IPv6 header beyond the packet", _with(frame, L2 + 41, 200), "drop_ip6_ext")
    add("IPv6 header cut by payload length", _with(frame, L2 + 4, 0, 7), "drop_ip6_ext")
    return rows + truncated()


def truncated():
    """Like lies(): frames cut behind each byte, their lengths as they were, or made to fit."""
    rows = []
    tagged = bytes(ether() / Dot1Q(vlan=7) / ip() / tcp())
    for cut in range(L2 + 4):
        rows.append((f"VLAN cut at {cut}", tagged[:cut], "drop_l2_short"))
    for cut in range(L2, len(_plain4())):
        frame = _plain4()[:cut]
        at = cut - L2
        rows.append((f"IPv4 cut at {cut}", frame,
                     "drop_ip_hdr_len" if at < 20 else "drop_ip_total_len"))
        if 20 <= at < 40:
            rows.append((f"IPv4 that ends at {cut}",
                         ip4_checksum(_with(frame, L2 + 2, *at.to_bytes(2, "big"))),
                         "drop_tcp_hdr_len"))
    for cut in range(L2, len(_plain6())):
        frame = _plain6()[:cut]
        at = cut - L2
        rows.append((f"IPv6 cut at {cut}", frame,
                     "drop_ip_hdr_len" if at < 40 else "drop_ip_total_len"))
        if 41 <= at < 60:
            rows.append((f"IPv6 that ends at {cut}",
                         _with(frame, L2 + 4, *(at - 40).to_bytes(2, "big")), "drop_tcp_hdr_len"))
    return rows


def mutant(frame, chance):
    """The frame with some random damage; chance is a random.Random."""
    frame = bytearray(frame)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        kind = chance.randrange(6)
        at = chance.randrange(min(len(frame), 80) or 1)
        if kind <= 2:
            frame[at:at + 1] = bytes([chance.choice((0, 255, chance.randrange(256)))])
        elif kind == 3:
            frame[at:at + 2] = chance.randrange(65536).to_bytes(2, "big")
        elif kind == 4:
            del frame[chance.randrange(len(frame) or 1):]
        else:
            frame[at:at] = chance.randbytes(chance.randrange(1, 9))
    frame = bytes(frame)
    if len(frame) > L2 + 20 and chance.randrange(3):  # behind a right checksum more is looked at
        frame = ip4_checksum(frame)
    return frame
