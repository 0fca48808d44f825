"""mtcp_sendpkt() and mtcp_sendpkt_ext(): what was asked for is on the wire, byte for byte, with
right lengths and checksums, where it belongs and in its place among the packets of the network.

Packets come from capture files here; those of test_packets_live.py go to kernels and wires.
"""

import pytest

import frames
from captures import ACK, FIN, MS, PSH, RST, START, SYN, Packet, merged
from packets import DROP, NOTHING, ip_offset, letters, parse, scapy_agrees

URG, ECE, CWR = 32, 64, 128
VLAN7, VLAN9 = b"\x81\x00\x00\x07", b"\x81\x00\x00\x09"
PRIORITY7, SERVICE8 = b"\x81\x00\x60\x07", b"\x88\xa8\x00\x08"
TIMESTAMP = b"\x01\x01\x08\x0a" + bytes(range(8))
MTU = 1500

IP_FIELDS = {
    "no TOS": {"tos": 0}, "DSCP": {"tos": 0xB8}, "ECN": {"tos": 3}, "TOS": {"tos": 255},
    "id 0": {"ident": 0}, "id": {"ident": 0xFFFE}, "no DF": {"fragment": 0},
    "reserved bit": {"fragment": 0x8000},
    "first fragment": {"fragment": 0x2000}, "fragment": {"fragment": 0x2001},
    "last fragment": {"fragment": 0x1FFF},
    "TTL 1": {"ttl": 1}, "TTL": {"ttl": 255}, "default TTL": {"ttl": 0},
    **{f"{n} bytes of IP options": {"options": bytes([0x94, 4, 0, 0]) + b"\x01" * (n - 4)}
       for n in range(4, 44, 4)},
    "IP option that lies": {"options": b"\x07\xff\x01\x00"},
}
TCP_FIELDS = {
    "seq 0": {"seq": 0}, "seq": {"seq": 0xFFFFFFFE},
    "ack 0": {"ack": 0}, "ack": {"ack": 0x80000001},
    "no flags": {"flags": 0}, "all flags": {"flags": 255},
    **{f"flag {bit}": {"flags": 1 << bit} for bit in range(8)},
    "SYN ACK": {"flags": SYN | ACK}, "RST ACK": {"flags": RST | ACK},
    "FIN PSH": {"flags": FIN | PSH}, "reserved bits": {"reserved": 15},
    "window 0": {"window": 0}, "window": {"window": 0x1234},
    "urgent": {"urgent": 0xFFFF, "flags": URG | ACK}, "urgent without flag": {"urgent": 7},
    **{f"{n} bytes of TCP options": {"options": b"\xfd" + bytes([n]) + bytes(range(n - 2))}
       for n in range(4, 44, 4)},
    "timestamps": {"options": TIMESTAMP}, "TCP option that lies": {"options": b"\x02\x00\x05\xff"},
}
IP6_FIELDS = {
    "traffic class": {"traffic_class": 0xB9}, "flow label": {"label": 0xFFFFF},
    "hop limit": {"hops": 255}, "default hop limit": {"hops": 0},
}


def filled_in(parts):
    """What shall be on the wire when these parts were asked for."""
    at = 7 if parts.six() else 8  # TTL, hop limit
    if parts.ip[at] == 0:
        parts = parts._replace(ip=parts.ip[:at] + b"\x40" + parts.ip[at + 1:])
    return parts.mended().frame()


def asked(parts):
    """The words of a rule that ask for all of these parts but the link's."""
    return {"ip6" if parts.six() else "ip": parts.ip, "tcp": parts.tcp, "data": parts.data}


