"""How artifacts lie in the work directory, and what they must be, with the real daemons."""

import hashlib
import unittest

from cluster import Cluster


class Forms(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.cluster.start_worker()

    def test_an_output_is_what_was_announced_or_its_task_fails(self) -> None:
        dag = """
            name: hashed
            params: {sha256: ""}
            tasks:
              - id: make
                run: printf rows > rows
                outputs: {artifacts: [{name: rows, path: rows, sha256: "${{ params.sha256 }}"}]}
            """
        right = hashlib.sha256(b"rows").hexdigest()
        self.cluster.wait_for_run(self.cluster.submit(dag, sha256=right.upper()), "success")
        wrong = self.cluster.submit(dag, sha256="a" * 64)
        self.cluster.wait_for_run(wrong, "failed")
        task = self.cluster.task(wrong, "make")
        self.assertEqual(task["reason"], "invalid_output")
        self.assertIn(f"its SHA-256 is {right}, and must be {'a' * 64}", task["message"])
        none = self.cluster.submit(dag, sha256="rows")
        self.cluster.wait_for_run(none, "failed")
        self.assertIn("is no 64 hexadecimal digits", self.cluster.task(none, "make")["message"])

    def test_an_input_lies_as_its_reader_wants_it(self) -> None:
        run = self.cluster.submit("""
            name: placed
            tasks:
              - id: make
                run: |
                  mkdir folder
                  printf '#!/bin/sh\\necho it runs' > folder/a
                  cp folder/a tool
                outputs: {artifacts: [{name: folder, path: folder}, {name: tool, path: tool}]}
              - id: use
                inputs:
                  artifacts:
                    - {name: tool, from: make.tool, path: bin/tool, mode: 0o755}
                    - {name: packed, from: make.folder, path: folder.tar.zst, unpack: false}
                    - {name: folder, from: make.folder, path: folder, unpack: true}
                run: |
                  test "$(bin/tool)" = "it runs"
                  test -f folder.tar.zst
                  cmp folder/a bin/tool
              - {id: not_packed, run: x, inputs: {artifacts: [{name: tool, from: make.tool, path: t, unpack: true}]}}
              - {id: no_file, run: x, inputs: {artifacts: [{name: f, from: make.folder, path: f, mode: 0o644}]}}
            """)
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(self.cluster.task(run, "use")["state"], "success")
        self.assertIn("input 'tool' is a file", self.cluster.task(run, "not_packed")["message"])
        self.assertIn("input 'f' is a directory", self.cluster.task(run, "no_file")["message"])


if __name__ == "__main__":
    unittest.main()
