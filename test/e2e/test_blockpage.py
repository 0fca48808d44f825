"""blockpage between real clients and servers: whoever asks for a blocked host gets our page and a
connection that closes as it should; the server never has such a request; all else is as it was.

client (curl, sockets) -- mos-primary with blockpage -- server (sockets)
"""

import json
import random
import re
import subprocess
import time

import pytest

from deaths import kill_until
from exchange import SEED
from network import ADDRESS, ADDRESS6, unacknowledged
from system import BLOCKPAGE, DEADLINE_S, wait_until
from talk import Clients, Server, free_ports, receive_all

PORT = 9200
COUNT, CURL_COUNT = 850, 150
BLOCKED = ("bad.test", "www.evil.test", "evil.test", "BAD.test:9200")
ALLOWED = ("good.test", "notbad.test", "bad.test.org", "notevil.test")
PAGE = b"<html><body>" + b"This is blocked.\n" * 500 + b"</body></html>"
LONG_PAGE = b"<html><body>" + b"This is blocked, at length.\n" * 20000 + b"</body></html>"


def body_of(path):
    """What the server answers; the path tells."""
    chance = random.Random(f"{SEED} {path}")
    return chance.randbytes(chance.randrange(1, 20000))


def request(host, path, method="GET", body=b""):
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return (f"{method} {path} HTTP/1.1\r\nUser-Agent: test\r\nHost: {host}\r\n{length}"
            f"Accept: */*\r\n\r\n").encode() + body


def serve_http(_, sock):
    """Answers each request. All that came, whether whole, and how the connection ended."""
    came, rest = b"", b""
    try:
        while data := sock.recv(1 << 16):
            came, rest = came + data, rest + data
            while match := re.match(rb"\w+ (\S+) HTTP/1.1\r\n.*?\r\n\r\n", rest, re.DOTALL):
                length = re.search(rb"Content-Length: (\d+)", match[0])
                end = match.end() + int(length[1] if length else 0)
                if len(rest) < end:
                    break
                rest = rest[end:]
                body = body_of(match[1].decode())
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                             + body * (not match[0].startswith(b"HEAD ")))
    except OSError as error:
        return came, error
    return came, None


def read_response(sock, came=b""):
    """Status, body, and what lies behind it."""
    while b"\r\n\r\n" not in came:
        data = sock.recv(1 << 16)
        assert data, f"closed within a head: {came!r}"
        came += data
    head, _, rest = came.partition(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])
    while len(rest) < length:
        data = sock.recv(1 << 16)
        assert data, f"closed within a body of {length}: {len(rest)}"
        rest += data
    return int(head.split()[1]), rest[:length], rest[length:]


class Visit:
    """One connection: requests to allowed hosts, then perhaps one to a blocked host, of which the
    client says in how many pieces it sends it."""

    def __init__(self, port, pieces=True):
        chance = random.Random(f"{SEED} {port}")
        self.paths = [f"/{port}/{n}" for n in range(chance.randrange(3))]
        self.hosts = [chance.choice(ALLOWED) for _ in self.paths]
        self.blocked = chance.choice(BLOCKED) if chance.random() < 0.5 or not self.paths else None
        self.last = request(self.blocked, f"/{port}/blocked", chance.choice(("GET", "POST")),
                            chance.randbytes(chance.choice((0, 3000)))) if self.blocked else b""
        self.cut = chance.randrange(len(self.last) + 1) if pieces and chance.random() < 0.5 else 0

    def talk(self, _, sock):
        """What was answered; then the connection has ended in order."""
        said = []
        for host, path in zip(self.hosts, self.paths):
            sock.sendall(request(host, path))
            status, body, rest = read_response(sock)
            said.append((status, body))
            assert rest == b""
        if self.blocked:
            if self.cut:
                sock.sendall(self.last[:self.cut])
                wait_until(lambda: unacknowledged(sock) == 0, "the first piece has gone by")
            sock.sendall(self.last[self.cut:])
            status, body, rest = read_response(sock)
            said.append((status, body))
            assert (rest, *receive_all(sock)) == (b"", b"", None)  # the server's FIN comes
        return said

    def check(self, port, said, server):
        answers = [(200, body_of(path)) for path in self.paths]
        assert said == answers + [(403, PAGE)] * bool(self.blocked), port
        got, error = server
        assert got.startswith(b"".join(map(request, self.hosts, self.paths)))
        if self.blocked:
            assert isinstance(error, ConnectionResetError), port
            assert f"Host: {self.blocked}\r\n".encode() not in got
        else:
            assert error is None


def blocked_at_once(visits):
    """The ports of those that ask for nothing but a blocked host."""
    return [port for port, visit in visits.items() if visit.blocked and not visit.hosts]


def command(system, page, *options):
    return [BLOCKPAGE, "-f", system.config, "-o", f"{system.directory}/blocks", "-e",
            f"dst port {PORT}", "-b", "bad.test", "-b", ".evil.test", "-p", str(page), *options]


def blocks(system):
    with open(f"{system.directory}/blocks", encoding="ascii") as file:
        return [json.loads(line) for line in file]


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(PAGE)
    return path