def cases(talk, from_client):
    """{what is special: parts}"""
    ip_fields = IP6_FIELDS if talk.six else IP_FIELDS
    made = {name: (talk.ip(from_client, **fields), {}, b"data")
            for name, fields in ip_fields.items()}
    made.update({name: (None, fields, b"data") for name, fields in TCP_FIELDS.items()})
    room = MTU - (60 if talk.six else 40)
    for size in (0, 1, 2, 3, room - 1, room):
        made[f"{size} bytes"] = None, {}, bytes(n * 7 % 256 for n in range(size))
    return {name: talk.parts(from_client, data, ip=ip, **fields)
            for name, (ip, fields, data) in made.items()}


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_each_field_goes_out_as_given_both_ways(bench, six):
    talk = bench.talk(six=six).opened()
    wanted = {from_client: cases(talk, from_client) for from_client in (True, False)}
    lines = {bench.rule("snd", "send", port=talk.port, sender="cli", nth=3, **asked(parts)): name
             for made in wanted.values() for name, parts in made.items()}
    talk.client(b"the packet at hand")
    bench.run()
    assert {name: bench.errors(line) for line, name in lines.items()
            if bench.errors(line) != ["0"]} == {}
    for side, from_client in (("server", True), ("client", False)):
        mine = talk.sent(from_client)
        at = len(mine) - from_client
        expected = mine[:at] + [filled_in(p) for p in wanted[from_client].values()] + mine[at:]
        wrong = [name for name, frame, right in
                 zip(wanted[from_client], bench.out[talk, side][at:], expected[at:])
                 if frame != right]
        assert not wrong, side
        assert bench.out[talk, side] == expected
        assert not [name for name, frame in zip(wanted[from_client], expected[at:])
                    if "fragment" not in name and not scapy_agrees(frame)]
    assert bench.counters["drop_too_long"] == bench.counters["garbage"] == 0


def test_other_ports_go_the_way_their_addresses_lead(bench):
    talk = bench.talk().opened().client()
    rows = []
    for sport, dport in ((0, 0), (65535, 1), (80, talk.port), (1, 2)):
        for from_client in (True, False):
            parts = talk.parts(from_client, b"ports")
            parts = parts._replace(tcp=bytes.fromhex(f"{sport:04x}{dport:04x}") + parts.tcp[4:])
            bench.rule("snd", "send", port=talk.port, sender="cli", nth=3, **asked(parts))
            rows.append((from_client, filled_in(parts)))
    bench.run()
    assert bench.out[talk, "server"][2:-1] == [frame for to_server, frame in rows if to_server]
    assert bench.out[talk, "client"][1:] == [frame for to_server, frame in rows if not to_server]


@pytest.mark.parametrize("sock", ["own", "passive", "raw"])
def test_each_hook_and_each_kind_of_socket_can_send(bench, sock):
    rows = []
    for six in (False, True):
        for where in ("raw", "start", "snd", "rcv", "data", "end", "timer"):
            talk = bench.talk(six=six, step=20 * MS).opened().client(b"a template")
            sent = talk.parts(True, b"sent in " + where.encode(), window=1)
            if where == "end":
                talk.send(True, RST | ACK)
            mine = {"port": talk.port}
            bench.rule("snd", "keep", sender="cli", nth=3, **mine)
            bench.rule("snd", "timer", ms=1, sender="cli", nth=3, **mine)
            # What comes before the template was kept sends a whole packet.
            more = {"nth": {"raw": 4, "snd": 3, "rcv": 3}.get(where, 1)}
            more.update({"sender": "cli"} if where in ("snd", "rcv") else {})
            link = {"l2": sent.l2, "if": 0} if where == "start" else {}
            of = "none" if where == "start" else "kept"
            line = bench.rule(where, "send", of=of, **more, **mine, **link, **asked(sent),
                              **({} if sock == "own" else {"as": sock}))
            rows.append((where, talk, filled_in(sent), line))
    end = bench.talk(step=200 * MS).opened().client()  # the clock goes on for the timers
    bench.run()
    for where, talk, sent, line in rows:
        expected = talk.sent(True)
        at = {"start": 0, "end": 3}.get(where, 2)
        assert bench.errors(line) == ["0"], bench.script.lines[line - 1][:99]
        if where == "timer":
            assert sorted(bench.out[talk, "server"]) == sorted([*expected, sent])
        else:
            assert bench.out[talk, "server"] == [*expected[:at], sent, *expected[at:]], where
        assert bench.out[talk, "client"] == talk.sent(False)
    assert bench.out[end, "server"] == end.sent(True)


