"""A scheduler and workers for one test: built binaries, a directory of their own, free ports, and an end to all of it.

Waiting is always for a condition, with a deadline; what was seen last is part of the failure.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sanitizers import setting

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "dags" / "examples"
PATIENCE = int(setting("CHAPPE_PATIENCE") or 1)  # What takes its time takes so many times as long in this build.
DEADLINE = 60.0 * PATIENCE  # Seconds; far above what anything takes, for machines under load.
FINAL = ("success", "failed", "cancelled")


def chappe_binary() -> str:
    path = os.environ.get("CHAPPE", "")
    if not os.access(path, os.X_OK):
        raise RuntimeError("set CHAPPE to the built command, such as build/dev/chappe")
    return os.path.abspath(path)


def wait_until(what: str, look: Callable[[], Any], done: Callable[[Any], bool] = bool, seconds: float = DEADLINE) -> Any:
    """What `look` found once `done` says so. Fails with the last thing seen when `seconds` have passed."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if done(seen):
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still waiting for {what}; last seen: {seen}")
        time.sleep(0.02)


def children(parent: int, kind: str) -> list[int]:
    """Processes that `parent` started as `chappe KIND`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, ppid = int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
            words = (stat.parent / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            continue  # It ended while we looked.
        if ppid == parent and len(words) > 1 and words[1] == kind.encode():
            found.append(pid)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def has_failed(test: unittest.TestCase) -> bool:
    """For its clean-up; unittest itself keeps that in the result only."""
    result = getattr(getattr(test, "_outcome", None), "result", None)
    told = [*getattr(result, "failures", []), *getattr(result, "errors", [])]
    return any(case is test for case, _ in told)


class Answer(Exception):
    """The API said no."""

    def __init__(self, status: int, problem: Any) -> None:
        super().__init__(f"{status}: {problem}")
        self.status, self.problem = status, problem


class Daemon:
    """A process of ours, its log, and the two ways to end it."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.name, self.log = name, log
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )

    def kill(self) -> None:
        """kill -9 of the process alone: what it started must notice by itself."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Asks it to end, and waits until it has."""
        self.process.terminate()
        return self.process.wait(DEADLINE)

    def running(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Cluster:
    """Daemons, what they keep, and how a test talks to them. `close()` ends all of it."""

    def __init__(self, object_store: str = "", lease: str = "") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="chappe-"))
        self.state = self.directory / "state"
        self.object_store, self.lease = object_store, lease
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(self.directory / "xdg"),
                            "XDG_CONFIG_HOME": str(self.directory / "config"), "NO_COLOR": "1"}
        self.daemons: list[Daemon] = []

    @classmethod
    def of(cls, test: unittest.TestCase, **options: str) -> "Cluster":
        """A cluster that ends with the test, and shows its logs where the test failed."""
        cluster = cls(**options)
        test.addCleanup(cluster.close)
        test.addCleanup(lambda: cluster.show_logs() if has_failed(test) else None)
        return cluster

    # ---- Daemons ----

    def start_scheduler(self, *options: str, environment: dict[str, str] | None = None, wait: bool = True) -> Daemon:
        """`environment`: beside ours. Without `wait` it may not be ready yet."""
        command = ["scheduler", "--state-dir", str(self.state), "--worker-listen", self.endpoint, *options]
        if self.object_store:
            command += ["--object-store", self.object_store]
        if self.lease:
            command += ["--lease", self.lease]
        (self.state / "endpoint.json").unlink(missing_ok=True)  # Of one that was killed.
        daemon = self._start("scheduler", command, environment)
        if wait:
            wait_until("the scheduler to be ready", lambda: self._is_ready(daemon))
        return daemon

    def start_worker(self, name: str = "w1", *options: str, environment: dict[str, str] | None = None) -> Daemon:
        command = ["worker", "--state-dir", str(self.state), "--name", name, *options]
        if self.object_store:
            command += ["--object-store", self.object_store]
        return self._start(name, command, environment)

    def start_standalone(self, inside: tuple[str, ...] = ()) -> Daemon:
        """One process that keeps a scheduler and a worker up. `inside`: a command that starts it."""
        daemon = self._start("standalone", ["standalone", "--state-dir", str(self.state)], inside=inside)
        wait_until("the scheduler to be ready", lambda: self._is_ready(daemon))
        return daemon

    def kill_child(self, standalone: Daemon, kind: str) -> None:
        """kill -9 of the scheduler or the worker beneath a standalone; back when another one has taken its place."""
        (before,) = children(standalone.process.pid, kind)
        os.kill(before, signal.SIGKILL)
        wait_until(f"another {kind}", lambda: children(standalone.process.pid, kind), lambda now: now and before not in now)
        if kind == "scheduler":
            wait_until("it to be ready", lambda: self._endpoint().get("pid") != before and self._is_ready(standalone))

    def _endpoint(self) -> dict[str, Any]:
        try:
            return json.loads((self.state / "endpoint.json").read_text())
        except (OSError, ValueError):
            return {}

    def _start(
        self, name: str, command: list[str], environment: dict[str, str] | None = None, inside: tuple[str, ...] = ()
    ) -> Daemon:
        log = self.directory / f"{name}.log"
        daemon = Daemon(name, [*inside, chappe_binary(), *command], log, {**self.environment, **(environment or {})})
        self.daemons.append(daemon)
        return daemon

    def _is_ready(self, daemon: Daemon) -> bool:
        if not daemon.running():
            raise AssertionError(f"{daemon.name} ended with {daemon.process.returncode}:\n{daemon.said()}")
        try:
            self.get("/readyz")
            return True
        except (OSError, ValueError, KeyError, Answer):
            return False

    def show_logs(self) -> None:
        for log in sorted(self.directory.glob("*.log")):
            print(f"---- {log.name}, the last of it\n{log.read_text(errors='replace')[-4000:]}")

    def close(self) -> None:
        for daemon in reversed(self.daemons):
            if daemon.running():
                daemon.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- The API ----

    def url(self) -> str:
        return str(self._endpoint()["api"]).rstrip("/")

    def call(self, method: str, path: str, body: Any = None) -> bytes:
        request = urllib.request.Request(self.url() + path, method=method)
        request.add_header("Authorization", "Bearer " + (self.state / "token").read_text().strip())
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise Answer(error.code, error.read().decode(errors="replace")) from error

    def get(self, path: str) -> Any:
        text = self.call("GET", path)
        return json.loads(text) if text.strip() else None

    def post(self, path: str, body: Any = None) -> Any:
        return json.loads(self.call("POST", path, {} if body is None else body))

    # ---- Runs ----

    def submit(self, dag_yaml: str, **params: Any) -> str:
        """The new run's id."""
        return self.post("/api/v1/runs", {"dag_yaml": dag_yaml, "params": params})["id"]

    def run(self, run: str) -> dict[str, Any]:
        return self.get(f"/api/v1/runs/{run}")

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        """Task instances by name."""
        return {task["name"]: task for task in self.get(f"/api/v1/runs/{run}/tasks")["items"]}

    def unsuccessful(self, run: str) -> dict[str, str]:
        """At most ten instances that did not succeed, and why."""
        others = [task for task in self.tasks(run).values() if task["state"] != "success"]
        return {task["name"]: f"{task['state']}: {task['reason']}: {task['message']}" for task in others[:10]}

    def states(self, run: str) -> dict[str, str]:
        return {name: task["state"] for name, task in self.tasks(run).items()}

    def task(self, run: str, name: str) -> dict[str, Any]:
        return self.get(f"/api/v1/runs/{run}/tasks/{urllib.parse.quote(name, safe='')}")

    def attempts(self, run: str, name: str) -> list[tuple[int, str, str | None]]:
        """(number, state, reason), oldest first."""
        shown = [(each["attempt_no"], each["state"], each["reason"]) for each in self.task(run, name)["attempts"]]
        return sorted(shown)

    def log(self, run: str, name: str, attempt: int | str = "latest") -> str:
        task = urllib.parse.quote(name, safe="")
        return self.call("GET", f"/api/v1/runs/{run}/tasks/{task}/attempts/{attempt}/log").decode()

    def values(self, run: str, name: str) -> dict[str, Any]:
        return {value["name"]: value["value"] for value in self.task(run, name)["values"]}

    def wait_for_run(self, run: str, state: str, seconds: float = DEADLINE) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            found = self.run(run)
            if found["state"] in FINAL and found["state"] != state:
                raise AssertionError(f"the run ended as {found['state']}: {found['message']}; {self.unsuccessful(run)}")
            return found

        return wait_until(f"run {run} to be {state}", look, lambda found: found["state"] == state, seconds)

    def wait_for_task(self, run: str, name: str, *states: str) -> dict[str, Any]:
        return wait_until(
            f"{name} to be {' or '.join(states)}",
            lambda: self.tasks(run)[name],
            lambda task: task["state"] in states,
        )

    def assets(self, name: str) -> list[dict[str, Any]]:
        """All versions of an asset, by URI or short name."""
        query = urllib.parse.urlencode({"asset": name, "all_versions": "true"})
        return self.get(f"/api/v1/assets?{query}")["items"]

    # ---- The command ----

    def chappe(self, *arguments: str, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end; `code` is the exit code that it must have."""
        done = subprocess.run(
            [chappe_binary(), *arguments],
            capture_output=True, text=True, env=self.environment, timeout=5 * DEADLINE, cwd=cwd or self.directory,
        )
        if done.returncode != code:
            said = f"{done.stdout}\n{done.stderr}"
            raise AssertionError(f"chappe {' '.join(arguments)}: exit code {done.returncode}, not {code}\n{said}")
        return done


class Gate:
    """Something that a task waits for until the test opens it: `wait_for_it` in a script."""

    def __init__(self, cluster: Cluster, name: str = "gate") -> None:
        self.path = cluster.directory / name
        self.reached_path = cluster.directory / f"{name}.reached"
        self.wait_for_it = f"echo here >> {self.reached_path}; until [ -e {self.path} ]; do sleep 0.02; done"

    def reached(self, times: int = 1) -> None:
        """Waits until so many attempts stand before it."""
        wait_until(f"{times} attempts at {self.path.name}", self.count, lambda seen: seen >= times)

    def count(self) -> int:
        return len(self.reached_path.read_text().splitlines()) if self.reached_path.exists() else 0

    def open(self) -> None:
        self.path.touch()
