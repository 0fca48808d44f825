"""Connections of the kernel over IPv6, as midstat tells of them.

client (sockets) -- mos-primary with midstats -- server (sockets)
"""

import socket

from network import ADDRESS6
from system import DEADLINE_S, wait_until

PORT = 8000
LOCAL_PORT = 40000
CLIENT6 = f"[{ADDRESS6['client']}]:{LOCAL_PORT}"
SERVER6 = f"[{ADDRESS6['server']}]:{PORT}"


class Pair:
    """Both ends of a connection."""

    def __init__(self, network):
        listener, self.client = (self._socket(network, side) for side in ("server", "client"))
        with listener:
            listener.bind((ADDRESS6["server"], PORT))
            listener.listen()
            self.client.bind((ADDRESS6["client"], LOCAL_PORT))
            self.client.connect((ADDRESS6["server"], PORT))
            self.server, _ = listener.accept()
        self.server.settimeout(DEADLINE_S)

    @staticmethod
    def _socket(network, side):
        made = network.socket(side, socket.AF_INET6)
        made.settimeout(DEADLINE_S)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return made

    def talk(self):
        """Bytes each way."""
        for source, target in ((self.client, self.server), (self.server, self.client)):
            source.sendall(b"hello")
            assert target.recv(100) == b"hello"

    def close(self):
        """The client first, then the server."""
        self.client.shutdown(socket.SHUT_WR)
        assert self.server.recv(100) == b""
        self.server.close()
        assert self.client.recv(100) == b""
        self.client.close()


def told(system, name, client, **states):
    """Lines of the event log of that name about a client; states: client_is, server_is."""
    return [e for e in system.events() if (e.name, e.client) == (name, client)
            and all(getattr(e, end) == state for end, state in states.items())]


def test_ipv6_connection_is_told_of_from_start_to_end(start_box, network):
    system = start_box(ipv6=1, fail_policy="hold 20000 open")
    pair = Pair(network)
    pair.talk()
    wait_until(lambda: told(system, "state", CLIENT6, client_is="ESTABLISHED",
                            server_is="ESTABLISHED"), "it is established")
    start, = told(system, "start", CLIENT6)
    assert (start.server, start.client_is, start.server_is) == (SERVER6, "SYN_SENT", "LISTEN")
    shard = next(n for n, worker in system.worker.items() if worker.pid == start.pid)
    system.worker[shard].wait_line(
        r"^\[fd77::1\]:40000 +\[fd77::2\]:8000 +ESTABLISHED +ESTABLISHED +\d+ +\d+ ")

    system.worker[shard].kill()
    heir = system.start_worker(shard)
    again = wait_until(lambda: told(system, "start", CLIENT6)[1:], "its successor tells of it")[0]
    assert (again.pid, again.note, again.server) == (heir.pid, "restored", SERVER6)
    assert (again.client_is, again.server_is) == ("ESTABLISHED", "ESTABLISHED")
    pair.talk()
    pair.close()
    end, = wait_until(lambda: told(system, "end", CLIENT6), "its end is told")
    assert (end.pid, end.server) == (heir.pid, SERVER6)
    assert (end.client_is, end.server_is) in [("TIME_WAIT", "CLOSED"), ("CLOSED", "TIME_WAIT")]
    assert {e.client for e in system.events()} == {CLIENT6}
    counters = system.primary.counters()
    assert counters["w_flows_created"] == counters["w_flows_ended"] == 1
    assert counters["w_ipv6_ignored"] == counters["w_tcp_checksum"] == 0


def test_ipv6_passes_unseen_unless_it_is_asked_for(start_box, network):
    system = start_box(ipv6=0)
    pair = Pair(network)
    pair.talk()
    pair.close()
    # The handshake, two segments, two FINs, and the answers to the latter at least.
    counters = system.primary.wait_counters(lambda c: c["w_ipv6_ignored"] >= 8, "it has passed")
    assert counters["w_flows_created"] == counters["w_tcp"] == 0
    assert not system.events()