def test_packets_of_no_flow_are_answered_by_the_passive_socket(bench):
    talk = bench.talk().client(b"nobody knows me")
    line = bench.rule("orphan", "send", turn=1, flags=RST | ACK, data=b"", port=talk.port,
                      **{"if": 1})
    bench.run()
    assert bench.errors(line) == ["0"]
    answer = talk.parts(False, seq=talk.next[False], flags=RST | ACK)
    assert bench.out[talk, "client"] == [filled_in(answer)]
    assert bench.out[talk, "server"] == talk.sent(True)


def test_a_packet_goes_out_before_the_one_at_hand_and_behind_earlier_ones(bench):
    """As far as there are empty packets: how fast these come is a matter of scheduling."""
    rules = {}
    for n in range(42):
        talk = bench.talk().opened()
        for _ in range(10):
            talk.client(b"by the client").server(b"by the server")
        where = ("raw", "snd", "rcv")[n % 3]
        rules[talk.port] = where, bench.rule(where, "send", port=talk.port, data=where.encode())
    bench.run()
    expected = {True: [], False: []}
    results = {port: iter(bench.errors(line)) for port, (_, line) in rules.items()}
    for packet in merged(*bench.talks):
        port = int.from_bytes(packet.frame[2:4], "big")
        errno = next(results[port])
        assert errno in ("0", "ENOBUFS")
        if errno == "0":
            sent = parse(packet.frame)._replace(data=rules[port][0].encode()).mended()
            expected[packet.from_client].append(sent.frame())
        expected[packet.from_client].append(packet.frame)
    assert bench.all_out == {"server": expected[True], "client": expected[False]}
    assert len(expected[True]) > 42 * 12 * 3 // 2


def same_again(name, frame):
    """What a sent copy of a frame shall look like; None: it cannot be sent."""
    parts = parse(frame)
    if parts is None:
        return None
    fields = {"TCP with wrong checksum": lambda p: p.with_tcp_checksum(),
              "IPv4 TTL 0": lambda p: p._replace(ip=p.ip[:8] + b"\x40" + p.ip[9:])}
    return fields.get(name, lambda p: p)(parts).with_ip_checksum().frame()


def test_what_getlastpkt_shows_goes_out_once_more_unchanged(bench):
    """All kinds of IP packets; of IPv6, extension headers are not sent."""
    sound = {name: frame for name, frame in frames.sound().items() if ip_offset(frame) and not (
        name.startswith("IPv6 ") and parse(frame) is None and "UDP" not in name)}
    packets = [Packet(START + n * MS, frame, True) for n, frame in enumerate(sound.values())]
    line = bench.rule("raw", "resend")
    bench.run(packets)
    expected, copies = [], 0
    for name, frame in sound.items():
        again = same_again(name, frame)
        copies += again is not None
        expected += [frame] if again is None else [again, frame]
    got = bench.all_out["server"]
    assert bench.errors(line).count("0") == copies >= 20
    names = [name for name, frame in sound.items()
             for _ in range(1 if same_again(name, frame) is None else 2)]
    assert not [name for name, frame, right in zip(names, got, expected) if frame != right]
    assert got == expected
    assert set(bench.errors(line)) == {"0", "ENODATA"}


@pytest.mark.parametrize("where", ["snd", "rcv"])
def test_packets_of_a_flow_go_out_twice_unchanged(bench, where):
    kinds = {"plain": {}, "IP options": {"ip_options": b"\x94\x04\x00\x00"},
             "TCP options": {"tcp_options": TIMESTAMP}, "VLAN": {"tags": PRIORITY7},
             "two VLANs": {"tags": SERVICE8 + VLAN7}, "IPv6": {"six": True},
             "IPv6 in VLAN": {"six": True, "tags": VLAN7}}
    talks = {name: bench.talk(**keys).opened().client(padding=b"\x5a" * 9).server().closed()
             for name, keys in kinds.items()}
    line = bench.rule(where, "resend")
    bench.run()
    assert set(bench.errors(line)) == {"0"}
    for name, talk in talks.items():
        for side, from_client in (("server", True), ("client", False)):
            expected = [frame for own in talk.sent(from_client)
                        for frame in (parse(own).frame(), own)]
            assert bench.out[talk, side] == expected, f"{name} to the {side}"


