"""A real node: kubelet, containerd and runc, with images made here. No registry is asked for anything."""

import functools
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import podman
from cluster import wait_until
from servers import HOST, NODE, PROGRAM, Kubernetes, kubernetes, run
from static_worker_test import PROGRAM as WORKER

PAUSE, CHAPPE, TASKS = "localhost/pause:1", "localhost/chappe-only:1", "localhost/tasks:1"
SOCKET = "/run/containerd/containerd.sock"
CGROUP = "chappe-real-kubernetes"
CONTAINERD = """
version = 2
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{at}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""
# What a kubelet sets for the whole machine, which is not ours.
TUNABLES = [Path("/proc/sys") / name for name in ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
                                                  "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")]
# A pod's first process, which holds its namespaces.
PAUSE_C = "#include <signal.h>\n#include <unistd.h>\nint main(void) { signal(SIGTERM, _exit); for (;;) pause(); }\n"


def missing() -> str:
    """Why this machine cannot be a node; "" where it can."""
    for program in ("containerd", "ctr", "runc", "gcc"):
        if shutil.which(program) is None:
            return f"no {program}"
    if not Path("/usr/lib/cni/bridge").exists():
        return "no containernetworking-plugins"
    return "" if os.access(WORKER, os.X_OK) else "no static chappe-worker: cmake --preset static"


def image_archive(path: Path, root: Path, name: str, entry_point: list[str], environment: list[str]) -> None:
    """An image of one layer, what is in the folder, as `docker save` writes it."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(root, ".")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin", *environment], "Entrypoint": entry_point},
                         "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}, "history": [{"created_by": "tests"}]}).encode()
    named = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": named, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(path, "w") as out:
        for file, content in ((f"{digest}/layer.tar", layer.getvalue()), (named, config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(file)
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))


def busybox_root(root: Path) -> Path:
    for folder in ("bin", "etc", "tmp", "dev", "proc", "sys"):
        (root / folder).mkdir(parents=True)
    shutil.copy(podman.BUSYBOX, root / "bin/busybox")
    for applet in podman.APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "tmp").chmod(0o1777)
    return root


class Node:
    def __init__(self, api: Kubernetes) -> None:
        self.api = api
        self.directory = api.directory / "node"
        self.images = self.directory / "images"
        self.images.mkdir(parents=True)
        # Of this world alone: scripts/real-kubernetes has made the mounts private.
        for path in ("/run", "/var/lib", "/var/log"):
            place = self.directory / path.strip("/").replace("/", "-")
            place.mkdir()
            run("mount", "--bind", str(place), path)

    def start(self) -> None:
        (self.directory / "cni").mkdir()
        (self.directory / "cni" / "10-bridge.conflist").write_text(json.dumps({
            "cniVersion": "1.0.0", "name": "pods", "plugins": [{
                "type": "bridge", "bridge": "pods0", "isGateway": True, "ipMasq": False,
                "ipam": {"type": "host-local", "subnet": "10.244.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}}]}))
        config = self.directory / "containerd.toml"
        config.write_text(CONTAINERD.format(socket=SOCKET, pause=PAUSE, at=self.directory))
        self.api.launch("containerd", "containerd", "--config", str(config))
        wait_until("containerd", lambda: subprocess.run(["ctr", "-a", SOCKET, "version"], capture_output=True).returncode == 0)
        self._import_images()
        before = {path: path.read_text() for path in TUNABLES if path.exists()}
        try:
            self._start_kubelet()
            wait_until("the node to be ready", self._is_ready, seconds=120)
        finally:
            for path, text in before.items():
                path.write_text(text)

    def _start_kubelet(self) -> None:
        for controller in Path("/sys/fs/cgroup").iterdir():
            if (controller / "cgroup.procs").exists():
                (controller / CGROUP).mkdir(exist_ok=True)
        cpuset = Path("/sys/fs/cgroup/cpuset")
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (cpuset / name).exists():
                (cpuset / CGROUP / name).write_text((cpuset / name).read_text())
        keys = self.api.keys
        (self.directory / "resolv.conf").write_text(f"nameserver {HOST}\n")
        config = self.directory / "kubelet.json"
        config.write_text(json.dumps({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": f"{keys}/ca.crt"}},
            "authorization": {"mode": "Webhook"}, "tlsCertFile": f"{keys}/server.crt", "tlsPrivateKeyFile": f"{keys}/server.key",
            "containerRuntimeEndpoint": f"unix://{SOCKET}", "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{CGROUP}",
            "clusterDNS": [HOST], "clusterDomain": "cluster.local",
            "failCgroupV1": False, "failSwapOn": False, "resolvConf": str(self.directory / "resolv.conf"),
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
            "imageGCHighThresholdPercent": 99, "imageGCLowThresholdPercent": 98, "nodeStatusUpdateFrequency": "3s", "nodeLeaseDurationSeconds": 12,
            "volumePluginDir": str(self.directory / "plugins"), "syncFrequency": "5s", "localStorageCapacityIsolation": True,
        }))
        self.api.launch("kubelet", str(PROGRAM), "kubelet", f"--config={config}", f"--kubeconfig={self.api.kubeconfig_of('kubelet')}",
                        f"--hostname-override={NODE}", f"--node-ip={HOST}")

    def _is_ready(self) -> bool:
        kubelet = self.api.running["kubelet"]
        if not kubelet.running():
            raise AssertionError(f"the kubelet ended:\n{kubelet.said()[-4000:]}")
        nodes = self.api.get("/api/v1/nodes")["items"]
        return any(each["type"] == "Ready" and each["status"] == "True" for node in nodes for each in node["status"]["conditions"])

    # ---- Images ----

    def _import_images(self) -> None:
        pause = self.images / "pause"
        pause.mkdir()
        run("gcc", "-O2", "-static", "-x", "c", "-o", str(pause / "pause"), "-", given=PAUSE_C)
        self.import_image(pause, PAUSE, entry_point=["/pause"])
        chappe = self.images / "chappe"
        (chappe / "bin").mkdir(parents=True)
        shutil.copy(WORKER, chappe / "bin/chappe-worker")
        self.import_image(chappe, CHAPPE)
        self.import_image(busybox_root(self.images / "tasks"), TASKS)

    def import_image(self, root: Path, name: str, *, entry_point: list[str] = [], environment: list[str] = []) -> None:
        archive = root.with_suffix(".tar")
        image_archive(archive, root, name, entry_point, environment)
        run("ctr", "-a", SOCKET, "-n", "k8s.io", "images", "import", str(archive))

    # ---- What a node may suffer ----

    def kill_processes_of(self, pod: str) -> None:
        """kill -9 of its worker, which is the first process of its container: the others end with it."""
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = command.read_bytes().split(b"\0")
            except OSError:
                continue  # It ended while we looked.
            if b"--one-attempt" in words and pod.encode() in words:
                os.kill(int(command.parent.name), signal.SIGKILL)

    def fall_silent(self) -> None:
        """Nobody hears of it any more."""
        self.api.running["kubelet"].process.send_signal(signal.SIGSTOP)

    def come_back(self) -> None:
        self.api.running["kubelet"].process.send_signal(signal.SIGCONT)


@functools.cache
def node() -> Node:
    """The one of all tests of a process."""
    began = time.monotonic()
    it = Node(kubernetes())
    it.start()
    print(f"node: ready in {time.monotonic() - began:.0f} s", flush=True)
    return it
