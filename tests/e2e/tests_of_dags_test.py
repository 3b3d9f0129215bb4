"""`chappe test`: the tests that DAG files hold, run by the real thing; what they find, and what they leave alone."""

import json
import os
import signal
import subprocess
import unittest
import xml.etree.ElementTree
from pathlib import Path

from cluster import EXAMPLES, Cluster, chappe_binary, wait_until

PIPELINE = """\
name: pipeline
params: {limit: {type: integer, default: 1}}
notify: [{on: [failure], command: [page]}]
secrets: {TOKEN: {env: NOT_HANDED_ON}}
defaults: {worker_selector: {zone: north}, tolerations: [gpu]}
outputs: {values: {n: "${{ tasks.count.outputs.n }}"}, artifacts: {copy: count.copy}}
tasks:
  - id: fetch
    run: touch FORBIDDEN; exit 9
    outputs:
      artifacts: [{name: raw, path: out/raw.csv}, {name: folder, path: folder, required: false}]
      metrics: {rate: {file: rate}}
  - id: wait
    wait: {for: 10h}
  - id: ask
    depends_on: [wait]
    human: {prompt: "Go on?", form: {go: {type: boolean}}}
  - id: each
    foreach: {items: [a, b, c]}
    depends_on: [fetch]
    env: {KEY: "${{ item }}"}
    run: printf '"%s"' "$KEY" > v; [ "$KEY" != c ]
    outputs: {values: {v: {json: v}}}
    allow_failure: true
  - id: model
    inputs: {artifacts: [{name: old, asset: model@champion, path: old}, {name: silver, asset: "s3://silver/it", path: silver}]}
    run: cat old silver > new; printf '%s' "$CHAPPE_LOGICAL_TIME" > time
    outputs: {values: {time: {file: time}}, artifacts: [{name: new, path: new, asset: "s3://gold/it"}]}
  - id: count
    depends_on: [ask, each, model]
    inputs: {artifacts: [{name: raw, from: fetch.raw, path: raw}]}
    when: "${{ tasks.ask.outputs.go }}"
    run: wc -l < raw > n; echo "counted"; cp raw copy; printf '{"b":[1,2.0],"a":null}' > it.json
    outputs: {values: {n: {json: n}}, artifacts: [{name: copy, path: copy}, {name: json, path: it.json}]}
  - id: gate
    depends_on: [count]
    check: {metric: {expr: tasks.count.outputs.n > params.limit}}
"""

FIXTURES = """\
    fixtures:
      tasks:
        fetch: {values: {rate: 0.5}, artifacts: {raw: {file: data/raw.csv}, folder: {file: data}}}
        wait: {}
        ask: {values: {go: true}}
        "each[b]": {values: {v: B}}
        "each[c]": {state: failed, exit_code: 3}
        each: {values: {v: other}}
      assets: {model@champion: "old ", "s3://silver/it": {json: [1]}}
"""

GOOD = (
    PIPELINE
    + "tests:\n  - name: all as expected\n    logical_time: 2026-03-01T00:00:00Z\n    params: {limit: 1}\n"
    + FIXTURES
    + """\
    expect:
      tasks:
        fetch: {state: success, values: {rate: 0.5}, artifacts: {folder: {file: data}}}
        "each[a]": {values: {v: other}}
        "each[b]": {values: {v: B}}
        "each[c]": {state: failed, reason: exit_code}
        model: {values: {time: "2026-03-01T00:00:00.000000Z"}, artifacts: {new: {text: "old [1]"}}}
        count: {values: {n: 2}, artifacts: {copy: {file: data/raw.csv}, json: {json: {a: null, b: [1, 2]}}}}
        gate: success
      outputs: {values: {n: 2}, artifacts: {copy: {file: data/raw.csv}}}
      conditions:
        - "tasks.each.outputs.v == ['other', 'B']"
        - "tasks.each.status == 'failed' || tasks.count.status == 'success'"
"""
)

