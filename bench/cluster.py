"""Chappe as it is deployed: a scheduler and two workers of one core each, as processes, driven over HTTP."""

import json
import signal
import socket
import subprocess
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

FINAL = ("success", "failed", "cancelled")
WORKERS = 2


def seconds(iso: str) -> float:
    """Of a time that the store wrote down, since the epoch."""
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


class Cluster:
    """`directory`: on the disk to measure; empty. `options`: of the scheduler. Use as a context."""

    def __init__(self, binary: Path, directory: Path, *options: str) -> None:
        self.binary, self.state, self.directory, self.options = binary, directory / "state", directory, options
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Cluster":
        try:
            self.start_scheduler()
            for number in range(WORKERS):
                self.start_worker(f"w{number}")
            while len(self.get("/api/v1/workers")["items"]) < WORKERS:
                self._check()
                time.sleep(0.01)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()

    def start_scheduler(self) -> float:
        """Seconds from exec to ready."""
        start = time.perf_counter()
        self._start("scheduler", ["scheduler", "--state-dir", str(self.state), *self.options])
        while not self.ready():
            self._check()
            time.sleep(0.0002)
        return time.perf_counter() - start

    def ready(self) -> bool:
        try:
            with self.connect() as connection:
                connection.sendall(self.request("/readyz"))
                return connection.recv(64).startswith(b"HTTP/1.1 200 ")
        except (OSError, ValueError):
            return False

    def start_worker(self, name: str) -> None:
        endpoint = json.loads((self.state / "endpoint.json").read_text())["workers"]
        work_dir = self.directory / name
        options = ["--state-dir", str(self.state), "--scheduler", endpoint, "--name", name, "--work-dir", str(work_dir)]
        self._start(name, ["worker", *options, "--cpus", "1"])

    def _start(self, name: str, arguments: list[str]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / f"{name}.log").open("ab") as log:
            # Nothing of ours is inheritable, and so Python can spawn, which takes 2 ms less than its fork.
            self.processes.append(subprocess.Popen([str(self.binary), *arguments], stdout=log, stderr=log, close_fds=False))

    def _check(self) -> None:
        for process in self.processes:
            if process.poll() is not None:
                logs = "".join(log.read_text(errors="replace")[-2000:] for log in self.directory.glob("*.log"))
                raise RuntimeError(f"{process.args} ended with {process.returncode}\n{logs}")

    def scheduler_bytes(self, which: str) -> int:
        """`which`: VmHWM, its memory at its highest, or VmRSS, what it has now."""
        status = Path(f"/proc/{self.processes[0].pid}/status").read_text()
        return int(status.split(f"{which}:")[1].split()[0]) * 1024

    # ---- The API ----

    def request(self, path: str, body: Any = None) -> bytes:
        """The bytes of a request, for who wants to know when they were sent."""
        token = (self.state / "token").read_text().strip()
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        return (head + f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n").encode() + text

    def connect(self) -> socket.socket:
        host, port = self.api().removeprefix("http://").rstrip("/").rsplit(":", 1)
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def api(self) -> str:
        return json.loads((self.state / "endpoint.json").read_text())["api"]

    def get(self, path: str) -> Any:
        token = (self.state / "token").read_text().strip()
        request = urllib.request.Request(self.api().rstrip("/") + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text.strip() else None

    # ---- Runs ----

    def run(self, dag_yaml: str, poll: float = 0.05) -> dict[str, float]:
        """One run, from the file's text to its end. Seconds; `accept` by the client's clock, `run` by the store's own
        times (created to ended), `total` from the first byte sent to the end that the store wrote down: the same
        machine's clock."""
        run_id, sent, accepted = self.submit(dag_yaml)
        shown = self.wait(run_id, poll)
        created, ended = seconds(shown["created_at"]), seconds(shown["ended_at"])
        return {"accept": accepted - sent, "run": ended - created, "total": ended - sent}

    def submit(self, dag_yaml: str) -> tuple[str, float, float]:
        """The run's id, when the first byte was sent and when it was accepted."""
        with self.connect() as connection:
            request = self.request("/api/v1/runs", {"dag_yaml": dag_yaml})
            sent = time.time()
            connection.sendall(request)
            return read_answer(connection)["id"], sent, time.time()

    def wait(self, run_id: str, poll: float) -> dict[str, Any]:
        while True:
            time.sleep(poll)
            shown = self.get(f"/api/v1/runs/{run_id}")
            if shown["state"] in FINAL:
                break
            self._check()
        if shown["state"] != "success":
            raise RuntimeError(f"the run ended as {shown['state']}: {shown['message']}")
        return shown

    def wait_for_task(self, run_id: str, task: str, state: str) -> None:
        while next(each for each in self.get(f"/api/v1/runs/{run_id}/tasks?limit=10")["items"] if each["task"] == task)["state"] != state:
            self._check()
            time.sleep(0.05)

    def submit_to_start(self, dag_yaml: str) -> float:
        """Seconds from the first byte of a submission sent to the first task started, as its worker wrote it down."""
        run_id, sent, _ = self.submit(dag_yaml)
        self.wait(run_id, 0.005)
        tasks = self.get(f"/api/v1/runs/{run_id}/tasks")["items"]
        return min(seconds(task["started_at"]) for task in tasks) - sent


def read_answer(connection: socket.socket) -> Any:
    """The JSON of one answer with a Content-Length."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
    while len(body) < int(fields["content-length"]):
        body += connection.recv(65536)
    if not head.startswith(b"HTTP/1.1 2"):
        raise RuntimeError(f"{head.decode()}\n{body.decode(errors='replace')}")
    return json.loads(body)


