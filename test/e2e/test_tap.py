"""Other kinds of ports: the kernel talks to net_tap devices of the box."""

import re
import subprocess

from network import ADDRESS
from system import DEADLINE_S, adds_up

FAMILIES = ()


def test_tap_ports_carry_ping(start_box, network):
    system = start_box(ports=("net_tap0,iface=tap_a", "net_tap1,iface=tap_b"))
    for side, tap in (("client", "tap_a"), ("server", "tap_b")):
        network.run("box", "ip", "link", "set", tap, "netns", network.namespace(side))
        network.run(side, "ip", "address", "add", ADDRESS[side] + "/24", "dev", tap)
        network.run(side, "ip", "link", "set", tap, "up")
    done = subprocess.run(
        network.command("client", "ping", "-c", "20", "-i", "0.02", ADDRESS["server"]),
        capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert int(re.search(r"(\d+) received", done.stdout)[1]) == 20
    assert system.primary.wait_counters(adds_up, "all is accounted for")["w_other_ip"] == 40
