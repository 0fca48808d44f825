"""mos-run and mos-primary together: programs are replaced and workers die, connections go on.

client (sockets, one curl) -- mos-primary with workers of mos-run, which run a midstat that the test
replaces -- server
"""

import os
import re
import signal
import subprocess
import sys

import pytest

from system import DEADLINE_S, MIDSTAT, MOS_RUN, wait_until

COUNT, CURL_COUNT, PAUSE_S = 400, 60, 0.2
LAYOUT = "0123456789abcdef"

# A worker of another build, as far as it gets.
OTHER_LAYOUT = rf"""#!{sys.executable}
import socket, struct, sys
HELLO, MAGIC, TEXT_LEN = 1, 0x6d6f7363, 256
with open(sys.argv[sys.argv.index("-f") + 1], encoding="ascii") as file:
    prefix = [line.split("=")[1].strip() for line in file if "prefix" in line][0]
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.connect(f"/run/mos-mp/{{prefix}}/control")
sock.send(struct.pack("<IHHQ32x256x", MAGIC, 2, HELLO, 0x{LAYOUT}))
answer = sock.recv(1000)
print("refused:", answer[-TEXT_LEN:].partition(b"\0")[0].decode(), flush=True)
sys.exit(1)
"""
FAILS = "#!/bin/sh\necho no good >&2\nexit 1\n"
HANGS = "#!/bin/sh\nexec sleep 1000\n"


class Upgrade:
    """A system of two workers whose program lies on disk, to be replaced."""

    def __init__(self, system, directory, *options):
        self.system = system
        self.program = directory / "program"
        self.install()
        system.configure(("wire_a", "wire_b"), fail_policy="hold 20000 open")
        system.start_primary()
        self.start(*options)

    def start(self, *options):
        command = [str(self.program), "-f", self.system.config, "-l", self.system.event_log]
        self.run = self.system.start_mos_run(2, command, options)
        self.pids()

    def install(self, text=None):
        """The new program: a script, or midstat."""
        new = self.program.with_suffix(".new")
        if text is None:
            new.symlink_to(os.path.abspath(MIDSTAT))  # it finds libmos from there
        else:
            new.write_text(text, encoding="ascii")
            new.chmod(0o755)
        new.rename(self.program)

    def ask(self, request):
        return subprocess.run([MOS_RUN, request, str(self.run.pid)], capture_output=True, text=True,
                              timeout=2 * DEADLINE_S, check=False)

    def states(self):
        done = self.ask("status")
        return dict(line.split(": ", 1) for line in done.stdout.splitlines())

    def pids(self):
        """The workers' pids, once each serves its shard, and that of the spare which is ready."""
        def ready():
            states = self.states()
            rows = [re.fullmatch(rf"pid (\d+): serves shard {shard}",
                                 states.get(f"worker {shard}", "")) for shard in (0, 1)]
            if "spare 0" in states:
                rows.append(re.fullmatch(r"pid (\d+): ready", states["spare 0"]))
            return all(rows) and [int(row[1]) for row in rows]

        return wait_until(ready, "all serve or are ready")

    def stop(self):
        assert self.run.stop() == 0, self.run.output()
        assert self.system.primary.stop() == 0, self.system.primary.output()


@pytest.fixture
def start(new_system, network, tmp_path):
    """Starts an Upgrade; it must end in order."""
    made = []

    def begin(*options):
        made.append(Upgrade(new_system(network), tmp_path, *options))
        return made[-1]

    yield begin
    for upgrade in made:
        upgrade.stop()


