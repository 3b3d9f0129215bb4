"""A node of the fake Kubernetes: each pod, as the scheduler made it, is run by `podman play kube`."""

from __future__ import annotations

import copy
import datetime
import itertools
import json
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

Pod = dict[str, Any]
SECONDS_MAX = 300.0


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def own_directories(pod: Pod) -> None:
    """Podman 4 gives pods whose emptyDir has the same name the same one: so the name becomes the pod's own."""
    empty = {volume["name"] for volume in pod["spec"].get("volumes", []) if "emptyDir" in volume}
    mounts = [each.get("volumeMounts", []) for kind in ("initContainers", "containers") for each in pod["spec"].get(kind, [])]
    for named in [*pod["spec"].get("volumes", []), *itertools.chain.from_iterable(mounts)]:
        if named["name"] in empty:
            named["name"] = f"{pod['metadata']['name']}-{named['name']}"


def expand(pod: Pod) -> None:
    """As a kubelet does and Podman 4 does not: "$$" stands for "$". No pod of ours refers to variables."""
    for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
        for words in ("command", "args"):
            if words in container:
                container[words] = [word.replace("$$", "$") for word in container[words]]
        for variable in container.get("env", []):
            if "value" in variable:
                variable["value"] = variable["value"].replace("$$", "$")


def goes_on(container: Pod) -> bool:
    """A native sidecar."""
    return container.get("restartPolicy") == "Always"


def is_ready(probe: Pod | None) -> bool:
    """Pods have the machine's network."""
    if probe is None:
        return True
    try:
        if http := probe.get("httpGet"):
            with urllib.request.urlopen(f"http://127.0.0.1:{http['port']}{http['path']}", timeout=probe["timeoutSeconds"]) as answer:
                return bool(200 <= answer.status < 400)
        socket.create_connection(("127.0.0.1", probe["tcpSocket"]["port"]), timeout=probe["timeoutSeconds"]).close()
    except OSError:
        return False
    return True


