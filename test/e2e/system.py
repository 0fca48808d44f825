"""The system under test: mos-primary and its workers, as processes whose output is read by line.

Whoever waits, waits for a condition and with a deadline; nobody sleeps and hopes.
"""

import collections
import ctypes.util
import os
import re
import signal
import subprocess
import threading
import time

import pytest

BUILD = os.environ.get("MOS_BUILD", "build")
PRIMARY = os.path.join(BUILD, "primary/mos-primary")
MIDSTAT = os.path.join(BUILD, "apps/midstat/midstat")
FIREWALL = os.path.join(BUILD, "apps/simple_firewall/simple-firewall")
HTTPWATCH = os.path.join(BUILD, "apps/httpwatch/httpwatch")
BYTECOUNT = os.path.join(BUILD, "apps/bytecount/bytecount")
NAT = os.path.join(BUILD, "apps/nat/nat")
KILLER = os.path.join(BUILD, "apps/killer/killer")
BLOCKPAGE = os.path.join(BUILD, "apps/blockpage/blockpage")
REWRITE = os.path.join(BUILD, "apps/rewrite/rewrite")
MOSCTL = os.path.join(BUILD, "secondary/mosctl/mosctl")
MOS_RUN = os.path.join(BUILD, "apps/mos_run/mos-run")
IMPAIR = os.path.join(BUILD, "test/e2e/impair")
DEADLINE_S = 30

Event = collections.namedtuple("Event", "time pid name client server client_is server_is note")


def wait_until(condition, what, seconds=DEADLINE_S):
    """Wait until condition() is true and return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)
    return value


def needs_driver(name):
    """Skip the test where DPDK or the kernel lacks what the ports are made of."""
    if ctypes.util.find_library(f"rte_net_{name}") is None:
        pytest.skip(f"this DPDK has no driver net_{name}")
    if name == "tap" and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("no /dev/net/tun here; modprobe tun")


class Process:
    """A running program with all lines it has printed. It dies with the tests, however they end."""

    def __init__(self, argv, **popen):
        self.argv = argv
        self.lines = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *argv], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **popen)
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.lines.append(None)
            self._changed.notify_all()

    def mark(self):
        """How many lines there are; to look only behind them later."""
        return len(self.lines)

    def find(self, pattern, since=0):
        """The matches in all lines so far."""
        matches = (re.search(pattern, line) for line in self.lines[since:] if line is not None)
        return [match for match in matches if match]

    def wait_line(self, pattern, since=0, seconds=DEADLINE_S):
        """Wait for a line that matches and return the match."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for at in range(since, len(self.lines)):
                    since = at + 1
                    line = self.lines[at]
                    assert line is not None, f"ended without {pattern!r}\n{self.output()}"
                    if match := re.search(pattern, line):
                        return match
                left = deadline - time.monotonic()
                assert left > 0, f"no {pattern!r} within {seconds} s\n{self.output()}"
                self._changed.wait(left)

    def output(self):
        """The last lines, for the reader of a failed test."""
        return "\n".join(f"    {line}" for line in self.lines[-40:] if line is not None)

    def alive(self):
        return self._process.poll() is None

    def send(self, signum):
        self._process.send_signal(signum)

    def pause(self):
        """Stop all its threads; they go on with resume()."""
        self.send(signal.SIGSTOP)
        wait_until(lambda: set(self._thread_states()) == {"T"}, "all threads are stopped")

    def resume(self):
        self.send(signal.SIGCONT)

    def _thread_states(self):
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/stat", encoding="ascii") as file:
                yield file.read().rsplit(")", 1)[1].split()[0]

    def status(self, seconds=DEADLINE_S):
        """Wait for its end, and that of its output."""
        status = self._process.wait(timeout=seconds)
        self._reader.join(timeout=seconds)
        return status

    def stop(self, signum=signal.SIGTERM):
        """Ask it to end, and make it.

        It goes on first: SIGCONT takes back the SIGSTOP with which a leak checker halts the threads
        of a process that ends, and the checker would wait for them for ever.
        """
        if self.alive():
            self.resume()
            self.send(signum)
        try:
            return self.status()
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self):
        if self.alive():
            self.send(signal.SIGKILL)
        self._process.wait()


class Primary(Process):
    """mos-primary."""

    def counters(self):
        """All counters, at some moment between question and answer."""
        since = self.mark()
        self.send(signal.SIGUSR1)
        self.wait_line(r"mbuf audit:", since)
        return self.last_counters()

    def last_counters(self):
        """Those it printed last. A counter that is 0 is not printed, and is 0 here."""
        at = max(n for n, line in enumerate(self.lines) if line == "mos-primary: counters:")
        return collections.Counter(
            {match[1]: int(match[2]) for match in self.find(r"^  (\w+) +(\d+)  ", at)})

    def wait_counters(self, condition, what, seconds=DEADLINE_S):
        """Ask until condition(counters) is true; returns the counters."""
        deadline = time.monotonic() + seconds
        while not condition(counters := self.counters()):
            assert time.monotonic() < deadline, f"{what}: {dict(counters)}\n{self.output()}"
            time.sleep(0.02)
        return counters

    def holder(self, shard):
        """The pid that served the shard last, or None."""
        served = self.find(rf"shard {shard}: served by pid (\d+)")
        return int(served[-1][1]) if served else None


