"""A Kubernetes API server for tests: the pods of all namespaces, written to what was seen of a real one.

    python3 fake_kubernetes.py --kubelet steps|none|process|podman [--chappe PATH] [--directory DIR] [--podman WORDS]

Prints "url http://127.0.0.1:PORT" when it serves; ends with its standard input. Kubelets: `none` leaves pods alone (a test
moves them); `steps` takes each through its phases and runs nothing; `process` really runs a pod's containers as processes
of this machine, the volumes as directories; `podman` hands each pod as it is to `podman play kube` (podman_kubelet.py).

The API: create, get, delete, evict, list (limit, continue), watch (bookmarks, label selectors, timeoutSeconds), patch of pods'
annotations; of Deployments get, and patch of their scale. What a test
may ask for besides, under /fake:

    POST /fake/fail     {"verb": "create|get|delete|list|watch", "status": 500, "count": 3, "after": 0, "message": "",
                         "retry_after": null}          the next `count` requests, after `after` others, get that answer
    POST /fake/heal     {}                             no request fails any more, and none is slow
    POST /fake/slow     {"verb": ..., "seconds": 0.2}  each takes so much longer
    POST /fake/status   {"namespace", "name", "status": {...}}   sets a pod's status; "delete": true removes it at once
    POST /fake/evict    {"namespace", "name"}          as a node low on memory does
    POST /fake/lose     {"namespace", "name"}          the node is gone: its processes go on, nobody hears of them
    POST /fake/secret   {"name", "data": {...}}        what a secretKeyRef finds (`process` only)
    POST /fake/deploy   {"namespace", "name", "replicas", "labels", "spec"}   a Deployment, whose pods come and go by themselves
    POST /fake/break    {}                             all watches are cut off
    POST /fake/compact  {"form": "event"}             versions before this one are forgotten: 410, as an event or as the "status"
    POST /fake/stale    {"lists": 2}                   the next lists show the pods of an earlier time
    POST /fake/disorder {"on": true}                   events come twice, and some late
    GET  /fake/stats                                   counts of requests and pods, ever and now
"""

from __future__ import annotations

import argparse
import datetime
import json
import marshal
import os
import random
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from podman_kubelet import PodmanKubelet

Pod = dict[str, Any]
EVENTS_KEPT = 100_000


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def status_of(code: int, reason: str, message: str) -> Pod:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


def copied(value: Any) -> Any:
    """Many times as fast as copy.deepcopy(): what is made of JSON needs no more."""
    return marshal.loads(marshal.dumps(value))


def matches(selector: str, labels: dict[str, str]) -> bool:
    wanted = (each.split("=", 1) for each in selector.split(",") if each)
    return all(labels.get(name) == value.lstrip("=") for name, value in wanted)