class PodmanKubelet:
    """`words`: podman, with its storage. What is not Kubernetes' of this world, podman leaves alone."""

    def __init__(self, cluster: Any, words: list[str], directory: Path) -> None:
        self.cluster, self.words, self.directory = cluster, words, directory
        self.known: set[tuple[str, str]] = set()
        self.stopping: set[tuple[str, str]] = set()
        self.before: dict[tuple[str, str], list[Pod]] = {}  # Statuses of sidecars.
        self.closed = False
        self.lock = threading.Lock()

    def has(self, key: tuple[str, str]) -> bool:
        with self.lock:
            return key in self.known

    def podman(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Where a container outgrows its memory, conmon leaves a file in the directory that it was started in.
        return subprocess.run([*self.words, *arguments], capture_output=True, text=True, timeout=SECONDS_MAX, cwd=self.directory)

    def added(self, namespace: str, name: str) -> None:
        with self.lock:
            self.known.add((namespace, name))
        threading.Thread(target=self.run, args=((namespace, name),), daemon=True).start()

    def run(self, key: tuple[str, str]) -> None:
        with self.cluster.lock:
            pod = copy.deepcopy(self.cluster.pods.get(key))
        if pod is None:
            return
        uid = pod["metadata"]["uid"]
        own_directories(pod)
        expand(pod)
        manifest = self.directory / f"{key[1]}.yaml"
        # JSON is YAML. What the API server added is not the scheduler's.
        manifest.write_text(json.dumps({**pod, "metadata": {n: pod["metadata"][n] for n in ("name", "labels", "annotations")},
                                        "status": {}}))
        if any(map(goes_on, pod["spec"].get("initContainers", []))):
            runs = self.play_in_order(key, uid, pod, manifest)
        else:
            runs = self.play(key, uid, "play", "kube", "--network", "host", str(manifest))
        if runs:
            self.watch(key, uid)
        self.before.pop(key, None)
        with self.lock:
            self.known.discard(key)
        self.podman("pod", "rm", "--force", "--time", "0", key[1])
        with self.cluster.lock:
            there = self.cluster.pods.get(key)
            goes = there is not None and "deletionTimestamp" in there["metadata"]
        if goes:
            self.cluster.remove(key)

    def play(self, key: tuple[str, str], uid: str, *words: str) -> bool:
        played = self.podman(*words)
        (self.directory / f"{key[1]}.play.log").write_text(played.stdout + played.stderr)
        if played.returncode != 0:
            state = {"waiting": {"reason": "CreateContainerError", "message": played.stderr.strip()[-300:]}}
            self.tell(key, uid, "Pending", state, "")
        return played.returncode == 0

    def play_in_order(self, key: tuple[str, str], uid: str, pod: Pod, manifest: Path) -> bool:
        """Podman 4 knows no native sidecars: here they are containers of the pod, which are started one by one."""
        spec = json.loads(manifest.read_text())
        first = pod["spec"]["initContainers"]
        spec["spec"]["containers"] = [{name: value for name, value in each.items() if name not in ("restartPolicy", "startupProbe")}
                                      for each in [*first, *pod["spec"]["containers"]]]
        del spec["spec"]["initContainers"]
        manifest.write_text(json.dumps(spec))
        if not self.play(key, uid, "play", "kube", "--network", "host", "--start=false", str(manifest)):
            return False
        for container in first:
            name = f"{key[1]}-{container['name']}"
            if not self.play(key, uid, "start", name):
                return False
            if not goes_on(container):
                self.podman("wait", name)
            elif not self.becomes_ready(key, uid, name, container):
                return False
        return self.play(key, uid, "start", f"{key[1]}-task")

    def becomes_ready(self, key: tuple[str, str], uid: str, name: str, container: Pod) -> bool:
        probe = container.get("startupProbe")
        until = time.monotonic() + (probe["failureThreshold"] * probe["periodSeconds"] if probe else SECONDS_MAX)
        status: Pod = {"name": container["name"], "image": "", "restartCount": 0}
        self.before.setdefault(key, []).append(status)
        while key not in self.stopping and not self.closed:
            found = json.loads(self.podman("inspect", "--type", "container", name).stdout)[0]
            status["imageID"] = found["ImageName"].rpartition(":")[0] + "@" + found["ImageDigest"]
            runs = found["State"]["Status"] == "running"
            status["started"] = runs and is_ready(probe)
            status["state"] = {"running": {"startedAt": now()}}
            if not runs or time.monotonic() > until:
                said = self.podman("logs", "--tail", "80", name)
                status["state"] = {"terminated": {"exitCode": found["State"]["ExitCode"] if not runs else 137, "reason": "Error",
                                                  "message": (said.stdout + said.stderr)[-2048:]}}
            self.tell(key, uid, "Pending", {"waiting": {"reason": "PodInitializing"}}, "")
            if status["started"] or "terminated" in status["state"]:
                return bool(status["started"])
        return False

    def watch(self, key: tuple[str, str], uid: str) -> None:
        container = f"{key[1]}-task"
        told = ""
        until = time.monotonic() + SECONDS_MAX
        while time.monotonic() < until and not self.closed:
            seen = self.podman("inspect", "--type", "container", container)
            if seen.returncode != 0:
                return
            found = json.loads(seen.stdout)[0]
            image = found["ImageName"].rpartition(":")[0] + "@" + found["ImageDigest"]
            status, code = found["State"]["Status"], found["State"]["ExitCode"]
            if status == "exited":
                (self.directory / f"{key[1]}.log").write_text(self.podman("logs", container).stderr)
                reason = "OOMKilled" if found["State"].get("OOMKilled") else "Completed" if code == 0 else "Error"
                ended = {"terminated": {"exitCode": code, "reason": reason}}
                return self.tell(key, uid, "Succeeded" if code == 0 else "Failed", ended, image)
            if status == "running" and told != status:
                told = status
                self.tell(key, uid, "Running", {"running": {"startedAt": now()}}, image)
            self.stop_if_asked(key)

    def tell(self, key: tuple[str, str], uid: str, phase: str, state: Pod, image: str) -> None:
        status = {"name": "task", "image": "", "imageID": image, "state": state, "restartCount": 0}
        before = copy.deepcopy(self.before.get(key, []))
        self.cluster.set_status(key, {"phase": phase, "initContainerStatuses": before, "containerStatuses": [status]}, uid)

    def stop_if_asked(self, key: tuple[str, str]) -> None:
        with self.lock:
            asked = key in self.stopping
            self.stopping.discard(key)
        if asked:
            with self.cluster.lock:
                pod = self.cluster.pods.get(key)
                grace = pod["spec"].get("terminationGracePeriodSeconds", 30) if pod else 0
            self.podman("pod", "stop", "--time", str(grace), key[1])

    def stop(self, key: tuple[str, str]) -> None:
        with self.lock:
            self.stopping.add(key)

    def evict(self, key: tuple[str, str]) -> None:
        self.stop(key)

    def lose(self, key: tuple[str, str]) -> None:
        self.cluster.remove(key)

    def close(self) -> None:
        self.closed = True
        self.podman("pod", "rm", "--all", "--force", "--time", "0")