@pytest.fixture(autouse=True)
def server(network):
    network.introduce_neighbours()
    made = Server(network, PORT, serve_http)
    yield made
    made.close()


@pytest.fixture
def start_blockpage(start_apps, page):
    def start(workers=2):
        return start_apps(workers, lambda system: command(system, page), flow_area=64, ipv6=1)

    return start


def connect(network, port=0):
    return network.connect("client", PORT, "server", DEADLINE_S, port)


def has_no_socket(network, side):
    """No connection is left, but for those in TIME_WAIT."""
    with network.inside(side):
        for name in ("tcp", "tcp6"):
            with open(f"/proc/thread-self/net/{name}", encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
            if any(row[1].endswith(f":{PORT:04X}") or row[2].endswith(f":{PORT:04X}")
                   for row in rows if row[3] not in ("06", "0A")):
                return False
    return True


# ---- Many ----

def curl_many(network, directory, ports):
    """One curl, one connection for each port: half of them to blocked hosts."""
    argv = ["curl", "-sS", "--parallel", "--parallel-max", "16", "--fail-early"]
    for n, port in enumerate(ports):
        host = (ALLOWED, BLOCKED)[n % 2][n // 2 % 4]
        argv += ["-o", f"{directory}/{port}", "-H", f"Host: {host}", "--local-port", str(port),
                 "-w", f"%{{http_code}} %{{num_connects}} {n % 2} {port}\\n",
                 f"http://{ADDRESS['server']}:{PORT}/{port}", "--next"]
    done = subprocess.run(network.command("client", *argv[:-1]), capture_output=True, text=True,
                          check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == len(ports)
    for status, connects, blocked, port in rows:
        expected = (403, PAGE) if blocked == "1" else (200, body_of(f"/{port}"))
        with open(f"{directory}/{port}", "rb") as file:
            assert (int(status), file.read()) == expected and connects == "1"
    return sum(row[2] == "1" for row in rows)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_blocked_requests_get_the_page_and_others_their_answer(
        start_blockpage, network, server, tmp_path, workers):
    system = start_blockpage(workers)
    before = network.checksum_errors()
    sent_again = network.snmp("client", "Tcp", "RetransSegs")
    visits = {port: Visit(port) for port in free_ports(COUNT)}
    clients = Clients(network, PORT, visits, lambda port, sock: visits[port].talk(port, sock))
    said = clients.finish()
    curl_ports = free_ports(CURL_COUNT)
    by_curl = curl_many(network, tmp_path, curl_ports)
    served = server.finish([*visits, *curl_ports], [*blocked_at_once(visits), *curl_ports[1::2]])
    blocked = 0
    for port, visit in visits.items():
        assert not isinstance(said[port], OSError), (port, visit.last, said[port])
        visit.check(port, said[port], served[port])
        blocked += visit.blocked is not None
    sent_again = network.snmp("client", "Tcp", "RetransSegs") - sent_again
    assert sent_again < blocked // 2, "the box acknowledges what it answers"
    assert not any(b"bad.test\r\n" in served[port][0].lower().replace(b"notbad.test", b"")
                   for port in curl_ports)
    assert network.checksum_errors() == before
    wait_until(lambda: len(blocks(system)) == blocked + by_curl, "each is told")
    assert {line["action"] for line in blocks(system)} == {"page"}
    wait_until(lambda: has_no_socket(network, "client") and has_no_socket(network, "server"),
               "no connection stays half-open")


def test_deaths_show_no_wrong_page(new_system, network, server, page):
    """A connection whose worker dies over a blocked request may be reset instead."""
    system = new_system(network)
    system.configure(("wire_a", "wire_b"), fail_policy="hold 5000 closed", flow_area=64)
    system.start_primary()
    run = system.start_mos_run(2, command(system, page))
    for shard in (0, 1):
        system.primary.wait_line(rf"shard {shard}: served by")
    before = network.checksum_errors()
    visits = {port: Visit(port, pieces=False) for port in free_ports(1000)}

    def talk(port, sock):
        time.sleep(random.random() * 0.15)
        try:
            return visits[port].talk(port, sock)
        except AssertionError as error:  # a page that was cut short
            return error

    clients = Clients(network, PORT, visits, talk)
    count = kill_until(system, clients.done)
    said, served, reset = clients.finish(), server.finish(visits, blocked_at_once(visits)), 0
    for port, visit in visits.items():
        if visit.blocked and isinstance(said[port], (OSError, AssertionError)):
            reset += 1
            assert f"Host: {visit.blocked}\r\n".encode() not in served[port][0]
        else:
            assert not isinstance(said[port], (OSError, AssertionError)), (port, said[port])
            visit.check(port, said[port], served[port])
    print(f"{count} kills, {reset} blocked requests were reset")
    assert reset <= 2 * count
    assert network.checksum_errors() == before
    assert run.stop() == 0, run.output()
    assert system.primary.stop() == 0, system.primary.output()


# ---- One by one ----

def curl(network, *options):
    return subprocess.run(network.command("client", "curl", "-sS", *options), capture_output=True,
                          text=True, check=False, timeout=DEADLINE_S)


def test_curl_shows_a_long_page(start_apps, network, tmp_path):
    path = tmp_path / "long.html"
    path.write_bytes(LONG_PAGE)
    start_apps(2, lambda system: command(system, path))
    before = network.retransmitted()
    for _ in range(5):
        done = curl(network, "-H", "Host: bad.test", f"http://{ADDRESS['server']}:{PORT}/")
        assert done.returncode == 0 and done.stderr == ""
        assert done.stdout.encode() == LONG_PAGE
    assert network.retransmitted() == before


def test_ipv6_and_head_are_answered(start_blockpage, network):
    start_blockpage()
    done = curl(network, "-H", "Host: www.evil.test", f"http://[{ADDRESS6['server']}]:{PORT}/")
    assert (done.returncode, done.stdout.encode()) == (0, PAGE)
    done = curl(network, "-I", "-H", "Host: evil.test", f"http://{ADDRESS['server']}:{PORT}/")
    assert done.returncode == 0 and done.stdout.startswith("HTTP/1.1 403 ")
    assert f"Content-Length: {len(PAGE)}\n" in done.stdout.replace("\r", "")
    done = curl(network, "-x", f"http://{ADDRESS['server']}:{PORT}", "--noproxy", "",
                "http://bad.test/")
    assert (done.returncode, done.stdout.encode()) == (0, PAGE)


def test_pipelined_request_is_no_reason_for_a_wrong_page(start_blockpage, network, server):
    """The page would come in place of the first answer: both ends are reset."""
    system = start_blockpage()
    with connect(network) as sock:
        port = sock.getsockname()[1]
        sock.sendall(request("good.test", "/1") + request("bad.test", "/2"))
        came, error = receive_all(sock)
    assert isinstance(error, ConnectionResetError) and b"403" not in came
    wait_until(lambda: has_no_socket(network, "server"), "the server's end is over, too")
    got, error = server.finish([port], [port])[port]
    assert isinstance(error, ConnectionResetError) and b"bad.test" not in got
    wait_until(lambda: [line["action"] for line in blocks(system)] == ["reset"], "it is told")


def test_junk_behind_a_blocked_request_does_not_carry_it_through(start_blockpage, network, server):
    start_blockpage()
    with connect(network) as sock:
        port = sock.getsockname()[1]
        sock.sendall(request("bad.test", "/") + b"\x00\x01\x02 this is no request\r\n" * 3)
        came, error = receive_all(sock)
    assert isinstance(error, ConnectionResetError) and came == b""
    wait_until(lambda: has_no_socket(network, "server"), "the server's end is over, too")
    assert server.finish([port], [port])[port][0] == b""


def test_what_is_not_http_passes(start_blockpage, network):
    start_blockpage()
    with connect(network) as sock:
        sock.settimeout(0.3)
        sock.sendall(b"\x16\x03\x01 Host: bad.test\r\n\r\n")
        with pytest.raises(TimeoutError):
            sock.recv(100)  # the server has it, and waits for more


def test_half_a_head_dies_with_its_worker(new_system, network, server, page):
    """What its successor has not read cannot pass: the connection is reset, at both ends."""
    system = new_system(network)
    system.configure(("wire_a", "wire_b"), workers=1, fail_policy="hold 5000 closed", flow_area=64)
    system.start_primary()
    worker = system.start_worker(0, command=command(system, page))
    with connect(network) as half, connect(network) as idle:
        ports = [sock.getsockname()[1] for sock in (half, idle)]
        idle.sendall(request("good.test", "/before"))
        assert read_response(idle)[:2] == (200, body_of("/before"))
        half.sendall(b"GET / HTTP/1.1\r\nHost: bad.te")
        wait_until(lambda: unacknowledged(half) == 0, "the server has half the head")
        worker.kill()
        system.start_worker(0, command=command(system, page))
        came, error = receive_all(half)
        assert isinstance(error, ConnectionResetError) and came == b""
        idle.sendall(request("good.test", "/after"))
        assert read_response(idle)[:2] == (200, body_of("/after"))
        idle.sendall(request("bad.test", "/blocked"))
        assert read_response(idle)[:2] == (403, PAGE)
    ends = [server.finish([port])[port][1] for port in ports]
    assert [type(end) for end in ends] == [ConnectionResetError] * 2
    assert set(system.stop()) == {0}


@pytest.mark.parametrize("options, says", [
    (("-b", "a b"), "blockpage: -b 'a b': a character that no host has"),
    (("-b", "."), "blockpage: -b '.': expected HOST or .DOMAIN"),
    (("-b", "a", "-p", "/nowhere"), "blockpage: -p /nowhere: No such file or directory"),
    ((), "usage: blockpage "),
])
def test_wrong_options_are_refused(options, says):
    done = subprocess.run([BLOCKPAGE, "-f", "x", *options], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)
    assert done.returncode == 1 and done.stderr.startswith(says)
