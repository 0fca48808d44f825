"""Single frames, sound, lying and random, from a raw socket through the box to another one.

Endpoints have no addresses: whatever arrives was sent by the test. Frames are compared byte for
byte. What the kernel itself would change or refuse on its way between socket and driver is left
out here, and is thrown at the system from capture files in test_pcap.py.
"""

import collections
import os
import random
import time

import pytest

import frames
from captures import Conversation
from network import Wire
from system import DEADLINE_S, adds_up, dropped, wait_until

FAMILIES = ()  # silence
DRIVERS = {
    "af_packet": ("wire_a", "wire_b"),
    "af_xdp": ("net_af_xdp0,iface=wire_a", "net_af_xdp1,iface=wire_b"),
}
FUZZ_FRAMES = 20000
FUZZ_BATCH = 500  # fits the queues of drivers and sockets
SEED = int(os.environ.get("MOS_SEED", random.randrange(1 << 32)))


@pytest.fixture(params=DRIVERS)
def driver(request):
    if request.param == "af_xdp":
        request.getfixturevalue("af_xdp")
    return request.param


@pytest.fixture
def start_on(start_box):
    """Starts a system on ports of that driver. Its workers must still live at the end."""
    made = []

    def start(driver, **keys):
        made.append(start_box(ports=DRIVERS[driver], **keys))
        return made[-1]

    yield start
    for system in made:
        assert all(worker.alive() for worker in system.worker.values()), system.primary.output()
        assert system.primary.counters()["worker_deaths"] == 0


@pytest.fixture
def wires(network):
    made = {side: Wire(network, side) for side in ("client", "server")}
    yield made
    for wire in made.values():
        wire.close()


def passes_kernel(frame, driver):
    """Whether sockets and driver hand this frame over as it is."""
    if len(frame) < 14 or len(frame) > 1514:
        return False
    kind = int.from_bytes(frame[12:14], "big")
    if kind in (0x8100, 0x88A8):
        if len(frame) < 20 or (kind == 0x88A8 and driver == "af_packet"):
            return False
    return True


def receive(wire, count):
    """Frames until there are count of them; fewer if no more come."""
    received = []
    deadline = time.monotonic() + DEADLINE_S
    while len(received) < count and time.monotonic() < deadline:
        frame = wire.receive(0.05)
        if frame is not None:
            received.append(frame)
    return received


def test_sound_frames_arrive_unchanged_each_way(start_on, wires, driver):
    box = start_on(driver)
    for source, target in (("client", "server"), ("server", "client")):
        names = {frame: name for name, frame in frames.sound().items()
                 if passes_kernel(frame, driver) or len(frame) == 1518}
        assert len(names) >= 50
        for frame in names:
            wires[source].send(frame)
        arrived = collections.Counter(receive(wires[target], len(names)))
        sent = collections.Counter(list(names))
        assert not [names[frame] for frame in sent - arrived], "these did not arrive"
        assert not arrived - sent, "these are others than were sent"
    counters = box.primary.wait_counters(adds_up, "all frames are accounted for")
    assert dropped(counters) == 0
    assert counters["w_tcp_checksum"] == 2


def test_lying_frames_are_dropped_for_their_reason(start_on, wires, driver):
    box = start_on(driver)
    rows = [row for row in frames.lies() if passes_kernel(row[1], driver)]
    assert len(rows) > 200
    before = box.primary.counters()
    for _, frame, _ in rows:
        wires["client"].send(frame)
    counters = box.primary.wait_counters(
        lambda c: c["rx_packets"] >= before["rx_packets"] + len(rows), "all frames are read")
    expected = collections.Counter(counter for _, _, counter in rows)
    assert {name: n for name, n in counters.items() if name.startswith("drop_")} == expected
    assert not wires["server"].receive_all()


def test_same_ends_in_other_vlans_are_other_connections(start_on, wires, driver):
    box = start_on(driver)
    vlans = (None, 7, 8)
    talks = [Conversation(40000).opened().talked().closed().packets for _ in vlans]
    for packets in zip(*talks):
        for vlan, packet in zip(vlans, packets):
            frame = packet.frame if vlan is None else frames.tagged(packet.frame, vlan)
            source, target = ("client", "server") if packet.from_client else ("server", "client")
            wires[source].send(frame)
            assert receive(wires[target], 1) == [frame]
    wait_until(lambda: [e.name for e in box.events()].count("end") == len(vlans), "all have ended")
    stories = collections.Counter((e.name, e.client_is, e.server_is) for e in box.events())
    assert set(stories.values()) == {len(vlans)}, stories
    assert ("start", "SYN_SENT", "LISTEN") in stories
    assert ("state", "ESTABLISHED", "ESTABLISHED") in stories
    counters = box.primary.counters()
    assert counters["w_flows_created"] == counters["w_flows_ended"] == len(vlans)
    assert counters["w_orphans"] == counters["w_tcp_bogus"] == counters["w_tcp_checksum"] == 0


def test_random_damage_does_no_harm(start_on, wires, driver):
    box = start_on(driver, tcp_checksum="trust", ipv6=1)
    print(f"seed {SEED} (MOS_SEED repeats it)")
    chance = random.Random(SEED)
    originals = [*frames.sound().values(), *(frame for _, frame, _ in frames.lies())]
    sent = 0
    while sent < FUZZ_FRAMES:
        batch = []
        while len(batch) < FUZZ_BATCH:
            frame = frames.mutant(chance.choice(originals), chance)
            if passes_kernel(frame, driver):
                batch.append(frame)
        before = box.primary.counters()
        for frame in batch:
            wires["client"].send(frame)
        sent += len(batch)
        counters = box.primary.wait_counters(
            lambda c: c["rx_packets"] >= before["rx_packets"] + len(batch) and adds_up(c),
            f"all of {len(batch)} frames are accounted for")
        arrived = wires["server"].receive_all()
        assert len(arrived) == counters["tx_packets"] - before["tx_packets"]
        assert not collections.Counter(arrived) - collections.Counter(batch), "these were changed"
    assert counters["rx_packets"] == sent
    print({name: n for name, n in counters.items() if name.startswith("drop_")})
