"""mtcp_setlastpkt(): each action at each place of each kind of packet, against a model that cuts
and joins Python's bytes. Packets come from capture files here; test_packets_live.py edits those of
kernels.
"""

import random

import pytest

import frames
from captures import ACK, MS, RST, START, Packet
from packets import (CHOMP, DROP, DROP_HIDES, ETH_HDR, FIX_IP, FIX_TCP, INSERT, IP_HDR, NOTHING,
                     OVERWRITE, PAYLOAD, TCP_HDR, ip_offset, letters, parse, scapy_agrees,
                     shown_parts)

VLAN7, SERVICE8 = b"\x81\x00\x60\x07", b"\x88\xa8\x00\x08"
FIX = FIX_IP | FIX_TCP
NOPS = b"\x01" * 40
DATA = bytes(range(48, 123))  # 75 bytes
KINDS = {
    "plain": {},
    "IP options": {"ip_options": NOPS[:8]},
    "TCP options": {"tcp_options": NOPS[:12]},
    "all options": {"ip_options": NOPS[:12], "tcp_options": b"\x01\x01\x08\x0a" + bytes(range(8))},
    "VLAN": {"tags": VLAN7},
    "two VLANs": {"tags": SERVICE8 + VLAN7},
    "IPv6": {"six": True},
    "IPv6 in VLAN": {"six": True, "tags": VLAN7, "tcp_options": NOPS[:8]},
}
PLACES = {ETH_HDR: "l2", IP_HDR: "ip", TCP_HDR: "tcp", PAYLOAD: "data"}


def edited(parts, option, off, data=b"", length=0):
    """The model: parts as they are after an edit."""
    name = next(name for place, name in PLACES.items() if option & place)
    old = getattr(parts, name)
    behind = off if option & INSERT else off + (len(data) or length)
    parts = parts._replace(**{name: old[:off] + (b"" if option & CHOMP else data) + old[behind:]})
    if option & (CHOMP | INSERT):
        parts = parts.with_lengths()
    if option & FIX_IP:
        parts = parts.with_ip_checksum()
    return parts.with_tcp_checksum() if option & FIX_TCP else parts


def fits(parts, option, off, data, gone):
    """Whether there are such bytes, and headers keep a length that can be."""
    place = option & (ETH_HDR | IP_HDR | TCP_HDR | PAYLOAD)
    have = len(getattr(parts, PLACES[place]))
    used = 0 if option & INSERT else max(len(data), gone)
    left = have + len(data) * bool(option & INSERT) - gone
    return off >= 0 <= gone and off + used <= have and (
        place == PAYLOAD or place == ETH_HDR or 20 <= left <= 60)


def edits(parts):
    """Edits of each place of such a packet: (option, offset, data, length), one of the last two."""
    rows = []

    def add(option, off, data=b"", length=0):
        if fits(parts, option, off, data, length):
            rows.append((option, off, data, length))

    add(OVERWRITE | ETH_HDR, 0, b"\x06" + parts.l2[1:6])
    add(OVERWRITE | ETH_HDR, 7, b"\xaa")
    add(OVERWRITE | ETH_HDR, 13, b"")
    for place in (IP_HDR, TCP_HDR)[parts.six():]:
        end = len(getattr(parts, PLACES[place]))
        add(OVERWRITE | place, end, b"")
        add(OVERWRITE | place, end - 1, b"\x5a" if end > 20 else b"")
        for off, gone in ((20, 4), (24, 4), (20, end - 20)):
            add(CHOMP | place, off, length=gone)
        for off, data in ((20, b"\x01\x01\x01\x00"), (end, NOPS[:60 - end]), (end, b"")):
            add(INSERT | place, off, data)
    if not parts.six():
        for off, data in ((8, b"\x3f"), (1, b"\xb8"), (4, b"\x12\x34\x00\x00"),
                          (12, bytes((192, 0, 2, 1, 198, 51, 100, 7)))):
            add(OVERWRITE | IP_HDR, off, data)
    for off, data in ((0, b"\x12\x34"), (3, b"\x51"), (14, b"\x00\x01\x00\x00\x00\x07")):
        add(OVERWRITE | TCP_HDR, off, data)
    end = len(parts.data)
    for off, data in ((0, b"A"), (1, b"BCD"), (0, DATA[::-1]), (end - 1, b"Z"), (end, b"")):
        add(OVERWRITE | PAYLOAD, off, data)
    for off, gone in ((0, 1), (3, 4), (end - 1, 1), (0, end), (7, end - 7), (end, 0)):
        add(CHOMP | PAYLOAD, off, length=gone)
    for off, data in ((0, b"a"), (5, b"--"), (end, b"more"), (1, b"long" * 50)):
        add(INSERT | PAYLOAD, off, data)
    return rows


