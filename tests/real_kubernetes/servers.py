"""Kubernetes itself, for tests: etcd, API server, controllers and scheduler, as `servers/` builds them, with TLS, RBAC, Pod
Security and an audit log. They have a network of their own (scripts/real-kubernetes), so their ports are the usual ones."""

import atexit
import functools
import json
import os
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cluster import ROOT, Daemon, wait_until

PROGRAM = Path(os.environ.get("KUBERNETES_SERVERS", ROOT / "build" / "kubernetes" / "servers"))
HOST, SERVICE = "10.244.0.1", "10.96.0.1"  # Of this machine, as pods see it; of the API server's Service.
NODE = "node-1"
URL = f"https://{SERVICE}:443"
ETCD = "http://127.0.0.1:2379"

# Who is whom to the API server: a name, and the group that its rights come from.
USERS = {
    "admin": ("admin", "system:masters"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
}


def missing() -> str:
    """Why there is no Kubernetes here; "" where there is."""
    if not os.access(PROGRAM, os.X_OK):
        return "Kubernetes was not built: scripts/real-kubernetes does that"
    return "" if os.environ.get("KUBERNETES_OWN_WORLD") else "not in a network of its own: scripts/real-kubernetes makes one"


def run(*command: str, given: str = "", seconds: float = 60) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Refused(Exception):
    """The API server said no."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Kubernetes:
    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="chappe-kubernetes-"))
        self.keys = self.directory / "keys"
        self.keys.mkdir()
        self.audit_log = self.directory / "audit.jsonl"
        self.running: dict[str, Daemon] = {}
        self._make_keys()
        self.ca_file = self.keys / "ca.crt"
        self.kubeconfig = self.kubeconfig_of("admin")
        self._tls = ssl.create_default_context(cafile=str(self.ca_file))
        self._tls.load_cert_chain(self.keys / "admin.crt", self.keys / "admin.key")
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"], "rules": [{"level": "Metadata"}]}
        (self.directory / "audit-policy.json").write_text(json.dumps(policy))

    # ---- Keys ----

    def _make_keys(self) -> None:
        at = str(self.keys)
        new_key = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        run(*new_key, "-x509", "-days", "2", "-subj", "/CN=tests", "-keyout", f"{at}/ca.key", "-out", f"{at}/ca.crt")
        names = {name: (f"/O={group}/CN={user}" if group else f"/CN={user}", "") for name, (user, group) in USERS.items()}
        names["server"] = ("/CN=kubernetes", f"subjectAltName=DNS:kubernetes,DNS:localhost,IP:127.0.0.1,IP:{SERVICE},IP:{HOST}")
        for name, (subject, more) in names.items():
            asked = run(*new_key, "-subj", subject, "-keyout", f"{at}/{name}.key")
            extensions = self.keys / f"{name}.extensions"
            extensions.write_text(f"basicConstraints=CA:FALSE\n{more}\n")
            run("openssl", "x509", "-req", "-days", "2", "-CA", f"{at}/ca.crt", "-CAkey", f"{at}/ca.key", "-CAcreateserial",
                "-extfile", str(extensions), "-out", f"{at}/{name}.crt", given=asked)
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{at}/accounts.key")

    def kubeconfig_of(self, user: str) -> Path:
        path = self.directory / f"{user}.kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": URL, "certificate-authority": str(self.keys / "ca.crt")}}],
            "users": [{"name": "it", "user": {"client-certificate": str(self.keys / f"{user}.crt"),
                                              "client-key": str(self.keys / f"{user}.key")}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }))
        return path

    # ---- Servers ----

    def launch(self, name: str, *command: str) -> Daemon:
        daemon = Daemon(name, list(command), self.directory / f"{name}.log", dict(os.environ))
        self.running[name] = daemon
        return daemon

    def start(self) -> None:
        self.launch("etcd", str(PROGRAM), "etcd", "--data-dir", str(self.directory / "etcd"), "--unsafe-no-fsync", "--log-level", "error",
                    "--listen-client-urls", ETCD, "--advertise-client-urls", ETCD)
        self.start_api_server()
        for name, more in (("kube-scheduler", []), ("kube-controller-manager", [
                f"--service-account-private-key-file={self.keys}/accounts.key", f"--root-ca-file={self.keys}/ca.crt",
                "--use-service-account-credentials", "--node-monitor-grace-period=30s", "--controllers=*"])):
            config = self.kubeconfig_of("scheduler" if name == "kube-scheduler" else "controllers")
            self.launch(name, str(PROGRAM), name, f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
                        f"--authorization-kubeconfig={config}", "--leader-elect=false", "--bind-address=127.0.0.1", *more)
        wait_until("service accounts", lambda: self.get("/api/v1/namespaces/default/serviceaccounts")["items"])

    def start_api_server(self) -> None:
        at = self.keys
        self.launch(
            "kube-apiserver", str(PROGRAM), "kube-apiserver", f"--etcd-servers={ETCD}", "--secure-port=443", f"--advertise-address={HOST}",
            f"--tls-cert-file={at}/server.crt", f"--tls-private-key-file={at}/server.key", f"--client-ca-file={at}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP", f"--kubelet-client-certificate={at}/admin.crt", f"--kubelet-client-key={at}/admin.key",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={at}/accounts.key",
            f"--service-account-signing-key-file={at}/accounts.key", "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--default-unreachable-toleration-seconds=3",
            "--default-not-ready-toleration-seconds=3", f"--audit-policy-file={self.directory}/audit-policy.json",
            f"--audit-log-path={self.audit_log}", "--audit-log-mode=blocking-strict")
        wait_until("the API server", self._is_ready, seconds=180)

    def _is_ready(self) -> bool:
        daemon = self.running["kube-apiserver"]
        if not daemon.running():
            raise AssertionError(f"kube-apiserver ended:\n{daemon.said()[-3000:]}")
        try:
            return self.ask("GET", "/readyz") == "ok"
        except (OSError, Refused):
            return False

    def compact(self) -> None:
        """etcd forgets all versions but the last one."""
        def post(path: str, body: Any) -> Any:
            with urllib.request.urlopen(urllib.request.Request(ETCD + path, json.dumps(body).encode()), timeout=30) as answer:
                return json.loads(answer.read())

        revision = post("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
        post("/v3/kv/compaction", {"revision": revision, "physical": True})

    def close(self) -> None:
        for name in reversed(list(self.running)):
            if self.running[name].running():
                self.running[name].kill()

    # ---- Its API ----

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        request = urllib.request.Request(URL + path, method=method, data=None if body is None else json.dumps(body).encode())
        if body is not None:
            request.add_header("Content-Type", "application/merge-patch+json" if method == "PATCH" else "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        context = ssl.create_default_context(cafile=str(self.ca_file)) if token else self._tls
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                said = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode()) from None
        return json.loads(said) if said.startswith("{") else said

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def kubectl(self, *words: str, given: str = "") -> str:
        """What it says, warnings too."""
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig), *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def apply(self, *objects: dict[str, Any], dry: bool = False) -> str:
        """Strictly: an unknown field is an error."""
        words = ["apply", "--validate=strict", "-f", "-", *(["--dry-run=server"] if dry else [])]
        return self.kubectl(*words, given=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def make_namespace(self, name: str, *, restricted: bool = True) -> None:
        level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": level if restricted else {}}})

    def token(self, namespace: str, account: str, seconds: int = 3600) -> str:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}}
        return self.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", body)["status"]["token"]

    def pods(self, namespace: str) -> dict[str, dict[str, Any]]:
        return {pod["metadata"]["name"]: pod for pod in self.get(f"/api/v1/namespaces/{namespace}/pods")["items"]}

    def audited(self, user: str) -> list[tuple[str, str, int]]:
        """(verb, resource, status) of all that this user has asked for."""
        told = []
        for line in self.audit_log.read_text().splitlines():
            event = json.loads(line)
            if event["user"].get("username") == user:
                of = event.get("objectRef", {})
                resource = "/".join(filter(None, (of.get("resource", event["requestURI"]), of.get("subresource", ""))))
                told.append((event["verb"], resource, event.get("responseStatus", {}).get("code", 0)))
        return told


@functools.cache
def kubernetes() -> Kubernetes:
    """The one of all tests of a process."""
    began = time.monotonic()
    it = Kubernetes()
    atexit.register(it.close)
    it.start()
    print(f"Kubernetes {it.get('/version')['gitVersion']}: up in {time.monotonic() - began:.0f} s", flush=True)
    return it