def is_alive(pid):
    """Not even a zombie that nobody has reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_refused(done, why):
    assert done.returncode == 1
    assert re.search(why, done.stderr), done.stderr


def test_restart_under_traffic_changes_all_pids_and_no_byte(start, exchange, tmp_path):
    upgrade = start("--standby", "1")
    carried = exchange(tmp_path, COUNT, CURL_COUNT, pause=PAUSE_S)
    restarts = 0
    while not carried.done() or restarts == 0:
        before = upgrade.pids()
        since = upgrade.run.mark()
        if restarts % 2:
            upgrade.run.send(signal.SIGHUP)
            upgrade.run.wait_line("mos-run: restart: done", since)
        else:
            done = upgrade.ask("restart")
            assert done.returncode == 0, done.stderr + upgrade.run.output()
        assert not set(before) & set(upgrade.pids())
        restarts += 1
    carried.finish()
    print(f"{restarts} restarts")
    counters = upgrade.system.primary.counters()
    assert counters["worker_deaths"] == 0 and counters["unmonitored_noworker"] == 0


@pytest.mark.parametrize("program, says, why", [
    (OTHER_LAYOUT, f"refused: .*{LAYOUT}", "ended with status 1"),
    (FAILS, "no good", "ended with status 1"),
    (HANGS, "mos-run: restart failed", "does not serve within 1 s; it was killed"),
], ids=["other_layout", "fails", "hangs"])
def test_program_that_is_no_good_is_refused_and_the_old_one_goes_on(start, exchange, tmp_path,
                                                                    program, says, why):
    upgrade = start("--limit", "1")
    carried = exchange(tmp_path, 100, pause=PAUSE_S)
    pids = upgrade.pids()
    upgrade.install(program)
    since = upgrade.run.mark()
    assert_refused(upgrade.ask("restart"), rf"worker 0: the new one, pid \d+, {why}")
    upgrade.run.wait_line(says, since)
    assert upgrade.pids() == pids
    carried.finish()
    upgrade.install()
    done = upgrade.ask("restart")
    assert done.returncode == 0, done.stderr


def test_spare_takes_over_from_each_worker_that_is_killed(start, exchange, tmp_path):
    upgrade = start("--standby", "1")
    carried = exchange(tmp_path, COUNT, CURL_COUNT, pause=PAUSE_S)
    kills = 0
    while not carried.done() or kills < 2:
        pids = upgrade.pids()
        since = upgrade.run.mark()
        os.kill(pids[kills % 2], signal.SIGKILL)
        upgrade.run.wait_line(rf"worker {kills % 2}: spare 0 \(pid {pids[2]}\) has taken over",
                              since)
        now = upgrade.pids()
        assert now[kills % 2] == pids[2] and now[1 - kills % 2] == pids[1 - kills % 2]
        assert now[2] not in pids
        kills += 1
    carried.finish()
    print(f"{kills} kills")
    assert upgrade.system.primary.counters()["worker_deaths"] == kills


def test_worker_killed_while_it_is_replaced_is_its_successors(start, exchange, tmp_path):
    upgrade = start()
    carried = exchange(tmp_path, 100, pause=PAUSE_S)
    pids = upgrade.pids()
    upgrade.install(f"#!/bin/sh\nkill -9 {pids[0]}\nexec {os.path.abspath(MIDSTAT)} \"$@\"\n")
    done = upgrade.ask("restart")
    assert done.returncode == 0, done.stderr + upgrade.run.output()
    assert not set(pids) & set(upgrade.pids())
    carried.finish()


def test_stop_during_a_restart_ends_all(start):
    upgrade = start("--standby", "1")
    pids = upgrade.pids()
    upgrade.install(HANGS)
    upgrade.run.send(signal.SIGHUP)
    spare = wait_until(lambda: re.search(r"; pid (\d+) is to take over", upgrade.states()["spare 0"]),
                       "it is under way")
    upgrade.run.send(signal.SIGTERM)
    assert upgrade.run.status() == 0, upgrade.run.output()
    assert not any(is_alive(pid) for pid in (*pids, int(spare[1])))


def test_workers_do_not_outlive_mos_run_and_a_new_one_starts(start):
    upgrade = start("--standby", "1")
    pids = upgrade.pids()
    upgrade.run.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "all workers end")
    upgrade.start("--standby", "1")
    assert not set(pids) & set(upgrade.pids())


def test_workers_and_spares_come_back_with_the_primary(start):
    upgrade = start("--standby", "1")
    pids = upgrade.pids()
    since = upgrade.run.mark()
    upgrade.system.primary.kill()
    for name in ("worker 0", "worker 1"):
        upgrade.run.wait_line(f"mos-run: {name} .*no primary: trying again", since)
    upgrade.system.start_primary()
    assert not set(pids) & set(upgrade.pids())
    assert not upgrade.run.find("giving up")


def test_workers_and_spares_come_back_with_a_primary_that_was_stopped(start):
    upgrade = start("--standby", "1")
    pids = upgrade.pids()
    for _ in range(5):  # the spare may see by itself that the primary stops, or be told
        assert upgrade.system.primary.stop() == 0
        wait_until(lambda: not any(is_alive(pid) for pid in pids), "all workers end")
        upgrade.system.start_primary()
        pids = upgrade.pids()
