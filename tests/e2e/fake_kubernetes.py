"""The fake API server of tests/support/servers, for one test, and the options of a scheduler that uses it."""

import json
import os
import signal
import subprocess
import sys
import unittest
import urllib.request
from pathlib import Path
from typing import Any

from cluster import DEADLINE, ROOT, Cluster, chappe_binary, wait_until

NAMESPACE = "tasks"


class FakeKubernetes:
    def __init__(self, directory: Path, kubelet: str = "process", podman: list[str] | None = None) -> None:
        pods = directory / "pods"
        pods.mkdir()
        self.token = directory / "token"
        self.token.write_text("first-token\n")
        self.pods_directory = pods
        script = ROOT / "tests" / "support" / "servers" / "fake_kubernetes.py"
        self.process = subprocess.Popen(
            [sys.executable, "-B", str(script), "--kubelet", kubelet, "--chappe", chappe_binary(),
             "--directory", str(pods), "--token-file", str(self.token), "--podman", json.dumps(podman or ["podman"])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().decode().split()[1]

    @classmethod
    def of(
        cls, test: unittest.TestCase, cluster: Cluster, kubelet: str = "process", podman: list[str] | None = None
    ) -> "FakeKubernetes":
        fake = cls(cluster.directory, kubelet, podman)
        test.addCleanup(fake.close)
        return fake

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.process.stdout.close()

    def options(self, *more: str, image: str = "chappe:test") -> list[str]:
        """Of a scheduler that makes its pods here."""
        return [
            "--kubernetes-namespace", NAMESPACE, "--kubernetes-api", self.url, "--kubernetes-image", image,
            "--kubernetes-token-file", str(self.token), *more,
        ]

    def ask(self, what: str, **body: Any) -> Any:
        request = urllib.request.Request(f"{self.url}/fake/{what}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return json.loads(answer.read())

    def pods(self) -> dict[str, dict[str, Any]]:
        return {pod["metadata"]["name"]: pod for pod in self.ask("pods")}

    def only_pod(self) -> str:
        (name,) = wait_until("one pod", self.pods, lambda pods: len(pods) == 1)
        return name

    def on(self, what: str, pod: str, **body: Any) -> None:
        self.ask(what, namespace=NAMESPACE, name=pod, **body)

    def delete(self, pod: str) -> None:
        """As `kubectl delete pod` does."""
        self._send("DELETE", pod)

    def evict(self, pod: str) -> None:
        """As `kubectl drain` does of all pods of a node."""
        self._send("POST", f"{pod}/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}})

    def _send(self, method: str, path: str, body: Any = None) -> None:
        url = f"{self.url}/api/v1/namespaces/{NAMESPACE}/pods/{path}"
        request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), method=method)
        request.add_header("Authorization", f"Bearer {self.token.read_text().strip()}")
        urllib.request.urlopen(request, timeout=DEADLINE).close()

    def kill_worker(self, pod: str) -> None:
        """kill -9 of all processes of the pod's container."""
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = command.read_bytes().split(b"\0")
            except OSError:
                continue  # It ended while we looked.
            if b"--one-attempt" in words and pod.encode() in words:
                os.kill(int(command.parent.name), signal.SIGKILL)

    def expect_no_pods(self) -> None:
        wait_until("all pods to be gone", self.pods, lambda pods: not pods)