BAD = (
    PIPELINE
    + "tests:\n  - name: nothing as expected\n    params: {limit: 5}\n"
    + FIXTURES
    + """\
    expect:
      tasks:
        count: {values: {n: 3}, artifacts: {copy: "one\\nthree\\n", json: {contains: "zzz"}}}
        fetch: {artifacts: {folder: {absent: true}, raw: {json: 1}}}
        model: {state: skipped, artifacts: {new: {file: data/raw.csv}}}
        "each[z]": success
        gate: {state: failed, reason: exit_code}
      outputs: {values: {n: 3}, artifacts: {copy: {text: "one\\n"}}}
      conditions: ["tasks.count.outputs.n > params.limit", tasks.gate.status == 'failed']
  - name: a log that says why
    fixtures: {tasks: {fetch: {state: skipped}, wait: {}, ask: {values: {go: false}}}}
    expect: {tasks: {model: success}}
"""
)


class TestsOfDags(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        data = self.cluster.directory / "data"
        data.mkdir()
        (data / "raw.csv").write_text("one\ntwo\n")
        temporary = self.cluster.directory / "tmp"
        temporary.mkdir()
        self.cluster.environment["TMPDIR"] = str(temporary)

    def file(self, text: str, name: str = "dag.yaml") -> str:
        path = self.cluster.directory / name
        path.write_text(text)
        return str(path)

    def left(self) -> list[Path]:
        return list((self.cluster.directory / "tmp").iterdir())

    def test_what_is_as_expected_passes(self) -> None:
        done = self.cluster.chappe("test", self.file(GOOD))
        self.assertRegex(done.stdout, r"dag.yaml\nok    all as expected  [\d.]+s\n1 test: 1 passed, 0 failed\n$")
        self.assertEqual(self.left(), [])
        self.assertFalse((Path(self.cluster.environment["XDG_STATE_HOME"]) / "chappe").exists(), "a state of its own")

    def test_what_is_not_is_told_with_its_place(self) -> None:
        path = self.file(BAD)
        report = self.cluster.directory / "report.xml"
        done = self.cluster.chappe("test", path, "-o", "json", "--junit", str(report), code=3)
        first, second = json.loads(done.stdout)
        place = {line.split(":")[0].strip(' "'): number for number, line in enumerate(BAD.splitlines(), 1)}
        found = [(each["line"], each["message"]) for each in first["findings"]]
        count = BAD[: BAD.index("count: {values: {n: 3}")].count("\n") + 1
        self.assertEqual(found[0], (place["- name"] and BAD[: BAD.index("- name: nothing")].count("\n") + 1,
                                    "the run is failed (gate failed), expected success"))
        self.assertEqual(found[1:], [
            (count, "n of count is 2, expected 3"),
            (count, "copy of count: line 2 is 'two', expected 'three'"),
            (count, "json of count: it is '{\"b\":[1,2.0],\"a\":null}', expected 'zzz' in it"),
            (count + 1, "fetch left folder, expected none"),
            (count + 1, found[5][1]),
            (count + 2, "model is success, expected skipped"),
            (count + 2, "new of model: line 1 is 'old [1]', expected 'one'"),
            (count + 3, "the run has no each[z]"),
            (count + 4, "the reason of gate is check_failed, expected exit_code"),
            (count + 5, "n of the run is not published, expected 3"),
            (count + 5, "the run left no copy"),
            (count + 6, "tasks.count.outputs.n > params.limit is false: tasks.count.outputs.n is 2, params.limit is 5"),
        ])
        self.assertIn("raw of fetch: it is no JSON", found[5][1])
        self.assertFalse(second["passed"])
        self.assertIn("no version of 'model@champion' has been published", json.dumps(second["findings"]))
        suite = xml.etree.ElementTree.parse(report).getroot()
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("2", "2"))
        self.assertEqual(suite[0].get("name"), "nothing as expected")
        self.assertIn("dag.yaml:", suite[0][0].text)

    def test_the_end_of_a_log_says_why(self) -> None:
        done = self.cluster.chappe("test", self.file(
            "{name: d, tasks: [{id: a, run: 'echo the last words; exit 3'}], tests: [{name: works}]}"), code=3)
        self.assertIn("FAIL  works", done.stdout)
        self.assertIn("dag.yaml:1:", done.stdout)
        self.assertIn("the run is failed (a failed), expected success", done.stdout)
        self.assertIn("| the last words", done.stdout)

    def test_some_may_be_chosen_and_what_they_left_kept(self) -> None:
        done = self.cluster.chappe("test", self.file(BAD), "--test", "says why", "--keep", code=3)
        self.assertIn("1 test: 0 passed, 1 failed", done.stdout)
        (kept,) = self.left()
        command = next(line.split("kept: chappe ")[1] for line in done.stdout.splitlines() if "kept: " in line)
        self.assertIn("pipeline", self.cluster.chappe(*command.split()).stdout)
        self.assertTrue((kept / "state").is_dir())

    def test_time_that_is_up_is_told(self) -> None:
        done = self.cluster.chappe("test", self.file(
            "{name: d, tasks: [{id: a, wait: {for: 10h}}], tests: [{name: slow, timeout: 1s}]}"), code=3)
        self.assertIn("it had not ended after 1s: a is waiting", done.stdout)
        self.assertEqual(self.left(), [])

    def test_mistakes_run_nothing(self) -> None:
        wrong = self.file(PIPELINE + "tests: [{name: t, expect: {tasks: {cuont: skipped}}}]\n")
        for command in ("test", "validate"):
            self.assertIn("error: there is no task 'cuont'; did you mean 'count'?",
                          self.cluster.chappe(command, wrong, code=2).stderr)
        wrong = self.file(PIPELINE + "tests: [{name: t, expect: {outputs: {values: {m: 1}, artifacts: {cpoy: a}}}}]\n")
        told = self.cluster.chappe("test", wrong, code=2).stderr
        self.assertIn("error: the DAG has no output value 'm'; did you mean 'n'?", told)
        self.assertIn("error: the DAG has no output artifact 'cpoy'; did you mean 'copy'?", told)
        self.assertIn("there are no 'tests'", self.cluster.chappe("test", self.file(PIPELINE), code=2).stderr)
        self.cluster.chappe("test", self.file(GOOD), "--test", "nothing like it", code=2)
        self.cluster.chappe("test", "absent.yaml", code=2)

    def test_a_file_of_a_fixture_that_is_not_there_fails_its_test(self) -> None:
        done = self.cluster.chappe("test", self.file(GOOD.replace("data/raw.csv}, folder", "data/gone.csv}, folder")), code=3)
        self.assertRegex(done.stdout, r"dag.yaml:\d+:\d+: .*data/gone.csv: No such file or directory")
        self.assertEqual(self.left(), [])

    def test_settings_of_daemons_are_not_its_own(self) -> None:
        self.cluster.environment.update({
            "CHAPPE_OBJECT_STORE": "s3://nowhere", "CHAPPE_SERVER": "http://127.0.0.1:9", "CHAPPE_LISTEN": "1.2.3.4:5",
            "CHAPPE_CONFIG": self.file("object_store: s3://nowhere\nscheduler: {listen: 1.2.3.4:5}\n", "chappe.yaml")})
        self.cluster.chappe("test", self.file(GOOD))

    def test_an_interrupt_ends_it_and_leaves_nothing(self) -> None:
        path = self.file("{name: d, tasks: [{id: a, wait: {for: 10h}}], tests: [{name: slow}, {name: never}]}")
        process = subprocess.Popen([chappe_binary(), "test", path], env=self.cluster.environment,
                                   cwd=self.cluster.directory, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        wait_until("it to begin", lambda: [each for each in self.left() if (each / "state/endpoint.json").exists()])
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 128 + signal.SIGINT)
        self.assertEqual(self.left(), [])

    def test_the_examples_pass(self) -> None:
        done = self.cluster.chappe("test", str(EXAMPLES), "-o", "json")
        told = json.loads(done.stdout)
        self.assertGreaterEqual(len({each["file"] for each in told}), 6)
        self.assertTrue(all(each["passed"] for each in told))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    unittest.main()
