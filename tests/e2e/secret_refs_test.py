"""Secrets by reference: where a task finds them, how little else has them, and what is said where they cannot be had."""

import base64
import json
import unittest

import podman
from cluster import EXAMPLES, Cluster, Daemon, Gate, wait_until
from podman import IMAGE, Podman
from vault import Vault

TOKEN = "hvs.the-workers-token-9c1e"
OF_ENV, OF_FILE, OF_VAULT, OF_VAULT_FILE = "env-7c44f1aa", "file-0b9d22ce", "vault-5e\"81 d3", "line-one-41f0\nline-two-88ab"

DAG = """
name: by_reference
%(head)s
secrets: {PGPASSWORD: {env: PGPASSWORD}}
tasks:
  - id: %(task)s
    secrets:
      API_TOKEN: {file: api/token}
      MODEL_KEY: {vault: {path: team/ml, key: model}}
      CERT: {vault: {path: team/ml, key: cert}, as: file}
    run: |
      echo "have $PGPASSWORD $API_TOKEN $MODEL_KEY"
      cat "$CERT"; echo
      printf '%%s' "$MODEL_KEY" | base64
      printf '%%s' "$PGPASSWORD $API_TOKEN $MODEL_KEY" | wc -c
      [ "$(dirname "$CERT")" != "$PWD" ]
      stat -c %%a "$CERT"
      %(wait)s
"""


def forms() -> dict[str, bytes]:
    """What must be found nowhere."""
    told = {"token": TOKEN, "env": OF_ENV, "file": OF_FILE, "vault": OF_VAULT, "json": json.dumps(OF_VAULT)[1:-1],
            "base64": base64.b64encode(OF_VAULT.encode()).decode()}
    told |= {line: line for line in OF_VAULT_FILE.splitlines()}
    return {name: text.encode() for name, text in told.items()}


