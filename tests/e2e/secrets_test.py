"""Secrets: a canary goes the whole way from the submitter to the task, and is looked for in every byte kept or served."""

import base64
import json
import threading
import unittest
import urllib.parse
from pathlib import Path

from cluster import Cluster, Gate, wait_until

CANARY = 'canary/7f3a "q" + ümlaut\\9c41'
NUMBER = 8675309421
# What the worker itself holds; a task must not even see it.
WORKERS_OWN = "worker-secret-51f0c2"

DAG = """
name: secretive
params:
  token: {type: string, secret: true, required: true}
  pin: {type: integer, secret: true, required: true}
  open: {type: string, default: seen}
env: {TOKEN: "${{ params.token }}"}
tasks:
  - id: chatty
    env: {PIN: "${{ params.pin }}"}
    run: |
      test "$TOKEN" = "$(cat %(wanted)s)"
      printf '%%s\\n' "$TOKEN"
      python3 - <<'END'
      import base64, json, os, sys, time, urllib.parse
      token = os.environ["TOKEN"]
      print(base64.b64encode(token.encode()).decode(), base64.b64encode(("user:" + token).encode()).decode())
      print(json.dumps(token), json.dumps(token, ensure_ascii=False), urllib.parse.quote(token), urllib.parse.quote_plus(token))
      print("pin", os.environ["PIN"], flush=True)
      for byte in token.encode():
          sys.stdout.buffer.write(bytes([byte])); sys.stdout.buffer.flush(); time.sleep(0.002)
      print()
      print("open", json.load(open(os.environ["CHAPPE_PARAMS"]))["open"], "environment", sorted(os.environ))
      END
      %(wait)s
  - id: fails
    env: {N: "${{ int(params.token) }}"}
    allow_failure: true
    run: exit 0
  - id: conditional
    when: "params.token == 'nothing of the kind'"
    run: exit 0
"""


def forms() -> dict[str, bytes]:
    """What must be found nowhere. Base64 is looked for by its middle, whatever stood in front."""
    told = {
        "as it is": CANARY,
        "json": json.dumps(CANARY)[1:-1],
        "json, UTF-8": json.dumps(CANARY, ensure_ascii=False)[1:-1],
        "url": urllib.parse.quote(CANARY),
        "url of a form": urllib.parse.quote_plus(CANARY),
        "base64": base64.b64encode(CANARY.encode()).decode(),
        "base64 behind others": base64.b64encode(b"user:" + CANARY.encode()).decode()[8:-4],
        "number": str(NUMBER),
        "a part": "7f3a",
        "the worker's own": WORKERS_OWN,
    }
    return {name: text.encode() for name, text in told.items()}


class Secrets(unittest.TestCase):
    def expect_clean(self, where: str, data: bytes) -> None:
        for name, form in forms().items():
            self.assertNotIn(form, data, f"{where} holds the secret: {name}")

    def command_lines(self) -> None:
        """Of all processes, as often as it can, until told to stop."""
        while not self.stop.wait(0.01):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = file.read_bytes()
                except OSError:
                    continue  # It ended while we looked.
                if any(form in line for form in forms().values()):
                    self.leaked_lines.append(line)

    def test_a_secret_is_in_no_byte_that_is_kept_or_served(self) -> None:
        self.stop, self.leaked_lines = threading.Event(), []
        watcher = threading.Thread(target=self.command_lines)
        watcher.start()
        self.addCleanup(watcher.join)
        self.addCleanup(self.stop.set)
        cluster = Cluster.of(self)
        cluster.environment["AWS_SECRET_ACCESS_KEY"] = WORKERS_OWN
        cluster.start_scheduler()
        cluster.start_worker()
        gate = Gate(cluster)
        wanted = cluster.directory / "wanted"  # The DAG file is no secret, so that it must not hold the value.
        wanted.write_text(CANARY)
        run = cluster.submit(DAG % {"wanted": wanted, "wait": gate.wait_for_it}, token=CANARY, pin=NUMBER)
        gate.reached()
        wanted.unlink()
        served = {}

        def look(when: str) -> None:
            for path in (f"/runs/{run}", "/runs", f"/runs/{run}/tasks", f"/runs/{run}/outputs", f"/runs/{run}/explain",
                         f"/runs/{run}/tasks/chatty", f"/runs/{run}/tasks/fails", f"/runs/{run}/tasks/conditional",
                         f"/runs/{run}/tasks/chatty/attempts/1/log", "/dags", "/dags/secretive", "/audit", "/workers",
                         "/assets"):
                served[f"{when}: {path}"] = cluster.call("GET", "/api/v1" + path)

        look("while it runs")
        live = wait_until("the log to come", lambda: cluster.log(run, "chatty"), lambda text: "environment" in text)
        gate.open()
        cluster.wait_for_run(run, "success")
        look("afterwards")

        log = cluster.log(run, "chatty")
        self.assertEqual(live, log, "what is told live is what is kept")
        lines = log.splitlines()
        self.assertEqual(lines[0], "***")
        self.assertEqual(lines[2], '"***" "***" *** ***')
        self.assertEqual(lines[3], "pin ***")
        self.assertEqual(lines[4], "***", "written byte by byte")
        self.assertTrue(lines[5].startswith("open seen environment"))
        self.assertNotIn("AWS_SECRET_ACCESS_KEY", lines[5])
        for where, data in served.items():
            self.expect_clean(where, data)
        for arguments in (("show", run), ("show", run, "fails"), ("explain", run), ("logs", run, "chatty")):
            done = cluster.chappe(*arguments, "--state-dir", str(cluster.state))
            self.expect_clean(" ".join(arguments), (done.stdout + done.stderr).encode())

        for daemon in reversed(cluster.daemons):
            daemon.stop()
        files = [path for path in cluster.directory.rglob("*") if path.is_file()]
        self.assertTrue(any(path.name == "chappe.db" for path in files))
        self.assertTrue(any("objects" in path.parts for path in files))
        for path in files:
            self.expect_clean(str(path), path.read_bytes())
        self.stop.set()
        watcher.join()
        self.assertEqual(self.leaked_lines, [], "in a command line that all users of the machine can read")

    def test_the_parameters_file_of_an_attempt_is_its_users_alone(self) -> None:
        cluster = Cluster.of(self)
        cluster.start_scheduler()
        cluster.start_worker()
        run = cluster.submit("""
            name: modes
            params: {token: {type: string, secret: true, required: true}}
            tasks: [{id: a, run: 'stat -L -c %a "$CHAPPE_PARAMS"; cat "$CHAPPE_PARAMS"'}]
            """, token="hush-hush")
        cluster.wait_for_run(run, "success")
        self.assertEqual(cluster.log(run, "a"), '400\n{"token":"***"}')


if __name__ == "__main__":
    unittest.main()
