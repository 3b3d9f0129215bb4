"""Thousands of connections that say nothing, or a byte a second, to both ports of a scheduler, each made again when it is
closed: what that does to others. `python3 tests/faults/slow_peers.py` prints it.
"""

import argparse
import random
import selectors
import socket
import subprocess
import sys
import time
import urllib.parse
from dataclasses import dataclass

import processes
from cluster import Cluster, wait_until
from end_state import open_store

ADDRESSES = 200  # Of 127.0.0.0/8: the API bounds the connections of one.
AGAIN_MAX = 200  # Connections that are made anew in a round of a second, for each port.
HEADS = {"api": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 4000, "workers": b"\xff" + bytes(8) + b"\x7f\x03" + bytes(54)}


class Besieger:
    """Of one port. Ends with its process."""

    def __init__(self, kind: str, port: int, dripping: int, silent: int) -> None:
        self.head = HEADS[kind]
        self.port = port
        self.wanted = {True: dripping, False: silent}
        self.selector = selectors.EpollSelector()
        self.open: dict[socket.socket, tuple[bool, int]] = {}  # Whether it drips, and what it has said.
        self.made = 0

    def connect(self, drips: bool) -> None:
        peer = socket.socket()
        peer.setblocking(False)
        peer.bind((f"127.0.2.{1 + self.made % ADDRESSES}", 0))
        peer.connect_ex(("127.0.0.1", self.port))
        self.selector.register(peer, selectors.EVENT_READ)
        self.open[peer] = (drips, 0)
        self.made += 1

    def close(self, peer: socket.socket) -> None:
        self.selector.unregister(peer)
        del self.open[peer]
        peer.close()

    def hear(self, until: float) -> None:
        """Whatever comes is thrown away; who is closed is forgotten."""
        while (rest := until - time.monotonic()) > 0:
            for key, _ in self.selector.select(rest):
                try:
                    ended = not key.fileobj.recv(4096)
                except OSError:
                    ended = True
                if ended:
                    self.close(key.fileobj)

    def drip(self) -> None:
        for peer, (drips, said) in list(self.open.items()):
            if not drips or said >= len(self.head):
                continue
            try:
                self.open[peer] = (True, said + peer.send(self.head[said:said + 1]))
            except BlockingIOError:
                pass
            except OSError:
                self.close(peer)

    def round(self) -> None:
        begun = time.monotonic()
        kinds = [drips for drips, _ in self.open.values()]
        missing = [drips for drips, count in self.wanted.items() for _ in range(count - kinds.count(drips))]
        random.shuffle(missing)
        for drips in missing[:AGAIN_MAX]:
            self.connect(drips)
        self.drip()
        print(f"open {len(self.open)} made {self.made}", flush=True)
        self.hear(begun + 1)


@dataclass
class Seen:
    answer: float  # Milliseconds, the 99th of 100.
    start: float  # From ready to started on its worker, likewise.
    memory: int  # Bytes, resident.


def late(times: list[float]) -> float:
    return sorted(times)[len(times) * 99 // 100]


def look(cluster: Cluster, pid: int, times: int) -> Seen:
    """What so many requests and so many runs of one task took, one after the other."""
    answers, runs = [], []
    for _ in range(times):
        begun = time.monotonic()
        cluster.get("/api/v1/workers")
        answers.append(1000 * (time.monotonic() - begun))
        runs.append(cluster.submit("{name: amid, tasks: [{id: one, noop: true}], concurrency: {max_runs: 1000}}"))
    for run in runs:
        cluster.wait_for_run(run, "success")
    with open_store(cluster.state) as store:
        rows = store.execute("SELECT started_at_us - ready_at_us FROM tasks ORDER BY id DESC LIMIT ?", (times,)).fetchall()
    return Seen(late(answers), late([micros / 1000 for micros, in rows]), processes.memory_of(pid))


def siege(dripping: int, silent: int, times: int) -> tuple[Seen, Seen, str]:
    """Before it, in its midst, and how large it was."""
    cluster = Cluster()
    besiegers: list[subprocess.Popen[bytes]] = []
    try:
        scheduler = cluster.start_scheduler()
        cluster.start_worker("w1")
        wait_until("the worker", lambda: cluster.get("/api/v1/workers")["items"])
        pid = scheduler.process.pid
        before = look(cluster, pid, times)
        logs = []
        for kind, address in (("api", cluster.url()), ("workers", cluster.endpoint)):
            port = urllib.parse.urlsplit(address).port
            logs.append(cluster.directory / f"{kind}.log")
            with logs[-1].open("wb") as sink:
                besiegers.append(subprocess.Popen(
                    [sys.executable, __file__, "--besiege", kind, "--port", str(port), "--dripping", str(dripping), "--silent",
                     str(silent)], stdout=sink))

        def made() -> list[str]:
            return [(log.read_text().splitlines() or ["open 0 made 0"])[-1] for log in logs]

        wait_until("the siege to stand", made, lambda lines: all(int(line.split()[3]) >= dripping + silent for line in lines),
                   60 + (dripping + silent) / AGAIN_MAX * 4)
        amid = look(cluster, pid, times)
        return before, amid, "; ".join(f"{log.stem} {line}" for log, line in zip(logs, made()))
    finally:
        for besieger in besiegers:
            besieger.kill()
            besieger.wait()
        cluster.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dripping", type=int, default=1_000)
    parser.add_argument("--silent", type=int, default=5_000)
    parser.add_argument("--times", type=int, default=500)
    parser.add_argument("--besiege", choices=HEADS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.besiege:
        besieger = Besieger(options.besiege, options.port, options.dripping, options.silent)
        while True:
            besieger.round()
    before, amid, size = siege(options.dripping, options.silent, options.times)
    for what, seen in (("without", before), (f"amid {size}", amid)):
        print(f"  {what}: answers p99 {seen.answer:.1f} ms, ready to started p99 {seen.start:.1f} ms, "
              f"{seen.memory / processes.MIB:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
