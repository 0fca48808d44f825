"""Many short TCP connections whose both ends are functions of the test.

client(port, sock) on one side, server(port, sock) on the other; port is that of the client. What
they return, or the OSError that ended them, is theirs: by port.
"""

import concurrent.futures
import itertools
import socket
import threading

from network import ADDRESS, ADDRESS6
from system import DEADLINE_S, wait_until

PARALLEL = 24

_free_ports = itertools.count(30000)


def free_ports(count):
    """Ports of clients that no test has used yet."""
    return list(itertools.islice(_free_ports, count))


def receive_all(sock):
    """What comes until the peer closes, and the error that ended it, or None."""
    came = b""
    try:
        while data := sock.recv(1 << 16):
            came += data
    except OSError as error:
        return came, error
    return came, None


class Server:
    """Listens until it is closed."""

    def __init__(self, network, port, serve, families=(4, 6)):
        self.said = {}
        self._begun = set()
        self._serve = serve
        self._pool = concurrent.futures.ThreadPoolExecutor(4 * PARALLEL)
        self._listener = network.socket("server", socket.AF_INET6 if 6 in families
                                        else socket.AF_INET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if 6 in families:
            self._listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._listener.bind(("", port))
        self._listener.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, (_, port, *_) = self._listener.accept()
            except OSError:
                return
            self._begun.add(port)
            self._pool.submit(self._run, sock, port)

    def _run(self, sock, port):
        with sock:
            sock.settimeout(DEADLINE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                said = self._serve(port, sock)
            except OSError as error:
                said = error
        self.said[port] = said

    def finish(self, ports, reset_early=(), reset=(b"", ConnectionResetError())):
        """Wait until the connections from these ports are over, and all that were accepted; what
        the server says of each.

        reset_early: those among them that are reset for the first that the client says. The kernel
        forgets one that it has not accepted yet, also when the RST overtakes the handshake's last
        ACK on the way from one CPU to the other; what the server would say of it is `reset`.
        """
        for port in (*(set(ports) - set(reset_early)), *self._begun):
            wait_until(lambda: port in self.said, f"the server's end of {port} is over")
        return {**dict.fromkeys(reset_early, reset), **self.said}

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


class Clients:
    """Begin to talk at once, some at a time."""

    def __init__(self, network, server_port, ports, talk, family=4):
        self._network, self._server_port, self._talk = network, server_port, talk
        self._family = family
        self._pool = concurrent.futures.ThreadPoolExecutor(PARALLEL)
        self._futures = {port: self._pool.submit(self._run, port) for port in ports}

    def _run(self, port):
        kind = socket.AF_INET if self._family == 4 else socket.AF_INET6
        addresses = ADDRESS if self._family == 4 else ADDRESS6
        with self._network.socket("client", kind) as sock:
            sock.settimeout(DEADLINE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind((addresses["client"], port))
            sock.connect((addresses["server"], self._server_port))
            try:
                return self._talk(port, sock)
            except OSError as error:
                return error

    def done(self):
        return all(future.done() for future in self._futures.values())

    def finish(self):
        """Wait until all are over; what they said, by port."""
        said = {port: future.result(2 * DEADLINE_S) for port, future in self._futures.items()}
        self._pool.shutdown()
        return said