# ---- Link addresses, VLANs, ports ----


def test_a_flow_knows_its_link(bench):
    rows = []
    for tags in (b"", VLAN7):
        for where in ("snd", "timer"):
            for link in (NOTHING, "others"):
                talk = bench.talk(tags=tags, step=20 * MS).opened().client().client()
                mine = {"port": talk.port}
                bench.rule("snd", "timer", ms=1, sender="cli", nth=1, **mine)
                for from_client in (True, False):
                    parts = talk.parts(from_client, b"sent")
                    l2 = NOTHING if link == NOTHING else talk.l2(from_client, VLAN9, b"\x77")
                    # 9: another VLAN than the flow's
                    bench.rule(where, "send", of="none", l2=l2, vlan=9, **mine, **asked(parts),
                               **({"sender": "cli", "nth": 1} if where == "snd" else {}))
                    rows.append((talk, from_client, filled_in(parts)))
    end = bench.talk(step=200 * MS).opened().client()
    bench.run()
    assert len(bench.out[end, "server"]) == 3
    for talk, from_client, sent in rows:
        side = "server" if from_client else "client"
        assert sorted(bench.out[talk, side]) == sorted([*talk.sent(from_client), sent])


def test_without_flow_the_caller_or_the_packet_at_hand_says_the_link(bench):
    talk = bench.talk(tags=PRIORITY7).opened().client()
    plain = bench.talk().opened().client()
    rows = []

    def send(talk, l2, expected, **words):
        parts = talk.parts(True, bytes((len(rows),)), l2=expected)
        line = bench.rule("snd", "send", of="none", port=talk.port, sender="cli", nth=3, l2=l2,
                          **{"if": 0, **words}, **asked(parts))
        rows.append((line, talk, filled_in(parts)))

    for sock in ("passive", "raw"):
        for tags in (b"", VLAN9, SERVICE8 + VLAN9, b"\x81\x00\xe0\x00"):
            l2 = talk.l2(True, tags, b"\0")
            send(talk, l2, l2, **{"as": sock})
        send(talk, NOTHING, talk.l2(True), **{"as": sock})
        send(plain, NOTHING, plain.l2(True), **{"as": sock})
        send(plain, NOTHING, plain.l2(True, b"\x81\x00\x00\x09"), vlan=9, **{"as": sock})
        send(plain, plain.l2(True), plain.l2(True, b"\x81\x00\x00\x09"), vlan=9, **{"as": sock})
        send(plain, plain.l2(True, SERVICE8), plain.l2(True, SERVICE8), vlan=9, **{"as": sock})
    bench.run()
    assert {line: bench.errors(line) for line, _, _ in rows} == {line: ["0"] for line, _, _ in rows}
    for one in (talk, plain):
        sent = [frame for _, sender, frame in rows if sender is one]
        assert bench.out[one, "server"] == [*one.sent(True)[:-1], *sent, one.sent(True)[-1]]


def test_without_flow_a_packet_leaves_by_the_pair_of_the_named_port(bench):
    talk = bench.talk().opened().client()
    parts = talk.parts(True, b"sent")
    mine = {"port": talk.port, "sender": "cli", "nth": 3, "of": "none", "l2": parts.l2}
    lines = {(sock, port): bench.rule("snd", "send", **mine, **{"as": sock, "if": port},
                                      **asked(parts))
             for sock in ("passive", "raw") for port in (0, 1, 2, 127, -1, -128)}
    bench.run()
    assert {key: bench.errors(line)[0] for key, line in lines.items()} == {
        (sock, port): "0" if port in (0, 1) else "EHOSTUNREACH" for sock, port in lines}
    assert bench.out[talk, "server"][2:4] == [filled_in(parts)] * 2
    assert bench.out[talk, "client"][-2:] == [filled_in(parts)] * 2


