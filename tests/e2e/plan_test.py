"""`chappe plan`: what a file would do, asked of a scheduler, of the files that one left, and of nobody."""

import json
import unittest

from cluster import EXAMPLES, Cluster

MAKER = """\
name: maker
params: {rate: {type: integer, default: 1}}
tasks:
  - id: words
    cache: auto
    run: printf 'a b c' > words
    outputs: {artifacts: [{name: words, path: words, asset: {uri: "gold/words", name: words}}]}
  - id: weigh
    cache: auto
    foreach: {items: [1, 2]}
    env: {RATE: "${{ params.rate * item }}"}
    inputs: {artifacts: [{name: words, from: words.words, path: words}]}
    run: printf '%s' "$RATE" > rate
    outputs: {values: {rate: {json: rate}}}
  - {id: always, depends_on: [weigh], run: echo}
  - {id: enough, depends_on: [weigh], check: {metric: {expr: "sum(tasks.weigh.outputs.rate) < 5"}}}
  - {id: never, when: params.rate > 100, run: echo}
  - {id: after, depends_on: [always], noop: true}
"""
STARTED = "{name: started, triggers: [{asset: words}], tasks: [{id: a, run: echo}]}"
READER = "{name: reader, tasks: [{id: a, inputs: {artifacts: [{name: w, asset: gold/words, path: w}]}, run: cat w}]}"
AFTER = "{name: after_it, triggers: [{dag: {name: maker, on: [success]}}], tasks: [{id: a, run: echo}]}"


