"""The section coder with its objects in S3: Ceph's gateway, two workers, and awscli reading what was published."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import unittest

import podman
from cluster import EXAMPLES, ROOT, Cluster


# They know nothing of the bucket but its name: the worker hands the rest on. awscli signs with all of it; what old servers
# like this one refuse of newer clients is off.
BY_ITSELF = """
name: by_itself
tasks:
  - id: t
    run: |
      echo "secret $AWS_SECRET_ACCESS_KEY"
      echo by itself | aws s3 cp - s3://office/own.txt
      aws s3 ls s3://office/
      test "$AWS_REQUEST_CHECKSUM_CALCULATION $AWS_RESPONSE_CHECKSUM_VALIDATION" = "when_required when_required"
  - id: off
    store_credentials: false
    run: test -z "${AWS_ACCESS_KEY_ID:-}${AWS_ENDPOINT_URL:-}"
  - id: own
    env: {AWS_PROFILE: mine}
    run: test -z "${AWS_ACCESS_KEY_ID:-}" && test -n "$AWS_ENDPOINT_URL_S3"
"""
BOXED = """
name: boxed
image: localhost/awscli:1
tasks:
  - id: t
    container: {network: host}
    run: |
      echo "secret $AWS_SECRET_ACCESS_KEY"
      echo in a box | aws s3 cp - s3://office/boxed.txt
"""
# Nothing is asked of the bucket: no server is needed.
WITHOUT = """
name: without
tasks: [{id: t, run: 'test -z "${AWS_ACCESS_KEY_ID:-}${AWS_ENDPOINT_URL:-}${AWS_REGION:-}"'}]
"""


class CephGateway:
    """The server of the integration tests: it ends when its standard input does."""

    def __init__(self, test: unittest.TestCase) -> None:
        script = ROOT / "tests" / "support" / "servers" / "ceph_rgw"
        self.process = subprocess.Popen([script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.close)
        self.values: dict[str, str] = {}
        for line in self.process.stdout:
            name, _, value = line.strip().partition("=")
            self.values[name] = value
            if name == "ready":
                return
        raise AssertionError(f"ceph_rgw did not come up; it said {self.values}")

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.values["access_key"],
            "AWS_SECRET_ACCESS_KEY": self.values["secret_key"],
            "AWS_ENDPOINT_URL_S3": self.values["endpoint"],
            "AWS_REGION": "us-east-1",
        }

    def aws(self, *arguments: str) -> bytes:
        command = ["aws", "--endpoint-url", self.values["endpoint"], "--region", "us-east-1", *arguments]
        return subprocess.run(command, env={**os.environ, **self.environment()}, check=True, capture_output=True).stdout

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)


class S3(unittest.TestCase):
    def test_two_workers_publish_to_ceph_and_awscli_reads_it(self) -> None:
        if os.geteuid() != 0 or shutil.which("aws") is None or shutil.which("fasttext") is None:
            self.skipTest("Ceph needs root, and awscli and fasttext must be installed: scripts/install-deps")
        server = CephGateway(self)
        server.aws("s3", "mb", "s3://office")
        cluster = Cluster.of(self, object_store="s3://office/chappe")
        cluster.environment.update(server.environment())
        cluster.start_scheduler()
        for name in ("w1", "w2"):
            cluster.start_worker(name, "--cpus", "1")
        run = cluster.submit((EXAMPLES / "section_coder" / "dag.yaml").read_text(), epochs=5)
        cluster.wait_for_run(run, "success", 180)

        listed = server.aws("s3", "ls", "--recursive", "s3://office/").decode().splitlines()
        keys = [line.split(maxsplit=3)[3] for line in listed]
        for version in cluster.get("/api/v1/assets")["items"]:
            (key,) = [key for key in keys if key.endswith("/" + version["uri"])]
            content = server.aws("s3", "cp", f"s3://office/{key}", "-")
            self.assertEqual(hashlib.sha256(content).hexdigest(), version["sha256"], key)
        self.assertIn("rows", cluster.log(run, "ingest"), "logs are read from S3, too")
        workers = {attempt["worker"] for name in cluster.tasks(run) for attempt in cluster.task(run, name)["attempts"]}
        self.assertLessEqual({1, 2}, workers, "both had something to do")

    def test_tasks_use_the_bucket_with_nothing_in_their_dag(self) -> None:
        if os.geteuid() != 0 or importlib.util.find_spec("awscli") is None:
            self.skipTest("Ceph needs root, and this Python awscli: scripts/install-deps")
        server = CephGateway(self)
        server.aws("s3", "mb", "s3://office")
        boxes = "" if podman.missing() else podman.Podman.of(self)
        cluster = Cluster.of(self, object_store="s3://office/chappe")
        cluster.environment.update(server.environment())
        cluster.start_scheduler()
        cluster.start_worker("w1", "--container-socket", str(boxes.socket) if boxes else "none")
        run = cluster.submit(BY_ITSELF)
        cluster.wait_for_run(run, "success")
        self.assertEqual(server.aws("s3", "cp", "s3://office/own.txt", "-"), b"by itself\n")
        self.assertIn("secret ***\n", cluster.log(run, "t"))
        self.assertIn("own.txt", cluster.log(run, "t"))
        if not boxes:
            self.skipTest(f"SKIPPED: {podman.missing()}: no task in a container used the bucket")
        boxes.import_awscli("localhost/awscli:1")
        run = cluster.submit(BOXED)
        cluster.wait_for_run(run, "success", 120)
        self.assertEqual(server.aws("s3", "cp", "s3://office/boxed.txt", "-"), b"in a box\n")
        self.assertIn("secret ***\n", cluster.log(run, "t"))

    def test_a_worker_keeps_them_where_it_is_told_to(self) -> None:
        cluster = Cluster.of(self, object_store="s3://office/chappe")
        cluster.environment |= {"AWS_ACCESS_KEY_ID": "AKIAOURS", "AWS_SECRET_ACCESS_KEY": "hush-hush", "AWS_REGION": "r",
                                "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        cluster.start_scheduler()
        cluster.start_worker("w1", "--task-credentials", "none")
        cluster.wait_for_run(cluster.submit(WITHOUT), "success")


if __name__ == "__main__":
    unittest.main()
