"""killer on a network that loses, doubles and reorders frames, its resets included: both ends of
what carries a pattern find out soon all the same, and nothing else suffers.

    eth0 -- far_a == impair == near_a -- wire_a [box] wire_b -- near_b == impair == far_b -- eth0
"""

import pytest

from system import wait_until
from talk import Clients, Server, free_ports
from test_killer import PORT, Talk, command, kills

FAMILIES = (4,)
CUT = ("client", "server")
COUNT = 300
FAULTS = "loss=2,dup=1,late=2"


@pytest.fixture(autouse=True)
def impaired(impair):
    for side in CUT:
        impair(side, there=FAULTS, back=FAULTS)


def test_both_ends_find_out_whatever_is_lost(start_apps, network):
    """A server whose client's handshake was lost, and then reset, has never had the connection."""
    system = start_apps(2, command, flow_area=16)
    talk = Talk(free_ports(COUNT), hit_every=2)
    hits = talk.hits()
    server = Server(network, PORT, talk.server, FAMILIES)
    try:
        clients = Clients(network, PORT, talk.plan, talk.client).finish()
        served = server.finish(set(talk.plan) - set(hits))
    finally:
        server.close()
    missing = set(hits) - set(served)
    assert all(talk.plan[port].from_client for port in missing) and len(missing) < COUNT / 20
    for port in missing:
        served[port] = b"", ConnectionResetError(), clients[port][2]
    apart = dict(talk.check(clients, served))
    print(f"at most {max(apart.values()):.3f} s between the ends of one connection")
    wait_until(lambda: set(kills(system)) == set(hits), "each kill is told")
