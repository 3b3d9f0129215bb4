"""Argo Workflows, imported and run: which tasks run, and how they end, is what their authors meant."""

import json
import unittest

from cluster import ROOT, Cluster

WORKFLOWS = ROOT / "tests" / "unit" / "argo" / "workflows"


class ImportOfArgo(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.file = self.cluster.directory / "imported.yaml"

    def states(self, workflow: str, code: int = 0) -> dict[str, str]:
        """Imports and runs it, and returns how its tasks ended."""
        self.cluster.chappe("import", "argo", str(WORKFLOWS / workflow), "--processes", "--output",
                            str(self.file))
        self.cluster.chappe("run", str(self.file), code=code)
        run = json.loads(self.cluster.chappe("show", "latest", "--output", "json").stdout)
        return {task["name"]: task["state"] for task in run["tasks"]}

    def log(self, task: str) -> str:
        return self.cluster.chappe("logs", "latest", task).stdout

    def test_a_diamond(self) -> None:
        self.assertEqual(self.states("diamond.yaml"), dict.fromkeys(["north", "east_side", "west", "south"], "success"))
        self.assertEqual(self.log("east_side"), "good day E\n")
        self.assertEqual(self.log("south"), "all said good day\ngood day good day\n")

    def test_depends_lets_those_run_whose_names_say_so(self) -> None:
        states = self.states("depends.yaml", code=3)
        must = {name: state for name, state in states.items() if name.startswith("must_run") and "_if" not in name}
        self.assertEqual(must, {f"must_run_{n}": "success" for n in range(1, 8)})
        must_not = {name: state for name, state in states.items() if name.startswith("must_not") and "_if" not in name}
        self.assertEqual(set(must_not), {f"must_not_run_{n}" for n in range(1, 6)})
        self.assertLessEqual(set(must_not.values()), {"skipped", "upstream_failed"})

    def test_a_map_over_what_a_task_wrote_and_a_reduction(self) -> None:
        states = self.states("map_reduce.yaml")
        self.assertEqual(set(states.values()), {"success"})
        self.assertLessEqual({"split", "double[1]", "double[2]", "double[3]", "total"}, set(states))

    def test_a_fan_out_over_the_outputs_of_another(self) -> None:
        states = self.states("aggregate.yaml")
        halves = {name: state for name, state in states.items() if name.startswith("halve[")}
        self.assertEqual(sorted(halves.values()), ["skipped", "skipped", "success", "success"])
        self.assertEqual(self.log("print[1]") + self.log("print[2]"), "half: 1\nhalf: 2\n")

    def test_exit_handlers_after_a_failure(self) -> None:
        states = self.states("exit_handlers.yaml", code=3)
        self.assertEqual(states["main"], "failed")
        self.assertEqual(states["on_exit_celebrate"], "skipped")
        self.assertEqual(states["on_exit_cry"], "success")
        self.assertRegex(self.log("on_exit_mail"), r'^to the owner: \w{26} is Failed \["main"\]\n$')

    def test_hooks_read_what_their_task_left(self) -> None:
        states = self.states("hooks.yaml")
        self.assertEqual(states.pop("step_1_on_failure"), "skipped")
        self.assertEqual(set(states.values()), {"success"})
        self.assertEqual(self.log("step_1_on_success_2"), "done\n")

    def test_retries_and_failures_that_are_allowed(self) -> None:
        states = self.states("retry.yaml", code=3)
        self.assertEqual(states["not_two"], "failed")
        attempts = json.loads(self.cluster.chappe("show", "latest", "not_two", "--output", "json").stdout)["attempts"]
        self.assertEqual(len(attempts), 1, "exit code 2 is not among those that are tried again")
        self.assertEqual((states["grows"], states["goes_on"], states["after"]), ("success", "failed", "success"))

    def test_templates_within_templates(self) -> None:
        states = self.states("nested.yaml")
        self.assertEqual((states["prepare"], states["extra"], states["extra_make"]), ("success", "skipped", "skipped"))
        self.assertEqual(self.log("use[a]"), "7 a\n")
        self.assertEqual(self.log("typed"), "8\n")

    def test_a_choice_by_what_a_task_wrote(self) -> None:
        states = self.states("coin.yaml")
        self.assertEqual((states["head"], states["tail"], states["tell"]), ("success", "skipped", "success"))
        self.assertEqual(self.log("toss"), "head\n", "kept for others, and still in the log")
        self.assertEqual(self.log("tell"), "it was head\n")

    def test_notes_go_to_stderr_and_the_file_to_stdout(self) -> None:
        path = str(WORKFLOWS / "locks.yaml")
        done = self.cluster.chappe("import", "argo", path)
        self.assertTrue(done.stdout.startswith("name: shared\n"))
        self.assertIn(f"{path}:23:7: note: a template's 'daemon' is not taken over\n", done.stderr)

    def test_what_is_no_workflow_is_refused(self) -> None:
        self.file.write_text("kind: Pod\n")
        done = self.cluster.chappe("import", "argo", str(self.file), code=2)
        self.assertEqual(done.stdout, "")
        self.assertIn(f"{self.file}:1:1: error: this is no Argo Workflow", done.stderr)
        self.cluster.chappe("import", "argo", "absent.yaml", code=2)


if __name__ == "__main__":
    unittest.main()
