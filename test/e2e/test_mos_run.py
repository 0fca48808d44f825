"""mos-run itself, with small scripts in place of workers: no port, no hugepage is needed.

Each worker is a Python script that prints "ready SHARD PID" and then the name of each signal it
gets; SIGTERM ends it with status 0. What mos-run says on stderr is read like any other answer.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
import time

import pytest

MOS_RUN = os.path.join(os.environ.get("MOS_BUILD", "build"), "apps/mos_run/mos-run")
DEADLINE_S = 20

WORKER = r"""
import os, signal, sys
signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
def say(line):  # in one write: two workers share the pipe
    os.write(1, (line + "\n").encode())
shard = os.environ["MOS_SHARD"]
say(f"ready {shard} {os.getpid()}")
while True:
    name = signal.Signals(signal.sigwait(signals)).name
    say(f"{shard} {name}")
    if name == "SIGTERM" and "stubborn" not in sys.argv:
        break
"""


class MosRun:
    """A running mos-run; its output and that of its workers arrives line by line."""

    def __init__(self, *args, under=()):
        self.lines = queue.Queue()
        self.process = subprocess.Popen(
            [*under, MOS_RUN, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line_with(self, text):
        """The next line that holds the text; those before it are skipped."""
        seen = []
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no line with {text} in {seen}"
            if text in line:
                return line
            seen.append(line)

    def rest(self):
        """All lines up to the end of mos-run and of each worker."""
        lines = []
        while (line := self.lines.get(timeout=DEADLINE_S)) is not None:
            lines.append(line)
        return lines

    def ready(self, shard):
        """Wait for the next life of this shard's worker and return its pid."""
        return int(self.line_with(f"ready {shard} ").split()[2])

    def all_ready(self, count):
        """Wait for a life of each of `count` workers; their pids by shard."""
        pids = {}
        while len(pids) < count:
            _, shard, pid = self.line_with("ready ").split()
            pids[int(shard)] = int(pid)
        return pids

    def signal(self, signum):
        self.process.send_signal(signum)

    def status(self):
        return self.process.wait(timeout=DEADLINE_S)


@pytest.fixture
def start():
    """Starts mos-run with options, over workers of WORKER unless another command is given."""
    started = []

    def run(*options, command=(sys.executable, "-c", WORKER), under=()):
        started.append(MosRun(*options, "--", *command, under=under))
        return started[-1]

    yield run
    for mos_run in started:
        mos_run.process.kill()  # the workers get SIGTERM from the kernel
        mos_run.process.wait()


def shell(text):
    return ("/bin/sh", "-c", text)


def is_gone(pid):
    """Whether the process has ended (a zombie nobody has reaped yet is gone as well)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_worker_gets_its_shard_and_no_input(start):
    mos_run = start("-n", "3", command=shell("cat; echo shard $MOS_SHARD"))
    assert mos_run.status() == 0
    lines = mos_run.rest()
    assert sorted(line for line in lines if line.startswith("shard")) == [
        "shard 0", "shard 1", "shard 2"]


def test_killed_worker_is_restarted_and_the_other_one_is_left_alone(start):
    mos_run = start("-n", "2", "--respawn")
    pids = mos_run.all_ready(2)
    os.kill(pids[1], signal.SIGSEGV)
    line = mos_run.line_with("worker 1")
    assert f"(pid {pids[1]}) killed by SIGSEGV" in line and "; restarting " in line
    assert mos_run.ready(1) != pids[1]
    assert not is_gone(pids[0])
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 0


def test_without_respawn_a_dead_worker_stays_dead(start):
    mos_run = start("-n", "2")
    pids = mos_run.all_ready(2)
    os.kill(pids[0], signal.SIGKILL)
    assert "killed by SIGKILL" in mos_run.line_with("worker 0")
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 1
    assert not any(line.startswith("ready") for line in mos_run.rest())


def test_worker_that_ends_with_status_0_is_not_restarted(start):
    mos_run = start("--respawn", command=shell("echo life; exit 0"))
    assert mos_run.status() == 0
    assert mos_run.rest().count("life") == 1


def test_death_is_seen_when_mos_run_inherits_an_ignored_sigchld(start):
    # Ignored by mos-run alone: here it would make the kernel throw its status away.
    mos_run = start(command=shell("exit 3"), under=("env", "--ignore-signal=CHLD"))
    assert "ended with status 3" in mos_run.line_with("worker 0")
    assert mos_run.status() == 1


def test_five_quick_failures_in_a_row_end_it(start):
    mos_run = start("--respawn", command=shell("echo life; exit 1"))
    assert mos_run.status() == 1
    lines = mos_run.rest()
    assert lines.count("life") == 5
    delays = [line.split("restarting in ")[1] for line in lines if "restarting in" in line]
    assert delays == ["50 ms", "100 ms", "200 ms", "400 ms"]
    assert "giving up" in lines[-1]


def test_command_that_cannot_be_run_is_named(start):
    mos_run = start(command=("/nowhere/midstat",))
    assert mos_run.status() == 1
    assert mos_run.rest() == [
        "mos-run: worker 0: cannot start /nowhere/midstat: No such file or directory; "
        "not restarted (no --respawn)"]


def test_signals_are_forwarded_once_to_each_worker(start):
    mos_run = start("-n", "2")
    mos_run.all_ready(2)
    names = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGTERM"]
    heard = []
    for name in names:
        mos_run.signal(signal.Signals[name])
        heard += [mos_run.line_with(name), mos_run.line_with(name)]
    assert mos_run.status() == 0
    assert sorted(heard) == sorted(f"{shard} {name}" for shard in (0, 1) for name in names)
    assert not [line for line in mos_run.rest() if not line.startswith("mos-run:")]


def test_stop_request_cancels_a_restart_that_waits(start):
    mos_run = start("--respawn", command=shell("kill -9 $$"))
    mos_run.line_with("restarting in 1600 ms")
    asked = time.monotonic()
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 1
    assert time.monotonic() - asked < 1.6
    assert not mos_run.rest()


def test_second_stop_request_kills_after_three_seconds(start):
    mos_run = start(command=(sys.executable, "-c", WORKER, "stubborn"))
    mos_run.ready(0)
    mos_run.signal(signal.SIGTERM)
    mos_run.line_with("0 SIGTERM")
    asked = time.monotonic()
    mos_run.signal(signal.SIGTERM)
    mos_run.line_with("killed by SIGKILL")
    assert 2.9 < time.monotonic() - asked < 6
    assert mos_run.status() == 1


def test_third_stop_request_kills_at_once(start):
    mos_run = start(command=(sys.executable, "-c", WORKER, "stubborn"))
    mos_run.ready(0)
    for _ in range(2):
        mos_run.signal(signal.SIGINT)
        mos_run.line_with("0 SIGINT")
    asked = time.monotonic()
    mos_run.signal(signal.SIGINT)
    mos_run.line_with("killed by SIGKILL")
    assert time.monotonic() - asked < 2
    assert mos_run.status() == 1


def test_workers_do_not_outlive_mos_run(start):
    mos_run = start("-n", "2", "--respawn")
    pids = mos_run.all_ready(2)
    mos_run.signal(signal.SIGKILL)
    mos_run.status()
    wait_until(lambda: all(is_gone(pid) for pid in pids.values()))


@pytest.mark.parametrize("args", [("-n", "0", "true"), ("-n", "2x", "true"), ("-n", "129", "true"),
                                  (), ("--nonsense", "true")])
def test_wrong_options_are_refused(args):
    done = subprocess.run([MOS_RUN, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith(("mos-run:", MOS_RUN))
