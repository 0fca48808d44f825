"""mtcp_getlastpkt() and mtcp_getlastpkt_ext(): every field of what they show, at every hook.
Packets come from capture files.
"""

import frames
from captures import ACK, MS, START, Packet
from packets import (DROP, LAST_PACKETS, OVERWRITE, PAYLOAD, SIDE_BOTH, SIDE_CLI, SIDE_SVR, parse,
                     shown_parts)

VLAN7, SERVICE8 = b"\x81\x00\x60\x07", b"\x88\xa8\x00\x08"
PRIORITY = b"\x81\x00\xa0\x00"  # a tag without VLAN
TIMESTAMP = b"\x01\x01\x08\x0a" + bytes(range(8))
KINDS = {
    "plain": {},
    "IPv4 options": {"ip_options": b"\x94\x04\x00\x00" + b"\x01" * 36},
    "TCP options": {"tcp_options": TIMESTAMP},
    "TCP options of 40 bytes": {"tcp_options": b"\x01" * 40},
    "VLAN": {"tags": VLAN7},
    "two VLANs": {"tags": SERVICE8 + VLAN7},
    "priority": {"tags": PRIORITY},
    "IPv6": {"six": True},
    "IPv6 in VLAN": {"six": True, "tags": VLAN7, "tcp_options": TIMESTAMP},
}
VLAN = {"VLAN": 7, "two VLANs": 8, "IPv6 in VLAN": 7}


def expected_fields(packet, vlan=0, port=0, offset=0):
    """What shall be shown of a TCP packet."""
    parts = parse(packet.frame)
    ip_len = len(parts.ip) + len(parts.tcp) + len(parts.data)
    return {
        "same": 1, "ts": packet.time // MS % (1 << 32), "if": port, "eth_len": len(packet.frame),
        "ip_len": ip_len, "offset": offset, "payloadlen": len(parts.data),
        "seq": int.from_bytes(parts.tcp[4:8], "big"), "ack": int.from_bytes(parts.tcp[8:12], "big"),
        "window": 65535, "ts_ns": packet.time // 1000 * 1000, "frame_len": len(packet.frame),
        "vlan": vlan, "version": 6 if parts.six() else 4, "proto": 6, "iph": int(not parts.six()),
        "ip6h": int(parts.six()),
    }


def check(fields, packet, **expected):
    """That all of the packet is shown."""
    assert shown_parts(fields) == list(parse(packet.frame))
    assert {key: int(value) for key, value in fields.items()
            if key not in ("l2", "ip", "tcp", "data")} == expected_fields(packet, **expected)


def test_every_field_at_every_hook(bench):
    rows = []
    for name, keys in KINDS.items():
        talk = bench.talk(**keys).opened().client(b"first").server(b"a").client(
            b"some data", padding=b"\x5a" * 20)
        show = {(where, nth, side): bench.rule(where, "show", port=talk.port, nth=nth, sender=side)
                for nth, side in ((4, "cli"), (2, "svr")) for where in ("snd", "rcv")}
        rows.append((name, talk, show, bench.rule("raw", "show", port=talk.port, nth=6)))
    bench.run()
    for name, talk, show, raw in rows:
        vlan = VLAN.get(name, 0)
        for (_, nth, side), line in show.items():
            print(name, bench.script.lines[line - 1])
            packet = talk.packets[5 if side == "cli" else 4]
            check(bench.shown(line), packet, vlan=vlan, port=int(side == "svr"),
                  offset=5 if side == "cli" else 0)
        check(bench.shown(raw), talk.packets[5], vlan=vlan)
        assert bench.out[talk, "server"] == talk.sent(True)


def test_offset_counts_the_receivers_stream_beyond_sequence_wrap(bench):
    talk = bench.talk().opened()
    offsets = []
    for n in range(5):
        talk.client(b"7 bytes"), offsets.append(7 * n)
    talk.packets.append(talk.packets[4]._replace(time=talk.time))
    offsets.append(7)  # once more
    talk.time += MS
    start = talk.next[True]
    talk.next[True] = (start + 1000) % (1 << 32)
    talk.client(b"behind a hole"), offsets.append(35 + 1000)
    talk.next[True] = (1 << 32) - 20
    talk.client(b"x"), offsets.append(0)  # a probe in front of all
    talk.next[True] = start
    talk.send(True, ACK), offsets.append(0)
    rows = [(bench.rule(where, "show", port=talk.port, sender="cli", nth=n + 3), packet, offset)
            for where in ("snd", "rcv")
            for n, (packet, offset) in enumerate(zip(talk.packets[3:], offsets))]
    bench.run()
    assert len(rows) == 2 * 9
    for line, packet, offset in rows:
        check(bench.shown(line), packet, offset=offset)


