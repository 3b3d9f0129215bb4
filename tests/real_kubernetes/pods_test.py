"""Tasks in pods of a real Kubernetes: its API server, scheduler and controllers, its kubelet with containerd and runc. The
scheduler under test has a token of its service account, with the roles that deploy/ gives it and no others."""

import base64
import contextlib
import json
import signal
import socket
import ssl
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import node as nodes
import servers
from cluster import DEADLINE, Cluster, Daemon, Gate, free_port, has_failed, wait_until
from kustomize_test import KUSTOMIZE, render
from node import CHAPPE, TASKS, Node
from servers import HOST, NODE, URL, Kubernetes, Refused
from store_away_test import FakeS3

NAMESPACE, ACCOUNT = "chappe-tasks", ("chappe", "chappe-scheduler")
USER = "system:serviceaccount:" + ":".join(ACCOUNT)
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
SLOW = 2 * DEADLINE  # For what a node does.


class Forward:
    """A port of this machine that pods reach, in front of one that they do not."""

    def __init__(self, test: unittest.TestCase, target: int, port: int = 0) -> None:
        self.target_host, self.target = "127.0.0.1", target
        self.listener = socket.create_server((HOST, port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        test.addCleanup(self.listener.close)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection((self.target_host, self.target), 5) as far:
            far.settimeout(None)
            back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
            back.start()
            self._pump(near, far)
            back.join()

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket) -> None:
        try:
            while piece := one.recv(1 << 16):
                other.sendall(piece)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            for each in (one, other):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


class Busy:
    """An admission webhook that has new pods refused, until it is over."""

    SECONDS = 4  # Which it wants to be left alone.

    def __init__(self, test: unittest.TestCase, api: Kubernetes) -> None:
        self.asked: list[float] = []
        self.over = False
        busy = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: Any) -> None: ...

            def do_POST(self) -> None:
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                busy.asked.append(time.monotonic())
                status = {"code": 429, "reason": "TooManyRequests", "message": "busy", "details": {"retryAfterSeconds": Busy.SECONDS}}
                review["response"] = {"uid": review["request"]["uid"], "allowed": busy.over, **({} if busy.over else {"status": status})}
                body = json.dumps(review).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        server = ThreadingHTTPServer((HOST, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(api.keys / "server.crt", api.keys / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
        hook = {"name": "busy.chappe.test", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
                "clientConfig": {"url": f"https://{HOST}:{server.server_port}/", "caBundle": base64.b64encode(api.ca_file.read_bytes()).decode()},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]}
        api.apply({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "busy"},
                   "webhooks": [hook]})
        test.addCleanup(api.kubectl, "delete", "validatingwebhookconfiguration", "busy")


def install(api: Kubernetes, overlay: str, *kinds: str) -> None:
    """Of what deploy/ applies, the objects of these kinds."""
    objects = render(KUSTOMIZE / "overlays" / overlay)
    api.apply(*[one for one in objects if one["kind"] == "Namespace"])
    api.apply(*[one for one in objects if one["kind"] in kinds])


class OnKubernetes(unittest.TestCase):
    """A scheduler outside of the cluster, with the token of the service account that it would have inside."""

    api: Kubernetes
    node: Node

    @classmethod
    def setUpClass(cls) -> None:
        if why := servers.missing() or nodes.missing():
            raise unittest.SkipTest(f"SKIPPED: {why}")
        cls.api, cls.node = servers.kubernetes(), nodes.node()
        install(cls.api, "pods", "ServiceAccount", "Role", "RoleBinding", "NetworkPolicy")

    def setUp(self) -> None:
        self.store = FakeS3(self)
        forward = Forward(self, int(self.store.endpoint.rpartition(":")[2]))
        self.cluster = Cluster.of(self, object_store="s3://office/chappe", lease=self.lease())
        self.cluster.endpoint = f"tcp://{HOST}:{free_port()}"
        self.cluster.environment |= self.store.environment()
        self.cluster.environment["AWS_ENDPOINT_URL_S3"] = f"http://{HOST}:{forward.port}"
        self.token_file = self.cluster.directory / "token"
        self.token_file.write_text(self.api.token(*ACCOUNT))
        self._make_gates()
        self.template = self.cluster.directory / "pod.yaml"
        self.write_template()
        self.addCleanup(self._clean)
        self.addCleanup(lambda: self.show() if has_failed(self) else None)
        self.scheduler = self.start_scheduler()

    def show(self) -> None:
        print(self.api.kubectl("get", "pods", "-A") + self.api.kubectl("get", "events", "-A", "--field-selector=type=Warning"))

    def lease(self) -> str:
        return ""

    def _make_gates(self) -> None:
        """A volume by which tasks and the test see each other: Gate(cluster, "gates/NAME")."""
        gates = self.cluster.directory / "gates"
        gates.mkdir()
        gates.chmod(0o777)
        self.cluster.directory.chmod(0o755)
        self.claim = self.cluster.directory.name.replace("_", "-").lower()
        size = {"storage": "1Mi"}
        self.api.apply(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": self.claim},
             "spec": {"capacity": size, "accessModes": ["ReadWriteMany"], "hostPath": {"path": str(gates)}, "storageClassName": "",
                      "persistentVolumeReclaimPolicy": "Retain"}},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": self.claim, "namespace": NAMESPACE},
             "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": size}, "volumeName": self.claim, "storageClassName": ""}})
        self.gates = gates

    def write_template(self, **spec: Any) -> None:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_REGION")
        env = [{"name": name, "value": self.cluster.environment[name]} for name in names]
        task = {"name": "task", "image": TASKS, "env": env, "volumeMounts": [{"name": "gates", "mountPath": str(self.gates)}]}
        volume = {"name": "gates", "persistentVolumeClaim": {"claimName": self.claim}}
        self.template.write_text(json.dumps({"spec": {"containers": [task], "volumes": [volume], **spec}}))

    def start_scheduler(self, *more: str) -> Daemon:
        self.scheduler = self.cluster.start_scheduler(
            "--kubernetes-namespace", NAMESPACE, "--kubernetes-api", URL, "--kubernetes-ca-file", str(self.api.ca_file),
            "--kubernetes-token-file", str(self.token_file), "--kubernetes-image", CHAPPE, "--default-executor", "kubernetes",
            "--kubernetes-template", str(self.template), *more)
        return self.scheduler

    def _clean(self) -> None:
        for daemon in self.cluster.daemons:
            if daemon.running():
                daemon.kill()
        self.api.kubectl("-n", NAMESPACE, "delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")
        self.api.kubectl("-n", NAMESPACE, "delete", "pvc", self.claim, "--wait=false")
        self.api.kubectl("delete", "pv", self.claim, "--wait=false")

    # ---- What tests do and see ----

    def gate(self, name: str = "one") -> Gate:
        return Gate(self.cluster, f"gates/{name}")

    def waiting(self, gate: Gate, more: str = "") -> str:
        """A DAG of one task, which waits. It takes its time to end, so that news of its pod comes before the worker's."""
        return f"""
            name: in_pods
            tasks:
              - id: make
                {more}
                run: |
                  trap 'sleep 1; exit 1' TERM
                  {gate.wait_for_it}
                  echo result > result
                outputs: {{artifacts: [{{name: result, path: result}}]}}
            """

    def reached(self, gate: Gate, times: int = 1) -> None:
        wait_until(f"{times} attempts at {gate.path.name}", gate.count, lambda seen: seen >= times, SLOW)

    def succeed(self, run: str) -> None:
        self.cluster.wait_for_run(run, "success", SLOW)

    def only_pod(self) -> str:
        (name,) = wait_until("one pod", lambda: self.api.pods(NAMESPACE), lambda pods: len(pods) == 1)
        return name

    def expect_no_pods(self) -> None:
        wait_until("all pods to be gone", lambda: {name: pod["status"] for name, pod in self.api.pods(NAMESPACE).items()},
                   lambda pods: not pods, SLOW)

    def expect_attempts(self, run: str, *attempts: tuple[int, str, str | None], task: str = "make") -> None:
        self.assertEqual(self.cluster.attempts(run, task), list(attempts))

    def first_message(self, run: str, task: str = "make") -> str:
        return min(self.cluster.task(run, task)["attempts"], key=lambda each: each["attempt_no"])["message"]

    def explained(self, run: str, words: str) -> None:
        told = wait_until(f"the reason: {words}", lambda: self.cluster.get(f"/api/v1/runs/{run}/explain")["tasks"],
                          lambda tasks: tasks and words in tasks[0]["waits_for"], SLOW)
        print(f"explain: {told[0]['waits_for']}", flush=True)


