"""What a user sees of runs: fan-out, files handed on, retries, gates, cancelling, logs, explanations."""

import unittest

from cluster import Answer, Cluster, Gate, wait_until


class Runs(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.cluster.start_worker()

    def test_files_and_values_travel_from_task_to_task(self) -> None:
        run = self.cluster.submit("""
            name: travel
            params: {word: {type: string, default: tower}}
            tasks:
              - id: write
                env: {WORD: "${{ params.word }}"}
                run: mkdir -p out/deep; echo "$WORD" > out/deep/word; echo '{"length":5}' > about.json
                outputs:
                  artifacts: [{name: all, path: out}]
                  values: {length: {json: about.json, path: $.length}}
              - id: read
                depends_on: [write]
                inputs: {artifacts: [{name: all, from: write.all, path: in}]}
                env: {LENGTH: "${{ tasks.write.outputs.length }}"}
                run: test "$(cat in/deep/word)" = pigeon; test "$LENGTH" = 5; ls -A
            """, word="pigeon")
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.log(run, "read"), "in\n", "the work directory holds the inputs and nothing else")

    def test_fan_out_runs_each_item_and_the_best_is_chosen(self) -> None:
        run = self.cluster.submit("""
            name: fan_out
            tasks:
              - id: train
                foreach: {items: [3, 11, 7], as: size, key: "s${{ size }}"}
                env: {SIZE: "${{ size }}"}
                run: echo "model $SIZE" > model; echo "$SIZE" > size
                outputs:
                  artifacts: [{name: model, path: model}]
                  metrics: {size: {json: size, path: $}}
              - id: best
                depends_on: [train]
                inputs: {artifacts: [{name: model, from: train.model, select: {max: size}, path: model}]}
                run: cat model
              - id: all
                depends_on: [train]
                inputs: {artifacts: [{name: models, from: train.model, path: models}]}
                run: cd models && for each in *; do echo "$each = $(cat "$each")"; done
            """)
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.log(run, "best"), "model 11\n")
        self.assertEqual(self.cluster.log(run, "all"), "s11 = model 11\ns3 = model 3\ns7 = model 7\n")
        self.assertEqual(self.cluster.values(run, "train[s7]"), {"size": 7})

    def test_parameters_reach_programs_byte_for_byte(self) -> None:
        hostile = [
            "$(reboot)", "`reboot`", "; reboot", "a\nb", "'", '"', "\\", "\\n", "$HOME", "${IFS}", "~", "*", "--help", "-n", "",
            " ", "\t", "%s", "%n", "{}", "${{ params.p0 }}", "@/etc/passwd", "../..", "\x1b[31m", "é\U0001f4a9", "()", "&&", "A=B",
        ]
        params = {f"p{number}": text for number, text in enumerate(hostile)}
        arguments = ", ".join(f'"${{{{ params.{name} }}}}"' for name in params)
        variables = ", ".join(f'V{number}: "${{{{ params.p{number} }}}}"' for number in range(len(hostile)))
        script = "; ".join(f"printf '%s\\0' \"$V{number}\"" for number in range(len(hostile)))
        run = self.cluster.submit(
            "name: hostile\nparams: {" + ", ".join(f"{name}: {{type: string}}" for name in params) + "}\n"
            "tasks:\n"
            f"  - {{id: arguments, command: [printf, '%s\\0', {arguments}]}}\n"
            f"  - id: variables\n    env: {{{variables}}}\n    run: |\n      {script}\n",
            **params,
        )
        self.cluster.wait_for_run(run, "success")
        for task in ("arguments", "variables"):
            self.assertEqual(self.cluster.log(run, task).split("\0")[:-1], hostile, task)

    def test_retries_by_exit_code_and_keeps_the_log_of_each_attempt(self) -> None:
        run = self.cluster.submit("""
            name: retries
            tasks:
              - id: flaky
                run: echo "attempt $CHAPPE_ATTEMPT"; if [ "$CHAPPE_ATTEMPT" -lt 3 ]; then exit 75; fi
                retry: {limit: 5, on: [exit_code], exit_codes: [75], backoff: {initial: 20ms, factor: 1}}
            """)
        self.cluster.wait_for_run(run, "success")
        failed = [(number, "failed", "exit_code") for number in (1, 2)]
        self.assertEqual(self.cluster.attempts(run, "flaky"), [*failed, (3, "success", None)])
        self.assertEqual(self.cluster.log(run, "flaky", 1), "attempt 1\n")
        self.assertEqual(self.cluster.log(run, "flaky"), "attempt 3\n")

    def test_does_not_retry_what_was_not_asked_for(self) -> None:
        run = self.cluster.submit("""
            name: no_retries
            tasks:
              - {id: wrong, run: exit 4, retry: {limit: 5, exit_codes: [75], backoff: {initial: 20ms}}}
              - {id: after, depends_on: [wrong], run: exit 0}
              - {id: beside, run: exit 0}
            """)
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(self.cluster.attempts(run, "wrong"), [(1, "failed", "exit_code")])
        expected = {"wrong": "failed", "after": "upstream_failed", "beside": "success"}
        self.assertEqual(self.cluster.states(run), expected)

    def test_a_person_retries_what_failed(self) -> None:
        repaired = self.cluster.directory / "repaired"
        run = self.cluster.submit(f"""
            name: repair
            tasks:
              - {{id: first, run: exit 0}}
              - {{id: broken, depends_on: [first], run: test -e {repaired}}}
              - {{id: last, depends_on: [broken], run: exit 0}}
            """)
        self.cluster.wait_for_run(run, "failed")
        repaired.touch()
        self.cluster.post(f"/api/v1/runs/{run}/retry")
        wait_until("success", lambda: self.cluster.run(run)["state"], lambda state: state == "success")
        self.assertEqual([state for _, state, _ in self.cluster.attempts(run, "broken")], ["failed", "success"])
        self.assertEqual(len(self.cluster.attempts(run, "first")), 1, "what had succeeded is not run again")

    def test_a_missing_output_fails_the_task(self) -> None:
        run = self.cluster.submit("""
            name: missing
            tasks: [{id: forgets, run: exit 0, outputs: {artifacts: [{name: result, path: result.csv}]}}]
            """)
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(self.cluster.attempts(run, "forgets"), [(1, "failed", "invalid_output")])
        self.assertIn("result.csv", self.cluster.task(run, "forgets")["message"])

    def test_a_gate_stops_what_is_not_good_enough(self) -> None:
        run = self.cluster.submit("""
            name: gate
            params: {least: {type: number, default: 0.5}}
            tasks:
              - id: measure
                run: echo 0.4 > precision
                outputs: {metrics: {precision: {json: precision, path: $}}}
              - id: gate
                depends_on: [measure]
                check: {metric: {expr: tasks.measure.outputs.precision >= params.least, message: not precise enough}}
              - {id: deploy, depends_on: [gate], run: exit 0}
            """)
        self.cluster.wait_for_run(run, "failed")
        gate = self.cluster.task(run, "gate")
        self.assertEqual((gate["state"], gate["reason"]), ("failed", "check_failed"))
        self.assertIn("not precise enough", gate["message"])
        self.assertEqual(self.cluster.states(run)["deploy"], "upstream_failed")

    def test_cancelling_ends_the_task_and_all_its_children(self) -> None:
        gate = Gate(self.cluster)
        pid = self.cluster.directory / "pid"
        run = self.cluster.submit(f"""
            name: endless
            tasks:
              - id: endless
                run: |
                  sleep 600 & echo $! > {pid}
                  {gate.wait_for_it}
              - {{id: after, depends_on: [endless], run: exit 0}}
            """)
        gate.reached()
        child = int(pid.read_text())
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        states = self.cluster.states(run)
        self.assertEqual(states["endless"], "cancelled")
        self.assertIn(states["after"], ("none", "cancelled"), "what never began needs no row of its own")
        wait_until(f"process {child} to be gone", lambda: not is_running(child))

    def test_a_timeout_ends_an_attempt(self) -> None:
        run = self.cluster.submit("{name: slow, tasks: [{id: slow, run: sleep 600, timeout: 200ms}]}")
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(self.cluster.attempts(run, "slow"), [(1, "failed", "timeout")])

    def test_the_log_can_be_read_while_the_task_runs(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(f"""
            name: talks
            tasks:
              - id: talks
                run: |
                  echo first
                  {gate.wait_for_it}
                  echo last >&2
            """)
        gate.reached()
        wait_until("the first line", lambda: self.cluster.log(run, "talks"), lambda log: log == "first\n")
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.log(run, "talks"), "first\nlast\n")

    def test_explains_what_a_task_waits_for(self) -> None:
        run = self.cluster.submit("""
            name: waits
            tasks:
              - {id: huge, run: exit 0, resources: {cpu: 4000}}
              - {id: after, depends_on: [huge], run: exit 0}
            """)

        def look() -> dict[str, str]:
            explained = self.cluster.get(f"/api/v1/runs/{run}/explain")["tasks"]
            return {task["task"]: str(task.get("waits_for")) for task in explained}

        # Until the worker has joined, that is what it waits for.
        waiting = wait_until("an explanation", look, lambda tasks: "cpu" in tasks.get("huge", "").lower())
        self.assertIn("huge", waiting["after"])

    def test_a_broken_file_is_refused_with_places(self) -> None:
        with self.assertRaises(Answer) as refused:
            self.cluster.submit("name: broken\ntasks:\n  - id: one\n    retrys: 3\n    run: exit 0\n")
        self.assertEqual(refused.exception.status, 422)
        self.assertIn("4:5", refused.exception.problem)
        self.assertIn("retr", refused.exception.problem)

    def test_the_same_request_makes_one_run(self) -> None:
        body = {"dag_yaml": "{name: once, tasks: [{id: one, noop: {}}]}", "request_id": "night-of-2026-11-20"}
        first, second = (self.cluster.post("/api/v1/runs", body)["id"] for _ in range(2))
        self.assertEqual(first, second)


def is_running(pid: int) -> bool:
    """False for a zombie too."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main()
