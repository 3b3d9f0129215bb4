"""The object store goes away while a task has something to store: the run waits for it, and no try is used up."""

import hashlib
import os
import subprocess
import unittest

from cluster import Cluster, Gate, wait_until


class FakeS3:
    """The tests' own S3 server, behind a proxy that can cut it off."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.process = subprocess.Popen([os.environ["FAKE_S3"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.close)
        self.endpoint = self.process.stdout.readline().strip().removeprefix("endpoint=")

    def tell(self, word: str) -> int:
        """How often somebody has connected so far."""
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": "us-east-1",
        }

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)


@unittest.skipUnless(os.environ.get("FAKE_S3"), "FAKE_S3 does not name the tests' S3 server")
class StoreAway(unittest.TestCase):
    def test_the_run_waits_and_goes_on_without_another_try(self) -> None:
        server = FakeS3(self)
        cluster = Cluster.of(self, object_store="s3://office/chappe")
        cluster.environment.update(server.environment())
        cluster.start_scheduler()
        cluster.start_worker()
        gate = Gate(cluster)
        run = cluster.submit(f"""
            name: publishing
            tasks:
              - id: make
                run: |
                  echo "result" > result
                  {gate.wait_for_it}
                outputs: {{artifacts: [{{name: result, path: result, asset: {{uri: pub/result, name: result}}}}]}}
              - id: use
                depends_on: [make]
                inputs: {{artifacts: [{{name: result, asset: pub/result, path: result}}]}}
                run: grep -q result result
            """)
        gate.reached()
        before = server.tell("away")
        gate.open()
        # Past the client's own repeats, in the worker's patience.
        wait_until("the worker to ask in vain", lambda: server.tell("") - before, lambda tries: tries > 10)
        self.assertEqual([(number, reason) for number, _, reason in cluster.attempts(run, "make")], [(1, None)])
        server.tell("back")
        cluster.wait_for_run(run, "success", 90)
        for task in ("make", "use"):
            self.assertEqual(cluster.attempts(run, task), [(1, "success", None)])
        versions = [version["sha256"] for version in cluster.assets("result")]
        self.assertEqual(versions, [hashlib.sha256(b"result\n").hexdigest()])


if __name__ == "__main__":
    unittest.main()