class Cluster:
    """What etcd holds, and the events that lead there."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.pods: dict[tuple[str, str], Pod] = {}
        self.version = 1000
        self.events: list[tuple[int, str, Pod]] = []
        self.forgotten = 0
        self.compacted, self.compacted_form = 0, "event"
        self.broken = 0
        self.disorder = False
        self.stale_lists = 0
        self.old_pods: list[Pod] = []
        self.counts: Counter[str] = Counter()
        self.most = 0
        self.faults: list[dict[str, Any]] = []
        self.slow: dict[str, float] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self.deployments: dict[tuple[str, str], Pod] = {}
        self.removed: list[str] = []  # By a Deployment, in order.
        self.kubelet: Kubelet = Kubelet(self)

    def record(self, kind: str, pod: Pod) -> None:
        """Requires: the lock."""
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        self.events.append((self.version, kind, copied(pod)))
        if self.disorder and random.random() < 0.3:
            self.events.append((self.version, kind, copied(pod)))
        if self.disorder and len(self.events) > 3 and random.random() < 0.3:
            self.events.append((self.version, self.events[-3][1], copied(self.events[-3][2])))
        if len(self.events) > EVENTS_KEPT:
            self.forgotten += len(self.events) - EVENTS_KEPT
            del self.events[:-EVENTS_KEPT]
        self.lock.notify_all()

    def create(self, namespace: str, pod: Pod) -> tuple[int, Pod]:
        metadata = pod.get("metadata") or {}
        name = metadata.get("name", "")
        wrong = self.what_is_wrong(pod)
        if wrong:
            return 422, status_of(422, "Invalid", f'Pod "{name}" is invalid: {wrong}')
        with self.lock:
            if (namespace, name) in self.pods:
                return 409, status_of(409, "AlreadyExists", f'pods "{name}" already exists')
            metadata.update(
                namespace=namespace, uid=f"uid-{self.version}-{random.getrandbits(32):08x}", creationTimestamp=now()
            )
            pod.update(metadata=metadata, status={"phase": "Pending"})
            self.pods[namespace, name] = pod
            self.most = max(self.most, len(self.pods))
            self.counts["pods"] += 1
            self.record("ADDED", pod)
            answer = copied(pod)
        self.kubelet.added(namespace, name)
        return 201, answer

    @staticmethod
    def what_is_wrong(pod: Pod) -> str:
        spec = pod.get("spec") or {}
        if not spec.get("containers"):
            return "spec.containers: Required value"
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        for container in spec["containers"] + spec.get("initContainers", []):
            if not container.get("image"):
                return f"container {container.get('name')}: image: Required value"
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    return f"volumeMounts: Not found: {mount['name']}"
        for name, value in (pod.get("metadata", {}).get("labels") or {}).items():
            if len(value) > 63 or (value and not (value[0].isalnum() and value[-1].isalnum())):
                return f"metadata.labels: {name}: Invalid value: {value!r}"
        return ""

    def set_status(self, key: tuple[str, str], status: Pod, uid: str = "") -> bool:
        with self.lock:
            pod = self.pods.get(key)
            if pod is None or (uid and pod["metadata"]["uid"] != uid):
                return False
            pod["status"] = status
            self.record("MODIFIED", pod)
            return True

    def delete(self, key: tuple[str, str], uid: str = "", at_once: bool = False) -> tuple[int, Pod]:
        """A pod that runs is asked to end first; the kubelet then removes it."""
        with self.lock:
            pod = self.pods.get(key)
            if pod is None:
                return 404, status_of(404, "NotFound", f'pods "{key[1]}" not found')
            if uid and pod["metadata"]["uid"] != uid:
                return 409, status_of(409, "Conflict", "the UID in the precondition does not match")
            if at_once or not self.kubelet.has(key):
                self.remove(key)
                return 200, copied(pod)
            if "deletionTimestamp" not in pod["metadata"]:
                pod["metadata"]["deletionTimestamp"] = now()
                self.record("MODIFIED", pod)
            answer = copied(pod)
        self.kubelet.stop(key)
        return 200, answer

    def evict(self, key: tuple[str, str]) -> tuple[int, Pod]:
        """As a drain of its node asks for it: the pod says so, and is deleted."""
        with self.lock:
            pod = self.pods.get(key)
            if pod is not None:
                condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}
                pod["status"].setdefault("conditions", []).append(condition)
        code, answer = self.delete(key)
        return (201, {"kind": "Status", "apiVersion": "v1", "status": "Success"}) if code == 200 else (code, answer)

    def remove(self, key: tuple[str, str]) -> None:
        with self.lock:
            pod = self.pods.pop(key, None)
            if pod is not None:
                self.record("DELETED", pod)

    # ---- Deployments ----

    def deploy(self, key: tuple[str, str], replicas: int, labels: dict[str, str], spec: Pod) -> None:
        with self.lock:
            self.version += 1
            self.deployments[key] = {
                "metadata": {"name": key[1], "namespace": key[0], "resourceVersion": str(self.version)},
                "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                         "template": {"metadata": {"labels": labels}, "spec": spec}},
            }
        self.reconcile(key)

    def scale(self, key: tuple[str, str], body: Any) -> tuple[int, Pod]:
        with self.lock:
            deployment = self.deployments.get(key)
            if deployment is None:
                return 404, status_of(404, "NotFound", f'deployments "{key[1]}" not found')
            expected = (body.get("metadata") or {}).get("resourceVersion")
            if expected and expected != deployment["metadata"]["resourceVersion"]:
                return 409, status_of(409, "Conflict", "the object has been modified")
            self.version += 1
            deployment["metadata"]["resourceVersion"] = str(self.version)
            deployment["spec"]["replicas"] = body["spec"]["replicas"]
            answer = copied(deployment)
        self.reconcile(key)
        return 200, answer

    def reconcile(self, key: tuple[str, str]) -> None:
        """As its ReplicaSet does: of pods that are too many first those that do not run, then the cheapest, the youngest."""
        with self.lock:
            spec = self.deployments[key]["spec"]
            labels = spec["selector"]["matchLabels"]
            wanted = ",".join(f"{name}={value}" for name, value in labels.items())
            pods = [pod for (space, _), pod in self.pods.items()
                    if space == key[0] and matches(wanted, pod["metadata"].get("labels") or {})
                    and "deletionTimestamp" not in pod["metadata"]]

            def order(pod: Pod) -> tuple[bool, int, int]:
                cost = pod["metadata"].get("annotations", {}).get("controller.kubernetes.io/pod-deletion-cost", "0")
                return pod["status"].get("phase") == "Running", int(cost), -int(pod["metadata"]["resourceVersion"])

            surplus = sorted(pods, key=order)[: max(len(pods) - spec["replicas"], 0)]
            missing = spec["replicas"] - len(pods)
            self.removed += [pod["metadata"]["name"] for pod in surplus]
        for pod in surplus:
            self.delete((key[0], pod["metadata"]["name"]))
        for _ in range(missing):
            name = f"{key[1]}-{random.getrandbits(32):08x}"
            template = copied(spec["template"])
            self.create(key[0], {"metadata": {"name": name, **template["metadata"]}, "spec": template["spec"]})

    def annotate(self, key: tuple[str, str], body: Any) -> tuple[int, Pod]:
        with self.lock:
            pod = self.pods.get(key)
            if pod is None:
                return 404, status_of(404, "NotFound", f'pods "{key[1]}" not found')
            pod["metadata"].setdefault("annotations", {}).update(body["metadata"]["annotations"])
            self.record("MODIFIED", pod)
            return 200, copied(pod)

    def take_fault(self, verb: str) -> dict[str, Any] | None:
        with self.lock:
            for fault in self.faults:
                if fault["verb"] != verb:
                    continue
                if fault.get("after", 0) > 0:
                    fault["after"] -= 1
                    return None
                fault["count"] -= 1
                if fault["count"] <= 0:
                    self.faults.remove(fault)
                return fault
        return None


class Kubelet:
    """Leaves pods alone."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def added(self, namespace: str, name: str) -> None: ...
    def has(self, key: tuple[str, str]) -> bool:
        return False

    def stop(self, key: tuple[str, str]) -> None: ...
    def evict(self, key: tuple[str, str]) -> None: ...
    def lose(self, key: tuple[str, str]) -> None: ...
    def close(self) -> None: ...


