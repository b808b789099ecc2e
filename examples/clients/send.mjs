// Sends each line of its input, a JSON value, as a record of its own.
//
//     node send.mjs URL [SECONDS] < records
//
// What may be sent again is sent again for SECONDS (60), with the same
// Idempotency-Key: with "dedupe" in the daemon each record becomes one row.
// Exit status 1: a record was refused, or nobody knows whether it was kept.

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";

const AGAIN = [0, 408, 429, 500, 502, 503, 504];
const [url, seconds = "60"] = process.argv.slice(2);

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Status, answer, and the seconds that the server asks to wait.
async function post(record, key) {
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: record,
      signal: AbortSignal.timeout(20000),
    });
    const text = await answer.text();
    let said = {};
    try {
      said = JSON.parse(text);
    } catch {
      said.title = answer.statusText;
    }
    return [answer.status, said, Number(answer.headers.get("Retry-After"))];
  } catch (error) {
    // no answer, or half of one: the record may have been kept
    return [0, { title: `${error.cause ?? error}`, persisted: "possibly" }, 0];
  }
}

// Whether the record is kept; says why not.
async function send(record) {
  // it begins with the time, so that PostgreSQL finds its place at once
  const key = `${Date.now()}-${randomUUID()}`;
  const deadline = performance.now() + seconds * 1000;
  let maybe = false;
  for (let pause = 200; ; pause = Math.min(pause * 2, 5000)) {
    const [status, answer, wait] = await post(record, key);
    if (status >= 200 && status < 300) {
      return true;
    }
    maybe ||= answer.persisted === "possibly";
    const ms = wait > 0 ? wait * 1000 : pause * (0.5 + Math.random() / 2);
    if (!AGAIN.includes(status) || performance.now() + ms > deadline) {
      console.error(`${maybe ? "maybe kept" : "not kept"}: ${status || ""}`,
        answer.title, answer.detail ?? "", record);
      return false;
    }
    await sleep(ms);
  }
}

if (!url) {
  console.error("usage: node send.mjs URL [SECONDS] < records");
  process.exit(2);
}

let sent = 0;
let kept = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim()) {
    sent++;
    kept += await send(line.trim());
  }
}
console.log(`${kept} of ${sent} records are kept`);
process.exitCode = kept === sent ? 0 : 1;