# ---- Errors: nothing is sent ----


def errors_of_one_packet(bench, rows, **keys):
    """Send each of rows (words, errno) at the third packet of a client. Compares what came of it,
    and that nothing was sent where there was an error."""
    talk = bench.talk(**keys).opened().client(b"at hand")
    good = talk.parts(True, b"sent")
    lines = []
    for words, errno in rows(talk):
        words = {key: value for key, value in {"l2": good.l2, "if": 0, **asked(good),
                                               **words}.items() if value is not None}
        lines.append((bench.rule("snd", "send", port=talk.port, sender="cli", nth=3, of="none",
                                 **words), errno))
    bench.run()
    assert {bench.script.lines[line - 1]: bench.errors(line) for line, _ in lines} == {
        bench.script.lines[line - 1]: [errno] for line, errno in lines}
    sent = [errno for _, errno in lines].count("0")
    assert len(bench.out[talk, "server"]) == 3 + sent
    assert len(bench.out[talk, "client"]) == 1
    return talk


def test_each_reason_not_to_send(bench):
    def rows(talk):
        ip, tcp = talk.ip, talk.tcp
        room = MTU - 40
        return [
            ({}, "0"), ({"thread": "other"}, "EPERM"), ({"as": "bad"}, "EBADF"),
            ({"mctx": "null"}, "EACCES"), ({"info": "null"}, "EACCES"),
            ({"info": "null", "as": "bad"}, "EACCES"),
            ({"ip": NOTHING}, "ENODATA"), ({"tcp": NOTHING}, "ENODATA"),
            *[({"ip": ip(True, version=version)}, "ENODATA") for version in (0, 3, 5, 6, 15)],
            *[({"ip": ip(True, ihl=ihl)}, "ENODATA") for ihl in range(5)],
            *[({"tcp": tcp(True, doff=doff)}, "ENODATA") for doff in range(5)],
            *[({"ip": ip(True, proto=proto)}, "ENODATA") for proto in (0, 1, 17, 58, 255)],
            ({"data": NOTHING, "len": 1}, "ENODATA"), ({"data": NOTHING, "len": 65535}, "ENODATA"),
            ({"data": NOTHING, "len": 0}, "0"), ({"data": b"some", "len": 0}, "0"),
            ({"data": letters(room)}, "0"), ({"data": letters(room + 1)}, "EMSGSIZE"),
            ({"data": letters(room), "tcp": tcp(True, options=TIMESTAMP)}, "EMSGSIZE"),
            ({"data": letters(room - 12), "tcp": tcp(True, options=TIMESTAMP)}, "0"),
            ({"data": letters(room), "ip": ip(True, options=b"\x01" * 4)}, "EMSGSIZE"),
            ({"data": letters(room - 80), "ip": ip(True, options=b"\x01" * 40),
              "tcp": tcp(True, options=b"\x01" * 40)}, "0"),
            ({"data": letters(room - 79), "ip": ip(True, options=b"\x01" * 40),
              "tcp": tcp(True, options=b"\x01" * 40)}, "EMSGSIZE"),
            ({"data": letters(9000)}, "EMSGSIZE"),
            ({"data": letters(100), "len": 65535}, "EMSGSIZE"),
            ({"ip": ip(True).replace(b"\x0a\x4d\0\x02", b"\x0a\x4d\0\x03")}, "EHOSTUNREACH"),
        ]

    errors_of_one_packet(bench, rows)