def whole(cut):
    """The frames up to the ends of their IP packets."""
    found = []
    for frame in cut:
        at = ip_offset(frame)
        six = frame[at] >> 4 == 6
        length = int.from_bytes(frame[at + 4:at + 6] if six else frame[at + 2:at + 4], "big")
        found.append(frame[:at + length + 40 * six])
    return found


@pytest.mark.parametrize("where, flags", [
    ("raw", 0), ("raw", FIX), ("rcv", FIX),
    ("snd", 0), ("snd", FIX_IP), ("snd", FIX_TCP), ("snd", FIX)])
def test_each_edit_of_each_kind_of_packet(bench, where, flags):
    rows = []
    for name, keys in KINDS.items():
        talk = bench.talk(**keys)
        parts = talk.parts(True, DATA).mended()
        words = edits(parts)
        talk.opened()
        for n, (option, off, data, gone) in enumerate(words):
            parts = talk.parts(True, DATA, flags=ACK).mended()
            talk.client(DATA, ACK, padding=b"\x5a" * (n % 3))
            nth = {"nth": n + 4} if where == "raw" else {"nth": n + 3, "sender": "cli"}
            line = bench.rule(where, "edit", port=talk.port, option=option | flags, off=off,
                              data=data if option & (OVERWRITE | INSERT) else NOTHING,
                              len=len(data) or gone, **nth)
            rows.append((name, talk, line, edited(parts, option | flags, off, data, gone)))
    bench.run()
    wrong = [f"{name}: {bench.script.lines[line - 1]}: {bench.errors(line)}"
             for name, _, line, _ in rows if bench.errors(line) != ["0"]]
    assert not wrong
    at = {talk: 2 for talk in bench.talks}
    for name, talk, line, expected in rows:
        got, = whole([bench.out[talk, "server"][at[talk]]])
        at[talk] += 1
        if got != expected.frame():
            wrong.append((f"{name}: {bench.script.lines[line - 1]}", got.hex(),
                          expected.frame().hex()))
        elif flags == FIX and not scapy_agrees(got):
            wrong.append((f"{name}: {bench.script.lines[line - 1]}", "scapy"))
    assert not wrong
    assert all(at[talk] == len(bench.out[talk, "server"]) for talk in bench.talks)


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_long_frames_can_be_edited(bench, six):
    """Over several packet buffers."""
    data = bytes(n % 251 for n in range(8900))
    talk = bench.talk(six=six, tcp_options=NOPS[:4]).opened()
    rows = [(OVERWRITE | PAYLOAD, 0, b"first", 0), (OVERWRITE | PAYLOAD, 8899, b"l", 0),
            (OVERWRITE | PAYLOAD, 1, b"x" * 8001, 0), (CHOMP | PAYLOAD, 0, b"", 1),
            (CHOMP | PAYLOAD, 17, b"", 4001), (CHOMP | PAYLOAD, 0, b"", 8900),
            (CHOMP | PAYLOAD, 8899, b"", 1), (OVERWRITE | TCP_HDR, 14, b"\x11\x22", 0),
            (CHOMP | TCP_HDR, 20, b"", 4), (CHOMP | PAYLOAD, 1999, b"", 5000)]
    expected = []
    for n, (option, off, new, gone) in enumerate(rows):
        parts = talk.parts(True, data, flags=ACK).mended()
        talk.client(data, ACK)
        bench.rule("snd", "edit", port=talk.port, sender="cli", nth=n + 3, option=option | FIX,
                   off=off, data=new, len=len(new) or gone)
        expected.append(edited(parts, option | FIX, off, new, gone).frame())
    bench.run()
    wrong = [rows[n] for n, (got, right) in enumerate(
        zip(whole(bench.out[talk, "server"][2:]), expected)) if got != right]
    assert not wrong
    assert all(map(scapy_agrees, expected))


