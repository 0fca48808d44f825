"""Three network namespaces in a row, and sockets in them. Nothing of the machine's own network is
used or changed.

    NAME-client              NAME-box                 NAME-server
    eth0 10.77.0.1  <-veth-> wire_a   wire_b <-veth-> eth0 10.77.0.2
    fd77::1                                           fd77::2

The endpoints compute checksums themselves, and the box gets packets as they are on a wire. A
network without addresses is silent: what is seen on it was sent by the test.

A wire may be cut, for a program of the test to join its ends, which are in the box too:

    eth0 <-veth-> far_a    near_a <-veth-> wire_a
"""

import contextlib
import ctypes
import fcntl
import os
import re
import socket
import struct
import subprocess
import termios

SIDES = ("client", "box", "server")
WIRE = {"client": "wire_a", "server": "wire_b"}
FAR = {"client": "far_a", "server": "far_b"}
NEAR = {"client": "near_a", "server": "near_b"}
ADDRESS = {"client": "10.77.0.1", "server": "10.77.0.2"}
ADDRESS6 = {"client": "fd77::1", "server": "fd77::2"}
MAC = {"client": "02:00:00:00:77:01", "server": "02:00:00:00:77:02"}

CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33
ETH_P_ALL = 3
ETH_P_8021Q = 0x8100
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6

_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")


def _run(*argv):
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30)


class Network:
    """The namespaces live from the call to close(). cut: the endpoints whose wires are cut."""

    def __init__(self, name, families=(4, 6), cut=()):
        self.name = name
        self.families = families
        self.cut = cut
        try:
            for side in SIDES:
                _run("ip", "netns", "add", self.namespace(side))
            for side in WIRE:
                self.connect_box(side)
        except BaseException:
            self.close()
            raise

    def connect_box(self, side):
        """Lay the wire of an endpoint. Done for both at first, and after a test has removed one."""
        self.set("box", "net/ipv6/conf/all/disable_ipv6", 1)
        end = FAR[side] if side in self.cut else WIRE[side]
        _run("ip", "link", "add", "eth0", "netns", self.namespace(side), "type", "veth",
             "peer", "name", end, "netns", self.namespace("box"))
        self._raise_endpoint(side)
        self._raise_in_box(end)
        if side in self.cut:
            self.run("box", "ip", "link", "add", NEAR[side], "type", "veth",
                     "peer", "name", WIRE[side])
            self._raise_in_box(NEAR[side])
            self._raise_in_box(WIRE[side])

    def _raise_in_box(self, device):
        self.run("box", "ethtool", "-K", device, "gro", "off")
        self.run("box", "ip", "link", "set", device, "promisc", "on", "up")

    def _raise_endpoint(self, side):
        self.set(side, "net/ipv6/conf/eth0/accept_dad", 0)
        self.set(side, "net/ipv6/conf/all/disable_ipv6", int(6 not in self.families))
        if 4 in self.families:
            self.run(side, "ip", "address", "add", ADDRESS[side] + "/24", "dev", "eth0")
        if 6 in self.families:
            self.run(side, "ip", "address", "add", ADDRESS6[side] + "/64", "dev", "eth0", "nodad")
        self.run(side, "ethtool", "-K", "eth0", "tx", "off")
        self.run(side, "ip", "link", "set", "lo", "up")
        self.run(side, "ip", "link", "set", "eth0", "address", MAC[side], "up",
                 *([] if self.families else ["promisc", "on", "arp", "off"]))

    def set(self, side, name, value):
        with self.inside(side), open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
            file.write(f"{value}\n")

    def introduce_neighbours(self):
        """From now on no ARP is needed."""
        for side, peer in (("client", "server"), ("server", "client")):
            self.run(side, "ip", "neighbour", "replace", ADDRESS[peer], "lladdr", MAC[peer],
                     "dev", "eth0")

    def close(self):
        for side in SIDES:
            subprocess.run(["ip", "netns", "delete", self.namespace(side)], check=False,
                           capture_output=True, timeout=30)

    def namespace(self, side):
        return f"{self.name}-{side}"

    def command(self, side, *argv):
        """The command line that runs argv in a namespace."""
        return ["ip", "netns", "exec", self.namespace(side), *argv]

    def ping(self, side, address, *options, count=10, patience=None):
        """How many of so many pings are answered; see ping_command."""
        argv = self.command(side, *ping_command(address, *options, count=count, patience=patience))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
        return replied(done.stdout, count)

    def snmp(self, side, protocol, name):
        """A counter of an endpoint's kernel, as in /proc/net/snmp."""
        with self.inside(side), open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            names, values = (line.split() for line in file if line.startswith(f"{protocol}:"))
        return int(values[names.index(name)])

    def retransmitted(self):
        """How many segments both endpoints have sent again, since there is the network."""
        return sum(self.snmp(side, "Tcp", "RetransSegs") for side in WIRE)

    def set_mtu(self, mtu, *sides):
        """Of the wires of these endpoints, of both ends."""
        for side in sides:
            self.run(side, "ip", "link", "set", "eth0", "mtu", str(mtu))
            self.run("box", "ip", "link", "set", WIRE[side], "mtu", str(mtu))

    def checksum_errors(self):
        """How many packets with a wrong checksum both endpoints have got so far."""
        count = 0
        for side in WIRE:
            with self.inside(side):
                for name, table, column in (("snmp", "Tcp:", "InCsumErrors"),
                                            ("netstat", "IpExt:", "InCsumErrors"),
                                            ("snmp", "Ip:", "InHdrErrors")):
                    with open(f"/proc/thread-self/net/{name}", encoding="ascii") as file:
                        names, values = (line.split() for line in file if line.startswith(table))
                    count += int(values[names.index(column)])
        return count

    def run(self, side, *argv):
        _run(*self.command(side, *argv))

    @contextlib.contextmanager
    def inside(self, side):
        """The calling thread is in the namespace: sockets it makes belong there for good."""
        with open("/proc/thread-self/ns/net", "rb") as home:
            with open(f"/run/netns/{self.namespace(side)}", "rb") as there:
                _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def socket(self, side, *args):
        with self.inside(side):
            return socket.socket(*args)

    def listen(self, side, port):
        listener = self.socket(side)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS[side], port))
        listener.listen(512)
        return listener

    def connect(self, side, port, peer, timeout, local_port=0):
        """A TCP connection to the peer's port; OSError when there is none within timeout s."""
        sock = self.socket(side)
        try:
            sock.settimeout(timeout)
            sock.bind((ADDRESS[side], local_port))
            sock.connect((ADDRESS[peer], port))
        except OSError:
            sock.close()
            raise
        return sock


