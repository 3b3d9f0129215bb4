"""Other systems at the same work. Each function carries a graph out once and returns the seconds that took, start-up
of the command included where the system is a command, and excluded (as ours is) where it is a service."""

import json
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from shapes import Graph

HERE = Path(__file__).resolve().parent


def timed(command: list[str], **options: object) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    return time.perf_counter() - start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Make:
    """GNU make -j2. Keeps nothing."""

    name, durable, service = "make -j2", "no", False

    def __init__(self, directory: Path, _: Path) -> None:
        self.file = directory / "peer.mk"

    @staticmethod
    def here(_: Path) -> bool:
        return shutil.which("make") is not None

    def can(self, shape: str, spawn: bool) -> bool:
        return True

    def run(self, shape: str, graph: Graph, spawn: bool) -> float:
        graph.write_makefile(self.file, spawn)
        return timed(["make", "-j2", "-s", "-f", str(self.file), "all"])

    def close(self) -> None:
        pass


class Ninja(Make):
    """ninja -j2. Writes a log as tasks end, unsynced."""

    name = "ninja -j2"

    @staticmethod
    def here(_: Path) -> bool:
        return shutil.which("ninja") is not None

    def run(self, shape: str, graph: Graph, spawn: bool) -> float:
        self.file.with_name(".ninja_log").unlink(missing_ok=True)
        graph.write_ninja(self.file, spawn)
        return timed(["ninja", "-j2", "-f", str(self.file), "all"], cwd=self.file.parent)


class Xargs(Make):
    """xargs -P2 -n1: knows no graph."""

    name, command = "xargs -P2", ["xargs", "-P2", "-n1", "/bin/true"]

    @staticmethod
    def here(_: Path) -> bool:
        return shutil.which("xargs") is not None

    def can(self, shape: str, spawn: bool) -> bool:
        return spawn and shape == "W1"

    def run(self, shape: str, graph: Graph, spawn: bool) -> float:
        return timed(self.command, input="".join(f"{task}\n" for task in range(graph.size)).encode())


class Parallel(Xargs):
    """GNU parallel -j2: knows no graph."""

    name, command = "parallel -j2", ["parallel", "-j2", "-n0", "/bin/true"]

    @staticmethod
    def here(_: Path) -> bool:
        return shutil.which("parallel") is not None


class Served:
    """A peer whose runner lives through all its runs: one line of JSON asks, one answers."""

    service = True

    def __init__(self, command: list[str], cwd: Path) -> None:
        self.runner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd, text=True)
        if self.ask({}) != {}:
            raise RuntimeError(f"{command[0]} does not answer")

    def ask(self, question: dict[str, object]) -> dict[str, float]:
        assert self.runner.stdin is not None and self.runner.stdout is not None
        self.runner.stdin.write(json.dumps(question) + "\n")
        self.runner.stdin.flush()
        line = self.runner.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.runner.args} ended with {self.runner.wait()}")
        return json.loads(line)

    def run(self, shape: str, graph: Graph, spawn: bool) -> float:
        return self.ask({"upstream": graph.upstream, "spawn": spawn})["seconds"]

    def close(self) -> None:
        """The end of its input is the runner's sign to end, with all that it started."""
        assert self.runner.stdin is not None
        self.runner.stdin.close()
        try:
            self.runner.wait(20)
        except subprocess.TimeoutExpired:
            self.runner.kill()
            self.runner.wait()


class Dask(Served):
    """Dask distributed, two worker processes of one thread. Keeps nothing."""

    name, durable = "Dask", "no"

    @staticmethod
    def here(installed: Path) -> bool:
        return (installed / "dask/bin/python").exists()

    def __init__(self, directory: Path, installed: Path) -> None:
        super().__init__([str(installed / "dask/bin/python"), str(HERE / "peer_dask.py")], directory)

    def can(self, shape: str, spawn: bool) -> bool:
        return True


class BullMq(Served):
    """BullMQ flows in one Node process, on Redis with appendfsync always."""

    name, durable = "BullMQ", "power loss"

    @staticmethod
    def here(installed: Path) -> bool:
        return (installed / "node_modules/bullmq").exists() and shutil.which("redis-server") is not None

    def __init__(self, directory: Path, installed: Path) -> None:
        port = free_port()
        options = ["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", str(directory)]
        self.redis = subprocess.Popen(["redis-server", "--port", str(port), *options], stdout=subprocess.DEVNULL)
        try:
            self._wait_for(port)
            # Node finds packages beside the script: so it is run from where they are installed.
            script = shutil.copy(HERE / "peer_bullmq.mjs", installed)
            super().__init__(["node", script, str(port)], directory)
        except BaseException:
            self.redis.kill()
            raise

    @staticmethod
    def _wait_for(port: int) -> None:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def can(self, shape: str, spawn: bool) -> bool:
        return shape != "W3"  # A flow is a tree: one parent a child.

    def close(self) -> None:
        super().close()
        self.redis.send_signal(signal.SIGKILL)
        self.redis.wait()


class Airflow(Served):
    """Airflow 3 with its local executor on PostgreSQL: minutes where the others take seconds, so it gets small graphs only."""

    name, durable = "Airflow", "power loss"

    @staticmethod
    def here(installed: Path) -> bool:
        return (installed / "airflow/bin/airflow").exists() and Path("/usr/lib/postgresql").exists()

    def __init__(self, directory: Path, installed: Path) -> None:
        super().__init__([str(installed / "airflow/bin/python"), "-B", str(HERE / "peer_airflow.py")], directory)

    def close(self) -> None:
        self.runner.stdin.close()  # type: ignore[union-attr]
        self.runner.wait()


ALL = [BullMq, Dask, Make, Ninja, Xargs, Parallel]