class SecretRefs(unittest.TestCase):
    def setUp(self) -> None:
        self.vault = Vault(self, TOKEN)
        self.vault.secrets["stats", "secret", "team/ml"] = {"model": OF_VAULT, "cert": OF_VAULT_FILE, "n": 5}
        self.cluster = Cluster.of(self)
        secrets = self.cluster.directory / "secrets"
        # As the kubelet lays them: names that are links to a directory which is replaced as a whole.
        (secrets / "..data" / "api").mkdir(parents=True)
        (secrets / "..data" / "api" / "token").write_text(OF_FILE + "\n")
        (secrets / "api").symlink_to("..data/api")
        (secrets / "escape").symlink_to("/etc/hostname")
        self.token_file = self.cluster.directory / "vault-token"
        self.token_file.write_text(TOKEN + "\n")
        self.cluster.environment["PGPASSWORD"] = OF_ENV
        self.secrets = secrets

    def start_worker(self, *options: str, ca: bool = True) -> Daemon:
        return self.cluster.start_worker(
            "w1", "--secret-env", "PG*", "--secret-files", str(self.secrets), "--vault", self.vault.address + "/",
            "--vault-token-file", str(self.token_file), "--vault-namespace", "stats", *options,
            *(["--vault-ca", str(self.vault.ca_file)] if ca else []))

    def expect_clean(self, where: str, data: bytes) -> None:
        for name, form in forms().items():
            self.assertNotIn(form, data, f"{where} holds the secret: {name}")

    def end_of(self, run: str, task: str = "a") -> dict:
        wait_until("the run to end", lambda: self.cluster.run(run)["state"], lambda state: state in ("success", "failed"))
        return self.cluster.tasks(run)[task]

    def complaint(self, secret: str, **others: str) -> str:
        """What becomes of a task with that secret."""
        run = self.cluster.submit(f"name: c\ntasks: [{{id: a, run: 'exit 9', infra_retry: 0, secrets: {{S: {secret}}}}}]")
        task = self.end_of(run)
        self.assertEqual(task["state"], "failed")
        self.assertEqual(task["reason"], others.get("reason", "launch_failed"))
        return task["message"]

    # ---- The whole way ----

    def expect_canaries(self, head: str, task: str, mode: str, *options: str) -> None:
        self.cluster.start_scheduler()
        worker = self.start_worker(*options)
        gate = Gate(self.cluster)
        # In a container the gate is out of reach.
        wait = "" if head else gate.wait_for_it
        run = self.cluster.submit(DAG % {"head": head, "task": task, "wait": wait})
        if wait:
            gate.reached()
            work = self.cluster.state / "workers" / "w1"
            (held,) = work.glob("attempts/*/secrets/CERT")
            self.assertEqual(held.read_text(), OF_VAULT_FILE)
            self.assertEqual(oct(held.stat().st_mode & 0o777), "0o400")
            self.assertEqual(oct(held.parent.parent.parent.stat().st_mode & 0o77), "0o0", "nobody else gets there")
            gate.open()
        self.cluster.wait_for_run(run, "success")
        lines = self.cluster.log(run, task).splitlines()
        size = len(f"{OF_ENV} {OF_FILE} {OF_VAULT}")
        self.assertEqual([*lines[:2], *lines[3:]], ["have *** *** ***", "***", str(size), mode])
        self.assertIn("***", lines[2])
        self.assertEqual(self.vault.asked, ["/v1/secret/data/team/ml"], "asked once for both")
        for path in (f"/runs/{run}", f"/runs/{run}/tasks", f"/runs/{run}/explain", f"/runs/{run}/tasks/{task}",
                     f"/runs/{run}/tasks/{task}/attempts/1/log", "/dags/by_reference", "/audit", "/workers"):
            self.expect_clean(path, self.cluster.call("GET", "/api/v1" + path))
        self.assertEqual(worker.stop(), 0)
        for daemon in self.cluster.daemons:
            if daemon.running():
                daemon.stop()
        ours = {self.secrets / "..data/api/token", self.token_file}
        files = [path for path in self.cluster.directory.rglob("*") if path.is_file() and path.resolve() not in ours]
        self.assertTrue(any(path.name == "chappe.db" for path in files))
        for path in files:
            self.expect_clean(str(path), path.read_bytes())

    def test_a_process_finds_them_and_nobody_else_does(self) -> None:
        self.expect_canaries("", "process", "400")

    def test_they_go_even_where_work_directories_are_kept(self) -> None:
        self.expect_canaries("", "kept", "400", "--keep-work-dirs")
        self.assertEqual(list(self.cluster.directory.rglob("attempts/*/secrets")), [])
        self.assertNotEqual(list(self.cluster.directory.rglob("attempts/*/script")), [])

    @unittest.skipIf(podman.missing(), f"SKIPPED: {podman.missing()}: no secret was handed into a container")
    def test_a_container_finds_them_whatever_its_user(self) -> None:
        runtime = Podman.of(self, "base64", "stat", "dirname")
        self.expect_canaries(f'image: {IMAGE}\ndefaults: {{container: {{user: "1234"}}}}', "boxed", "444",
                             "--container-socket", str(runtime.socket))
        wait_until("the container to be gone", runtime.containers, lambda left: left == [])

    # ---- Those that cannot be had ----

    def test_a_worker_gives_what_its_operator_opened_and_no_more(self) -> None:
        self.cluster.start_scheduler()
        self.start_worker()
        self.assertEqual(self.complaint("{env: HOME}"),
                         "secret 'S' (env HOME): this worker hands it to no DAG: start it with --secret-env HOME")
        self.assertEqual(self.complaint("{env: PGSERVICE}"), "secret 'S' (env PGSERVICE): the worker has no such variable")
        self.assertIn("secret 'S' (file escape): ", self.complaint("{file: escape}"))
        self.assertIn("secret 'S' (file absent): ", self.complaint("{file: absent}"))
        self.assertIn("secret 'S' (file api): ", self.complaint("{file: api}", reason="artifact_io"))
        self.assertIn("only a pod that was made for the task has it",
                      self.complaint("{kubernetes: {name: api, key: token}}"))
        self.assertEqual(self.complaint("{vault: {path: team/ml, key: absent}}"),
                         "secret 'S' (vault secret/team/ml, key absent): the secret has no such key")
        self.assertIn("read kv/none of Vault: there is no such secret",
                      self.complaint("{vault: {mount: kv, path: none, key: k}}"))
        for status, reason, said in ((503, "artifact_io", "sealed"), (500, "artifact_io", "trouble"),
                                     (429, "artifact_io", "trouble"), (400, "launch_failed", "refuses")):
            self.vault.status = status
            self.assertIn(said, self.complaint("{vault: {path: team/ml, key: model}}", reason=reason))
        self.vault.status = 0
        self.token_file.write_text("hvs.expired")
        self.assertIn("may not read it", self.complaint("{vault: {path: team/ml, key: model}}"))
        self.token_file.write_text(TOKEN)
        run = self.cluster.submit(
            "name: c\ntasks: [{id: a, run: 'echo $N', secrets: {N: {vault: {path: team/ml, key: n}}}}]")
        self.cluster.wait_for_run(run, "success")

    def test_a_vault_that_nobody_knows_gets_no_token(self) -> None:
        self.cluster.start_scheduler()
        self.start_worker(ca=False)
        self.complaint("{vault: {path: team/ml, key: model}}")
        self.assertEqual(self.vault.asked, [])

    def test_a_vault_out_of_reach_is_tried_again(self) -> None:
        self.cluster.start_scheduler()
        self.start_worker()
        self.vault.status = 503
        run = self.cluster.submit("""
            name: again
            tasks:
              - id: a
                run: test -n "$S"
                infra_retry: {limit: 100, backoff: {initial: 50ms, factor: 1}}
                secrets: {S: {vault: {path: team/ml, key: model}}}
            """)
        wait_until("two tries", lambda: len(self.vault.asked), lambda asked: asked >= 2)
        self.vault.status = 0
        self.cluster.wait_for_run(run, "success")
        self.assertEqual({reason for _, _, reason in self.cluster.attempts(run, "a")}, {"artifact_io", None})

    def test_the_example_runs_from_a_laptops_environment(self) -> None:
        self.cluster.environment |= {"CHAPPE_SECRET_ENV": "PGPASSWORD,OTHER", "OTHER": "o"}
        done = self.cluster.chappe("run", str(EXAMPLES / "secrets.yaml"))
        self.expect_clean("what it says", (done.stdout + done.stderr).encode())


if __name__ == "__main__":
    unittest.main()