def unacknowledged(sock):
    """How many bytes of a TCP socket's its peer has not acknowledged."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


def ping_command(address, *options, count=10, patience=None):
    """The command line of a fast ping, for replied().

    It goes on until `count` answers have come, however late, for a minute at most: told to send so
    many only, ping waits for the last answer no longer than twice the slowest took. With patience
    it sends just so many, and waits that long if nobody answers.
    """
    until = ["-w", "60"] if patience is None else ["-W", str(patience)]
    return ["ping", "-c", str(count), "-i", "0.02", *until, *options, address]


def replied(text, count=10):
    """How many of the first `count` pings were answered, from what ping printed. None twice."""
    assert "DUP!" not in text, text
    numbers = re.findall(r"bytes from .*icmp_seq=(\d+)", text)
    return sum(int(number) <= count for number in numbers)


class Wire:
    """The frames that an interface of an endpoint sends and receives, byte for byte."""

    def __init__(self, network, side, device="eth0"):
        self.sock = network.socket(side, socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        with network.inside(side):  # the name of the interface is looked up there
            self.sock.bind((device, ETH_P_ALL))

    def close(self):
        self.sock.close()

    def send(self, frame):
        self.sock.send(frame)

    def receive(self, timeout=0.0):
        """The next frame, or None. The kernel takes the outer VLAN tag off: it is put back."""
        self.sock.settimeout(timeout or 1e-6)
        try:
            frame, aux, _, _ = self.sock.recvmsg(1 << 16, 256)
        except (TimeoutError, BlockingIOError):
            return None
        for level, kind, data in aux:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
                if status & TP_STATUS_VLAN_VALID:
                    if not status & TP_STATUS_VLAN_TPID_VALID:
                        tpid = ETH_P_8021Q
                    frame = frame[:12] + struct.pack(">HH", tpid, tci) + frame[12:]
        return frame

    def receive_all(self):
        """Every frame that has arrived."""
        frames = []
        while (frame := self.receive()) is not None:
            frames.append(frame)
        return frames


def remove_leftovers(prefix):
    """Namespaces of earlier runs that were killed: PREFIX-PID-..., when no such process lives."""
    for entry in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        match = re.match(re.escape(prefix) + r"-(\d+)-", entry)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            subprocess.run(["ip", "netns", "delete", entry], check=False, capture_output=True)