@pytest.mark.parametrize("seed", range(2))
def test_many_edits_of_one_packet_add_up(bench, seed):
    """Checksums are asked for once, with the last edit."""
    chance = random.Random(seed)
    rows = []
    for keys in KINDS.values():
        talk = bench.talk(**keys).opened()
        for n in range(12):
            parts = talk.parts(True, DATA, flags=ACK).mended()
            talk.client(DATA, ACK)
            for m in range(chance.randrange(1, 6)):
                option, off, data, gone = chance.choice(edits(parts))
                bench.rule("snd", "edit", port=talk.port, sender="cli", nth=n + 3, option=option,
                           off=off, data=data, len=len(data) or gone)
                parts = edited(parts, option, off, data, gone)
            last = bench.rule("snd", "edit", port=talk.port, sender="cli", nth=n + 3, off=15,
                              option=OVERWRITE | TCP_HDR | FIX, data=b"\x99")
            parts = edited(parts, OVERWRITE | TCP_HDR | FIX, 15, b"\x99")
            rows.append((talk, n, last, parts.frame()))
    bench.run()
    failed = [bench.script.lines[line - 1] for line, results in bench.results.items()
              if any(result.errno != "0" for result in results)]
    assert not failed
    wrong = [bench.script.lines[last - 1] for talk, n, last, right in rows
             if whole(bench.out[talk, "server"][n + 2:n + 3]) != [right]]
    assert not wrong
    assert all(scapy_agrees(right) for _, _, _, right in rows)


def test_lengths_may_be_overwritten_before_bytes_go_in_or_out(bench):
    """As upstream demands it: the IP total length first."""
    talk = bench.talk().opened()
    expected = []
    for n, (option, data, gone) in enumerate([(INSERT, b"12345", 0), (CHOMP, b"", 7)]):
        parts = talk.parts(True, DATA, flags=ACK).mended()
        talk.client(DATA, ACK)
        total = 40 + len(DATA) + len(data) - gone
        mine = {"port": talk.port, "sender": "cli", "nth": n + 3}
        bench.rule("snd", "edit", option=OVERWRITE | IP_HDR, off=2, data=total.to_bytes(2, "big"),
                   **mine)
        bench.rule("snd", "edit", option=option | PAYLOAD | FIX, off=4, data=data,
                   len=len(data) or gone, **mine)
        expected.append(edited(parts, option | PAYLOAD | FIX, 4, data, gone).frame())
    bench.run()
    assert whole(bench.out[talk, "server"][2:]) == expected


# ---- Who sees an edit ----


@pytest.mark.parametrize("where", ["raw", "snd", "rcv"])
def test_later_steps_see_the_packet_as_changed(bench, where):
    talk = bench.talk().opened().client(b"as it was")
    at = {"raw": {"nth": 4}, "snd": {"sender": "cli", "nth": 3}, "rcv": {"sender": "cli", "nth": 3}}
    shows = {}
    for hook in ("raw", "snd", "rcv"):
        if hook == where:
            bench.rule(where, "edit", port=talk.port, option=OVERWRITE | PAYLOAD | FIX_TCP, off=3,
                       data=b"THEN", **at[where])
        shows[hook] = bench.rule(hook, "show", port=talk.port, **at[hook])
    read = bench.rule("data", "peek", port=talk.port)
    bench.run()
    hooks = list(at)
    for hook, line in shows.items():
        changed = hooks.index(hook) >= hooks.index(where)
        assert shown_parts(bench.shown(line))[3] == (b"as THENas" if changed else b"as it was")
    stream = b"as it was" if where == "rcv" else b"as THENas"
    assert bytes.fromhex(bench.shown(read)["data"]) in (stream, b"as THENas")
    assert parse(bench.out[talk, "server"][2]).data == b"as THENas"


def test_lengths_that_changed_are_shown(bench):
    talk = bench.talk(ip_options=NOPS[:8]).opened().client(b"0123456789")
    mine = {"port": talk.port, "sender": "cli", "nth": 3}
    bench.rule("snd", "edit", option=INSERT | PAYLOAD, off=4, data=b"--", **mine)
    bench.rule("snd", "edit", option=CHOMP | IP_HDR, off=20, len=4, **mine)
    bench.rule("snd", "edit", option=INSERT | TCP_HDR | FIX, off=20, data=NOPS[:8], **mine)
    line = bench.rule("snd", "show", **mine)
    bench.run()
    fields = bench.shown(line)
    assert parse(bench.out[talk, "server"][2]).data == b"0123--456789"
    assert shown_parts(fields) == list(parse(bench.out[talk, "server"][2]))
    assert [int(fields[key]) for key in ("eth_len", "ip_len", "payloadlen")] == [78, 64, 12]


