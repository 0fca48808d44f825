"""Many TCP connections, each with its own content in both directions.

client (sockets, and one curl) -- box -- server (sockets)

A connection's number, from 0, says with the seed all about it: what each side sends, and in which
pieces. It is known by its client's port, and no port is used twice in a test run. Both sides send
at the same time, and each closes its direction when it is done. Those of curl are HTTP: first the
request, then the response.
"""

import concurrent.futures
import itertools
import os
import random
import re
import socket
import subprocess
import threading
import time

from network import ADDRESS
from system import DEADLINE_S

PORT = 8000
PARALLEL = 64
CURL_PARALLEL = 16
PATIENCE_S = 2 * DEADLINE_S
KB = 1000
SIZES = ((0, 0), (1, 100), (100, 2 * KB), (2 * KB, 20 * KB), (20 * KB, 80 * KB),
         (80 * KB, 300 * KB))

# More than 1 for a longer test: so many times more connections.
TIMES = int(os.environ.get("MOS_STREAMS", 1))
SEED = int(os.environ.get("MOS_SEED", random.randrange(1 << 32)))

_free_ports = itertools.count(10000)


class Plan:
    """What a connection carries up, to the server, and down. The server pauses between pieces."""

    def __init__(self, number, pause):
        chance = random.Random(f"{SEED} {number}")
        self.up = chance.randbytes(chance.randint(*chance.choice(SIZES)) // 4)
        self.down = chance.randbytes(chance.randint(*chance.choice(SIZES)))
        self.pieces = chance.randrange(1, 10) if pause else 1
        self.pause = chance.random() * pause


def receive(sock, until=None):
    """All that comes, to the end, or to a moment when until(all) is true."""
    came = b""
    while (until is None or not until(came)) and (data := sock.recv(1 << 16)):
        came += data
    return came


def send(sock, content, pieces=1, pause=0.0):
    """Send all of it and close the direction."""
    step = -(-len(content) // pieces) or 1
    for at in range(0, len(content), step):
        time.sleep(pause if at else 0)
        sock.sendall(content[at:at + step])
    sock.shutdown(socket.SHUT_WR)


def is_whole_request(text):
    """Is that an HTTP request with all of its body?"""
    head, blank, body = text.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(blank) and len(body) >= int(length[1] if length else 0)


class Exchange:
    """Carries out the plans of ports. carried: what went {"SVR": to the server, "CLI": back} by
    client port, once both ends have all of it. The answer on the first has `large` bytes, if not 0."""

    def __init__(self, network, count, curl_count=0, pause=0.0, large=0):
        self.network = network
        ports = list(itertools.islice(_free_ports, count + curl_count))
        self.ports, self.curl_ports = ports[:count], ports[count:]
        self.plan = {port: Plan(number, pause) for number, port in enumerate(ports)}
        if large:
            self.plan[ports[0]].down = random.Random(SEED).randbytes(large)
        self.carried = {}
        self._server_got = {}
        self._senders = concurrent.futures.ThreadPoolExecutor(4 * PARALLEL)
        self._servers = concurrent.futures.ThreadPoolExecutor(2 * PARALLEL)
        self._clients = concurrent.futures.ThreadPoolExecutor(PARALLEL)
        self._listener = network.listen("server", PORT)
        self._futures = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                sock, (_, port) = self._listener.accept()
            except OSError:
                return
            self._futures.append(self._servers.submit(self._serve, sock, port))

    def _serve(self, sock, port):
        with sock:
            sock.settimeout(PATIENCE_S)
            assert port not in self._server_got, f"port {port} comes twice"
            plan = self.plan[port]
            if port in self.curl_ports:
                self._server_got[port] = receive(sock, is_whole_request)
                head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(plan.down)}\r\n\r\n".encode()
                self.carried[port] = {"SVR": self._server_got[port], "CLI": head + plan.down}
                send(sock, head + plan.down, plan.pieces, plan.pause)
                assert receive(sock) == b""
                return
            self._server_got[port] = b""
            sending = self._senders.submit(send, sock, plan.down, plan.pieces, plan.pause)
            self._server_got[port] = receive(sock)
            sending.result()

    def _converse(self, port):
        plan = self.plan[port]
        with self.network.connect("client", PORT, "server", PATIENCE_S, port) as sock:
            sending = self._senders.submit(send, sock, plan.up)
            assert receive(sock) == plan.down
            sending.result()
        self.carried[port] = {"SVR": plan.up, "CLI": plan.down}

    def _curl(self, directory):
        """All at once in one curl: it checks their number, we the content."""
        command = ["curl", "-sS", "--fail-early", "--parallel", "--parallel-immediate",
                   "--parallel-max", str(CURL_PARALLEL)]
        for port in self.curl_ports:
            up, down = directory / f"{port}.up", directory / f"{port}.down"
            up.write_bytes(self.plan[port].up)
            command += ["--fail", "--local-port", str(port), "--max-time", str(PATIENCE_S),
                        "--data-binary", f"@{up}", "-o", str(down),
                        f"http://{ADDRESS['server']}:{PORT}/{port}", "--next"]
        done = subprocess.run(self.network.command("client", *command[:-1]), capture_output=True,
                              text=True, check=False, timeout=2 * PATIENCE_S)
        assert done.returncode == 0, done.stderr
        for port in self.curl_ports:
            assert (directory / f"{port}.down").read_bytes() == self.plan[port].down

    def start(self, directory):
        self._futures += [self._clients.submit(self._converse, port) for port in self.ports]
        if self.curl_ports:
            self._futures.append(self._clients.submit(self._curl, directory))

    def done(self):
        return all(future.done() for future in self._futures)

    def finish(self):
        """Wait until all connections are over; both ends of each must have got everything."""
        for n in range(1 << 30):
            if n == len(self._futures):
                break
            self._futures[n].result()
        for port in self.ports:
            assert self._server_got[port] == self.carried[port]["SVR"]
        for port in self.curl_ports:
            assert self._server_got[port].endswith(b"\r\n\r\n" + self.plan[port].up)
        assert len(self.carried) == len(self.ports) + len(self.curl_ports)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pool in (self._clients, self._servers, self._senders):
            pool.shutdown(wait=False, cancel_futures=True)
