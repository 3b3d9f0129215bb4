"""Measures Chappe beside the machine's limits and its peers, alternately, and prints Markdown. Started by scripts/bench.

Each round runs everything once, one after the other, so that a slow minute of the machine slows all of them; ratios are
taken within a round, and the median of the rounds is what is told.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import peers
import shapes
from cluster import Cluster

Times = dict[str, list[float]]  # By who; one a round; None never.


def middle(values: list[float]) -> float:
    return statistics.median(values)


def spread(values: list[float], scale: float = 1.0, digits: int = 3) -> str:
    low, high = min(values) * scale, max(values) * scale
    return f"{middle(values) * scale:.{digits}f} [{low:.{digits}f}..{high:.{digits}f}]"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[round(share * (len(values) - 1))]


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


class Bench:
    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        self.options, self.directory, self.build = options, directory, options.build.resolve()
        options.peers = options.peers.resolve()  # They run elsewhere.
        self.graphs = shapes.shapes(options.scale)
        self.results: dict[str, Any] = {}
        for shape, graph in self.graphs.items():
            graph.write_edges(directory / f"{shape}.edges")

    def program(self, *words: object) -> dict[str, float]:
        command = [str(self.build / "bench" / str(words[0])), *map(str, words[1:])]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    def fresh(self, name: str) -> Path:
        """An empty directory, and what was there is gone: no run pays for the files of another."""
        directory = self.directory / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return directory

    def cluster(self, *options: str, name: str = "cluster") -> Cluster:
        return Cluster(self.build / "chappe", self.fresh(name), *options)

    def tell(self, text: str) -> None:
        print(text, flush=True)

    # ---- Limits ----

    def limits(self) -> None:
        disk = self.program("limits", "disk", self.directory)
        store = self.program("limits", "store", self.directory)
        messages = self.program("limits", "messages")
        spawn = self.program("limits", "spawn", round(2_000 * self.options.scale), 2)
        self.results["limits"] = {**disk, **store, **messages, **spawn}
        self.tell("## The machine\n")
        rows = [
            ["a 4 KiB write made durable (fdatasync)", f"p50 {disk['fdatasync_us_p50']} us, p99 {disk['fdatasync_us_p99']} us"],
            ["SQLite commit of one change", f"p50 {store['commit_us_p50']} us, p99 {store['commit_us_p99']} us"],
            ["SQLite changes, 1,000 a commit", f"{store['changes_per_s']:,}/s (an UPDATE and an INSERT each)"],
            ["ZeroMQ there and back, 200 bytes", f"p50 {messages['round_trip_us_p50']} us, p99 {messages['round_trip_us_p99']} us"],
            ["the same, 1,000 on the way", f"{messages['pairs_per_s']:,} pairs/s"],
            ["`/bin/true` by vfork, two threads", f"{spawn['spawns_per_s']:,}/s"],
        ]
        self.tell(table(["what", "measured"], rows))

    # ---- Peers ----

    def peers_here(self) -> list[Any]:
        wanted = [kind for kind in peers.ALL if kind.here(self.options.peers)]
        missing = [kind.name for kind in peers.ALL if kind not in wanted]
        if missing:
            self.tell(f"Not installed: {', '.join(missing)} (`scripts/bench --install-peers`).\n")
        return wanted

    def compare(self, spawn: bool) -> None:
        self.tell("## `/bin/true`\n" if spawn else "## No-op tasks\n")
        opened = [kind(self.fresh(f"peer-{number}"), self.options.peers) for number, kind in enumerate(self.peers_here())]
        try:
            for shape, graph in self.graphs.items():
                times = self.rounds(shape, graph, spawn, [peer for peer in opened if peer.can(shape, spawn)])
                self.results[f"{shape} {'true' if spawn else 'noop'}"] = times
                self.tell_times(shape, graph, times)
        finally:
            for peer in opened:
                peer.close()

    def rounds(self, shape: str, graph: shapes.Graph, spawn: bool, opened: list[Any]) -> Times:
        times: Times = defaultdict(list)
        edges, work = self.directory / f"{shape}.edges", "true" if spawn else "noop"
        with self.cluster() as cluster:
            dag = graph.dag(spawn)
            poll = 0.5 if spawn else 0.05  # Whoever looks takes time from those who work.
            cluster.run(dag, poll)  # The first run of a process pays for what is read and mapped once.
            for number in range(self.options.rounds):
                if spawn and shape != "W2":
                    times["bare vfork loop"].append(self.program("limits", "spawn", graph.size, 2)["spawn_s"])
                if spawn and shape == "W2":
                    times["bare vfork loop"].append(self.program("limits", "spawn", graph.size, 1)["spawn_s"])
                times["floor"].append(self.program("floor", edges, work, self.fresh("floor"))["run_s"])
                ran = cluster.run(dag, poll)
                times["Chappe, run"].append(ran["run"])
                times["Chappe, with submission"].append(ran["total"])
                for peer in opened:
                    if number < self.options.peer_rounds:
                        times[peer.name].append(peer.run(shape, graph, spawn))
        return dict(times)

    def tell_times(self, shape: str, graph: shapes.Graph, times: Times) -> None:
        rows = []
        for who, values in times.items():
            # Peers are given the graph within the time: they are compared with Chappe's time with submission.
            ours = times["Chappe, run" if who in ("floor", "bare vfork loop") else "Chappe, with submission"]
            ratio = "" if who.startswith("Chappe") else f"{middle([a / b for a, b in zip(ours, values)]):.2f}"
            each = f"{middle(values) / graph.size * 1e3:.2f} ms a task" if shape == "W2" else f"{graph.size / middle(values):,.0f} tasks/s"
            rows.append([who, spread(values), each, ratio])
        self.tell(f"**{shape}**, {graph.size:,} tasks\n")
        self.tell(table(["who", "seconds: median [least..most]", "", "Chappe's time / theirs"], rows))

    # ---- Latency, start, size ----

    def latency(self) -> None:
        dag = shapes.wide(8).dag(spawn=False)  # Ten tasks.
        with self.cluster() as cluster:
            cluster.submit_to_start(dag)
            times = [cluster.submit_to_start(dag) for _ in range(round(200 * min(1, self.options.scale * 10)))]
        self.results["submit to start"] = times
        p50, p99 = percentile(times, 0.5) * 1e3, percentile(times, 0.99) * 1e3
        self.tell(f"## Submission to first task started, 10 tasks\n\np50 {p50:.2f} ms, p99 {p99:.2f} ms ({len(times)} times)\n")

    def cached(self) -> None:
        """A run of a DAG that has not changed: nothing of it is done again."""
        rows = []
        graphs = {"wide": shapes.wide(round(998 * min(1, self.options.scale * 10))),
                  "chain": shapes.chain(round(1_000 * min(1, self.options.scale * 10)))}
        for name, graph in graphs.items():
            dag = graph.dag(spawn=True, cached=True)
            with self.cluster() as cluster:
                first = cluster.run(dag)
                again = [cluster.run(dag, 0.01)["run"] for _ in range(max(5, self.options.rounds))]
            self.results[f"cached {name}"] = {"first": first["run"], "again": again}
            rows.append([f"{name}, {graph.size:,} tasks", f"{first['run'] * 1e3:.0f}", spread(again, 1e3, 1),
                         f"{middle(again) / graph.size * 1e6:.0f} us"])
        self.tell("## Run again, unchanged, with `cache`\n")
        self.tell(table(["what", "first, ms", "again, ms: median [least..most]", "a task"], rows))

    def cold_start(self) -> None:
        new, known = [], []
        for _ in range(self.options.rounds):
            cluster = self.cluster()
            for times in (new, known):
                try:
                    times.append(cluster.start_scheduler())
                finally:
                    cluster.__exit__()
                    cluster.processes.clear()
        self.results["cold start"] = {"new": new, "known": known}
        self.tell("## Scheduler, exec to ready\n\n"
                  f"milliseconds: {spread(new, 1e3, 1)} in a new state directory, {spread(known, 1e3, 1)} in one that is there\n")

    def million(self) -> None:
        layers, width = (100, round(10_000 * self.options.scale)) if self.options.scale < 1 else (100, 10_000)
        with self.cluster() as cluster:
            ran = cluster.run(shapes.mapped_layers(layers, width), poll=0.5)
            peak = cluster.scheduler_bytes("VmHWM")
        self.results["million"] = {**ran, "peak_bytes": peak, "tasks": layers * width}
        rate = layers * width / ran["run"]
        self.tell(f"## {layers * width:,} tasks: {layers} fan-outs of {width:,} no-ops, one after another\n\n"
                  f"accepted in {ran['accept']:.3f} s, done {ran['run']:.2f} s later ({rate:,.0f} tasks/s); the scheduler's "
                  f"memory at its highest: {peak / 2**20:.0f} MiB\n")

    def beside(self, what: str, plain: Cluster, loaded: Cluster) -> None:
        """No-op runs in both, by turns."""
        rows, times = [], defaultdict(list)
        for shape, graph in self.graphs.items():
            dag = graph.dag(spawn=False)
            for cluster in (plain, loaded):
                cluster.run(dag)
            for _ in range(self.options.rounds):
                times[f"{shape} alone"].append(plain.run(dag)["run"])
                times[f"{shape} beside them"].append(loaded.run(dag)["run"])
            alone, beside = times[f"{shape} alone"], times[f"{shape} beside them"]
            rows.append([shape, spread(alone), spread(beside), f"{middle([a / b for a, b in zip(beside, alone)]):.2f}"])
        self.results[what] = dict(times)
        self.tell(table(["no-op", "alone, seconds: median [least..most]", "beside them", "ratio"], rows))

    def waiting(self) -> None:
        """What so many tasks that wait for a full pool cost those that do not."""
        count = round(1_000_000 * self.options.scale)
        with self.cluster(name="idle") as idle, self.cluster("--pool", "shut=1") as crowded:
            before = crowded.scheduler_bytes("VmRSS")
            run_id, sent, accepted = crowded.submit(shapes.waiting(count))
            crowded.wait_for_task(run_id, "holder", "running")
            each = (crowded.scheduler_bytes("VmRSS") - before) / count
            self.tell(f"## Beside {count:,} tasks that wait for a slot\n\n"
                      f"accepted in {accepted - sent:.2f} s; {each:.0f} bytes of the scheduler's memory for each that waits\n")
            self.beside("waiting", idle, crowded)

    def history(self) -> None:
        """What runs that ended long ago cost those of today."""
        layers, width = 10, round(10_000 * self.options.scale)
        with self.cluster(name="new") as new, self.cluster() as old:
            for _ in range(30):
                old.run(shapes.mapped_layers(layers, width), poll=0.2)
            size = (old.state / "chappe.db").stat().st_size
            self.tell(f"## After {30 * layers * width:,} tasks that have ended\n\nthe store takes {size / 2**20:.0f} MiB\n")
            self.beside("history", new, old)

    def airflow(self) -> None:
        """Beside what our users come from: small graphs, since it takes seconds for a task."""
        if not peers.Airflow.here(self.options.peers):
            self.tell("Not installed: Airflow (`scripts/bench --install-peers`).\n")
            return
        rows = []
        peer = peers.Airflow(self.fresh("peer-airflow"), self.options.peers)
        try:
            for name, graph in {"a chain of 10": shapes.chain(10), "a source, 40 tasks, a sink": shapes.wide(40)}.items():
                ours, theirs = [], []
                dag = graph.dag(spawn=True).replace("command: [/bin/true]", "run: 'true'")  # In a shell, as theirs.
                with self.cluster() as cluster:
                    cluster.run(dag)
                    for _ in range(self.options.peer_rounds):
                        ours.append(cluster.run(dag)["run"])
                        theirs.append(peer.run(name, graph, spawn=True))
                self.results[f"airflow {name}"] = {"Chappe": ours, "Airflow": theirs}
                rows.append([name, spread(ours), spread(theirs), f"{middle([b / a for a, b in zip(ours, theirs)]):,.0f}"])
        finally:
            peer.close()
        self.tell("## Beside Airflow: tasks that run `true`\n")
        self.tell(table(["what", "Chappe, seconds: median [least..most]", "Airflow", "Airflow's time / Chappe's"], rows))

    # ---- Objects ----

    def objects(self) -> None:
        self.tell("## 64 MiB, beside libcurl alone with a presigned URL\n")
        self.tell("A server on this machine that throws away what it gets:\n")
        self.tell_objects([])
        if shutil.which("radosgw") is None or os.geteuid() != 0:
            self.tell("Ceph's gateway is not measured: it needs Debian's radosgw, and root.\n")
            return
        with subprocess.Popen([CEPH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ceph:
            told = dict(line.strip().split("=", 1) for line in iter(ceph.stdout.readline, "ready=1\n"))
            self.tell("Ceph's gateway, its objects in memory:\n")
            self.tell_objects([told["endpoint"], told["access_key"], told["secret_key"]])
            self.tell("The same over TLS, as S3 is mostly used:\n")
            self.tell_objects([told["tls_endpoint"], told["access_key"], told["secret_key"], told["ca_file"]])

    def tell_objects(self, server: list[str]) -> None:
        command = [str(self.build / "bench" / "object_bench"), *server]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        self.tell("".join(f"- {line}\n" for line in lines))


PARTS = ["limits", "noop", "true", "latency", "cached", "start", "million", "waiting", "history", "airflow", "objects"]
CEPH = Path(__file__).parent.parent / "tests" / "support" / "servers" / "ceph_rgw"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", default=[], metavar="PART", help=f"any of {', '.join(PARTS)}; all without")
    parser.add_argument("--rounds", type=int, default=5, help="times that Chappe and the floors run (default 5)")
    parser.add_argument("--peer-rounds", type=int, default=3, help="of these, with peers (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the graphs, for a quick look: 0.01")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--peers", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help="on the disk to measure (default: that of the build)")
    parser.add_argument("--json", type=Path, help="also write every single time to this file")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part: {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    return options


def main() -> None:
    options = arguments()
    wanted = options.parts or PARTS
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.directory or options.build) as directory:
        bench = Bench(options, Path(directory).resolve())
        work = {"limits": bench.limits, "noop": lambda: bench.compare(False), "true": lambda: bench.compare(True),
                "latency": bench.latency, "cached": bench.cached, "start": bench.cold_start, "million": bench.million,
                "waiting": bench.waiting, "history": bench.history, "airflow": bench.airflow, "objects": bench.objects}
        for part in PARTS:
            if part in wanted:
                work[part]()
    if options.json:
        options.json.write_text(json.dumps(bench.results, indent=1) + "\n")


if __name__ == "__main__":
    main()
