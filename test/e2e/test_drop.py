"""An application that drops packets: they do not arrive, and are counted as its doing."""

import os
import signal

from network import ADDRESS, Wire
from system import BUILD, DEADLINE_S, Process

PORT = 8000
LOCAL_PORT = 40000
DROP_FIRST = os.path.join(BUILD, "test/e2e/drop_first")

L2 = 14
SYN, ACK = 2, 16


def syns(frames):
    """The first SYNs among frames, of IPv4 without options."""
    return [frame for frame in frames
            if frame[12:14] == b"\x08\x00" and frame[L2 + 9] == 6
            and frame[L2 + 33] & (SYN | ACK) == SYN]


def test_dropped_syn_never_arrives_and_its_repetition_does(new_system, network):
    system = new_system(network)
    system.configure(("wire_a", "wire_b"), workers=1, fail_policy="closed")
    system.start_primary()
    worker = system.worker[0] = Process([DROP_FIRST, "-f", system.config])
    system.others.append(worker)
    system.primary.wait_line(rf"shard 0: served by pid {worker.pid}\b")
    wire = Wire(network, "server")
    with network.listen("server", PORT) as listener:
        listener.settimeout(DEADLINE_S)
        with network.connect("client", PORT, "server", DEADLINE_S, LOCAL_PORT) as client:
            server, peer = listener.accept()
            with server:
                server.settimeout(DEADLINE_S)
                client.sendall(b"after all")
                assert server.recv(100) == b"after all"
    assert peer == (ADDRESS["client"], LOCAL_PORT)
    worker.wait_line(f"^again SYN of port {LOCAL_PORT}")
    repeated = len(worker.find("^again SYN"))
    assert len(worker.find("^dropped SYN")) == 1
    assert len(syns(wire.receive_all())) == repeated
    wire.close()
    counters = system.primary.counters()
    assert counters["drop_by_app"] == 1
    assert counters["w_flows_created"] == 1
    assert worker.stop(signal.SIGINT) == 0
    assert system.primary.stop() == 0
