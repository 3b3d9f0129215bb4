// Answers one line of JSON with one: a tree of tasks carried out by BullMQ. See peers.py.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { FlowProducer, Worker } from "bullmq";

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };
const flows = new FlowProducer({ connection });

const runTrue = () =>
  new Promise((resolve, reject) => {
    spawn("/bin/true", { stdio: "ignore" })
      .on("error", reject)
      .on("exit", (code) => (code === 0 ? resolve(0) : reject(new Error(`exit code ${code}`))));
  });

// A flow is told from its end: a task's children are what it waits for. The source of W1 is left out: it would be the
// child of ten thousand.
function tree(upstream, queueName) {
  const leaf = (name) => ({ name, queueName, data: {} });
  const last = upstream.length - 1;
  if (upstream[last].length > 1) {
    return { ...leaf("last"), children: upstream[last].map((task) => leaf(`t${task}`)) };
  }
  let chain = leaf("t0");
  for (let task = 1; task <= last; ++task) chain = { ...leaf(`t${task}`), children: [chain] };
  return chain;
}

let turn = 0;
async function carryOut({ upstream, spawn: spawns }) {
  const queueName = `bench${++turn}`;
  const work = spawns ? runTrue : async () => 0;
  const worker = new Worker(queueName, work, { connection, concurrency: spawns ? 2 : 64 });
  await worker.waitUntilReady();
  const flow = tree(upstream, queueName);
  const start = performance.now();
  const ended = new Promise((resolve, reject) => {
    worker.on("completed", (task) => task.name === flow.name && resolve());
    worker.on("failed", (_, error) => reject(error));
  });
  await flows.add(flow);
  await ended;
  const seconds = (performance.now() - start) / 1000;
  await worker.close();
  return { seconds };
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  console.log(JSON.stringify(question.upstream ? await carryOut(question) : {}));
}
process.exit(0);
