"""What an application reads is what was sent: 1000 connections of real kernels, while nothing goes
wrong, while it reads too late, and while its workers are killed.

client (sockets, curl) -- mos-primary with two stream_sinks -- server (sockets)
"""

import pytest

from deaths import assert_only_suspects_suffer, kill_until, suspects
from exchange import TIMES
from sink import NO_ROOM, OVERRUN

FAMILIES = (4,)
COUNT, CURL_COUNT = 900 * TIMES, 100
LATE_COUNT = 200
LARGE = 2 << 20
PAUSE_S = 0.2  # between a server's pieces, at most


def test_1000_connections_are_read_as_they_were_sent(start_sinks, exchange, tmp_path):
    system, sink = start_sinks()
    carried = exchange(tmp_path, COUNT, CURL_COUNT)
    carried.finish()
    system.primary.wait_counters(lambda c: c["w_flows_ended"] == COUNT + CURL_COUNT,
                                 "all connections are over")
    sink.assert_whole(carried)
    assert not sink.log("error", "lost", "hole")


@pytest.mark.parametrize("cause, counter, keys", [
    (OVERRUN, "w_overrun_bytes", {"rmem_size": 8192}),
    (NO_ROOM, "w_no_room_bytes", {"stream_memory": 1, "rmem_size": 4 * LARGE})], ids=["overrun", "no room"])
def test_what_is_read_too_late_is_told_to_be_lost(start_sinks, exchange, tmp_path, cause, counter,
                                                  keys):
    system, sink = start_sinks("end", **keys)
    carried = exchange(tmp_path, LATE_COUNT, large=LARGE)  # more than the smallest pool holds
    carried.finish()
    counters = system.primary.wait_counters(lambda c: c["w_flows_ended"] == LATE_COUNT,
                                            "all connections are over")
    sink.assert_whole(carried)
    lost = sum(end - start for ranges in sink.announced().values() for start, end in ranges)
    assert lost == counters[counter] > 0
    assert {line.numbers[0] for line in sink.log("error")} == {cause}
    assert set(sink.errors(cause)) == set(sink.announced())


def test_1000_connections_are_whole_although_a_worker_is_killed_each_second(
        start_sinks_to_kill, exchange, tmp_path):
    system, sink = start_sinks_to_kill()
    carried = exchange(tmp_path, COUNT, CURL_COUNT, pause=PAUSE_S)
    kills = kill_until(system, carried.done)
    carried.finish()
    system.primary.wait_counters(
        lambda c: c["w_flows_ended"] >= COUNT + CURL_COUNT - len(suspects(system)),
        "all connections are over")
    assert_only_suspects_suffer(system, sink, kills)
    sink.assert_whole(carried, suspects(system))