def container_status(name: str, state: Pod) -> Pod:
    return {"name": name, "image": "fake", "imageID": "fake@sha256:" + "0" * 64, "state": state, "restartCount": 0}


class Steps(Kubelet):
    """Takes each pod through its phases; nothing runs."""

    def added(self, namespace: str, name: str) -> None:
        key = (namespace, name)
        running = [container_status("task", {"running": {"startedAt": now()}})]
        done = [container_status("task", {"terminated": {"exitCode": 0, "reason": "Completed"}})]
        self.cluster.set_status(key, {"phase": "Running", "containerStatuses": running})
        self.cluster.set_status(key, {"phase": "Succeeded", "containerStatuses": done})


class Processes(Kubelet):
    """Runs the containers of each pod as processes: the paths of its volumes stand for directories of its own."""

    def __init__(self, cluster: Cluster, chappe: str, directory: Path) -> None:
        super().__init__(cluster)
        self.chappe, self.directory = chappe, directory
        self.running: dict[tuple[str, str], subprocess.Popen[bytes] | None] = {}
        self.lost: set[tuple[str, str]] = set()
        self.lock = threading.Lock()

    def has(self, key: tuple[str, str]) -> bool:
        with self.lock:
            return key in self.running

    def added(self, namespace: str, name: str) -> None:
        with self.lock:
            self.running[namespace, name] = None
        threading.Thread(target=self.run, args=((namespace, name),), daemon=True).start()

    def run(self, key: tuple[str, str]) -> None:
        with self.cluster.lock:
            pod = copied(self.cluster.pods.get(key))
        if pod is None:
            return
        root = self.directory / key[1]
        root.mkdir(parents=True, exist_ok=True)
        uid = pod["metadata"]["uid"]
        status: Pod = {"phase": "Pending", "initContainerStatuses": [], "containerStatuses": []}
        image = pod["spec"]["containers"][0]["image"]
        if image.startswith("missing"):
            waiting = {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}}
            status["containerStatuses"] = [container_status("task", waiting)]
            self.cluster.set_status(key, status, uid)
            return
        for container in pod["spec"].get("initContainers", []):
            code = self.start(key, root, pod, container).wait()
            ended = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}}
            status["initContainerStatuses"].append(container_status(container["name"], ended))
            if code != 0:
                self.end(key, uid, {**status, "phase": "Failed"})
                return
        process = self.start(key, root, pod, pod["spec"]["containers"][0])
        status["containerStatuses"] = [container_status("task", {"running": {"startedAt": now()}})]
        self.cluster.set_status(key, {**status, "phase": "Running"}, uid)
        code = process.wait()
        if key in self.lost:
            return
        reason = "Completed" if code == 0 else "OOMKilled" if code == -signal.SIGKILL and (root / "oom").exists() else "Error"
        ended = {"terminated": {"exitCode": code if code >= 0 else 128 - code, "reason": reason}}
        status["containerStatuses"] = [container_status("task", ended)]
        self.end(key, uid, {**status, "phase": "Succeeded" if code == 0 else "Failed"})

    def end(self, key: tuple[str, str], uid: str, status: Pod) -> None:
        with self.cluster.lock:
            pod = self.cluster.pods.get(key)
            if pod is not None and pod["status"].get("reason") == "Evicted":
                status = {**status, "phase": "Failed", "reason": "Evicted", "message": pod["status"]["message"]}
        self.cluster.set_status(key, status, uid)
        with self.lock:
            self.running.pop(key, None)
        with self.cluster.lock:
            pod = self.cluster.pods.get(key)
            goes = pod is not None and "deletionTimestamp" in pod["metadata"]
        if goes:
            self.cluster.remove(key)
        shutil.rmtree(self.directory / key[1], ignore_errors=True)

    def start(self, key: tuple[str, str], root: Path, pod: Pod, container: Pod) -> subprocess.Popen[bytes]:
        """A volume has the directory of its name; where a container mounts it, that stands for it."""
        places: list[tuple[str, str]] = []
        for mount in container.get("volumeMounts", []):
            place = root / mount["name"]
            place.mkdir(exist_ok=True)
            places.append((mount["mountPath"], str(place)))
        places.sort(key=lambda each: -len(each[0]))

        def inside(text: str) -> str:
            for path, place in places:
                if text == path or text.startswith(path + "/"):
                    return place + text[len(path) :]
            return text.replace("$$", "$")  # As Kubernetes does.

        command = [inside(word) for word in container["command"] + container.get("args", [])]
        if command[0] == "chappe-worker":
            command[0] = str(Path(self.chappe).parent / "chappe-worker")
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "CHAPPE_LOG_LEVEL": "debug"}
        fields = {"metadata.name": key[1]}
        for each in container.get("env", []):
            source = each.get("valueFrom", {})
            if secret := source.get("secretKeyRef"):
                environment[each["name"]] = self.cluster.secrets[secret["name"]][secret["key"]]
            elif field := source.get("fieldRef"):
                environment[each["name"]] = fields[field["fieldPath"]]
            else:
                environment[each["name"]] = inside(each.get("value", ""))
        with self.lock, (self.directory / f"{key[1]}.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            if key in self.running:
                self.running[key] = process
            else:
                process.terminate()
        return process

    def stop(self, key: tuple[str, str]) -> None:
        """SIGTERM, and after the pod's grace SIGKILL; of a pod whose node is gone nothing is heard."""
        with self.lock:
            process = self.running.get(key)
        if key in self.lost:
            return
        if process is None or process.poll() is not None:
            with self.lock:
                self.running.pop(key, None)
            self.cluster.remove(key)
            return
        process.terminate()
        with self.cluster.lock:
            pod = self.cluster.pods.get(key)
            grace = pod["spec"].get("terminationGracePeriodSeconds", 30) if pod else 0

        def insist() -> None:
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()

        threading.Thread(target=insist, daemon=True).start()

    def evict(self, key: tuple[str, str]) -> None:
        with self.cluster.lock:
            pod = self.cluster.pods[key]
            message = "The node was low on resource: memory."
            pod["status"] = {**pod["status"], "reason": "Evicted", "message": message}
        self.stop(key)

    def lose(self, key: tuple[str, str]) -> None:
        """The node is not heard of any more, and its pod object is removed by force. The process goes on."""
        self.lost.add(key)
        self.cluster.remove(key)

    def close(self) -> None:
        with self.lock:
            processes = [process for process in self.running.values() if process is not None]
        for process in processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster
    token = ""
    disable_nagle_algorithm = True

    def log_message(self, *arguments: Any) -> None: ...

    def answer(self, code: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def body(self) -> Any:
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else {}

    def serve(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
        body = self.body()
        if parts[0] == "fake":
            return self.answer(200, self.fake(parts[1], body))
        of_deployments = parts[:4] == ["apis", "apps", "v1", "namespaces"] and len(parts) in (7, 8) and parts[5] == "deployments"
        if of_deployments:
            return self.serve_deployment((parts[4], parts[6]), parts[7:], body)
        if parts[:3] != ["api", "v1", "namespaces"] or len(parts) < 5 or parts[4] != "pods":
            return self.answer(404, status_of(404, "NotFound", "the server could not find the requested resource"))
        if self.token and self.headers.get("Authorization") != f"Bearer {Path(self.token).read_text().strip()}":
            return self.answer(401, status_of(401, "Unauthorized", "Unauthorized"))
        namespace = parts[3]
        name = parts[5] if len(parts) > 5 else ""
        verb = {"POST": "create", "DELETE": "delete", "PATCH": "patch"}.get(self.command) or (
            "get" if name else "watch" if query.get("watch") in ("1", "true") else "list"
        )
        if parts[6:] == ["eviction"]:
            verb = "evict"
        with self.cluster.lock:
            self.cluster.counts[verb] += 1
        time.sleep(self.cluster.slow.get(verb, 0))
        fault = self.cluster.take_fault(verb)
        if fault is not None:
            if fault.get("lost"):  # Done, and the answer does not arrive.
                self.act(verb, namespace, name, query, body)
                self.close_connection = True
                return None
            after = fault.get("retry_after")
            headers = {"Retry-After": str(after)} if after is not None else {}
            message = fault.get("message") or "the server is not well"
            return self.answer(fault["status"], status_of(fault["status"], "Fault", message), headers)
        if verb == "watch":
            return self.watch(namespace, query)
        return self.answer(*self.act(verb, namespace, name, query, body))

    do_GET = do_POST = do_DELETE = do_PATCH = serve

    def serve_deployment(self, key: tuple[str, str], part: list[str], body: Any) -> None:
        if self.token and self.headers.get("Authorization") != f"Bearer {Path(self.token).read_text().strip()}":
            return self.answer(401, status_of(401, "Unauthorized", "Unauthorized"))
        verb = {"GET": "get", "PATCH": "scale"}.get(self.command, "")
        fault = self.cluster.take_fault(f"{verb}_deployment")
        if fault is not None:
            return self.answer(fault["status"], status_of(fault["status"], "Fault", "the server is not well"))
        if verb == "scale" and part == ["scale"]:
            return self.answer(*self.cluster.scale(key, body))
        deployment = self.cluster.deployments.get(key)
        if verb == "get" and not part and deployment is not None:
            return self.answer(200, deployment)
        return self.answer(404, status_of(404, "NotFound", f'deployments "{key[1]}" not found'))

    def act(self, verb: str, namespace: str, name: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        cluster = self.cluster
        if verb == "evict":
            return cluster.evict((namespace, name))
        if verb == "create":
            return cluster.create(namespace, body)
        if verb == "patch":
            return cluster.annotate((namespace, name), body)
        if verb == "delete":
            return cluster.delete((namespace, name), (body.get("preconditions") or {}).get("uid", ""))
        if verb == "list":
            return self.list(namespace, query)
        with cluster.lock:
            pod = copied(cluster.pods.get((namespace, name)))
        return (200, pod) if pod else (404, status_of(404, "NotFound", f'pods "{name}" not found'))

    def list(self, namespace: str, query: dict[str, str]) -> tuple[int, Any]:
        cluster = self.cluster
        with cluster.lock:
            everything = [pod for (where, _), pod in sorted(cluster.pods.items()) if where == namespace]
            if cluster.stale_lists > 0:
                cluster.stale_lists -= 1
                everything = [pod for pod in cluster.old_pods if pod["metadata"]["namespace"] == namespace]
            selector = query.get("labelSelector", "")
            pods = [copied(p) for p in everything if matches(selector, p["metadata"].get("labels") or {})]
            version = cluster.version
        start, limit = int(query.get("continue") or 0), int(query.get("limit") or len(pods) or 1)
        metadata = {"resourceVersion": str(version)}
        if start + limit < len(pods):
            metadata["continue"] = str(start + limit)
        return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": pods[start : start + limit]}

    def watch(self, namespace: str, query: dict[str, str]) -> None:
        cluster = self.cluster
        since, selector = int(query.get("resourceVersion") or 0), query.get("labelSelector", "")
        until = time.monotonic() + float(query.get("timeoutSeconds") or 300)
        expired = status_of(410, "Expired", f"too old resource version: {since}") if since < cluster.compacted else None
        if expired and cluster.compacted_form == "status":
            return self.answer(410, expired)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if expired:
            self.event("ERROR", expired)
            return self.end_watch()
        with cluster.lock:
            broken = cluster.broken
            newer = (i for i, (version, _, _) in enumerate(cluster.events) if version > since)
            position = cluster.forgotten + next(newer, len(cluster.events))
        bookmark = time.monotonic() + 1
        while time.monotonic() < until:
            with cluster.lock:
                end = cluster.forgotten + len(cluster.events)
                if position >= end and cluster.broken == broken:
                    cluster.lock.wait(0.2)
                fresh = cluster.events[max(position - cluster.forgotten, 0) :]
                position = cluster.forgotten + len(cluster.events)
                gone = cluster.broken != broken
            if gone:
                self.close_connection = True
                return None
            for version, kind, pod in fresh:
                since = max(since, version)
                if pod["metadata"]["namespace"] == namespace and matches(selector, pod["metadata"].get("labels") or {}):
                    self.event(kind, pod)
            if time.monotonic() > bookmark and query.get("allowWatchBookmarks") == "true":
                bookmark = time.monotonic() + 1
                self.event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(since)}})
            self.wfile.flush()
        return self.end_watch()

    def event(self, kind: str, pod: Pod) -> None:
        line = json.dumps({"type": kind, "object": pod}).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def end_watch(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def fake(self, what: str, body: Any) -> Any:
        cluster = self.cluster
        key = (body.get("namespace", ""), body.get("name", ""))
        if what == "status":
            if body.get("delete"):
                cluster.remove(key)
            else:
                cluster.set_status(key, body["status"])
        elif what == "evict":
            cluster.kubelet.evict(key)
        elif what == "lose":
            cluster.kubelet.lose(key)
        elif what == "deploy":
            cluster.deploy(key, body["replicas"], body["labels"], body["spec"])
        elif what == "removed":
            return cluster.removed
        elif what == "create":
            return cluster.create(key[0], body["pod"])[1]
        with cluster.lock:
            if what == "fail":
                cluster.faults.append(body)
            elif what == "slow":
                cluster.slow[body["verb"]] = body["seconds"]
            elif what == "heal":
                cluster.faults.clear()
                cluster.slow.clear()
            elif what == "secret":
                cluster.secrets[body["name"]] = body["data"]
            elif what == "break":
                cluster.broken += 1
            elif what == "compact":
                cluster.compacted, cluster.compacted_form = cluster.version, body.get("form", "event")
            elif what == "stale":
                cluster.stale_lists = body["lists"]
                cluster.old_pods = copied(list(cluster.pods.values())) if body.get("pods") else []
            elif what == "disorder":
                cluster.disorder = body["on"]
            elif what == "pods":
                return copied(list(cluster.pods.values()))
            cluster.lock.notify_all()
            counts = dict(cluster.counts)
            return {"counts": counts, "pods_now": len(cluster.pods), "pods_at_most": cluster.most}


class Server(socketserver.ThreadingTCPServer):
    def handle_error(self, *arguments: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # A client that leaves is no news.
            super().handle_error(*arguments)

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubelet", choices=("none", "steps", "process", "podman"), default="none")
    parser.add_argument("--podman", default='["podman"]', help="its words, as JSON")
    parser.add_argument("--chappe", default=os.environ.get("CHAPPE", ""))
    parser.add_argument("--directory", default="")
    parser.add_argument("--token-file", default="")
    options = parser.parse_args()
    cluster = Cluster()
    directory = Path(options.directory or tempfile.mkdtemp(prefix="fake-kubelet-"))
    if options.kubelet == "steps":
        cluster.kubelet = Steps(cluster)
    elif options.kubelet == "process":
        cluster.kubelet = Processes(cluster, options.chappe, directory)
    elif options.kubelet == "podman":
        cluster.kubelet = PodmanKubelet(cluster, json.loads(options.podman), directory)
    Handler.cluster, Handler.token = cluster, options.token_file
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        print(f"url http://127.0.0.1:{server.server_address[1]}", flush=True)
        sys.stdin.buffer.read()
        cluster.kubelet.close()
        server.shutdown()
    if not options.directory:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
