// SPDX-License-Identifier: MIT
//
// A producer and a worker of BullMQ, as a peer of the benchmark:
//
//     node main.mjs PORT put WARMUP SECONDS
//     node main.mjs PORT take COUNT SECONDS
//
// 64 loops add jobs of 100 bytes, or a worker with a concurrency of 64 does so many, or what it does in
// so many seconds. It says "window" when what counts begins, and at its end how long it took and how
// many there were.
import { Queue, Worker } from "bullmq";
import Redis from "ioredis";

const CLIENTS = 64;
const NAME = "nothing";
const [port, what, ...numbers] = process.argv.slice(2);
const connection = new Redis(Number(port), "127.0.0.1", { maxRetriesPerRequest: null });
const pause = (seconds) => new Promise((resume) => setTimeout(resume, seconds * 1000));

function report(begun, operations) {
  console.log(`seconds ${(performance.now() - begun) / 1000}\noperations ${operations}\nerrors 0`);
  process.exit(0);
}

async function put(warmup, seconds) {
  const queue = new Queue(NAME, {
    connection,
    defaultJobOptions: { removeOnComplete: 1000, removeOnFail: 1000 },
  });
  const body = "x".repeat(100);
  let puts = 0;
  for (let i = 0; i < CLIENTS; i++)
    (async () => {
      for (;;) {
        await queue.add(NAME, body);
        puts++;
      }
    })();
  await pause(warmup);
  console.log("window");
  const begun = performance.now();
  const before = puts;
  await pause(seconds);
  report(begun, puts - before);
}

function take(count, seconds) {
  let done = 0;
  console.log("window");
  const begun = performance.now();
  const worker = new Worker(NAME, async () => {}, { connection, concurrency: CLIENTS });
  worker.on("completed", () => {
    if (++done === count) report(begun, count);
  });
  setTimeout(() => report(begun, done), seconds * 1000);
}

await (what === "put" ? put : take)(...numbers.map(Number));
