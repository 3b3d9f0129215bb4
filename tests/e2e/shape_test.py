"""The shape of runs, with the real daemons: fan-outs over results, loops, teardowns and runs within runs, kill -9 between."""

import unittest

from cluster import Cluster, Gate


class Shape(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.worker = self.cluster.start_worker()

    def restart_scheduler(self) -> None:
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler()

    def test_a_fan_out_over_objects_has_an_item_for_each(self) -> None:
        landing = self.cluster.state / "objects/objects/landing"
        landing.mkdir(parents=True)
        for name in ("b.csv", "a.csv", "c.txt"):
            (landing / name).write_text(name)
        run = self.cluster.submit("""
            name: landed
            tasks:
              - id: convert
                foreach: {s3_list: "landing/*.csv", as: file}
                env: {FILE: "${{ file.uri }}", SIZE: "${{ file.size }}"}
                run: test "$(wc -c < "$FILE")" = "$SIZE"
                on_success: {run: 'test "$NAME" = "convert[$KEY]"', env: {NAME: "${{ task.name }}", KEY: "${{ file.key }}"}}
              - id: none
                depends_on: [convert]
                foreach: {s3_list: nothing/}
                noop: {}
            """)
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.states(run), {
            "convert_list": "success", "convert": "success", "convert[landing/a.csv]": "success",
            "convert[landing/b.csv]": "success", "convert_on_success": "skipped",
            "convert_on_success[landing/a.csv]": "success", "convert_on_success[landing/b.csv]": "success",
            "none_list": "success", "none": "skipped"})

    def test_a_fan_out_over_a_result_survives_the_scheduler(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(f"""
            name: late
            tasks:
              - id: list
                run: echo '["a","b","c"]' > parts.json
                outputs: {{values: {{parts: {{json: parts.json}}}}}}
              - id: work
                depends_on: [list]
                foreach: {{items: "${{{{ tasks.list.outputs.parts }}}}"}}
                env: {{PART: "${{{{ item }}}}"}}
                run: |
                  {gate.wait_for_it}
                  printf '"%s"' "$PART$PART" > twice
                outputs: {{values: {{twice: {{json: twice}}}}}}
              - id: join
                depends_on: [work]
                env: {{ALL: "${{{{ join(tasks.work.outputs.twice, ' ') }}}}"}}
                run: test "$ALL" = "aa bb cc"
            """)
        gate.reached()
        self.restart_scheduler()
        gate.open()
        self.cluster.wait_for_run(run, "success")
        names = ["list", "work", "join", "work[a]", "work[b]", "work[c]"]
        self.assertEqual(self.cluster.states(run), dict.fromkeys(names, "success"))
        self.assertEqual(self.cluster.task(run, "work")["message"], "3 items")
        self.assertEqual(self.cluster.task(run, "work[b]")["item"], "b")

    def test_a_value_too_large_for_a_row_is_used_like_any_other(self) -> None:
        """By a fan-out, a condition and as a file; also by a scheduler that did not see it come, and of the cache."""
        gate = Gate(self.cluster)
        text = f"""
            name: large
            tasks:
              - id: list
                run: |
                  python3 -c 'import json; print(json.dumps([{{"n": n, "text": "x" * 30_000}} for n in range(3)]))' > parts.json
                outputs: {{values: {{parts: {{json: parts.json}}, count: {{json: parts.json, path: "$[1]"}}}}}}
                cache: {{}}
              - id: work
                depends_on: [list]
                foreach: {{items: "${{{{ tasks.list.outputs.parts }}}}", key: "${{{{ item.n }}}}"}}
                run: |
                  {gate.wait_for_it}
              - id: join
                depends_on: [work]
                when: "len(tasks.list.outputs.parts) == 3"
                inputs:
                  artifacts:
                    - {{name: parts, from: list.parts, path: parts.json}}
                    - {{name: count, from: list.count, path: count.json}}
                run: |
                  python3 -c 'import json; parts = json.load(open("parts.json")); assert parts[1] == json.load(open("count.json"))'
            """
        run = self.cluster.submit(text)
        gate.reached()
        self.restart_scheduler()
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.task(run, "work")["message"], "3 items")
        self.assertEqual(list(self.cluster.values(run, "list")), ["count"])
        again = self.cluster.submit(text)
        self.cluster.wait_for_run(again, "success")
        self.assertIn("cached", self.cluster.task(again, "list")["message"])
        objects = list((self.cluster.state / "objects").rglob("values.parts"))
        self.assertEqual(len(objects), 1, "the second run has the first one's")

    def test_each_iteration_of_a_loop_is_an_attempt_with_its_own_log(self) -> None:
        run = self.cluster.submit("""
            name: looping
            tasks:
              - id: count
                run: |
                  echo "attempt $CHAPPE_ATTEMPT"
                  echo "$CHAPPE_ATTEMPT" > n
                outputs: {values: {n: {json: n}}}
                loop: {until: outputs.n == 3, max_iterations: 5}
            """)
        self.cluster.wait_for_run(run, "success")
        attempts = [(number, "success", None) for number in (1, 2, 3)]
        self.assertEqual(sorted(self.cluster.attempts(run, "count")), attempts)
        self.assertIn("attempt 2", self.cluster.log(run, "count", 2))

    def test_a_cancelled_run_is_torn_down(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(f"""
            name: cluster
            tasks:
              - {{id: up, run: echo up, setup: true}}
              - id: work
                depends_on: [up]
                run: |
                  {gate.wait_for_it}
              - {{id: down, run: echo down, teardown_of: up}}
            """)
        gate.reached()
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.restart_scheduler()
        self.cluster.wait_for_run(run, "cancelled")
        self.assertEqual(self.cluster.states(run), {"up": "success", "work": "cancelled", "down": "success"})

    def test_a_run_within_a_run_hands_its_values_up_though_the_scheduler_dies(self) -> None:
        gate = Gate(self.cluster)
        first = self.cluster.submit("""
            name: child
            params: {n: 1}
            tasks:
              - id: load
                env: {N: "${{ params.n }}"}
                run: echo $((N * 2)) > rows
                outputs: {values: {rows: {json: rows}}}
            """)
        self.cluster.wait_for_run(first, "success")
        run = self.cluster.submit(f"""
            name: parent
            tasks:
              - id: before
                run: |
                  {gate.wait_for_it}
              - id: sub
                depends_on: [before]
                foreach: {{items: [10, 20]}}
                dag: {{name: child, params: {{n: "${{{{ item }}}}"}}, outputs: {{rows: load.rows}}}}
              - id: check
                depends_on: [sub]
                check: {{metric: {{expr: sum(tasks.sub.outputs.rows) == 60}}}}
            """)
        gate.reached()
        gate.open()
        self.restart_scheduler()
        self.cluster.wait_for_run(run, "success")
        self.assertRegex(self.cluster.task(run, "sub[10]")["message"], "^run 0.* of child: success$")
        children = [each for each in self.cluster.get("/api/v1/runs?dag=child")["items"] if each["trigger"] == "dag"]
        self.assertEqual(len(children), 2)
        self.assertTrue(all(run in each["requested_by"] for each in children))


if __name__ == "__main__":
    unittest.main()