def test_dropped_packets_do_not_leave_and_are_still_received(bench):
    talk = bench.talk().opened().client(b"dropped").client(b"passes")
    mine = {"port": talk.port, "sender": "cli", "nth": 3}
    drop = bench.rule("snd", "edit", option=DROP | FIX | IP_HDR, off=999, data=NOTHING, **mine)
    seen = bench.rule("rcv", "show", **mine)
    read = bench.rule("data", "peek", port=talk.port, nth=1)
    bench.run()
    assert bench.errors(drop) == ["0"]
    assert shown_parts(bench.shown(seen))[3] == b"dropped"
    assert bench.shown(read)["data"] == b"dropped".hex()
    mine = talk.sent(True)
    assert bench.out[talk, "server"] == [*mine[:2], mine[3]]
    assert bench.counters["drop_by_app"] == 1


@pytest.mark.parametrize("scope", ["passive", "active"])
def test_dropped_packets_can_be_hidden_from_their_receiver(bench, scope):
    talk = bench.talk().opened().client(b"dropped")
    mine = {"port": talk.port, "sender": "cli"}
    if scope == "passive":
        bench.rule("setup", "set", option=DROP_HIDES, value=1)
    else:
        bench.rule("snd", "set", option=DROP_HIDES, value=1, nth=3, **mine)
    bench.rule("snd", "edit", option=DROP, nth=3, **mine)
    talk.packets.append(talk.packets[-1]._replace(time=talk.time))  # its sender sends it again
    seen = [bench.rule(where, "show", nth=nth, **mine) for where, nth in (("snd", 3), ("rcv", 3))]
    again = bench.rule("rcv", "show", nth=4, **mine)
    read = bench.rule("data", "peek", port=talk.port)
    bench.run()
    assert [len(bench.results[line]) for line in (*seen, again)] == [1, 1, 0]
    assert [len(bench.results[read]), bench.shown(read)["data"]] == [1, b"dropped".hex()]
    assert bench.out[talk, "server"] == talk.sent(True)[:3]


# ---- Errors: the packet is as it was ----


def test_each_reason_not_to_edit(bench):
    talk = bench.talk(ip_options=NOPS[:4], tcp_options=NOPS[:12]).opened()
    rows = [
        ({"thread": "other"}, "EPERM"), ({"mctx": "null"}, "EACCES"), ({"as": "bad"}, "0"),
        ({"off": -1}, "EINVAL"), ({"off": -1 << 40}, "EINVAL"), ({"off": 1 << 40}, "EINVAL"),
        ({"option": 0}, "EAGAIN"), ({"option": PAYLOAD}, "EAGAIN"),
        *[({"option": PAYLOAD | one | other}, "EAGAIN") for one in (DROP, OVERWRITE, CHOMP)
          for other in (OVERWRITE, CHOMP, INSERT) if one < other],
        *[({"option": action | flags}, "EINVAL") for action in (OVERWRITE, CHOMP, INSERT)
          for flags in (0, FIX)],
        ({"option": CHOMP | ETH_HDR}, "EACCES"), ({"option": INSERT | ETH_HDR}, "EACCES"),
        *[({"option": OVERWRITE | place, "off": off, "data": b"z" * n}, "EINVAL")
          for place, size in ((ETH_HDR, 14), (IP_HDR, 24), (TCP_HDR, 32), (PAYLOAD, len(DATA)))
          for off, n in ((size, 1), (size + 1, 0), (0, size + 1), (size - 1, 2), (65536, 1))],
        *[({"option": CHOMP | place, "off": off, "data": NOTHING, "len": n}, "EINVAL")
          for place, size in ((IP_HDR, 24), (TCP_HDR, 32), (PAYLOAD, len(DATA)))
          for off, n in ((size, 4), (size + 4, 0), (0, size + 4), (0, 65535))],
        *[({"option": INSERT | place, "off": size + 1, "data": NOPS[:4]}, "EINVAL")
          for place, size in ((IP_HDR, 24), (TCP_HDR, 32), (PAYLOAD, len(DATA)))],
        # Headers whose length would be none.
        *[({"option": CHOMP | place, "off": 20, "data": NOTHING, "len": n}, "EINVAL")
          for place in (IP_HDR, TCP_HDR) for n in (1, 2, 3)],
        ({"option": CHOMP | IP_HDR, "off": 0, "data": NOTHING, "len": 8}, "EINVAL"),
        ({"option": CHOMP | TCP_HDR, "off": 0, "data": NOTHING, "len": 16}, "EINVAL"),
        ({"option": INSERT | IP_HDR, "off": 20, "data": NOPS + b"\0"}, "EINVAL"),
        ({"option": INSERT | IP_HDR, "off": 20, "data": NOPS}, "EINVAL"),
        ({"option": INSERT | TCP_HDR, "off": 20, "data": NOPS[:32]}, "EINVAL"),
        ({"option": INSERT | TCP_HDR, "off": 20, "data": b"abc"}, "EINVAL"),
        *[({"option": action | place, "data": NOTHING, "len": 4}, "EFAULT")
          for action in (OVERWRITE, INSERT) for place in (IP_HDR, TCP_HDR, PAYLOAD)],
        ({"option": INSERT | PAYLOAD, "data": letters(1500 - 24 - 32 - len(DATA) + 1)}, "EMSGSIZE"),
        ({"option": INSERT | PAYLOAD, "data": letters(65535)}, "EMSGSIZE"),
    ]
    lines = {}
    for n, (words, errno) in enumerate(rows):
        talk.client(DATA, ACK)
        lines[bench.rule("snd", "edit", port=talk.port, sender="cli", nth=n + 3,
                         **{"option": OVERWRITE | PAYLOAD, "data": DATA[:4], **words})] = errno
    bench.run()
    assert {bench.script.lines[line - 1][:99]: bench.errors(line) for line in lines} == {
        bench.script.lines[line - 1][:99]: [errno] for line, errno in lines.items()}
    assert bench.out[talk, "server"] == talk.sent(True)