def dropped(counters):
    """Packets that ended in the primary."""
    return sum(n for name, n in counters.items() if name.startswith("drop_")) + counters["garbage"]


def adds_up(counters):
    """Nothing is under way, and each frame that came in, or was sent by an application, has left or
    was dropped for a reason."""
    return (counters["rx_packets"] + counters["w_sent"] ==
            counters["tx_packets"] + dropped(counters))


class System:
    """A primary and its workers, with one configuration and one event log."""

    def __init__(self, directory, prefix, network=None):
        self.prefix = prefix
        self.network = network
        self.config = os.path.join(directory, "mos.conf")
        self.event_log = os.path.join(directory, "events")
        self.directory = directory
        self.primary = None
        self.worker = {}  # by shard
        self.others = []

    def configure(self, ports, pairs=((0, 1),), blocks="", **keys):
        """Write mos.conf. ports: lines of netdev; pairs: of indices; keys: further settings."""
        names = [port.split(",")[0] for port in ports]
        keys = {"prefix": self.prefix, "workers": 2, **keys}
        lines = [f"\t{key} = {value}" for key, value in keys.items()]
        lines += ["\tnetdev {", *(f"\t\t{port}" for port in ports), "\t}"]
        lines += ["\tnic_forward_table {", *(f"\t\t{names[a]} {names[b]}" for a, b in pairs), "\t}"]
        with open(self.config, "w", encoding="ascii") as file:
            file.write("\n".join(["mos {", *lines, "}", blocks, ""]))

    def start_primary(self, wait=True):
        argv = [PRIMARY, "-f", self.config]
        if self.network is not None:
            argv = self.network.command("box", *argv)
        self.primary = Primary(argv)
        if wait:
            self.primary.wait_line("^mos-primary: ready")

    def start_worker(self, shard, wait=True, command=()):
        """A new worker for the shard, in place of the one before: a midstat, unless it is told."""
        since = self.primary.mark()
        worker = Process(command or [MIDSTAT, "-f", self.config, "-l", self.event_log],
                         env={**os.environ, "MOS_SHARD": str(shard)})
        self.worker[shard] = worker
        self.others.append(worker)
        if wait:
            self.primary.wait_line(rf"shard {shard}: served by pid {worker.pid}\b", since)
        return worker

    def replace_worker(self, shard, command):
        """A planned upgrade: a successor takes the shard from its worker, which then ends."""
        since, before = self.primary.mark(), self.worker[shard]
        self._start_successor(shard, command, str(before.pid))
        self.primary.wait_line(rf"shard {shard}: served by pid {self.worker[shard].pid}\b", since)
        assert before.status() == 0, before.output()

    def fail_over(self, shard, command):
        """A standby takes the shard when its worker is killed."""
        since, before = self.primary.mark(), self.worker[shard]
        self._start_successor(shard, command, "dead")
        before.send(signal.SIGKILL)
        self.primary.wait_line(rf"shard {shard}: served by pid {self.worker[shard].pid}\b", since)

    def _start_successor(self, shard, command, take_over):
        self.worker[shard] = Process(command, env={**os.environ, "MOS_SHARD": str(shard),
                                                   "MOS_TAKE_OVER": take_over})
        self.others.append(self.worker[shard])

    def start_mos_run(self, count, command=(), options=()):
        """mos-run with that many workers, restarted when they die: midstats, unless told."""
        run = Process([MOS_RUN, "-n", str(count), "--respawn", *options, "--",
                       *(command or [MIDSTAT, "-f", self.config, "-l", self.event_log])])
        self.others.append(run)
        return run

    def events(self):
        """All lines of the event log."""
        if not os.path.exists(self.event_log):
            return []
        with open(self.event_log, encoding="ascii") as file:
            text = file.read()
        rows = (line.split(" ") for line in text[:text.rfind("\n") + 1].splitlines())
        return [Event(float(row[0]), int(row[1]), *row[2:7], " ".join(row[7:])) for row in rows]

    def stop(self):
        """End in order the workers that live, then the primary. Returns their statuses."""
        alive = [worker for worker in self.worker.values() if worker.alive()]
        return [process.stop() for process in (*alive, self.primary)]

    def close(self):
        """End all at once, whatever their state, and remove what killed processes left."""
        for process in (*self.others, self.primary):
            if process is not None:
                process.kill()
        subprocess.run(f"rm -rf /run/mos-mp/{self.prefix} /run/dpdk/{self.prefix} "
                       f"/dev/hugepages/{self.prefix}map_*", shell=True, check=False)