def test_long_frames_are_shown_whole(bench):
    data = bytes(n % 251 for n in range(8900))
    talks = [bench.talk(six=six).opened().client(data) for six in (False, True)]
    lines = [bench.rule(where, "show", port=talk.port, sender="cli", nth=3)
             for talk in talks for where in ("snd", "rcv")]
    bench.run()
    for n, line in enumerate(lines):
        check(bench.shown(line), talks[n // 2].packets[3])


def test_packets_without_flow_have_offset_0(bench):
    talk = bench.talk().client(b"nobody knows me")
    line = bench.rule("orphan", "show", port=talk.port)
    bench.run()
    check(bench.shown(line), talk.packets[0])


def test_what_a_packet_does_not_have_is_null(bench):
    sound = frames.sound()
    names = ["UDP", "ICMP", "ESP", "unknown protocol", "IPv4 without payload", "TCP fragment",
             "TCP fragment of one byte", "IPv6 UDP", "ICMPv6", "IPv6 without next header"]
    packets = [Packet(START + n * MS, sound[name], True) for n, name in enumerate(names)]
    lines = [bench.rule("raw", "show", nth=n + 1) for n in range(len(names))]
    bench.run(packets)
    for name, packet, line in zip(names, packets, lines):
        fields = bench.shown(line)
        six = sound[name][12:14] == b"\x86\xdd"
        l2, ip, tcp, data = shown_parts(fields)
        assert (l2, tcp, data) == (packet.frame[:14], None, None), name
        assert packet.frame[14:].startswith(ip) and len(ip) == int(fields["ip_len"]), name
        wrong = {key: fields[key] for key, expected in {
            "same": "1", "offset": "0", "payloadlen": "0", "seq": "0", "ack": "0", "window": "0",
            "eth_len": str(len(packet.frame)), "frame_len": str(len(packet.frame)), "if": "0",
            "iph": str(int(not six)), "ip6h": str(int(six)), "version": "6" if six else "4",
            "vlan": "0", "proto": str(packet.frame[20 if six else 23])}.items()
            if fields[key] != expected}
        assert not wrong, name
    assert bench.all_out["server"] == [packet.frame for packet in packets]


def test_each_reason_not_to_show_a_packet(bench):
    talk = bench.talk().opened().client().server().closed()
    mine = {"port": talk.port, "sender": "cli", "nth": 3}
    late = bench.talk(step=20 * MS).opened().client().client().client()
    expected = {
        bench.rule("setup", "show"): "EPERM",
        bench.rule("snd", "show", thread="other", **mine): "EPERM",
        bench.rule("snd", "show", mctx="null", **mine): "EACCES",
        bench.rule("snd", "show", info="null", **mine): "EINVAL",
        bench.rule("snd", "show", **{"as": "bad"}, **mine): "EBADF",
        bench.rule("data", "show", port=talk.port, nth=1): "ENODATA",
        bench.rule("end", "show", port=talk.port, nth=1): "ENODATA",
        bench.rule("timer", "show", port=late.port): "ENODATA",
        bench.rule("timer", "show", port=late.port, **{"as": "raw"}): "ENODATA",
    }
    ok = [bench.rule("snd", "show", **{"as": sock}, **mine) for sock in ("passive", "raw")]
    bench.rule("snd", "timer", ms=1, port=late.port, sender="cli", nth=1)
    bench.run()
    assert {line: bench.errors(line) for line in expected} == {
        line: [errno] for line, errno in expected.items()}
    for line in ok:
        check(bench.shown(line), talk.packets[3])


def test_last_packets_of_each_side_are_kept_for_who_asks(bench):
    talk = bench.talk(step=20 * MS).opened().client(b"first").server(b"second").client(b"third")
    talk.client(b"later")
    syn, syn_ack, ack, first, second, third, _ = talk.packets
    bench.rule("setup", "set", option=LAST_PACKETS, value=1)
    mine = {"port": talk.port}
    none = bench.rule("snd", "show", side=SIDE_SVR, sender="cli", nth=1, **mine)
    # Kept as its sender has sent it, not as it was changed.
    bench.rule("snd", "edit", option=OVERWRITE | PAYLOAD, data=b"F", sender="cli", nth=3, **mine)
    bench.rule("snd", "edit", option=DROP, sender="svr", nth=2, **mine)
    bench.rule("snd", "timer", ms=1, sender="cli", nth=4, **mine)
    rows = [
        (bench.rule("snd", "show", side=SIDE_CLI, sender="cli", nth=1, **mine), syn, {}),
        (bench.rule("snd", "show", side=SIDE_CLI, sender="svr", nth=1, **mine), syn, {}),
        (bench.rule("snd", "show", side=SIDE_SVR, sender="svr", nth=1, **mine), syn_ack,
         {"port": 1}),
        (bench.rule("rcv", "show", side=SIDE_BOTH, sender="cli", nth=2, **mine), ack, {}),
        (bench.rule("rcv", "show", side=SIDE_CLI, sender="svr", nth=2, **mine), first, {}),
        (bench.rule("snd", "show", side=SIDE_SVR, sender="cli", nth=4, **mine), second,
         {"port": 1}),
        (bench.rule("data", "show", side=SIDE_CLI, nth=3, **mine), third, {"offset": 5}),
        (bench.rule("timer", "show", side=SIDE_SVR, **mine), second, {"port": 1}),
    ]
    last = bench.rule("timer", "show", side=SIDE_CLI, **mine)  # third, or one behind it
    at_hand = bench.rule("timer", "show", side=SIDE_BOTH, **mine)
    bench.rule("data", "peek", **mine)
    bench.run()
    assert bench.errors(none) == bench.errors(at_hand) == ["ENODATA"]
    for line, packet, expected in rows:
        print(bench.script.lines[line - 1])
        check(bench.shown(line), packet, **expected)
    assert shown_parts(bench.shown(last))[3] in (b"third", b"later")
