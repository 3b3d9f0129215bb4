"""Who may do what, and what is kept of it: tokens with roles, and an audit log that shows when it was touched."""

import json
import sqlite3
import unittest

from cluster import Answer, Cluster, wait_until

SLEEPER = "{name: sleeper, tasks: [{id: a, run: sleep 60}]}"


class Access(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()

    def token(self, name: str, role: str, *options: str) -> str:
        return self.cluster.chappe(
            "token", "create", name, "--role", role, "--state-dir", str(self.cluster.state), *options
        ).stdout.strip()

    def command(self, token: str, *arguments: str, code: int = 0) -> str:
        """The command as somebody who has this token, and no state directory, runs it."""
        self.cluster.environment["CHAPPE_TOKEN"] = token
        self.addCleanup(self.cluster.environment.pop, "CHAPPE_TOKEN", None)
        done = self.cluster.chappe("--server", self.cluster._endpoint()["api"], *arguments, code=code)
        del self.cluster.environment["CHAPPE_TOKEN"]
        return done.stdout + done.stderr

    def local(self, *arguments: str, code: int = 0) -> str:
        done = self.cluster.chappe(*arguments, "--state-dir", str(self.cluster.state), code=code)
        return done.stdout + done.stderr

    def test_a_token_allows_what_its_role_says_until_it_is_revoked(self) -> None:
        viewer, operator = self.token("dash", "viewer"), self.token("ci", "operator", "--expires", "30d")
        self.assertRegex(operator, r"^chappe_[0-9a-f]{64}$")
        run = self.cluster.submit(SLEEPER)
        self.assertIn("sleeper", self.command(viewer, "runs"))
        self.assertIn("the role viewer; this needs operator", self.command(viewer, "cancel", run, code=1))
        file = self.cluster.directory / "dag.yaml"
        file.write_text(SLEEPER)
        self.assertIn("this needs author", self.command(operator, "submit", str(file), code=1))
        self.command(operator, "cancel", run)
        self.cluster.wait_for_run(run, "cancelled")
        self.assertIn("this needs admin", self.command(operator, "token", "list", code=1))

        listed = self.local("token", "list")
        self.assertIn("dash", listed)
        self.assertNotIn(operator[7:], listed)
        self.local("token", "revoke", "ci")
        self.assertIn("no such token", self.command(operator, "runs", code=1))
        self.command(viewer, "runs")

    def test_tokens_and_revocations_outlive_a_crash_of_the_scheduler(self) -> None:
        kept, revoked = self.token("kept", "viewer"), self.token("revoked", "admin")
        self.local("token", "revoke", "revoked")
        self.scheduler.kill()
        self.cluster.start_scheduler()
        self.command(kept, "runs")
        self.command(revoked, "runs", code=1)

    def test_a_worker_gets_in_with_a_key_of_its_own_once_it_is_listed(self) -> None:
        line = self.cluster.chappe("worker-key", "gpu1").stdout
        self.assertRegex(line, r"^\S{40} gpu1\n$")
        self.assertEqual((self.cluster.directory / "gpu1.key").stat().st_mode & 0o777, 0o600)
        with (self.cluster.state / "keys" / "authorized_workers").open("a") as listed:
            listed.write(line)
        self.scheduler.stop()
        self.cluster.start_scheduler()
        self.cluster.start_worker("gpu1", "--key-file", str(self.cluster.directory / "gpu1.key"))
        self.cluster.wait_for_run(self.cluster.submit("{name: d, tasks: [{id: a, run: 'true'}]}"), "success")

    def test_no_token_is_kept_anywhere(self) -> None:
        token = self.token("ci", "admin")
        self.command(token, "runs")
        self.scheduler.stop()
        for path in self.cluster.directory.rglob("*"):
            if path.is_file():
                self.assertNotIn(token[7:].encode(), path.read_bytes(), path)

    def test_the_audit_log_tells_who_did_what_from_where_and_who_was_refused(self) -> None:
        viewer = self.token("dash", "viewer")
        run = self.cluster.submit(SLEEPER)
        self.command(viewer, "cancel", run, code=1)
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        rows = wait_until(
            "the refusal to be recorded",
            lambda: self.cluster.get("/api/v1/audit?limit=50")["items"],
            lambda found: any(row["result"] == "denied" for row in found),
        )
        told = {(row["principal"], row["verb"], row["result"], row["source"]) for row in rows}
        self.assertEqual(told, {
            ("admin", "token.create", "ok", "127.0.0.1"),
            ("admin", "run.submit", "ok", "127.0.0.1"),
            ("dash", "access", "denied", "127.0.0.1"),
            ("admin", "run.cancel", "ok", "127.0.0.1"),
        })
        cancel = next(row for row in rows if row["verb"] == "run.cancel")
        self.assertEqual(json.loads(cancel["detail"])["after"], "cancelled")
        self.assertIn("run.cancel", self.local("audit"))

    def test_a_row_of_the_audit_log_that_was_changed_is_named(self) -> None:
        for number in range(3):
            self.cluster.post(f"/api/v1/runs/{self.cluster.submit(SLEEPER)}/cancel")
        self.assertIn("6 rows are as they were written", self.local("audit", "--verify"))
        self.scheduler.stop()
        with sqlite3.connect(self.cluster.state / "chappe.db") as store:
            with self.assertRaisesRegex(sqlite3.IntegrityError, "append-only"):
                store.execute("UPDATE audit SET principal = 'nobody' WHERE row = 4")
            store.execute("DROP TRIGGER audit_rows_stay")
            store.execute("UPDATE audit SET principal = 'nobody' WHERE row = 4")
        store.close()
        self.assertIn("row 4 is not as it was written", self.local("audit", "--verify", code=1))

    def test_refusals_without_end_add_a_few_rows_only(self) -> None:
        for _ in range(60):
            try:
                self.cluster.call("GET", "/api/v1/nothing")
            except Answer as answer:
                self.assertEqual(answer.status, 404)
        (self.cluster.state / "token").rename(self.cluster.state / "token.kept")
        (self.cluster.state / "token").write_text("wrong")
        statuses = set()
        for _ in range(60):
            try:
                self.cluster.get("/api/v1/runs")
            except Answer as answer:
                statuses.add(answer.status)
        (self.cluster.state / "token.kept").rename(self.cluster.state / "token")
        self.assertEqual(statuses, {401, 429})
        rows = self.cluster.get("/api/v1/audit?limit=100")["items"]
        self.assertLessEqual(len(rows), 12)


if __name__ == "__main__":
    unittest.main()
