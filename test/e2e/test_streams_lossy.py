"""What an application reads on a network that loses, doubles and reorders frames, before and behind
it, is what was sent; and what goes round it is what it says it has missed.

    eth0 -- far_a == impair == near_a -- wire_a [box] wire_b -- near_b == impair == far_b -- eth0
"""

import collections
import json

import pytest

from deaths import assert_only_suspects_suffer, kill_until, suspects
from exchange import PORT, TIMES
from network import ADDRESS, FAR
from sink import MISSED, WRONG, flow_name
from system import Process

FAMILIES = (4,)
CUT = ("client", "server")
COUNT, CURL_COUNT = 900 * TIMES, 100
DEATHS_COUNT, PAUSE_S = 300 * TIMES, 0.2
ROUND_COUNT = 200 * TIMES
FAULTS = "loss=0.7,dup=1,late=2"
FEW_FAULTS = "loss=0.05,dup=0.1,late=0.1"
IPERF_PORT = 5201
MB = 1 << 20
COOKIE = 37  # bytes with which iperf3 begins each connection


def test_1000_connections_are_whole_with_faults_before_and_behind(
        start_sinks, impair, exchange, tmp_path):
    system, sink = start_sinks()
    for side in CUT:
        impair(side, there=FAULTS, back=FAULTS)
    carried = exchange(tmp_path, COUNT, CURL_COUNT)
    carried.finish()
    system.primary.wait_counters(lambda c: c["w_flows_ended"] == COUNT + CURL_COUNT,
                                 "all connections are over")
    sink.assert_whole(carried)
    assert not sink.log("error", "lost", "hole")


def test_faults_and_deaths_together_do_no_more_harm(
        start_sinks_to_kill, impair, exchange, tmp_path):
    system, sink = start_sinks_to_kill()
    for side in CUT:
        impair(side, there=FAULTS, back=FAULTS)
    carried = exchange(tmp_path, DEATHS_COUNT, pause=PAUSE_S)
    kills = kill_until(system, carried.done)
    carried.finish()
    system.primary.wait_counters(
        lambda c: c["w_flows_ended"] >= DEATHS_COUNT - len(suspects(system)),
        "all connections are over")
    assert_only_suspects_suffer(system, sink, kills)
    sink.assert_whole(carried, suspects(system))


@pytest.mark.parametrize("direction", ["up", "down"])
def test_no_byte_of_iperf3_is_missing(start_sinks, impair, network, direction):
    system, sink = start_sinks("count")
    for side in CUT:
        impair(side, there=FEW_FAULTS, back=FEW_FAULTS)
    server = Process(network.command("server", "iperf3", "-s", "-1", "-p", str(IPERF_PORT),
                                     "--forceflush"))
    try:
        server.wait_line("Server listening")
        client = Process(network.command(
            "client", "iperf3", "-c", ADDRESS["server"], "-p", str(IPERF_PORT), "-n", str(60 * MB),
            "-J", *(["-R"] if direction == "down" else [])))
        assert client.status(60) == 0, client.output()
        assert server.status() == 0, server.output()
    finally:
        server.kill()
    system.primary.wait_counters(lambda c: c["w_flows_ended"] == 2, "both connections are over")
    end = json.loads("\n".join(client.lines[:-1]))["end"]
    sent, received = end["sum_sent"]["bytes"], end["sum_received"]["bytes"]
    print(f"{received} bytes, {end['sum_sent']['retransmits']} retransmissions, "
          f"{end['sum_received']['bits_per_second'] / 1e6:.0f} Mb/s")
    largest = max(sink.ends().values())
    assert received <= largest[0] - (COOKIE if direction == "up" else 0) <= sent
    assert all(size == in_order for size, in_order, _ in sink.ends().values())
    assert not sink.log("error", "lost", "hole", *WRONG)


def frames_that_went_round(process, ends):
    """{(name, side): set of the bytes' offsets} of what impair says."""
    found = collections.defaultdict(set)
    for match in process.find(r"^round \S+ (\d+) \S+ (\d+) (\d+) (\d+)$"):
        source, target, seq, length = map(int, match.groups())
        key = (flow_name(target), "CLI") if source == PORT else (flow_name(source), "SVR")
        first = (seq - ends[key][2] - 1) % (1 << 32)
        found[key] |= set(range(first, first + length))
    return found


def offsets(ranges):
    return {offset for start, end in ranges for offset in range(start, end)}


def test_what_went_round_is_told_and_everything_else_is_right(
        start_sinks, impair, exchange, tmp_path):
    system, sink = start_sinks()
    impair("client")
    process = impair("server", there="round=1", around=FAR["client"])
    carried = exchange(tmp_path, ROUND_COUNT)
    carried.finish()
    system.primary.wait_counters(lambda c: c["w_flows_ended"] == ROUND_COUNT,
                                 "all connections are over")
    sink.assert_whole(carried)
    assert not sink.log("hole")

    round_of = frames_that_went_round(process, sink.ends())
    lost = {key: offsets(ranges) for key, ranges in sink.announced().items()}
    told = {key: offsets(ranges) for key, ranges in sink.errors(MISSED).items()}
    bytes_lost = sum(map(len, lost.values()))
    print(f"{sum(map(len, round_of.values()))} bytes went round, {bytes_lost} are missed in "
          f"{len(lost)} streams, {len(sink.log('error'))} errors")
    assert bytes_lost > 0
    for key, missing in lost.items():
        assert missing <= round_of[key], key
        assert told[key] <= missing, key
    assert set(told) == set(lost)