def test_without_packet_there_is_nothing_to_edit(bench):
    talk = bench.talk(step=20 * MS).opened().client().send(True, RST | ACK)
    lives = bench.talk(step=200 * MS).opened().client()
    bench.rule("snd", "timer", ms=1, port=lives.port, sender="cli", nth=1)
    words = {"option": OVERWRITE | PAYLOAD, "data": b"x"}
    lines = [bench.rule(where, "edit", **words) for where in ("data", "end", "timer")]
    setup = bench.rule("setup", "edit", **words)
    bench.run()
    assert [set(bench.errors(line)) for line in lines] == [{"ENODATA"}] * 3
    assert bench.errors(setup) == ["EPERM"]
    assert bench.out[talk, "server"] == talk.sent(True)


def test_places_that_a_packet_does_not_have(bench):
    six = bench.talk(six=True).opened().client()
    line = bench.rule("snd", "edit", port=six.port, sender="cli", nth=3, data=b"x",
                      option=OVERWRITE | IP_HDR)
    udp = Packet(START, frames.sound()["UDP"], True)
    lines = [bench.rule("raw", "edit", nth=1, data=b"x", option=OVERWRITE | place)
             for place in (TCP_HDR, PAYLOAD)]
    tos = bench.rule("raw", "edit", nth=1, data=b"\xb8", off=1, option=OVERWRITE | IP_HDR | FIX)
    bench.run([udp])
    assert bench.errors(line) == ["EACCES"]
    assert [bench.errors(line) for line in lines] == [["EINVAL"]] * 2
    assert bench.errors(tos) == ["0"]
    packet = frames.Ether(udp.frame)
    packet.tos = 0xB8
    del packet.chksum
    assert bench.all_out["server"][0] == bytes(packet)
    assert bench.out[six, "server"] == six.sent(True)


def test_an_insert_fills_the_mtu_and_no_more(bench):
    talk = bench.talk().opened().client(letter := b"y" * 100)
    parts = parse(talk.packets[3].frame)
    mine = {"port": talk.port, "sender": "cli", "nth": 3, "option": INSERT | PAYLOAD | FIX}
    lines = [bench.rule("snd", "edit", data=letters(n), **mine) for n in (1361, 1360, 1)]
    bench.run()
    assert [bench.errors(line)[0] for line in lines] == ["EMSGSIZE", "0", "EMSGSIZE"]
    right = parts._replace(data=b"x" * 1360 + letter).mended().frame()
    assert bench.out[talk, "server"][2] == right
