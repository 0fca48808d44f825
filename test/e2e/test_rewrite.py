"""rewrite between clients and servers: what a client gets is what the server has sent with the word
replaced, however both cut it into segments, and whatever the network or a death does to these.

client (sockets, curl) -- mos-primary with rewrite -- server (sockets)
"""

import concurrent.futures
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from deaths import kill_until, suspects
from exchange import SEED, TIMES
from network import ADDRESS, WIRE
from system import DEADLINE_S, REWRITE

FAMILIES = (4,)
CUT = ("client", "server")
FAULTS = "loss=0.7,dup=1,late=2"
PORT, OTHER_PORT = 8000, 8001
PARALLEL = 32
PATIENCE_S = 2 * DEADLINE_S
MB = 1 << 20
WORD = b"elephant"
LONGER, SHORTER, EQUAL, EMPTY = b"hippopotamuses", b"ant", b"antelope", b""
KINDS = {"longer": LONGER, "shorter": SHORTER, "equal": EQUAL, "empty": EMPTY}


def cut(chance, content, most):
    """The content in random pieces of at most so many bytes."""
    at = 0
    while at < len(content):
        size = chance.randint(1, most)
        yield content[at:at + size]
        at += size


class Plan:
    """All about connection `number`: what is asked, what is answered, and in which pieces."""

    def __init__(self, number, size=0):
        chance = random.Random(f"{SEED} {number}")
        self.path = f"/{number}"
        words = [WORD, WORD, WORD[:3], WORD[:-1], b" ", b"\r\n", b"\0\xff", b"e", b"the quick fox"]
        size = size or chance.choice((0, 1, 10, 300, 3000, 20000, 60000))
        body = b"".join(chance.choices(words, k=size // 5 + 1))[:size]
        self.body = body + chance.choice((b"", WORD, WORD[:1], WORD[:5], WORD[:-1]))
        self.upload = chance.randbytes(chance.choice((0, 0, 0, 5, 5000)))
        fields = ["Host: elephant", "Accept-Encoding: gzip, deflate", "Connection: keep-alive",
                  f"Content-Length: {len(self.upload)}", "Range: bytes=3-"]
        chance.shuffle(fields)
        lines = [f"POST {self.path} HTTP/1.1", *fields, "", ""]
        self.request = "\r\n".join(lines).encode() + self.upload
        length = chance.choice((f"Content-Length: {len(self.body)}\r\n", ""))
        self.head = f"HTTP/1.1 200 elephant\r\nX: elephant\r\n{length}\r\n".encode()
        if chance.random() < 0.1:
            self.head = b"HTTP/1.1 100 Continue\r\n\r\n" + self.head
        most = 1 if size < 1000 and chance.random() < 0.3 else chance.choice((10, 2000, 30000))
        self.down = list(cut(chance, self.head + self.body, max(most, size // 2000 + 1)))
        self.up = list(cut(chance, self.request, chance.choice((1, 20, 2000))))
        self.fin_is_late = chance.random() < 0.5

    def response(self, by):
        """What the client must get."""
        head = self.head.replace(b"Content-Length", b"Content-LengtX")
        return head + self.body.replace(WORD, by)


class Server:
    """Answers as the plans say. heads: those of the requests, by path."""

    def __init__(self, network):
        self.heads = {}
        self.plan = {}
        self._listener = network.listen("server", PORT)
        self._pool = concurrent.futures.ThreadPoolExecutor(2 * PARALLEL)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._pool.submit(self._serve, sock)

    def _serve(self, sock):
        with sock:
            sock.settimeout(PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            came = b""
            while b"\r\n\r\n" not in came:
                came += sock.recv(1 << 16)
            head, _, upload = came.partition(b"\r\n\r\n")
            plan = self.plan[head.split(b" ")[1].decode()]
            while len(upload) < len(plan.upload):
                upload += sock.recv(1 << 16)
            assert upload == plan.upload
            self.heads[plan.path] = head.decode()
            for piece in plan.down:
                sock.sendall(piece)
            if plan.fin_is_late:
                time.sleep(0.02)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


def checksum_errors(network):
    """How many segments with a wrong checksum both endpoints have got."""
    count = 0
    for side in WIRE:
        with network.inside(side), open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            names, values = (line.split() for line in file if line.startswith("Tcp:"))
        count += int(values[names.index("InCsumErrors")])
    return count


@pytest.fixture(autouse=True)
def right_checksums(network):
    """Both ends verify checksums all the time."""
    print(f"seed {SEED} (MOS_SEED repeats it)")
    network.introduce_neighbours()
    before = checksum_errors(network)
    yield
    assert checksum_errors(network) == before


@pytest.fixture
def server(network):
    made = Server(network)
    yield made
    made.close()


@pytest.fixture
def wires(impair):
    """Wires without faults."""
    for side in CUT:
        impair(side)


def command(system, by, *options):
    return [REWRITE, "-f", system.config, "-s", WORD.decode(), "-r", by.decode(), "-x",
            "-e", f"dst port {PORT} or dst port {OTHER_PORT}", *options]


@pytest.fixture
def new_box(new_system, network):
    """A primary that waits for so many workers. At the end of the test all must end in order."""
    made = []

    def make(workers, **keys):
        system = new_system(network)
        made.append(system)
        system.configure(("wire_a", "wire_b"), workers=workers,
                         **{"flow_area": 128, "fail_policy": "hold 5000 closed", **keys})
        system.start_primary()
        return system

    yield make
    for system in made:
        statuses = system.stop()
        outputs = [process.output() for process in (system.primary, *system.others)]
        assert set(statuses) == {0}, "\n".join(outputs)
        print("\n".join(outputs))


@pytest.fixture
def start_rewrite(new_box):
    """A box with so many rewrites: start_rewrite(by, workers)."""

    def start(by, workers=2):
        system = new_box(workers)
        for shard in range(workers):
            system.start_worker(shard, command=command(system, by))
        return system

    return start


def receive_all(sock, pause=0.0):
    """All that comes, to the end."""
    came = []
    while data := sock.recv(1 << 16):
        came.append(data)
        time.sleep(pause)
    return b"".join(came)


def fetch(network, plan, pause=0.0):
    """What a client gets for a plan."""
    with network.connect("client", PORT, "server", PATIENCE_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in plan.up:
            sock.sendall(piece)
        return receive_all(sock, pause)


def assert_request(server, plan):
    """The server has got a request that is as it must be."""
    head = server.heads[plan.path]
    assert head.startswith(f"POST {plan.path} HTTP/1.0\r\n")
    fields = [line.split(":", 1) for line in head.split("\r\n")[1:]]
    values = {name.lower(): value.strip() for name, value in fields}
    assert values == {"host": "elephant", "accept-encoding": "", "connection": "", "range": "",
                      "content-length": str(len(plan.upload)),
                      "x-forwarded-for": ADDRESS["client"]}
    assert head.endswith(f"X-Forwarded-For: {ADDRESS['client']}")


def fetch_all(network, server, plans, by):
    """Carry them all out and compare. The bytes that were wrong are told, not the bodies."""
    server.plan = {plan.path: plan for plan in plans}
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for plan, got in zip(plans, pool.map(lambda plan: fetch(network, plan), plans)):
            expected = plan.response(by)
            same = len(os.path.commonprefix([got, expected]))
            assert same == len(expected) == len(got), (
                f"{plan.path}: {len(got)} of {len(expected)} bytes, the first {same} right: "
                f"{got[same - 20:same + 20]} not {expected[same - 20:same + 20]}")
            assert_request(server, plan)


@pytest.mark.parametrize("kind,workers", [("longer", 1), ("shorter", 2), ("equal", 1),
                                          ("empty", 3)])
def test_word_is_replaced_whatever_the_segments(start_rewrite, wires, network, server, kind,
                                                workers):
    start_rewrite(KINDS[kind], workers)
    fetch_all(network, server, [Plan(n) for n in range(100 * TIMES)], KINDS[kind])


def test_1000_connections_get_right_bodies(start_rewrite, wires, network, server):
    system = start_rewrite(LONGER, 3)
    plans = [Plan(n) for n in range(1000 * TIMES)]
    fetch_all(network, server, plans, LONGER)
    words = sum(plan.body.count(WORD) for plan in plans)
    for worker in system.worker.values():
        worker.send(signal.SIGTERM)
        assert worker.status() == 0, worker.output()
    assert words == sum(int(worker.find(r"^rewrite: (\d+) words replaced$")[0][1])
                        for worker in system.worker.values())


@pytest.mark.parametrize("pause", [0.0, 0.002], ids=["fast", "slow"])
def test_large_bodies_with_many_words(start_rewrite, wires, network, server, pause):
    start_rewrite(LONGER)
    plan = Plan(0, 3 * MB)
    server.plan = {plan.path: plan}
    start = time.monotonic()
    got = fetch(network, plan, pause)
    print(f"{len(got) / MB / (time.monotonic() - start):.1f} MB/s, "
          f"{network.retransmitted()} segments sent again")
    assert got == plan.response(LONGER)


def test_curl_sees_the_body(start_rewrite, wires, network, server):
    start_rewrite(EMPTY)
    plan = Plan("curl", 100000)
    plan.upload = b""
    server.plan = {plan.path: plan}
    done = subprocess.run(network.command("client", "curl", "-sS", "--compressed",
                                          f"http://{ADDRESS['server']}:{PORT}{plan.path}"),
                          capture_output=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == plan.body.replace(WORD, EMPTY)


def test_bodies_are_right_on_a_faulty_network(start_rewrite, impair, network, server):
    for side in CUT:
        impair(side, there=FAULTS, back=FAULTS)
    start_rewrite(LONGER, 2)
    fetch_all(network, server, [Plan(n) for n in range(200 * TIMES)], LONGER)


def test_bodies_are_right_though_workers_die(new_box, impair, network, server):
    for side in CUT:
        impair(side, there=FAULTS, back=FAULTS)
    system = new_box(2)
    run = system.start_mos_run(2, command(system, LONGER))
    for shard in (0, 1):
        system.primary.wait_line(rf"shard {shard}: served by")
    plans = [Plan(n) for n in range(300 * TIMES)]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(fetch_all, network, server, plans, LONGER)
        kills = kill_until(system, fetching.done)
    print(f"{kills} kills, {len(suspects(system))} suspect flows")
    fetching.result()
    assert run.stop() == 0, run.output()


# ---- What is none of its business ----

def exchange_raw(network, request, response):
    """What client and server of another protocol get of each other's."""
    listener = network.listen("server", OTHER_PORT)
    with listener, network.connect("client", OTHER_PORT, "server", DEADLINE_S) as client:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(DEADLINE_S)
            client.sendall(request)
            got = b""
            while len(got) < len(request):
                got += sock.recv(1 << 16)
            sock.sendall(response)
            sock.shutdown(socket.SHUT_WR)
            return got, receive_all(client)


def test_other_protocols_and_codings_pass(start_rewrite, wires, network):
    start_rewrite(LONGER)
    body = b"elephants " * 5000
    for request, head in (
            (b"SSH-2.0-elephant\r\n", b""),
            (b"\x16\x03\x01 elephant HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
            (b"CONNECT h:443 HTTP/1.1\r\nRange: 1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")):
        assert exchange_raw(network, request, head + body) == (request, head + body)
    request = b"GET / HTTP/1.0\r\n\r\n"
    asked = request[:-2] + f"X-Forwarded-For: {ADDRESS['client']}\r\n\r\n".encode()
    for field in ("Content-Encoding: gzip", "Transfer-Encoding: chunked"):
        answer = f"HTTP/1.1 200 OK\r\n{field}\r\n\r\n".encode() + body
        got = exchange_raw(network, request, answer)
        assert got[1] == answer
        assert asked.startswith(got[0])


def assert_refuses(system, options, says):
    done = subprocess.run(command(system, b"x", *options), capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)
    assert done.returncode == 1, done
    assert re.search(says, done.stderr), done


def test_mistakes_are_told(new_box):
    system = new_box(1)
    for options, says in ((("-s", ""), "^rewrite: -s takes 1 to "),
                          (("-r", "x" * 1000), "^rewrite: -s takes 1 to "),
                          (("-s", "w", "-r", "x" * 100), "^rewrite: -r 'x*' is too long"),
                          (("-e", "dst prt 80"), "^rewrite: -e 'dst prt 80': "),
                          (("-n", "0"), "^rewrite: -n 0: expected a number from 1 to 128")):
        assert_refuses(system, options, says)


def test_it_needs_memory_for_its_state(new_box):
    assert_refuses(new_box(1, flow_area=64), (), "^rewrite: flow_area = 64 is too small: ")
