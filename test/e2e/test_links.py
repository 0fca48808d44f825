"""Interfaces that go down and come back while the box uses them."""

import pytest

from network import Wire
from system import adds_up, wait_until

FAMILIES = ()
FRAME = bytes.fromhex("020000007702020000007701 1234") + b"frame"


@pytest.fixture
def wires(network):
    made = {side: Wire(network, side) for side in ("client", "server")}
    yield made
    for wire in made.values():
        wire.close()


def arrives(wires, number):
    """Send a frame until it arrives."""
    frame = FRAME + str(number).encode()

    def sent_and_received():
        wires["client"].send(frame)
        return wires["server"].receive(0.05) == frame

    wait_until(sent_and_received, "a frame arrives")
    wires["server"].receive_all()


def test_traffic_goes_on_when_the_output_is_up_again(start_box, network, wires):
    system = start_box()
    arrives(wires, 0)
    for number in (1, 2, 3):
        network.run("box", "ip", "link", "set", "wire_b", "down")

        def dropped_as_down():
            wires["client"].send(FRAME)
            return system.primary.counters()["drop_link_down"] >= 10 * number

        wait_until(dropped_as_down, "frames to a port that is down are counted")
        network.run("box", "ip", "link", "set", "wire_b", "up")
        arrives(wires, number)
    system.primary.wait_counters(adds_up, "all frames are accounted for")


def test_traffic_goes_on_when_the_input_is_up_again(start_box, network, wires):
    start_box()
    for number in (1, 2, 3):
        network.run("box", "ip", "link", "set", "wire_a", "down")
        network.run("box", "ip", "link", "set", "wire_a", "up")
        arrives(wires, number)
