"""killer between kernels: connections that carry a pattern are reset at both ends, at once, and the
end of the pattern never arrives; all others are whole.

client (sockets) -- mos-primary with killer -- server (sockets)
"""

import collections
import json
import random
import subprocess
import time

import pytest

from deaths import kill_until
from exchange import SEED
from system import DEADLINE_S, KILLER, wait_until
from talk import Clients, Server, free_ports, receive_all

PORT = 9100
WORD, HEX = b"forbidden-fruit", b"\x00\xff\x13evil\x00\xfe\x01"
COUNT = 1000

Plan = collections.namedtuple("Plan", "pattern from_client up down cut")


def plan_of(port, hit_every=3, most=4000, cut=True):
    """What a connection carries, and the pattern in it; cut: where a sender pauses, 0 = nowhere."""
    chance = random.Random(f"{SEED} {port}")
    up, down = (chance.randbytes(chance.randrange(1, most)) for _ in range(2))
    if chance.randrange(hit_every):
        return Plan(None, False, up, down, 0)
    pattern, from_client = chance.choice((WORD, HEX)), chance.random() < 0.5
    content = up if from_client else down
    at = chance.randrange(len(content) + 1)
    content = content[:at] + pattern + content[at:]
    up, down = (content, down) if from_client else (up, content)
    where = at + chance.randrange(1, len(pattern)) if cut and chance.random() < 0.5 else 0
    return Plan(pattern, from_client, up, down, where)


def send(sock, content, cut):
    if cut:
        sock.sendall(content[:cut])
        time.sleep(0.01)
    sock.sendall(content[cut:])


def receive(sock, size):
    """So many bytes, or fewer and how they ended."""
    came = b""
    try:
        while len(came) < size:
            data = sock.recv(size - len(came))
            if not data:
                return came, None
            came += data
    except OSError as error:
        return came, error
    return came, None


class Talk:
    """The client sends its part, the server answers with its own, and both wait for the other to
    close. Each end says what it received, what ended it, and when."""

    def __init__(self, ports, **plans):
        self.plan = {port: plan_of(port, **plans) for port in ports}

    def client(self, port, sock):
        plan = self.plan[port]
        send(sock, plan.up, plan.cut * plan.from_client)
        came, error = receive(sock, len(plan.down))
        return came, error, time.monotonic()

    def server(self, port, sock):
        plan = self.plan[port]
        came, error = receive(sock, len(plan.up))
        if error is None:
            try:
                send(sock, plan.down, plan.cut * (not plan.from_client))
            except OSError as broken:
                error = broken
        if error is None:
            _, error = receive_all(sock)
        return came, error, time.monotonic()

    def check(self, clients, servers):
        """Both ends of what was hit are reset, and all else is whole. How long one end knew of it
        before the other, of each that its server had accepted."""
        for port, plan in self.plan.items():
            (down, client_error, client_time), (up, server_error, server_time) = (
                clients[port], servers[port])
            if plan.pattern is None:
                assert client_error is server_error is None, (port, client_error, server_error)
                assert (up, down) == (plan.up, plan.down), port
                continue
            assert isinstance(client_error, ConnectionResetError), (port, plan, client_error)
            assert isinstance(server_error, ConnectionResetError), (port, plan, server_error)
            assert plan.pattern not in up and plan.pattern not in down
            assert plan.up.startswith(up) and plan.down.startswith(down)
            if server_time is not None:
                yield port, abs(client_time - server_time)

    def served(self, server):
        """What the server says of each, which may not have accepted those that clients spoilt."""
        early = [port for port in self.hits() if self.plan[port].from_client]
        return server.finish(self.plan, early, (b"", ConnectionResetError(), None))

    def hits(self):
        return [port for port, plan in self.plan.items() if plan.pattern is not None]


def command(system, *options):
    return [KILLER, "-f", system.config, "-o", f"{system.directory}/kills", "-e",
            f"dst port {PORT}", "-w", WORD.decode(), "-x", HEX.hex(), *options]


def kills(system):
    """The lines, by the client's port."""
    with open(f"{system.directory}/kills", encoding="ascii") as file:
        lines = [json.loads(line) for line in file]
    return {int(line["client"].rsplit(":", 1)[1]): line for line in lines}


@pytest.fixture
def serve(network):
    network.introduce_neighbours()
    made = []

    def start(talk):
        made.append(Server(network, PORT, talk.server))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_what_carries_a_pattern_is_reset_and_nothing_else(start_apps, network, serve, workers):
    system = start_apps(workers, command)
    talk = Talk(free_ports(COUNT))
    server, before = serve(talk), network.checksum_errors()
    clients = Clients(network, PORT, talk.plan, talk.client).finish()
    apart = dict(talk.check(clients, talk.served(server)))
    assert network.checksum_errors() == before
    print(f"ends of one connection at most {max(apart.values()):.3f} s apart")
    hits = talk.hits()
    assert COUNT / 4 < len(hits) < COUNT / 2
    wait_until(lambda: len(kills(system)) == len(hits), "each kill is told")
    for port, line in kills(system).items():
        plan = talk.plan[port]
        content = plan.up if plan.from_client else plan.down
        assert line["from"] == ("client" if plan.from_client else "server")
        assert bytes.fromhex(line["pattern"]) == plan.pattern
        assert line["offset"] == content.index(plan.pattern)


def test_ipv6_connections_are_reset_too(start_apps, network, serve):
    system = start_apps(2, command, ipv6=1)
    talk = Talk(free_ports(60))
    server, before = serve(talk), network.checksum_errors()
    clients = Clients(network, PORT, talk.plan, talk.client, family=6).finish()
    apart = dict(talk.check(clients, talk.served(server)))
    print(f"ends of one connection at most {max(apart.values()):.3f} s apart")
    assert network.checksum_errors() == before
    wait_until(lambda: len(kills(system)) == len(talk.hits()), "each kill is told")


def test_deaths_spare_nobody_and_hit_nobody_else(new_system, network, serve):
    """Patterns are within one segment: a half of one that a worker has seen dies with it."""
    system = new_system(network)
    system.configure(("wire_a", "wire_b"), fail_policy="hold 5000 closed", flow_area=64)
    system.start_primary()
    run = system.start_mos_run(2, command(system))
    for shard in (0, 1):
        system.primary.wait_line(rf"shard {shard}: served by")
    talk = Talk(free_ports(COUNT), most=1000, cut=False)
    plain = talk.client

    def client(port, sock):
        time.sleep(random.random() * 0.2)
        return plain(port, sock)

    server, before = serve(talk), network.checksum_errors()
    clients = Clients(network, PORT, talk.plan, client)
    count = kill_until(system, clients.done)
    apart = dict(talk.check(clients.finish(), talk.served(server)))
    print(f"{count} kills; ends of one connection at most {max(apart.values()):.3f} s apart")
    assert network.checksum_errors() == before
    assert run.stop() == 0, run.output()
    assert system.primary.stop() == 0, system.primary.output()


@pytest.mark.parametrize("options, says", [
    (("-x", "0"), "killer: -x '0': two hexadecimal digits make a byte"),
    (("-w", ""), "killer: -w '': a pattern has at least one byte"),
    (("-w", "a" * 65), f"killer: -w '{'a' * 65}': the pattern is too long"),
    ((), "usage: killer "),
])
def test_wrong_options_are_refused(options, says):
    done = subprocess.run([KILLER, "-f", "x", *options], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)
    assert done.returncode == 1 and done.stderr.startswith(says)
