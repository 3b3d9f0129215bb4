"""The command as people and scripts use it: exit codes, progress, signals, and what it says when something is missing."""

import json
import os
import pty
import re
import signal
import subprocess
import time
import unittest
from pathlib import Path

from cluster import DEADLINE, Cluster, children, chappe_binary, wait_until

FINE = "{name: fine, params: {n: {type: integer, default: 1}}, tasks: [{id: one, run: echo said}]}"
FAILS = "{name: fails, tasks: [{id: bad, run: 'echo the last words; exit 3'}, {id: after, noop: true, depends_on: [bad]}]}"
SLOW = "{name: slow, tasks: [{id: long, run: 'echo begun; sleep 600'}]}"


class Command(unittest.TestCase):
    """Without a scheduler at first: `run` starts one for itself."""

    def setUp(self) -> None:
        self.cluster = Cluster.of(self)

    def file(self, text: str) -> str:
        path = self.cluster.directory / "dag.yaml"
        path.write_text(text)
        return str(path)

    def json_of(self, *arguments: str):
        return json.loads(self.cluster.chappe(*arguments, "--output", "json").stdout)

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        process = subprocess.Popen(
            [chappe_binary(), *arguments], env=self.cluster.environment, text=True, cwd=self.cluster.directory,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        return process

    def state_dir(self) -> Path:
        return Path(self.cluster.environment["XDG_STATE_HOME"]) / "chappe"

    def wait_until_running(self, task: str) -> None:
        def look() -> str:
            shown = subprocess.run(
                [chappe_binary(), "show", "latest", task, "-o", "json"], env=self.cluster.environment,
                capture_output=True, text=True,
            )
            return json.loads(shown.stdout)["state"] if shown.returncode == 0 else shown.stderr

        wait_until(f"{task} to run", look, lambda state: state == "running")

    def test_a_run_that_ends_well(self) -> None:
        done = self.cluster.chappe("run", self.file(FINE))
        self.assertRegex(done.stderr, r"(?s)^run \w{26} running\n.*one success .*\nrun \w{26} success\n$")
        self.assertNotIn("\x1b", done.stderr + done.stdout)
        self.assertRegex(done.stdout, r"^run \w{26} of fine: success after ")
        self.assertIn("chappe logs", done.stdout)
        self.assertEqual(self.cluster.chappe("logs", "latest", "one").stdout, "said\n")

    def test_a_run_that_fails_says_why_and_shows_the_log(self) -> None:
        done = self.cluster.chappe("run", self.file(FAILS), code=3)
        self.assertIn("bad failed, exit code 3", done.stderr)
        self.assertIn("the last words", done.stdout)
        self.assertIn("chappe retry", done.stdout)
        self.assertRegex(self.cluster.chappe("explain", "latest").stdout, r"bad +failed +exit code 3\n")

    def test_files_with_mistakes(self) -> None:
        path = self.file("name: x\ntasks:\n  - id: a\n    retrys: 1\n    run: exit 0\n")
        for command in (["validate", path], ["run", path], ["plan", path], ["submit", path]):
            done = self.cluster.chappe(*command, code=2)
            self.assertIn(f"{path}:4:5: error: unknown key 'retrys'", done.stderr)
        self.assertFalse(self.state_dir().exists(), "a file with mistakes starts nothing")

    def test_wrong_arguments(self) -> None:
        for arguments in ([], ["rnu"], ["run"], ["run", "absent.yaml"], ["runs", "--limit", "0"], ["show"],
                          ["run", self.file(FINE), "-p", "m=1"], ["run", self.file(FINE), "-p", "n=x"],
                          ["run", self.file(FINE), "-p", "n"], ["runs", "--output", "xml"]):
            with self.subTest(arguments=arguments):
                self.cluster.chappe(*arguments, code=2)

    def test_a_stray_word_is_named_as_typed(self) -> None:
        for typed, said in (
            ("status latest", "there is no command 'status'; did you mean 'show'?"),
            ("rnu dag.yaml", "there is no command 'rnu'; did you mean 'run'?"),
            ("token crate", "there is no command 'crate'; did you mean 'create'?"),
            ("runs --status=failed", "'--status' is not an option of 'runs'; did you mean '--state'?"),
            ("trigger d --conf {}", "'--conf' is not an option of 'trigger'; did you mean '--param'?"),
            ("trigger d --parm n=1", "'--parm' is not an option of 'trigger'; did you mean '--param'?"),
            ("runs --json", "'--json' is not an option of 'runs'; did you mean '--output json'?"),
            ("runs --conf {}", "'--conf' is not an option of 'runs'; did you mean '--config'?"),
            ("standalone --worker-listen x", "'--worker-listen' is not an option of 'standalone': write 'scheduler: {worker_listen: ...}' into the --config file"),
            ("cancel latest --verbose", "'--verbose' is not an option of 'cancel'"),
            ("runs one two", "'one' is one word too many for 'runs'"),
            ("--limit 5 runs", "'--limit' is an option of 'runs': give it behind that word"),
        ):
            with self.subTest(typed=typed):
                self.assertEqual(self.cluster.chappe(*typed.split(), code=2).stderr, f"chappe: {said}\n")

    def test_the_log_of_a_failure_is_one_that_says_something(self) -> None:
        done = self.cluster.chappe("run", self.file(
            "{name: quiet, tasks: [{id: first, run: exit 4}, {id: second, run: 'echo the last words; exit 3'}]}"), code=3)
        self.assertIn("The end of the log of second\n  the last words", done.stdout)
        self.assertEqual(self.cluster.chappe("logs", "latest").stdout, "the last words\n")

    def test_a_last_task_that_wrote_nothing_offers_no_log(self) -> None:
        done = self.cluster.chappe("run", self.file("{name: gates, tasks: [{id: one, run: echo x}, {id: two, noop: true, depends_on: [one]}]}"))
        self.assertNotIn("chappe logs", done.stdout)
        self.assertIn("name one of the run's tasks: one, two", self.cluster.chappe("logs", "latest", code=2).stderr)

    def test_the_log_of_the_only_task_needs_no_name(self) -> None:
        self.cluster.chappe("run", self.file(FINE))
        self.assertEqual(self.cluster.chappe("logs", "latest").stdout, "said\n")

    def test_a_list_says_what_runs_are_about_and_who_asked(self) -> None:
        self.cluster.chappe("run", self.file(FINE), "--logical-time", "2026-11-20T03:00:00Z")
        self.cluster.environment["TZ"] = "Asia/Tokyo"
        head, row = self.cluster.chappe("runs").stdout.splitlines()
        self.assertRegex(head, r"^RUN +DAG +STATE +LOGICAL TIME +CREATED +TOOK +ASKED FOR BY$")
        self.assertRegex(row, r"^\w{26}  fine  success  2026-11-20 12:00:00 \+09:00  .*  admin$")
        shown = self.cluster.chappe("show", "latest").stdout
        self.assertRegex(shown, r"\nasked for by +admin\n")
        self.assertRegex(shown, r"\nbegan +\d{4}-")
        self.assertRegex(shown, r"TASK +STATE +ATTEMPT +STARTED +TOOK +MEMORY +REASON\none +success +1 +\d{4}-")
        self.assertRegex(self.cluster.chappe("show", "latest", "one").stdout,
                         r"ATTEMPT +STATE +STARTED +TOOK +WORKER +REASON\n1 +success +\S+ \S+ \S+ +\S+ +local-1")

    def test_files_that_nobody_serves_are_not_taken_for_a_scheduler(self) -> None:
        self.cluster.chappe("run", self.file(SLOW), "--timeout", "1s", code=4)
        self.assertRegex(self.cluster.chappe("runs").stderr,
                         r"^chappe: no scheduler serves \S+: run \w{26} and others that are not over rest until one does\n$")
        self.cluster.chappe("cancel", "latest")
        self.assertEqual(self.cluster.chappe("runs").stderr, "")

    def test_examples_of_the_help_are_right(self) -> None:
        """Each names options that its command has."""
        def help_of(words: list[str]) -> str:
            return self.cluster.chappe(*words, "--help").stdout

        shared = help_of([])
        seen = 0
        for command in re.findall(r"^  ([a-z-]+) {2,}\S", shared.split("Subcommands:")[1], re.MULTILINE):
            text = help_of([command])
            commands = [[command, one] for one in re.findall(r"^  ([a-z-]+) {2,}\S", text.partition("Subcommands:")[2], re.MULTILINE)]
            for words in [[command], *commands]:
                text = help_of(words)
                for line in re.findall(r"^  chappe (.*)$", text, re.MULTILINE):
                    seen += 1
                    self.assertEqual(line.split()[:len(words)], words)
                    for option in re.findall(r" (--?[a-z-]+)", line.split("#")[0]):
                        self.assertRegex(text + shared, rf"[ ,]{option}\b", line)
        self.assertGreater(seen, 40)

    def test_a_run_that_there_is_not(self) -> None:
        self.cluster.chappe("run", self.file(FINE))
        self.assertIn("there is no run 'nope'; see 'chappe runs'", self.cluster.chappe("show", "nope", code=1).stderr)

    def test_waiting_that_is_given_up(self) -> None:
        done = self.cluster.chappe("run", self.file(SLOW), "--timeout", "1s", code=4)
        self.assertIn("still going", done.stderr)
        self.assertIn("it rests until the next 'chappe run'", done.stderr)
        self.assertIn("is cancelled", self.cluster.chappe("cancel", "latest").stdout)
        self.assertEqual(self.json_of("show", "latest")["state"], "cancelled")

    def test_retry_brings_its_own_scheduler_where_none_serves(self) -> None:
        self.cluster.chappe("run", self.file(FAILS), code=3)
        self.cluster.chappe("retry", "latest", code=3)
        self.assertEqual(len(self.json_of("show", "latest", "bad")["attempts"]), 2)

    def test_a_killed_schedulers_address_is_no_scheduler(self) -> None:
        self.cluster.chappe("run", self.file(FINE))
        announced = self.state_dir() / "endpoint.json"
        announced.write_text(json.dumps({"api": "http://127.0.0.1:9", "workers": "tcp://127.0.0.1:9", "pid": os.getpid()}))
        self.assertEqual(len(self.json_of("runs")["items"]), 1)
        self.cluster.chappe("run", self.file(FINE))

    def test_an_interrupt_cancels_the_run(self) -> None:
        process = self.start("run", self.file(SLOW))
        self.wait_until_running("long")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE), 5)
        self.assertEqual(self.json_of("show", "latest")["state"], "cancelled")

    def test_nothing_stays_behind_when_the_command_is_killed(self) -> None:
        process = self.start("run", self.file(SLOW))
        self.wait_until_running("long")
        process.kill()
        process.wait()
        state = str(self.state_dir())

        def left() -> list[str]:
            lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
            return [line for line in lines.splitlines() if state in line]

        wait_until("the scheduler and the worker to end", left, lambda lines: lines == [], 2 * DEADLINE)

    def test_reading_needs_no_scheduler(self) -> None:
        self.cluster.chappe("run", self.file(FINE))
        self.assertEqual(len(self.json_of("runs")["items"]), 1)
        self.assertEqual(self.json_of("show", "latest", "one")["attempts"][0]["state"], "success")
        self.assertIn("there is no asset", self.cluster.chappe("assets").stderr)
        refused = self.cluster.chappe("submit", self.file(FINE), code=1).stderr
        self.assertIn("start one with 'chappe standalone'", refused)

    def test_nothing_is_there_yet(self) -> None:
        self.assertIn("try 'chappe run FILE'", self.cluster.chappe("runs", code=1).stderr)

    def test_a_terminal_shows_one_block_with_every_task(self) -> None:
        ours, theirs = pty.openpty()
        environment = {**self.cluster.environment, "TERM": "xterm", "COLUMNS": "100"}
        environment.pop("NO_COLOR")
        process = subprocess.Popen(
            [chappe_binary(), "run", self.file(FAILS)], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        shown = b""
        end = time.monotonic() + DEADLINE
        try:
            while time.monotonic() < end and (piece := os.read(ours, 65536)):
                shown += piece
        except OSError:  # How a terminal says that nobody is at its other end.
            pass
        os.close(ours)
        self.assertEqual(process.wait(DEADLINE), 3)
        text = shown.decode()
        self.assertRegex(text, r"\x1b\[\d+F", "it goes back up to draw anew")
        self.assertIn("\x1b[1;31mfailed\x1b[0m", text)
        last = re.split(r"\x1b\[\d+F", text)[-1]
        for task in ("bad", "after"):
            self.assertIn(f"\n  {task} ", last.replace("\r", ""))


class Served(unittest.TestCase):
    """With a scheduler and a worker that stay."""

    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.environment["CHAPPE_STATE_DIR"] = str(self.cluster.state)
        self.cluster.start_scheduler()
        self.cluster.start_worker()
        self.file = self.cluster.directory / "dag.yaml"
        self.file.write_text(FINE)

    def json_of(self, *arguments: str):
        return json.loads(self.cluster.chappe(*arguments, "--output", "json").stdout)

    def test_submit_then_trigger(self) -> None:
        first = self.json_of("submit", str(self.file), "--wait")
        self.assertEqual(first["state"], "success")
        second = self.json_of("trigger", "fine", "-p", "n=7", "--wait")
        self.assertEqual(second["params"], {"n": 7})
        self.assertIn("there is no DAG 'fin'; did you mean 'fine'?", self.cluster.chappe("trigger", "fin", code=1).stderr)
        self.assertIn("did you mean 'n'?", self.cluster.chappe("trigger", "fine", "-p", "m=7", code=2).stderr)

    def test_the_same_request_makes_one_run(self) -> None:
        ids = {self.json_of("submit", str(self.file), "--request-id", "once")["id"] for _ in range(2)}
        self.assertEqual(len(ids), 1)

    def test_retry_runs_what_failed(self) -> None:
        self.file.write_text(FAILS)
        run = self.json_of("submit", str(self.file))["id"]
        self.cluster.wait_for_run(run, "failed")
        self.cluster.chappe("retry", run, "--wait", code=3)
        self.assertEqual(len(self.json_of("show", run, "bad")["attempts"]), 2)

    def test_another_server_needs_its_token(self) -> None:
        api = json.loads((self.cluster.state / "endpoint.json").read_text())["api"]
        token = (self.cluster.state / "token").read_text().strip()
        self.cluster.environment["CHAPPE_STATE_DIR"] = str(self.cluster.directory / "elsewhere")
        refused = self.cluster.chappe("runs", "--server", api, code=1)
        self.assertIn("CHAPPE_TOKEN", refused.stderr)
        self.cluster.environment["CHAPPE_TOKEN"] = token
        self.cluster.chappe("runs", "--server", api)
        self.assertIn("cannot be reached", self.cluster.chappe("runs", "--server", "http://127.0.0.1:9", code=1).stderr)

    def test_logs_are_followed_while_they_are_written(self) -> None:
        gate = self.cluster.directory / "gate"
        self.file.write_text(f"{{name: talks, tasks: [{{id: t, run: 'echo one; until [ -e {gate} ]; do sleep 0.02; done; echo two'}}]}}")
        run = self.json_of("submit", str(self.file))["id"]
        with subprocess.Popen(
            [chappe_binary(), "logs", run, "t", "-f"], env=self.cluster.environment, stdout=subprocess.PIPE, text=True
        ) as follower:
            self.assertEqual(follower.stdout.readline(), "one\n")
            gate.touch()
            self.assertEqual(follower.stdout.readline(), "two\n")
            self.assertEqual(follower.stdout.read(), "")
            self.assertEqual(follower.wait(DEADLINE), 0)


class Standalone(unittest.TestCase):
    def test_it_hands_on_what_its_scheduler_is_told(self) -> None:
        cluster = Cluster.of(self)
        cluster.environment["CHAPPE_STATE_DIR"] = str(cluster.state)
        cluster._start("standalone", ["standalone", "--pool", "db=3", "--lock", "register=2", "--mail-from", "chappe@example.org"])
        wait_until("the scheduler", lambda: (cluster.state / "endpoint.json").exists())
        run = cluster.submit("{name: pooled, tasks: [{id: t, pool: db, slots: 3, run: 'true'}]}")
        cluster.wait_for_run(run, "success")
        self.assertIn("db", cluster.chappe("workers").stdout)

    def test_what_dies_is_started_again(self) -> None:
        cluster = Cluster.of(self)
        cluster.environment["CHAPPE_STATE_DIR"] = str(cluster.state)
        standalone = cluster._start("standalone", ["standalone", "--workers", "2"])

        def serving() -> int:
            file = cluster.state / "endpoint.json"
            return json.loads(file.read_text())["pid"] if file.exists() else 0

        first = wait_until("a scheduler", serving)
        os.kill(first, signal.SIGKILL)
        wait_until("another scheduler", serving, lambda pid: pid not in (0, first))
        dag = cluster.directory / "dag.yaml"
        dag.write_text(FINE)
        cluster.chappe("submit", str(dag), "--wait")
        self.assertEqual(standalone.stop(), 0)
        self.assertEqual(serving(), 0, "nothing is announced any more")

    def test_a_scheduler_that_is_killed_before_it_is_ready_is_started_again(self) -> None:
        cluster = Cluster.of(self)
        standalone = cluster._start("standalone", ["standalone", "--state-dir", str(cluster.state)])
        (first,) = wait_until("a scheduler", lambda: children(standalone.process.pid, "scheduler"))
        os.kill(first, signal.SIGKILL)
        wait_until("another one", lambda: children(standalone.process.pid, "scheduler"), lambda now: now not in ([], [first]))
        wait_until("it to be ready", lambda: cluster._is_ready(standalone))


if __name__ == "__main__":
    unittest.main()
