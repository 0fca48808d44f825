"""mos-run itself, with small scripts in place of workers: no port, no hugepage is needed.

Each worker is a Python script that prints "ready SHARD PID" and then the name of each signal it
gets; SIGTERM ends it with status 0. To mos-run it says what libmos says: that it serves, or, as a
spare, that it is ready. The primary's part is the test's: SIGALRM lets a spare serve shard 0, and a
worker that replaces another one ends that by SIGQUIT. What mos-run says on stderr is read like any
other answer.
"""

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest

MOS_RUN = os.path.join(os.environ.get("MOS_BUILD", "build"), "apps/mos_run/mos-run")
DEADLINE_S = 20

CONTROL = "/run/mos-mp/run"

WORKER = r"""
import os, signal, socket, sys
signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
           signal.SIGALRM, signal.SIGQUIT}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
def say(line):  # in one write: two workers share the pipe
    os.write(1, (line + "\n").encode())
def tell(line):
    os.write(int(os.environ["MOS_NOTIFY_FD"]), (line + "\n").encode())
take_over = os.environ.get("MOS_TAKE_OVER", "")
shard = os.environ.get("MOS_SHARD", "spare")
say(f"ready {shard} {os.getpid()}")
if take_over:
    tell("ready 0")
if take_over != "dead":
    if take_over:
        os.kill(int(take_over), signal.SIGQUIT)
    tell("serving " + shard)
while True:
    name = signal.Signals(signal.sigwait(signals)).name
    say(f"{shard} {name}")
    if name == "SIGALRM":
        tell("serving 0")
    if name in ("SIGTERM", "SIGQUIT") and "stubborn" not in sys.argv:
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

    def ask(self, *request):
        """`mos-run restart`, or the like, of this one."""
        return ask(*request, str(self.process.pid))

    def states(self):
        """What `mos-run status` says, by name."""
        done = self.ask("status")
        assert done.returncode == 0 and not done.stderr
        return dict(line.split(": ", 1) for line in done.stdout.splitlines())

    def signal(self, signum):
        self.process.send_signal(signum)

    def status(self):
        return self.process.wait(timeout=DEADLINE_S)


def ask(*args):
    return subprocess.run([MOS_RUN, *args], capture_output=True, text=True, timeout=DEADLINE_S,
                          check=False)


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
    assert not delays and sum("; restarting now" in line for line in lines) == 4
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
    names = ["SIGUSR1", "SIGUSR2", "SIGINT", "SIGTERM"]
    heard = []
    for name in names:
        mos_run.signal(signal.Signals[name])
        heard += [mos_run.line_with(name), mos_run.line_with(name)]
    assert mos_run.status() == 0
    assert sorted(heard) == sorted(f"{shard} {name}" for shard in (0, 1) for name in names)
    assert not [line for line in mos_run.rest() if not line.startswith("mos-run:")]


def test_stop_request_ends_it_though_a_start_is_due(start):
    mos_run = start("--respawn", command=shell("kill -9 $$"))
    for _ in range(10):
        mos_run.line_with("restarting now")
    mos_run.line_with("restarting in ")
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 1


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


@pytest.mark.parametrize("args", [("-n", "0", "true"), ("-n", "2x", "true"), ("-n", "65", "true"),
                                  ("--standby", "0", "true"), ("--limit", "x", "true"),
                                  (), ("--nonsense", "true"), ("restart", "x"), ("status", "-1"),
                                  ("restart", "1"), ("restart", "2147483648")])
def test_wrong_options_are_refused(args):
    done = subprocess.run([MOS_RUN, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith(("mos-run:", MOS_RUN))


# ---- Without a primary ----

def test_worker_without_a_primary_is_tried_for_ever(start):
    mos_run = start("--respawn", command=shell(
        "echo life; echo 'no primary' >&$MOS_NOTIFY_FD; exit 1"))
    for _ in range(7):  # two more than failures that make it give up
        mos_run.line_with("life")
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 1
    assert not any("giving up" in line for line in mos_run.rest())


# ---- Restart ----

@pytest.fixture
def program(tmp_path):
    """A program on disk; what it is at first, and what it becomes: program(text)."""
    path = tmp_path / "program"

    def become(text):
        new = tmp_path / "new"
        new.write_text(text, encoding="ascii")
        new.chmod(0o755)
        new.rename(path)
        return (str(path),)

    become(f"#!{sys.executable}\n{WORKER}")
    become.command = (str(path),)
    return become


def assert_both_live(mos_run, pids):
    assert not any(is_gone(pid) for pid in pids.values())
    assert mos_run.states() == {
        f"worker {shard}": f"pid {pid}: serves shard {shard}" for shard, pid in pids.items()}


def wait_serving(mos_run, pids):
    """Until mos-run knows what all of them have said."""
    wait_until(lambda: mos_run.states() == {
        f"worker {shard}": f"pid {pid}: serves shard {shard}" for shard, pid in pids.items()})


def test_restart_replaces_all_workers(start):
    mos_run = start("-n", "2")
    old = mos_run.all_ready(2)
    done = mos_run.ask("restart")
    assert (done.returncode, done.stderr) == (0, "")
    new = mos_run.all_ready(2)
    assert done.stdout.splitlines() == [f"worker {n}: pid {old[n]} -> {new[n]}" for n in (0, 1)]
    assert all(is_gone(pid) for pid in old.values())
    assert_both_live(mos_run, new)
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 0


def test_two_sighups_restart_twice_at_most_and_no_worker_hears_of_them(start):
    mos_run = start("-n", "2")
    wait_serving(mos_run, mos_run.all_ready(2))
    mos_run.signal(signal.SIGHUP)
    mos_run.ready(0)  # it is under way
    for _ in range(3):
        mos_run.signal(signal.SIGHUP)
    for _ in range(2):
        mos_run.line_with("mos-run: restart: done")
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 0
    assert not any("SIGHUP" in line or "restart" in line for line in mos_run.rest())


def test_new_program_that_fails_is_refused_and_the_old_one_goes_on(start, program):
    mos_run = start("-n", "2", "--respawn", command=program.command)
    pids = mos_run.all_ready(2)
    program("#!/bin/sh\necho another layout >&2\nexit 1\n")
    done = mos_run.ask("restart")
    assert done.returncode == 1
    assert re.fullmatch(r"mos-run: restart failed: worker 0: the new one, pid \d+, ended with "
                        rf"status 1 after \d+\.\d s; pid {pids[0]} goes on\n", done.stderr)
    mos_run.line_with("another layout")
    assert_both_live(mos_run, pids)

    program("#!/nowhere/sh\n")
    done = mos_run.ask("restart")
    assert done.returncode == 1 and "cannot be started: No such file or directory" in done.stderr
    assert_both_live(mos_run, pids)

    program(f"#!{sys.executable}\n{WORKER}")  # the mistake is found
    done = mos_run.ask("restart")
    assert done.returncode == 0, done.stderr
    assert all(is_gone(pid) for pid in pids.values())


def test_new_program_that_hangs_is_killed_and_the_old_one_goes_on(start, program):
    mos_run = start("-n", "2", "--limit", "1", command=program.command)
    pids = mos_run.all_ready(2)
    wait_serving(mos_run, pids)
    program("#!/bin/sh\necho $$ > \"$0.pid\"\nsleep 1000\n")
    done = mos_run.ask("restart")
    assert done.returncode == 1
    assert "does not serve within 1 s; it was killed" in done.stderr
    with open(program.command[0] + ".pid", encoding="ascii") as file:
        pid = int(file.read())
    wait_until(lambda: is_gone(pid))
    assert_both_live(mos_run, pids)


def test_old_worker_that_does_not_end_is_killed(start):
    mos_run = start(command=(sys.executable, "-c", WORKER, "stubborn"))
    pid = mos_run.ready(0)
    assert mos_run.ask("restart").returncode == 0
    names = [mos_run.line_with("0 SIG") for _ in range(2)]
    assert names == ["0 SIGQUIT", "0 SIGTERM"]
    assert is_gone(pid)
    assert "killed by SIGKILL" in mos_run.line_with(f"(pid {pid})")


def test_second_restart_is_refused_and_a_stop_ends_all(start, program):
    mos_run = start("-n", "2", command=program.command)
    wait_serving(mos_run, mos_run.all_ready(2))
    program("#!/bin/sh\necho stuck\nexec sleep 1000\n")
    first = subprocess.Popen([MOS_RUN, "restart", str(mos_run.process.pid)],
                             stderr=subprocess.PIPE, text=True)
    mos_run.line_with("stuck")
    done = mos_run.ask("restart")
    assert (done.returncode, done.stderr) == (1, "mos-run: restart refused: one is under way\n")
    assert re.search(r"serves shard 0; pid \d+ is to take over", mos_run.states()["worker 0"])
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 0
    assert "mos-run was asked to stop" in first.communicate(timeout=DEADLINE_S)[1]
    assert first.returncode == 1


def test_restart_goes_on_when_its_asker_has_gone(start):
    mos_run = start("-n", "2")
    pids = mos_run.all_ready(2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(f"{CONTROL}/{mos_run.process.pid}")
        sock.send(b"restart")
    mos_run.line_with("mos-run: restart: done")
    assert all(is_gone(pid) for pid in pids.values())


# ---- Spares ----

def test_spare_takes_over_from_a_killed_worker_and_another_one_is_started(start):
    mos_run = start("-n", "1", "--standby", "1")
    pid = mos_run.ready(0)
    spare = mos_run.ready("spare")
    wait_until(lambda: mos_run.states()["spare 0"] == f"pid {spare}: ready")
    os.kill(spare, signal.SIGALRM)
    os.kill(pid, signal.SIGKILL)
    assert str(spare) in mos_run.line_with("worker 0: spare 0 ")
    again = mos_run.ready("spare")
    wait_until(lambda: mos_run.states() == {"worker 0": f"pid {spare}: serves shard 0",
                                            "spare 0": f"pid {again}: ready"})
    done = mos_run.ask("restart")
    assert done.returncode == 0, done.stderr
    assert [line.split(" -> ")[0] for line in done.stdout.splitlines()] == [
        f"spare 0: pid {again}", f"worker 0: pid {spare}"]
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 0


# ---- Who is meant ----

def test_one_of_several_has_to_be_named(start):
    runs = [start("-n", "1"), start("-n", "2")]
    for count, mos_run in enumerate(runs, 1):
        mos_run.all_ready(count)
    done = ask("status")
    assert done.returncode == 1 and "which one?" in done.stderr
    for mos_run in runs:
        assert re.search(rf"^  {mos_run.process.pid}  .*mos-run -n \d -- ", done.stderr, re.M)


def test_socket_is_for_its_user_only_and_goes_with_its_process(start):
    mos_run = start()
    mos_run.ready(0)
    path = f"{CONTROL}/{mos_run.process.pid}"
    assert os.stat(path).st_mode & 0o777 == 0o600
    mos_run.signal(signal.SIGTERM)
    assert mos_run.status() == 0
    assert not os.path.exists(path)


def test_socket_of_a_killed_one_is_removed_by_the_next(start):
    mos_run = start()
    mos_run.ready(0)
    path = f"{CONTROL}/{mos_run.process.pid}"
    mos_run.signal(signal.SIGKILL)
    mos_run.status()
    assert os.path.exists(path)
    start().ready(0)
    assert not os.path.exists(path)


def test_nonsense_on_the_socket_disturbs_nobody(start):
    mos_run = start()
    pid = mos_run.ready(0)
    path = f"{CONTROL}/{mos_run.process.pid}"
    silent = []
    for text in (b"restart please", b"\0" * 2000, b"x" * 511, b"status\n"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.connect(path)
            sock.settimeout(DEADLINE_S)
            sock.send(text)
            assert sock.recv(1000) == b"!unknown request"
            assert sock.recv(1000) == b".1"
    for _ in range(8):
        silent.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        silent[-1].connect(path)
    for sock in silent:
        sock.close()
    wait_until(lambda: mos_run.ask("status").returncode == 0)
    assert mos_run.states() == {"worker 0": f"pid {pid}: serves shard 0"}


def test_without_a_place_for_its_socket_it_works_and_says_so_once(start):
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        copy = shutil.copy(MOS_RUN, directory)
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, "--", "true"],
            capture_output=True, text=True, check=False)
    assert done.returncode == 0
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"mos-run: no socket in {CONTROL}: Permission denied; ")
    assert not any("socket" in line for line in rest)
