"""Tasks that are one request: what is sent, what comes of the answer, and what is never shown."""

import http.server
import json
import threading
import unittest
from typing import Any, Callable

from cluster import Cluster, wait_until

TOKEN = "tok-51c7e0aa\"9d"
HOOK = "hook-path-7731be"

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """Answers what the test says; keeps what it was asked."""

    def __init__(self, test: unittest.TestCase, answer: Callable[["Server", str, bytes], Answer]) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.gone = threading.Event()  # Somebody hung up while `slow` waited.
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((f"{self.command} {self.path}", headers, body))
                if self.path == "/slow":
                    self.connection.recv(1)  # Nothing more comes until the other side closes.
                    outer.gone.set()
                    return
                status, more, text = answer(outer, f"{self.command} {self.path}", body)
                self.send_response(status)
                for name, value in {**more, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def count(self, line: str) -> int:
        return sum(1 for asked, _, _ in self.asked if asked == line)


def as_json(value: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


class Http(unittest.TestCase):
    def start(self, answer: Callable[[Server, str, bytes], Answer] = lambda *_: (204, {}, b"")) -> Server:
        self.cluster = Cluster.of(self)
        self.cluster.environment |= {"API_TOKEN": TOKEN, "HOOK": HOOK}
        self.cluster.start_scheduler()
        self.cluster.start_worker("w1", "--secret-env", "API_TOKEN", "--secret-env", "HOOK")
        return Server(self, answer)

    def test_an_answer_goes_on_to_those_downstream_and_no_secret_anywhere(self) -> None:
        # The answer repeats what it was asked with: a header of the request, and its body.
        server = self.start(lambda _, line, body: as_json({"ids": [7, 8], "asked": json.loads(body), "auth": TOKEN}))
        run = self.cluster.submit(f"""
name: calls
params: {{year: {{type: integer, default: 2026}}, who: {{type: string, secret: true}}}}
secrets: {{TOKEN: {{env: API_TOKEN}}}}
tasks:
  - id: call
    http:
      url: {server.url}/items?year=${{{{ params.year }}}}
      method: POST
      headers: {{Authorization: "Bearer ${{{{ secrets.TOKEN }}}}"}}
      json: {{year: "${{{{ params.year }}}}", text: "in ${{{{ params.year }}}}", by: "${{{{ params.who }}}}",
             token: "${{{{ secrets.TOKEN }}}}", all: [1, true, null]}}
      success: response.status == 200 && response.body.ids[0] == 7
    outputs: {{artifacts: [{{name: page, path: body}}], values: {{second: {{json: body, path: "$.ids[1]"}}}}}}
  - id: use
    depends_on: [call]
    inputs: {{artifacts: [{{name: page, from: call.page, path: page.json}}]}}
    env: {{ID: "${{{{ tasks.call.outputs.body.ids[0] }}}} ${{{{ tasks.call.outputs.second }}}}",
          TYPE: "${{{{ tasks.call.outputs.status }}}} ${{{{ tasks.call.outputs.headers['content-type'] }}}}"}}
    run: echo "$ID $TYPE"; grep -c ids page.json
""", who="somebody-in-secret")
        self.cluster.wait_for_run(run, "success")
        line, headers, body = server.asked[0]
        self.assertEqual(line, "POST /items?year=2026")
        self.assertEqual(headers["authorization"], f"Bearer {TOKEN}")
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(json.loads(body), {"year": 2026, "text": "in 2026", "by": "somebody-in-secret", "token": TOKEN,
                                            "all": [1, True, None]})
        self.assertEqual(self.cluster.log(run, "use"), "7 8 200 application/json\n1\n")
        values = self.cluster.values(run, "call")
        self.assertEqual((values["status"], values["body"]["ids"], values["body"]["auth"]), (200, [7, 8], "***"))
        log = self.cluster.log(run, "call")
        self.assertRegex(log, r"^POST http://\S+/items\?year=2026, \d+ bytes\nstatus 200 after \d+\.\d+ s, \d+ bytes\n$")
        self.assert_nowhere(run, TOKEN, json.dumps(TOKEN)[1:-1], "somebody-in-secret")

    def assert_nowhere(self, run: str, *secrets: str) -> None:
        told = [self.cluster.call("GET", f"/api/v1/runs/{run}").decode()]
        for name in self.cluster.tasks(run):
            told += [json.dumps(self.cluster.task(run, name)), self.cluster.log(run, name)]
        kept = [path.read_bytes() for path in self.cluster.state.rglob("*") if path.is_file() and "runs" in path.parts]
        for secret in secrets:
            self.assertFalse([text for text in told if secret in text or json.dumps(secret)[1:-1] in text])
            self.assertFalse([data[:200] for data in kept if secret.encode() in data])

    def test_a_refused_answer_is_tried_again_and_told(self) -> None:
        server = self.start(lambda server, line, _: (503, {}, b"sorry\nlater") if server.count(line) < 2 else (200, {}, b"ok"))
        run = self.cluster.submit(f"""
name: refused
tasks:
  - {{id: again, http: {{url: {server.url}/again}}, retry: {{limit: 1, on: [check_failed]}}}}
  - {{id: gone, http: {{url: {server.url}/gone, success: response.status == 404}}, allow_failure: true}}
  - {{id: nobody, http: {{url: "http://127.0.0.1:1/x"}}, allow_failure: true}}
""")
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.attempts(run, "again"), [(1, "failed", "check_failed"), (2, "success", None)])
        first = self.cluster.task(run, "gone")["attempts"][0]
        host = server.url.removeprefix("http://")
        self.assertEqual(first["message"], f"GET {host}: status 503 (not so: response.status == 404): sorry")
        nobody = self.cluster.task(run, "nobody")["attempts"][0]
        self.assertEqual(nobody["reason"], "launch_failed")
        self.assertRegex(nobody["message"], r"^GET 127\.0\.0\.1:1: .*[Cc]onnect")
        self.assertEqual(server.count("GET /gone"), 1)

    def test_a_cancel_and_a_timeout_hang_up(self) -> None:
        server = self.start()
        dag = f"name: slow\ntasks: [{{id: call, http: {{url: {server.url}/slow, method: POST}}, timeout: %s}}]\n"
        run = self.cluster.submit(dag % "10m")
        wait_until("the request to arrive", lambda: server.count("POST /slow") == 1)
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        self.assertTrue(server.gone.wait(30))
        server.gone.clear()
        run = self.cluster.submit(dag % "1s")
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(self.cluster.attempts(run, "call"), [(1, "failed", "timeout")])
        self.assertTrue(server.gone.wait(30))
        self.assertEqual(server.count("POST /slow"), 2)

    def test_handlers_hooks_loops_and_items_make_requests(self) -> None:
        def answer(server: Server, line: str, _: bytes) -> Answer:
            return as_json({"done": server.count(line) == 3}) if line == "GET /poll" else (204, {}, b"")

        server = self.start(answer)
        run = self.cluster.submit(f"""
name: everywhere
secrets: {{hook: {{env: HOOK}}}}
tasks:
  - id: poll
    http: {{url: {server.url}/poll}}
    loop: {{until: outputs.body.done, max_iterations: 5}}
    on_success: {{http: {{url: "{server.url}/polled/${{{{ task.name }}}}", method: PUT}}}}
  - id: each
    foreach: {{items: [a, b]}}
    http: {{url: "{server.url}/each/${{{{ item }}}}", method: DELETE}}
  - {{id: fails, run: exit 3}}
handlers:
  failure: {{http: {{url: "{server.url}/${{{{ secrets.hook }}}}", method: POST, json: {{failed: "${{{{ run.failed_tasks }}}}"}}}}}}
""")
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(server.count("GET /poll"), 3)
        for line in ("PUT /polled/poll", "DELETE /each/a", "DELETE /each/b", f"POST /{HOOK}"):
            self.assertEqual(server.count(line), 1, line)
        (told,) = [json.loads(body) for line, _, body in server.asked if line == f"POST /{HOOK}"]
        self.assertEqual(told, {"failed": ["fails"]})
        self.assert_nowhere(run, HOOK)


if __name__ == "__main__":
    unittest.main()