class Plan(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)

    def file(self, text: str, name: str = "dag.yaml") -> str:
        path = self.cluster.directory / name
        path.write_text(text)
        return str(path)

    def plan(self, text: str, *options: str) -> dict:
        return json.loads(self.cluster.chappe("plan", self.file(text), *options, "-o", "json").stdout)

    def outlook(self, plan: dict) -> dict:
        return {one["name"]: "used again" if one["reused"] else one["state"] for one in plan["run"]}

    def test_nobody_knows_more_than_the_file(self) -> None:
        plan = self.plan(MAKER)
        self.assertEqual((plan["run"], plan["consumers"], plan["version_in_use"]), ([], [], None))
        self.assertEqual([task["task"] for task in plan["tasks"]][:2], ["words", "weigh"])

    def test_what_is_used_again_and_why_not(self) -> None:
        self.cluster.chappe("run", self.file(MAKER))
        again = self.plan(MAKER)  # Of the files: nobody serves them now.
        self.assertEqual(again["difference"], "")
        self.assertEqual(self.outlook(again), {
            "words": "used again", "weigh[1]": "used again", "weigh[2]": "used again", "always": "scheduled",
            "enough": "success", "never": "skipped", "after": "none"})
        self.assertEqual(len(self.cluster.chappe("runs").stdout.splitlines()), 2, "a plan makes no run")

        other = self.plan(MAKER, "--param", "rate=3")
        self.assertEqual(self.outlook(other), {
            "words": "used again", "weigh[1]": "scheduled", "weigh[2]": "scheduled", "always": "none",
            "enough": "none", "never": "skipped", "after": "none"})
        told = {one["name"]: one["told"] for one in other["run"]}
        self.assertIn("env.RATE", told["weigh[1]"])

        done = self.cluster.chappe("plan", self.file(MAKER.replace("printf 'a b c'", "printf 'a b d'")))
        self.assertIn("in use: task words differs", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^words +runs +.*run")
        self.assertRegex(done.stdout, r"(?m)^weigh +run +× 2 +words +words.words +undecided$")

    def test_a_gate_that_would_say_no(self) -> None:
        self.cluster.chappe("run", self.file(MAKER), "--param", "rate=2", code=3)
        plan = self.plan(MAKER, "--param", "rate=2")
        self.assertEqual(self.outlook(plan)["enough"], "failed")
        self.assertIn("enough", self.cluster.chappe("plan", self.file(MAKER), "-p", "rate=2").stdout.split("WHY")[1])

    def test_who_reads_what_it_makes(self) -> None:
        self.cluster.start_scheduler()
        self.cluster.start_worker()
        options = ("--state-dir", str(self.cluster.state))
        for number, text in enumerate((STARTED, READER, AFTER)):
            self.cluster.chappe("deploy", self.file(text, f"{number}.yaml"), *options)
        self.cluster.chappe("submit", self.file(MAKER), "--wait", *options)
        past = self.file(READER.replace("name: reader", "name: past"), "past.yaml")
        self.cluster.chappe("submit", past, "--wait", *options)
        plan = self.plan(MAKER, *options)
        self.assertEqual({(one["dag"], one["how"], one["asset"]) for one in plan["consumers"]}, {
            ("started", "starts on it", "words"), ("reader", "reads it", "gold/words"),
            ("after_it", "starts when it has ended", "maker"), ("past", "has read it", "gold/words")})
        self.assertRegex(self.cluster.chappe("plan", self.file(MAKER), *options).stdout,
                         r"(?m)^reader +reads it +gold/words$")

    def test_dags_that_would_start_each_other_in_a_circle(self) -> None:
        text = "{name: %s, triggers: [{asset: %s}], tasks: [{id: t, run: echo > o, " \
               "outputs: {artifacts: [{name: o, path: o, asset: %s}]}}]}"
        ping, pong = self.file(text % ("ping", "x", "y"), "ping.yaml"), self.file(text % ("pong", "y", "x"), "pong.yaml")
        circle = "DAGs start each other in a circle (%s, %s on asset %s, %s on asset %s): after 100 runs it ends"
        self.assertIn(circle % ("ping", "pong", "y", "ping", "x"), self.cluster.chappe("validate", ping, pong).stderr)
        self.assertNotIn("circle", self.cluster.chappe("validate", ping).stderr)
        told = self.cluster.chappe("validate", ping, pong, "--output", "json")
        self.assertNotIn("circle", told.stderr)
        for file, name in zip(json.loads(told.stdout), (ping, pong), strict=True):
            self.assertEqual([(one["file"], one["severity"]) for one in file["diagnostics"]], [(name, "warning")])
            self.assertIn(circle % ("ping", "pong", "y", "ping", "x"), file["diagnostics"][0]["message"])
        self.cluster.start_scheduler()
        options = ("--state-dir", str(self.cluster.state))
        self.assertNotIn("circle", self.cluster.chappe("deploy", ping, *options).stderr)
        for verb in ("plan", "deploy"):
            with self.subTest(verb=verb):
                told = self.cluster.chappe(verb, pong, *options).stderr
                self.assertIn(circle % ("pong", "ping", "x", "pong", "y"), told)
        told = json.loads(self.cluster.chappe("plan", pong, "--output", "json", *options).stdout)["diagnostics"]
        self.assertEqual([(one["file"], one["severity"]) for one in told], [(pong, "warning")])
        self.assertIn(circle % ("pong", "ping", "x", "pong", "y"), told[0]["message"])

    def test_parameters_are_put_in(self) -> None:
        plan = self.plan("{name: d, params: {day: {type: string, required: true}, k: {type: string, secret: true, required: "
                         "true}}, tasks: [{id: a, run: echo, outputs: {artifacts: [{name: x, path: x, asset: "
                         "'raw/${{ params.day }}'}]}}]}", "-p", "day=mon", "-p", "k=hidden")
        self.assertEqual(plan["tasks"][0]["outputs"], ["raw/mon"])
        self.assertNotIn("hidden", json.dumps(plan))

    def test_a_run_that_is_too_large_is_planned_without(self) -> None:
        self.cluster.chappe("run", str(EXAMPLES / "hello.yaml"))
        done = self.cluster.chappe("plan", self.file(
            "{name: large, tasks: [{id: a, foreach: {sequence: {count: 30000}}, run: echo}]}"))
        self.assertIn("large: 30000 task instances", done.stdout)
        self.assertIn("at most 20000 are looked at", done.stderr)

    def test_a_server_that_is_named_must_be_there(self) -> None:
        self.cluster.chappe("plan", self.file(MAKER), "--server", "http://127.0.0.1:9", code=1)


if __name__ == "__main__":
    unittest.main()
