"""Peers that only hold on to things: slow heads, silent connections, and strangers at the workers' port. Everybody else must
not notice, and the scheduler must not grow.

A few hundred here; `CHAPPE_HOSTILE=full` makes it 1,000 slow ones, 5,000 silent ones and 1,000 strangers, and holds the
scheduler to the figures of SECURITY.md.
"""

import os
import resource
import socket
import time
import unittest
import urllib.parse
from pathlib import Path

from cluster import Cluster, wait_until
from sanitizers import memory_bound

FULL = os.environ.get("CHAPPE_HOSTILE") == "full"
SLOW, SILENT, STRANGERS = (1_000, 5_000, 1_000) if FULL else (150, 250, 100)
REQUESTS = 300
P99_MAX = 0.1 if FULL else 1.0  # Seconds. Tests share their machine; what is measured for the manual does not.
GROWTH_MAX = memory_bound(64 << 20)
DAG = """
name: many
tasks:
  - {id: wide, foreach: {sequence: {start: 1, count: 200}, as: n}, noop: true}
"""


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"process {pid} has no VmRSS")


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class HostileClients(unittest.TestCase):
    def setUp(self) -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        self.sockets: list[socket.socket] = []
        self.addCleanup(lambda: [each.close() for each in self.sockets])

    def connect(self, url: str, number: int) -> socket.socket:
        """From one of many addresses: what one address may have is bounded anyway."""
        at = urllib.parse.urlparse(url)
        source = f"127.0.{10 + number // 250 % 40}.{1 + number % 250}"
        made = socket.create_connection((at.hostname, at.port), timeout=10, source_address=(source, 0))
        self.sockets.append(made)
        return made

    def latencies(self) -> list[float]:
        times = []
        for _ in range(REQUESTS):
            began = time.monotonic()
            self.cluster.get("/api/v1/runs?limit=1")
            times.append(time.monotonic() - began)
        return times

    def time_of_a_run(self) -> float:
        began = time.monotonic()
        self.cluster.wait_for_run(self.cluster.submit(DAG), "success")
        return time.monotonic() - began

    def hold_on(self) -> None:
        api = self.cluster._endpoint()["api"]
        for number in range(SLOW + SILENT):
            made = self.connect(api, number)
            if number % ((SLOW + SILENT) // SLOW) == 0:
                made.sendall(b"GET /api/v1/runs HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for number in range(STRANGERS):
            made = self.connect(self.cluster.endpoint, number)
            if number % 2 == 0:
                made.sendall(b"\xff\0\0\0\0\0\0\0\1\x7f")  # The beginning of a ZMTP greeting, and no more.

    def test_others_do_not_notice_them(self) -> None:
        self.cluster.wait_for_run(self.cluster.submit(DAG), "success")
        calm, run_before = self.latencies(), self.time_of_a_run()
        before = resident_bytes(self.scheduler.process.pid)
        self.hold_on()
        harried, run_after = self.latencies(), self.time_of_a_run()
        growth = resident_bytes(self.scheduler.process.pid) - before
        told = (
            f"p99 {percentile(calm, 0.99) * 1e3:.1f} ms before, {percentile(harried, 0.99) * 1e3:.1f} ms with "
            f"{SLOW} slow, {SILENT} silent connections and {STRANGERS} strangers; a run of 200 tasks {run_before:.2f} s "
            f"before, {run_after:.2f} s with them; {growth >> 10} KiB more memory"
        )
        print(told)
        self.assertLess(percentile(harried, 0.99), max(P99_MAX, 3 * percentile(calm, 0.99)), told)
        self.assertLess(run_after, 3 * run_before + 2, told)
        self.assertLess(growth, GROWTH_MAX, told)

    def test_one_address_cannot_take_all_connections(self) -> None:
        api = self.cluster._endpoint()["api"]
        at = urllib.parse.urlparse(api)
        mine = [socket.create_connection((at.hostname, at.port), timeout=10) for _ in range(100)]
        self.sockets += mine

        def closed() -> int:
            count = 0
            for each in mine:
                each.setblocking(False)
                try:
                    count += each.recv(1) == b""
                except BlockingIOError:
                    pass
                except ConnectionResetError:
                    count += 1
            return count

        wait_until("all but 64 of them to be closed", closed, lambda count: count >= 36)
        self.connect(api, 1).sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertIn(b"200 OK", self.sockets[-1].recv(4096), "others still get in")


if __name__ == "__main__":
    unittest.main()