def test_each_reason_not_to_send_ipv6(bench):
    def rows(talk):
        room = MTU - 60
        return [
            ({}, "0"), ({"info": "null"}, "EACCES"), ({"as": "bad"}, "EBADF"),
            ({"thread": "other"}, "EPERM"),
            *[({"ip6": talk.ip(True, version=version)}, "ENODATA") for version in (0, 4, 5, 7, 15)],
            *[({"tcp": talk.tcp(True, doff=doff)}, "ENODATA") for doff in range(5)],
            ({"tcp": NOTHING}, "ENODATA"), ({"data": NOTHING, "len": 1}, "ENODATA"),
            ({"data": letters(room)}, "0"), ({"data": letters(room + 1)}, "EMSGSIZE"),
        ]

    errors_of_one_packet(bench, rows, six=True)


def test_without_link_address_nothing_is_sent(bench):
    talk = bench.talk(step=20 * MS).opened().client()
    bench.talk(step=200 * MS).opened()
    parts = talk.parts(True)
    bench.rule("snd", "timer", ms=1, port=talk.port, sender="cli", nth=1)
    lines = [bench.rule("timer", "send", of="none", l2=NOTHING, port=talk.port,
                        **{"as": sock, "if": 0}, **asked(parts)) for sock in ("passive", "raw")]
    bench.run()
    assert [bench.errors(line) for line in lines] == [["EHOSTUNREACH"]] * 2
    assert bench.out[talk, "server"] == talk.sent(True)


def test_ports_without_pair_lead_nowhere(bench):
    """But the client can be answered: its flow has come from somewhere."""
    talk = bench.talk().opened().client().server()
    lines = [bench.rule("raw", "resend", port=talk.port),
             bench.rule("snd", "resend", port=talk.port),
             bench.rule("snd", "resend", port=talk.port, **{"as": "passive"})]
    answer = bench.rule("snd", "send", port=talk.port, sender="cli", nth=3, turn=1, data=b"answer")
    bench.run(pairs=())
    to_client = [packet.from_client for packet in talk.packets].count(False)
    for line in lines:
        assert bench.errors(line).count("EHOSTUNREACH") == 5 - to_client * (line == lines[1])
    assert bench.errors(answer) == ["0"]
    sent = talk.parts(False, b"answer", seq=1000 * talk.port + 1, flags=PSH | ACK,
                         ack=(1 << 32) - 19 + len("from the client"))
    syn_ack, data = talk.sent(False)
    assert bench.all_out == {"server": [], "client": [syn_ack, filled_in(sent), data]}


def test_256_packets_can_be_sent_at_a_time(bench):
    talk = bench.talk().opened().client(b"at hand").client(b"another")
    lines = [bench.rule("snd", "resend", port=talk.port, sender="cli", nth=nth, times=300)
             for nth in (3, 4)]
    bench.run()
    got = bench.out[talk, "server"]
    sent = [bench.errors(line).count("0") for line in lines]
    for n, line in enumerate(lines):
        assert bench.errors(line) == ["0"] * sent[n] + ["ENOBUFS"] * (300 - sent[n])
    assert sent[0] == 256
    mine = talk.sent(True)
    assert got == mine[:2] + [mine[2]] * (sent[0] + 1) + [mine[3]] * (sent[1] + 1)


def test_a_sent_packet_raises_no_event_and_no_flow_knows_of_it(bench):
    """The template is dropped, and what was sent in its place is data to nobody here."""
    talk = bench.talk().opened().client(b"dropped").client(b"another")
    mine = {"port": talk.port}
    bench.rule("snd", "send", flags=FIN | ACK, sender="cli", nth=3, **mine)
    bench.rule("snd", "edit", option=DROP, sender="cli", nth=3, **mine)
    shown = [bench.rule(where, "show", sender="cli", **mine) for where in ("snd", "rcv")]
    shown_raw = bench.rule("raw", "show", **mine)
    bench.run()
    assert [len(bench.results[line]) for line in (*shown, shown_raw)] == [4, 4, 5]
    assert bench.counters["w_orphans"] == bench.counters["w_flows_ended"] == 0
    parts = parse(talk.packets[3].frame)
    fin = parts._replace(tcp=parts.tcp[:13] + bytes([FIN | ACK]) + parts.tcp[14:]).mended()
    assert bench.out[talk, "server"] == [*talk.sent(True)[:2], fin.frame(), talk.sent(True)[3]]
