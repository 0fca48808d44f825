"""httpwatch beside real clients and servers: one line for each transaction, and the right ones.

client (curl, sockets) -- mos-primary with httpwatch -- server (http.server, sockets)
"""

import collections
import http.server
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from captures import Story, merged
from network import ADDRESS, ADDRESS6, unacknowledged
from system import DEADLINE_S, HTTPWATCH, Process, wait_until

PORT, RAW_PORT = 8000, 8080
URL = f"http://{ADDRESS['server']}:{PORT}"
STATUSES = (200, 201, 204, 301, 304, 404, 418, 500, 503)


class Handler(http.server.BaseHTTPRequestHandler):
    """/NUMBER... answers with that status, /chunked with chunks, /bytes/N with so many of them."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._read_body()
        if self.path == "/chunked":
            return self._chunked()
        if self.path.startswith("/bytes/"):
            return self._bytes(int(self.path.split("/")[2]))
        status = int(self.path[1:4])
        body = b"" if status in (204, 304) else b"HTTP/1.1 999 not a head\r\n\r\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return None

    def _read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            self.rfile.read(size + 2)
        self.rfile.readline()

    def _bytes(self, count):
        self.send_response(200)
        if self.request_version == "HTTP/1.1":
            self.send_header("Content-Length", str(count))
        self.end_headers()
        self.wfile.write(b"HTTP/1.1 500 no\r\n\r\n" * (count // 19) + bytes(count % 19))

    def _chunked(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(3):
            self.wfile.write(b"4\r\nabcd\r\n")
        self.wfile.write(b"0\r\n\r\n")

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def web(network):
    """The web server, on IPv4 and IPv6."""
    network.introduce_neighbours()
    listener = network.socket("server", socket.AF_INET6)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", PORT))
    listener.listen(128)
    server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket, server.server_name, server.server_port = listener, "server", PORT
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


class Watch:
    """httpwatch processes that append to one file."""

    def __init__(self, directory):
        self.file = os.path.join(directory, "transactions")
        self.processes = []

    def command(self, system, *options):
        return [HTTPWATCH, "-f", system.config, "-o", self.file, *options]

    def lines(self):
        if not os.path.exists(self.file):
            return []
        with open(self.file, encoding="ascii") as file:
            text = file.read()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait(self, count):
        """Wait for that many transactions, and return all there are."""
        wait_until(lambda: len(self.lines()) >= count, f"{count} transactions")
        return self.lines()


@pytest.fixture
def start_watch(start_box, tmp_path):
    """A box with two httpwatch processes: start(*options, key=value...) -> (system, watch)."""

    def start(*options, **keys):
        system = start_box(workers=0, fail_policy="hold 20000 open", **keys)
        watch = Watch(tmp_path)
        command = watch.command(system, *(options or ("-e", f"dst port {PORT}")))
        watch.processes = [system.start_worker(n, command=command) for n in (0, 1)]
        return system, watch

    return start


def curl(network, *args):
    """What it printed. It fails unless all requests were answered."""
    done = subprocess.run(network.command("client", "curl", "-sS", "--max-time", str(DEADLINE_S),
                                          *args), capture_output=True, text=True, check=False,
                          timeout=2 * DEADLINE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sizes(lines):
    return [(line["path"], line["request_bytes"], line["bytes"]) for line in lines]


def told(lines):
    return sorted((line["method"], line["path"], line["status"]) for line in lines)


def test_each_transaction_of_curl_is_one_line(start_watch, network):
    _, watch = start_watch()
    urls = [f"{URL}/{status}/{n}" for status in STATUSES for n in range(3)]
    for url in urls:  # a connection each
        curl(network, "-o", "/dev/null", "-H", "Host: example.org", url)
    lines = watch.wait(len(urls))
    assert told(lines) == sorted(("GET", url[len(URL):], int(url[len(URL) + 1:][:3]))
                                 for url in urls)
    assert len({line["client"] for line in lines}) == len(urls)
    for line in lines:
        assert list(line) == ["time", "client", "server", "method", "host", "path", "status",
                              "bytes", "request_bytes", "ms"]
        assert line["bytes"] == (0 if line["status"] in (204, 304) else 27)
        assert line["request_bytes"] == 0
        assert line["client"].startswith("10.77.0.1:") and line["server"] == f"10.77.0.2:{PORT}"
        assert line["host"] == "example.org" and 0 <= line["ms"] < 1000 * DEADLINE_S


def test_connection_that_is_kept_alive_gives_a_line_per_request_in_order(start_watch, network):
    _, watch = start_watch()
    paths = [f"/{status}/{n}" for n in range(5) for status in STATUSES]
    curl(network, *(word for path in paths for word in ("-o", "/dev/null", URL + path)))
    lines = watch.wait(len(paths))
    assert [line["path"] for line in lines] == paths
    assert [line["status"] for line in lines] == [int(path[1:4]) for path in paths]
    assert {line["client"] for line in lines} == {lines[0]["client"]}
    assert all(a["time"] <= b["time"] for a, b in zip(lines, lines[1:]))


def test_methods_bodies_and_chunks_are_understood(start_watch, network, tmp_path):
    _, watch = start_watch()
    body = tmp_path / "body"
    body.write_bytes(b"GET /evil HTTP/1.1\r\n\r\n" * 5000)  # each packet may begin with that
    args = (["-I", f"{URL}/200"], ["--data-binary", f"@{body}", f"{URL}/201"],
            ["-T", str(body), f"{URL}/204"], [f"{URL}/chunked", f"{URL}/404"])
    for arg in args:
        curl(network, *arg)
    lines = watch.wait(5)
    assert told(lines) == [("GET", "/404", 404), ("GET", "/chunked", 200), ("HEAD", "/200", 200),
                           ("POST", "/201", 201), ("PUT", "/204", 204)]
    assert sizes(lines) == [("/200", 0, 0), ("/201", 110000, 27), ("/204", 110000, 0),
                            ("/chunked", 0, 12), ("/404", 0, 27)]


def test_bytes_are_those_of_the_bodies(start_watch, network, tmp_path):
    _, watch = start_watch()
    body = tmp_path / "body"
    body.write_bytes(b"GET /evil HTTP/1.1\r\n\r\n" * 100000)  # so long that curl waits for a 100
    counts = (0, 1, 1460, 100000, 20000000)
    for count in counts:
        curl(network, "-o", "/dev/null", f"{URL}/bytes/{count}")
    curl(network, "--http1.0", "-o", "/dev/null", f"{URL}/bytes/54321")  # to the end
    curl(network, "-T", str(body), "-H", "Expect: 100-continue", f"{URL}/201")
    curl(network, "-T", str(body), "-H", "Transfer-Encoding: chunked", f"{URL}/204")
    lines = watch.wait(len(counts) + 3)
    assert sizes(lines) == [*((f"/bytes/{count}", 0, count) for count in counts),
                            ("/bytes/54321", 0, 54321), ("/201", 2200000, 27), ("/204", 2200000, 0)]
    assert not {"missed", "incomplete", "resumed", "given_up"}.intersection(*lines)


def test_many_connections_at_a_time_are_told_apart(start_watch, network):
    _, watch = start_watch()
    count = 400
    curl(network, "--parallel", "--parallel-max", "40", "-o", "/dev/null",
         f"{URL}/200/[1-{count}]")
    lines = watch.wait(count)
    assert collections.Counter(line["path"] for line in lines) == collections.Counter(
        f"/200/{n}" for n in range(1, count + 1))


def test_transactions_over_ipv6_are_seen(start_watch, network):
    _, watch = start_watch(ipv6=1)
    curl(network, "-g", "-o", "/dev/null", f"http://[{ADDRESS6['server']}]:{PORT}/404")
    line, = watch.wait(1)
    assert line["client"].startswith("[fd77::1]:") and line["server"] == f"[fd77::2]:{PORT}"
    assert (line["path"], line["status"]) == ("/404", 404)


@pytest.fixture
def pair(network):
    """pair(): both ends of a connection to RAW_PORT, to speak by hand."""
    opened = [network.listen("server", RAW_PORT)]

    def connect():
        client = network.connect("client", RAW_PORT, "server", DEADLINE_S)
        server = opened[0].accept()[0]
        for sock in (client, server):
            sock.settimeout(DEADLINE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.extend((client, server))
        return client, server

    yield connect
    for sock in opened:
        sock.close()


def pass_on(sender, receiver, data, is_known=True):
    """Send, and wait until all has arrived: what is sent next is another packet. is_known: and the
    sender knows, so that nothing is sent again."""
    sender.sendall(data)
    got = b""
    while len(got) < len(data):
        got += receiver.recv(1 << 16)
    assert got == data
    if is_known:
        wait_until(lambda: unacknowledged(sender) == 0, "the sender knows")


def test_requests_that_come_together_are_paired_with_their_responses(start_watch, pair):
    _, watch = start_watch("-e", f"dst port {RAW_PORT}")
    client, server = pair()
    pass_on(client, server, b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(5)))
    pass_on(server, client, b"".join(
        b"HTTP/1.1 %d x\r\nContent-Length: 300\r\n\r\n" % (400 + n) + bytes(300)
        for n in range(5)))
    assert told(watch.wait(5)) == [("GET", f"/{n}", 400 + n) for n in range(5)]


def test_message_may_come_byte_by_byte(start_watch, pair):
    _, watch = start_watch("-e", f"dst port {RAW_PORT}")
    client, server = pair()
    for byte in b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc":
        pass_on(client, server, bytes([byte]))
    for byte in (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"):
        pass_on(server, client, bytes([byte]))
    line, = watch.wait(1)
    assert (line["host"], line["path"], line["status"]) == ("h", "/slow", 200)
    assert (line["bytes"], line["request_bytes"]) == (5, 3)


def test_request_without_response_has_null(start_watch, pair):
    _, watch = start_watch("-e", f"dst port {RAW_PORT}")
    client, server = pair()
    pass_on(client, server, b"GET /unanswered HTTP/1.0\r\n\r\n")
    server.close()
    assert client.recv(1) == b""
    client.close()
    line, = watch.wait(1)
    assert line["path"] == "/unanswered"
    assert line["status"] is line["bytes"] is line["ms"] is None


def test_other_protocols_are_told_once_and_left_alone(start_watch, pair):
    system, watch = start_watch("-e", f"dst port {RAW_PORT}")
    tls, upgraded, tunnel = pair(), pair(), pair()
    pass_on(*tls, b"\x16\x03\x01\x00\x05hello")
    pass_on(*upgraded, b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
    pass_on(*reversed(upgraded), b"HTTP/1.1 101 Switching\r\n\r\n")
    pass_on(*tunnel, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
    pass_on(*reversed(tunnel), b"HTTP/1.1 200 Connected\r\n\r\n")
    for client, server in (tls, upgraded, tunnel):
        pass_on(server, client, b"HTTP/1.1 500 no\r\n\r\n")
        pass_on(client, server, b"GET /evil HTTP/1.1\r\n\r\n")
    lines = sorted(watch.wait(3), key=lambda line: line["time"])
    assert [(line["method"], line["status"], line.get("given_up")) for line in lines] == [
        (None, None, "not HTTP/1"), ("GET", 101, None), ("CONNECT", 200, None)]
    for client, server in (tls, upgraded, tunnel):
        client.close()
        server.close()
    system.primary.wait_counters(lambda c: c["w_flows_forgotten"] == 3, "all are left alone")
    assert len(watch.lines()) == len(lines)


def test_request_cannot_break_the_line(start_watch, pair):
    _, watch = start_watch("-e", f"dst port {RAW_PORT}")
    client, server = pair()
    pass_on(client, server, b'GET /"},{"\\\xff HTTP/1.1\r\nHost: \x00\x1b[2J"\r\n\r\n')
    pass_on(server, client, b"HTTP/1.1 204 OK\r\n\r\n")
    line, = watch.wait(1)
    assert line["path"] == '/"},{"\\\xff' and line["host"] == '\x00\x1b[2J"'


def test_only_connections_of_the_expression_are_seen(start_watch, network):
    _, watch = start_watch("-e", "dst port 81 or dst port 82")
    curl(network, "-o", "/dev/null", f"{URL}/200")
    for process in watch.processes:
        assert process.stop() == 0
        assert process.find("httpwatch: 0 transactions")
    assert watch.lines() == []


def test_successor_goes_on_with_the_connection(start_watch, pair):
    system, watch = start_watch("-e", f"dst port {RAW_PORT}")
    client, server = pair()
    for n in range(4):
        pass_on(client, server, b"GET /%d HTTP/1.1\r\n\r\n" % n)
        # Its acknowledgement may wait for the successor; then it is sent again.
        pass_on(server, client, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", is_known=False)
        watch.wait(n + 1)
        for shard in (0, 1):
            system.worker[shard].kill()
            system.start_worker(shard, command=watch.command(system, "-e", f"dst port {RAW_PORT}"))
    assert told(watch.lines()) == [("GET", f"/{n}", 200) for n in range(4)]
    assert [line.get("resumed", False) for line in watch.lines()] == [False, True, True, True]


def test_successor_invents_nothing(start_watch, pair):
    system, watch = start_watch("-e", f"dst port {RAW_PORT}")

    def succeed():
        for shard in (0, 1):
            system.worker[shard].kill()
            system.start_worker(shard, command=watch.command(system, "-e", f"dst port {RAW_PORT}"))

    upload, download = pair(), pair()
    body = b"GET /evil HTTP/1.1\r\n\r\n" * 10
    pass_on(*upload, b"PUT /up HTTP/1.1\r\nContent-Length: 440\r\n\r\n" + body)
    pass_on(*download, b"GET /down HTTP/1.1\r\n\r\n")
    pass_on(*reversed(download), b"HTTP/1.1 200 OK\r\nContent-Length: 54\r\n\r\n",
            is_known=False)
    succeed()
    pass_on(*upload, body)
    for _ in range(2):
        pass_on(*reversed(download), b"HTTP/1.1 500 no evil\r\n\r\n...")
    pass_on(*reversed(upload), b"HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n")
    for client, server in (upload, download):
        pass_on(client, server, b"GET /next HTTP/1.1\r\n\r\n")
        pass_on(server, client, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
    lines = watch.wait(3)
    assert [(line["path"], line["status"]) for line in lines] == [
        (None, 201), ("/next", 404), ("/next", 404)]
    assert all(line["resumed"] for line in lines)


# ---- Captures: what the network and the monitor can do to a stream ----

REQUEST = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
RESPONSE = HEAD + bytes(1000)
NEXT = b"GET /b HTTP/1.1\r\n\r\n"
LAST = b"HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nabc"
TO_SERVER, TO_CLIENT = REQUEST + NEXT, RESPONSE + LAST
ALL_SEEN = [("/a", 200, 1000, {}), ("/b", 404, 3, {})]


class Web(Story):
    """Two transactions on one connection; what is not sent has been missed."""

    def request(self, start=0, end=len(REQUEST)):
        return self.to_server(start, end, 0, TO_SERVER)

    def response(self, start=0, end=len(RESPONSE)):
        return self.to_client(start, end, len(REQUEST), TO_CLIENT)

    def second(self):
        """The rest, whole. What came before is acknowledged."""
        sent = len(REQUEST), len(RESPONSE)
        self.to_server(sent[0], len(TO_SERVER), sent[1], TO_SERVER)
        self.to_client(sent[1], len(TO_CLIENT), len(TO_SERVER), TO_CLIENT)
        return self.closed(len(TO_SERVER), len(TO_CLIENT))


def in_pieces(web, send, starts, size):
    for start in starts:
        send(start, start + size)
    return web


BODY = len(HEAD)
CAPTURES = {
    "whole": (lambda w: w.request().response().second(), ALL_SEEN),
    "byte by byte": (
        lambda w: in_pieces(in_pieces(w, w.request, range(len(REQUEST)), 1), w.response,
                            range(len(RESPONSE)), 1).second(), ALL_SEEN),
    "backwards": (
        lambda w: in_pieces(w.request(), w.response, reversed(range(0, len(RESPONSE), 1)), 1)
                  .second(), ALL_SEEN),
    "again and overlapping": (
        lambda w: in_pieces(in_pieces(w, w.request, range(0, len(REQUEST) - 10), 10).request(),
                            w.response, range(0, len(RESPONSE) - 100, 50), 101)
                  .response().second(), ALL_SEEN),
    "body missed in part": (
        lambda w: w.request().response(0, BODY + 200).response(BODY + 500).second(),
        [("/a", 200, 1000, {"missed": 300}), ("/b", 404, 3, {})]),
    "end of the body missed": (
        lambda w: w.request().response(0, BODY + 1).second(),
        [("/a", 200, 1000, {"missed": 999}), ("/b", 404, 3, {})]),
    "head of the response missed in part": (
        lambda w: w.request().response(0, 20).response(BODY + 10).second(),
        [("/a", 200, 0, {"incomplete": True}), ("/b", 404, 3, {"resumed": True})]),
    "begin of the response missed": (
        lambda w: w.request().response(10).second(),
        [("/a", None, None, {}), ("/b", 404, 3, {"resumed": True})]),
    "request missed": (
        lambda w: w.response().second(),
        [(None, 200, None, {}), ("/b", 404, 3, {"resumed": True})]),
    "end of the request missed": (
        lambda w: w.request(0, 20).response().second(),
        [("/a", 200, 1000, {}), ("/b", 404, 3, {"resumed": True})]),
}


def test_captures_are_told_as_they_are(replay_into):
    webs = {1001 + n: Web(1001 + n) for n in range(len(CAPTURES))}
    for web, (tell, _) in zip(webs.values(), CAPTURES.values()):
        tell(web)
    with open(replay_into([HTTPWATCH], merged(*webs.values())), encoding="ascii") as file:
        lines = [json.loads(line) for line in file]
    for port, (name, (_, expected)) in zip(webs, CAPTURES.items()):
        mine = [line for line in lines if line["client"].endswith(f":{port}")]
        notes = [{key: value for key, value in line.items() if key in
                  ("missed", "incomplete", "resumed", "given_up")} for line in mine]
        assert [(line["path"], line["status"], line["bytes"], note)
                for line, note in zip(mine, notes)] == expected, name


def test_it_prints_each_line_at_once(start_box, network):
    system = start_box(workers=0)
    process = Process([HTTPWATCH, "-f", system.config, "-e", f"dst port {PORT}", "-n", "2"])
    system.others.append(process)
    system.worker[0] = process
    for shard in (0, 1):
        system.primary.wait_line(rf"shard {shard}: served by")
    for n in range(3):
        curl(network, "-o", "/dev/null", f"{URL}/200/{n}")
        line = json.loads(process.wait_line(rf'^{{"time".*"/200/{n}".*')[0])
        assert line["status"] == 200
    assert process.stop(signal.SIGINT) == 0
    assert process.find("^httpwatch: 3 transactions$")


def test_mistakes_are_told(start_box, tmp_path):
    system = start_box(workers=0)
    for options, says in ((("-e", "dst prt 80"), "httpwatch: -e 'dst prt 80': .*"),
                          (("-o", "/nowhere/file"), "httpwatch: /nowhere/file: No such file"),
                          (("-n", "0"), "httpwatch: -n 0: expected a number from 1 to 128")):
        done = subprocess.run([HTTPWATCH, "-f", system.config, *options], capture_output=True,
                              text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 1, done
        assert done.stderr.startswith(says.removesuffix(".*")), done
