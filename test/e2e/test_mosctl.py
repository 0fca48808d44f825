"""mosctl: what it shows of a live connection and of the counters is what the two ends and midstat
know."""

import json
import subprocess

from system import DEADLINE_S, MOSCTL, adds_up, wait_until

PORT = 80
REQUEST = b"GET / HTTP/1.1\r\nHost: a.org\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HEADERS = 20 + 20  # of IP and TCP, at least


def mosctl(system, *args):
    done = subprocess.run([MOSCTL, "-f", system.config, *args], timeout=DEADLINE_S, text=True,
                          capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def flows(system, *args):
    return [json.loads(line) for line in mosctl(system, "flows", "--json", *args).splitlines()]


def wait_states(system, *states):
    """Wait until the one flow there is has these states; returns it."""
    return wait_until(lambda: next((f for f in flows(system) if f["state"] == [*states]), None),
                      f"{states}: {mosctl(system, 'flows')}")


def test_flows_show_a_live_connection_until_its_end(start_box, network):
    system = start_box()
    listener = network.listen("server", PORT)
    client = network.connect("client", PORT, "server", DEADLINE_S)
    server, _ = listener.accept()
    name = "%s:%d" % client.getsockname()[:2]
    client.sendall(REQUEST)
    assert server.recv(1000) == REQUEST
    server.sendall(ANSWER)
    assert client.recv(1000) == ANSWER

    flow = wait_states(system, "ESTABLISHED", "ESTABLISHED")
    assert flow["client"] == name and flow["server"].endswith(f":{PORT}")
    assert flow["bytes"][0] >= 3 * HEADERS + len(REQUEST)
    assert flow["bytes"][1] >= 2 * HEADERS + len(ANSWER)
    assert not flow["suspect"] and flow["strikes"] == 0 and not flow["translated"]
    assert name in mosctl(system, "flows", "-s", "established")
    assert name in mosctl(system, "flows", "--shard", str(flow["shard"]))
    assert name not in mosctl(system, "flows", "--shard", str(1 - flow["shard"]))

    server.close()
    wait_states(system, "CLOSE_WAIT", "FIN_WAIT_2")
    assert name not in mosctl(system, "flows", "-s", "ESTABLISHED")
    client.close()
    wait_until(lambda: not flows(system, "-s", "CLOSE_WAIT"), "the client closes, too")
    listener.close()


def test_counters_are_those_of_the_primary_and_of_midstat(start_box, network):
    system = start_box(tcp_tw_interval=0)
    with network.listen("server", PORT) as listener:
        for _ in range(5):
            client = network.connect("client", PORT, "server", DEADLINE_S)
            listener.accept()[0].close()
            assert client.recv(1) == b""
            client.close()
    wait_until(lambda: sum(event.name == "end" for event in system.events()) == 5, "five ends")
    wait_until(lambda: adds_up(system.primary.counters()), "nothing is under way")
    told = json.loads(mosctl(system, "counters", "--json"))
    printed = system.primary.counters()
    for name in ("w_flows_created", "w_flows_ended", "w_tcp", "w_packets"):
        assert told["sum"][name] == printed[name] == sum(
            told[f"shard {shard}"][name] for shard in (0, 1)), name
    assert told["sum"]["w_flows_created"] == sum(event.name == "start" for event in system.events())
    assert told["sum"]["w_flows_ended"] == 5
    text = mosctl(system, "counters")
    assert f"  {'w_flows_created':22} {5:12}  flows created" in text.split("io:")[0]


def test_flows_are_shown_while_their_worker_is_dead(start_box, network):
    system = start_box(fail_policy="hold 60000 open")
    listener = network.listen("server", PORT)
    client = network.connect("client", PORT, "server", DEADLINE_S)
    shard = wait_states(system, "ESTABLISHED", "ESTABLISHED")["shard"]
    system.worker[shard].kill()
    wait_until(lambda: mosctl(system, "workers").splitlines()[1 + shard].split()[1] == "free",
               "the primary has seen the death")
    wait_states(system, "ESTABLISHED", "ESTABLISHED")
    worker = system.start_worker(shard)
    assert mosctl(system, "workers").splitlines()[1 + shard].split()[1:3] == ["held", str(worker.pid)]
    client.close()
    listener.close()