class Pods(OnKubernetes):
    def test_a_dag_runs_in_pods_with_outputs_and_lineage(self) -> None:
        run = self.cluster.submit(f"""
            name: coded
            image: {TASKS}
            defaults: {{infra_retry: {{limit: 0}}}}
            tasks:
              - id: ingest
                run: |
                  echo "as $(id -u) in $PWD"
                  seq 1 100 > rows
                outputs: {{artifacts: [{{name: rows, path: rows, asset: {{uri: coded/rows, name: rows}}}}]}}
              - id: count
                inputs: {{artifacts: [{{name: rows, from: ingest.rows, path: in/rows}}]}}
                run: wc -l < in/rows | tee count
                outputs: {{values: {{count: {{file: count}}}}}}
            """)
        self.succeed(run)
        self.assertIn("as 65532 in ", self.cluster.log(run, "ingest"))
        self.assertEqual(self.cluster.values(run, "count"), {"count": "100"})
        self.expect_no_pods()
        images = wait_until("the images", lambda: [task["image"] for task in self.cluster.tasks(run).values()], all)
        self.assertTrue(all("sha256:" in image for image in images), images)

    def test_a_task_that_fails_is_failed_by_its_exit_code(self) -> None:
        run = self.cluster.submit("name: f\ntasks: [{id: make, run: 'echo no; exit 3'}]")
        self.cluster.wait_for_run(run, "failed", SLOW)
        self.expect_attempts(run, (1, "failed", self.cluster.tasks(run)["make"]["reason"]))
        self.assertIn("exit code 3", self.first_message(run))
        self.assertEqual(self.cluster.log(run, "make"), "no\n")
        self.expect_no_pods()

    def test_a_task_that_outgrows_its_memory_is_told_so(self) -> None:
        run = self.cluster.submit("""
            name: big
            tasks: [{id: make, resources: {memory: 32Mi}, run: 'x=$(yes | head -c 300000000); echo $x'}]
            """)
        self.cluster.wait_for_run(run, "failed", SLOW)
        print(f"message: {self.first_message(run)}", flush=True)
        self.expect_attempts(run, (1, "failed", "oom"))
        self.expect_no_pods()

    def test_a_cancelled_run_leaves_no_pod(self) -> None:
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate, "foreach: {items: [a, b]}"))
        self.reached(gate, 2)
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        self.expect_no_pods()

    def test_an_image_that_cannot_be_pulled_is_explained_and_given_up_in_time(self) -> None:
        run = self.cluster.submit("""
            name: in_pods
            tasks: [{id: make, image: "localhost/nothing:1", queue_timeout: 40s, run: "true"}]
            """)
        self.explained(run, "Pull")
        self.cluster.wait_for_run(run, "failed", SLOW)
        self.expect_attempts(run, (1, "failed", "launch_failed"))
        self.expect_no_pods()

    def test_an_image_whose_name_is_none_fails_at_once(self) -> None:
        run = self.cluster.submit('name: in_pods\ntasks: [{id: make, image: "no//image", queue_timeout: 1h, run: "true"}]')
        self.cluster.wait_for_run(run, "failed", SLOW)
        print(f"message: {self.first_message(run)}", flush=True)
        self.expect_attempts(run, (1, "failed", "launch_failed"))
        self.expect_no_pods()

    def test_a_secret_that_is_not_there_is_explained(self) -> None:
        run = self.cluster.submit("""
            name: in_pods
            tasks:
              - id: make
                secrets: {PGPASSWORD: {kubernetes: {name: warehouse, key: password}, as: file}}
                run: cat "$PGPASSWORD"
            """)
        self.explained(run, 'secret "warehouse" not found')
        self.api.kubectl("-n", NAMESPACE, "create", "secret", "generic", "warehouse", "--from-literal=password=hunter-22")
        self.addCleanup(self.api.kubectl, "-n", NAMESPACE, "delete", "secret", "warehouse")
        self.succeed(run)
        self.assertEqual(self.cluster.log(run, "make"), "***")
        self.expect_no_pods()

    def test_what_the_real_scheduler_has_against_a_pod_is_explained(self) -> None:
        run = self.cluster.submit("name: in_pods\ntasks: [{id: make, resources: {cpu: 900}, queue_timeout: 20s, run: 'true'}]")
        self.explained(run, "Insufficient cpu")
        self.cluster.wait_for_run(run, "failed", SLOW)
        self.expect_attempts(run, (1, "failed", "launch_failed"))
        self.expect_no_pods()

    def test_a_quota_is_explained_and_waited_for(self) -> None:
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": NAMESPACE}, "spec": {"hard": {"pods": "0"}}}
        self.api.apply(quota)
        self.addCleanup(self.api.kubectl, "-n", NAMESPACE, "delete", "resourcequota", "none", "--ignore-not-found")
        wait_until("the quota to be known", lambda: self.api.get(f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/none").get("status"))
        run = self.cluster.submit("name: in_pods\ntasks: [{id: make, run: 'true'}]")
        self.explained(run, "exceeded quota")
        self.api.kubectl("-n", NAMESPACE, "delete", "resourcequota", "none")
        self.succeed(run)
        self.expect_no_pods()


class Disruption(OnKubernetes):
    def expect_another_try(self, run: str, gate: Gate, said: str) -> None:
        self.reached(gate, 2)
        gate.open()
        self.succeed(run)
        print(f"message: {self.first_message(run)}", flush=True)
        self.expect_attempts(run, (1, "failed", "lost_worker"), (2, "success", None))
        self.assertIn(said, self.first_message(run))
        self.expect_no_pods()

    def test_a_pod_that_is_evicted_costs_no_retry(self) -> None:
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate))
        self.reached(gate)
        pod = self.only_pod()
        self.api.ask("POST", f"{PODS}/{pod}/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}})
        self.expect_another_try(run, gate, "the pod is being deleted: EvictionByEvictionAPI")

    def test_a_pod_that_is_deleted_by_hand_costs_no_retry(self) -> None:
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate))
        self.reached(gate)
        self.api.kubectl("-n", NAMESPACE, "delete", "pod", self.only_pod(), "--wait=false")
        self.expect_another_try(run, gate, "the pod is being deleted")

    def test_a_pod_that_is_deleted_by_force_costs_no_retry(self) -> None:
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate))
        self.reached(gate)
        self.api.kubectl("-n", NAMESPACE, "delete", "pod", self.only_pod(), "--force", "--grace-period=0")
        self.expect_another_try(run, gate, "")

    def test_a_pod_that_makes_room_for_another_costs_no_retry(self) -> None:
        for name, value in (("low", -10), ("high", 10)):
            self.api.apply({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value})
        self.scheduler.stop()
        self.write_template(priorityClassName="low")
        self.start_scheduler()
        cpus = int(self.api.get(f"/api/v1/nodes/{NODE}")["status"]["allocatable"]["cpu"])
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate, "resources: {cpu: 0.6}"))
        self.reached(gate)
        security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        self.api.make_namespace("default")
        self.api.apply({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "first", "namespace": "default"},
            "spec": {"priorityClassName": "high", "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False,
                     "securityContext": {"runAsNonRoot": True, "runAsUser": 1234, "seccompProfile": {"type": "RuntimeDefault"}},
                     "containers": [{"name": "a", "image": TASKS, "command": ["sleep", "1000"], "securityContext": security,
                                     "resources": {"requests": {"cpu": f"{cpus * 1000 - 300}m"}}}]}})
        self.addCleanup(self.api.kubectl, "-n", "default", "delete", "pod", "first", "--force", "--ignore-not-found")
        wait_until("the other to run", lambda: self.api.pods("default")["first"]["status"]["phase"], lambda phase: phase == "Running", SLOW)
        self.explained(run, "Insufficient cpu")
        self.api.kubectl("-n", "default", "delete", "pod", "first", "--force")
        self.expect_another_try(run, gate, "the pod is being deleted: PreemptionByScheduler")

    def test_a_new_scheduler_goes_on_with_the_pods_of_the_one_that_was_killed(self) -> None:
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate, "foreach: {items: [a, b, c]}\n                resources: {cpu: 0.1}"))
        self.reached(gate, 3)
        self.scheduler.kill()
        before = {name: pod["metadata"]["uid"] for name, pod in self.api.pods(NAMESPACE).items()}
        self.start_scheduler()
        self.assertEqual({name: pod["metadata"]["uid"] for name, pod in self.api.pods(NAMESPACE).items()}, before)
        gate.open()
        self.succeed(run)
        for item in "abc":
            self.expect_attempts(run, (1, "success", None), task=f"make[{item}]")
        self.expect_no_pods()

    def test_pods_of_a_run_that_was_cancelled_while_nobody_listened_are_removed(self) -> None:
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate))
        self.reached(gate)
        role = [one for one in render(KUSTOMIZE / "overlays" / "pods") if one["kind"] == "RoleBinding"]
        self.api.kubectl("-n", NAMESPACE, "delete", "rolebinding", "chappe-launcher")  # So that nothing can be removed.
        try:
            self.cluster.post(f"/api/v1/runs/{run}/cancel")
            self.cluster.wait_for_run(run, "cancelled")
            wait_until("its complaint", self.scheduler.said, lambda said: "is forbidden" in said)
            self.scheduler.kill()
        finally:
            self.api.apply(*role)
        self.start_scheduler()
        self.expect_no_pods()

    def test_tasks_go_on_while_the_api_server_restarts(self) -> None:
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate, "foreach: {items: [a, b]}\n                resources: {cpu: 0.1}"))
        self.reached(gate, 2)
        self.api.running["kube-apiserver"].kill()
        gate.open()
        self.succeed(run)  # The workers speak to the scheduler, and nobody else.
        self.api.start_api_server()
        self.expect_no_pods()
        for item in "ab":
            self.expect_attempts(run, (1, "success", None), task=f"make[{item}]")

    def test_a_version_that_the_server_has_forgotten_is_listed_anew(self) -> None:
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate))
        self.reached(gate)
        version = self.api.get(PODS)["metadata"]["resourceVersion"]
        self.scheduler.process.send_signal(signal.SIGSTOP)  # So that it watches on from there.
        self.api.running["kube-apiserver"].kill()
        self.api.start_api_server()
        for number in range(5):
            self.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"more-{number}", "namespace": "default"}})
        self.api.compact()
        self.api.running["kube-apiserver"].kill()
        self.api.start_api_server()
        try:
            said = str(self.api.get(f"{PODS}?watch=1&timeoutSeconds=1&resourceVersion={version}"))
        except Refused as error:
            said = str(error)
        print(f"a watch from there: {said.strip()}", flush=True)
        self.assertIn("410", said)
        before = len(self.api.audited(USER))
        self.scheduler.process.send_signal(signal.SIGCONT)
        wait_until("a list", lambda: [verb for verb, _, _ in self.api.audited(USER)[before:]], lambda verbs: "list" in verbs)
        verbs = [verb for verb, _, _ in self.api.audited(USER)[before:]]
        self.assertEqual(verbs[: verbs.index("list")].count("watch"), 1)
        gate.open()
        self.succeed(run)
        self.expect_attempts(run, (1, "success", None))
        self.expect_no_pods()

    def test_a_token_that_is_renewed_is_read_again(self) -> None:
        tokens = []
        for name in ("first", "second"):
            self.api.kubectl("-n", ACCOUNT[0], "create", "secret", "generic", name)
            self.addCleanup(self.api.kubectl, "-n", ACCOUNT[0], "delete", "secret", name, "--ignore-not-found")
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                    "spec": {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": name}}}
            path = f"/api/v1/namespaces/{ACCOUNT[0]}/serviceaccounts/{ACCOUNT[1]}/token"
            tokens.append(self.api.ask("POST", path, body)["status"]["token"])
        self.token_file.write_text(tokens[0])
        first = self.cluster.submit("name: first\ntasks: [{id: make, run: 'true'}]")
        self.succeed(first)
        self.api.kubectl("-n", ACCOUNT[0], "delete", "secret", "first")  # And its token with it.

        def refused() -> bool:
            try:
                self.api.ask("GET", PODS, token=tokens[0])
            except Refused as error:
                return error.status == 401
            return False

        wait_until("the token to be none any more", refused)
        second = self.cluster.submit("name: second\ntasks: [{id: make, run: 'true'}]")
        self.explained(second, "401")
        self.token_file.write_text(tokens[1])
        self.succeed(second)
        self.expect_attempts(second, (1, "success", None))
        self.expect_no_pods()

    def test_a_server_that_is_busy_is_left_alone_for_as_long_as_it_says(self) -> None:
        """A webhook of the tests' refuses new pods with 429; the API server hands that on, with Retry-After."""
        busy = Busy(self, self.api)
        run = self.cluster.submit("name: busy\ntasks: [{id: make, run: 'true'}]")
        self.explained(run, "429")
        wait_until("another try", lambda: len(busy.asked), lambda tries: tries > 2)
        busy.over = True
        self.succeed(run)
        rests = [later - before for before, later in zip(busy.asked, busy.asked[1:])]
        print(f"rests between tries: {[round(rest, 1) for rest in rests]} s", flush=True)
        self.assertGreaterEqual(min(rests), Busy.SECONDS - 0.1)
        self.expect_attempts(run, (1, "success", None))
        self.expect_no_pods()


class NodeLoss(OnKubernetes):
    def lease(self) -> str:
        return "5s"

    def test_the_lease_ends_what_was_lost_with_its_node(self) -> None:
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate))
        self.reached(gate)
        pod = self.only_pod()
        self.node.fall_silent()
        try:
            self.node.kill_processes_of(pod)
            wait_until("the attempt to be lost", lambda: self.cluster.attempts(run, "make"), lambda all_of: all_of[0][2] == "lost_worker", SLOW)
        finally:
            self.node.come_back()
        self.reached(gate, 2)
        gate.open()
        self.succeed(run)
        print(f"message: {self.first_message(run)}", flush=True)
        self.expect_attempts(run, (1, "failed", "lost_worker"), (2, "success", None))
        self.expect_no_pods()


class Rights(OnKubernetes):
    def test_the_role_is_what_the_scheduler_uses(self) -> None:
        """By the API server's own record."""
        gate = self.gate()
        run = self.cluster.submit(self.waiting(gate))
        self.reached(gate)
        self.scheduler.kill()
        self.start_scheduler()
        before = len(self.api.audited(USER))
        gate.open()
        self.succeed(run)
        self.expect_no_pods()
        told = self.api.audited(USER)
        self.assertEqual({(verb, resource) for verb, resource, _ in told},
                         {(verb, "pods") for verb in ("create", "get", "list", "watch", "delete")})
        self.assertEqual([each for each in told[before:] if each[2] == 403], [])


if __name__ == "__main__":
    unittest.main()
