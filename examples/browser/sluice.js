// Sends records to Sluice from a page.  It queues them, sends batches, retries
// by what the server says was kept, and sends a last beacon when the page is
// left.
//
//     import { Sluice } from "./sluice.js";
//     const sluice = new Sluice("https://collect.example.com/events");
//     sluice.push({ page: location.pathname });
//
// Nothing to install.  The server's side is examples/nginx/cors.conf.

const KEEPALIVE = 60000; // bytes; browsers take 64 KiB on their way at once

const DEFAULTS = {
  batch: true, // several records a request, as NDJSON; false: one each
  batchRecords: 100,
  batchBytes: 50000,
  linger: 200, // ms that a record waits for others
  queueRecords: 1000, // push() refuses above either
  queueBytes: 1000000,
  attempts: 8, // of one record, while the server says it was not kept
  timeout: 10000, // ms for one request
  backoff: 500, // ms, doubled each time, where there is no Retry-After
  // One record a request, each with an Idempotency-Key.  A record whose fate
  // is unknown is then sent again.  Use it only where the consumer drops a
  // second record of a key ("dedupe"); the key is a header of the record.
  idempotency: false,
  gzip: false, // by CompressionStream, from 1 KiB on
  headers: {},
  // Called with (record, fate): { kept: true } after a 200, or { kept:
  // "queued" } (202), false (refused, or given up) or "possibly", with the
  // status and the server's problem where there is one.  Where the server
  // waits for the row (kafka_ack stored) also "dead-letter": the database
  // refused it; and stored: "row", "filtered", "duplicate" or "pending".
  onFate: () => {},
};

const utf8 = new TextEncoder();
const lines = (entries) => entries.map((entry) => entry.text).join("\n");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export class Sluice {
  #url;
  #type;
  #set;
  #queue = []; // { record, text, bytes, attempts }
  #bytes = 0;
  #flying = []; // the entries of the request under way,
  #sent = false; // or only about to be
  #running = null;
  #timer = 0;
  #silent = false; // the last request had no answer

  constructor(url, settings = {}) {
    this.#url = url;
    this.#set = { ...DEFAULTS, ...settings };
    const { batch, idempotency } = this.#set;
    if (!batch || idempotency) {
      this.#set.batchRecords = 1;
    }
    this.#type = batch && !idempotency ? "application/x-ndjson"
      : "application/json";
    // on a telephone "hidden" may be the last event of a page
    addEventListener("visibilitychange", this.#onHidden);
    addEventListener("pagehide", this.#onLeave);
  }

  get waiting() {
    return this.#queue.length + this.#flying.length;
  }

  // False: the queue is full, the record was not taken.
  push(record) {
    const text = JSON.stringify(record);
    const bytes = utf8.encode(text).length + 1;
    const { queueRecords, queueBytes, batchRecords, linger } = this.#set;
    if (this.waiting >= queueRecords || this.#bytes + bytes > queueBytes) {
      return false;
    }
    this.#queue.push({ record, text, bytes, attempts: 0 });
    this.#bytes += bytes;
    if (this.#queue.length >= batchRecords) {
      this.flush();
    } else if (!this.#timer) {
      this.#timer = setTimeout(() => this.flush(), linger);
    }
    return true;
  }

  // Resolves when nothing is waiting any more, kept or not.
  flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#running ??= this.#drain().finally(() => (this.#running = null));
    return this.#running;
  }

  // Sends what waits and takes its listeners off the page.
  async close() {
    await this.flush();
    removeEventListener("visibilitychange", this.#onHidden);
    removeEventListener("pagehide", this.#onLeave);
  }

  // One request at a time, so that records keep their order.
  async #drain() {
    while (this.#queue.length) {
      const pause = await this.#sendOne();
      if (pause) {
        await sleep(pause);
      }
    }
  }

  #take(bytes) {
    const most = Math.min(this.#set.batchRecords, this.#queue.length);
    let count = 0;
    for (let sum = 0; count < most; count++) {
      sum += this.#queue[count].bytes;
      if (count && sum > bytes) {
        break;
      }
    }
    return this.#queue.splice(0, count);
  }

  // Returns the ms to wait before the next request.
  async #sendOne() {
    if (this.#silent && !(await this.#someoneAnswers())) {
      return this.#backoff(3);
    }
    this.#flying = this.#take(this.#set.batchBytes);
    if (!this.#flying.length) {
      return 0; // the page left meanwhile
    }
    this.#sent = false;
    this.#flying.forEach((entry) => entry.attempts++);
    const answer = await this.#request(this.#flying);
    const entries = this.#flying;
    this.#flying = [];
    return answer ? this.#judge(entries, answer) : 0;
  }

  async #request(entries) {
    const { headers, idempotency, gzip, timeout } = this.#set;
    const head = { "Content-Type": this.#type, ...headers };
    if (idempotency) {
      entries[0].key ??= crypto.randomUUID(); // the same one every time
      head["Idempotency-Key"] = `"${entries[0].key}"`;
    }
    let body = utf8.encode(lines(entries));
    if (gzip && body.length >= 1024 && "CompressionStream" in globalThis) {
      const packed = new Response(body).body
        .pipeThrough(new CompressionStream("gzip"));
      body = await new Response(packed).arrayBuffer();
      head["Content-Encoding"] = "gzip";
      if (!this.#flying.length) {
        return null; // the page left meanwhile and took them along
      }
    }
    this.#sent = true;
    try {
      const answer = await fetch(this.#url, {
        method: "POST",
        body,
        headers: head,
        // outlives the page
        keepalive: body.byteLength <= KEEPALIVE,
        signal: AbortSignal.timeout(timeout),
      });
      const json = /json/.test(answer.headers.get("Content-Type"));
      const told = (json && await answer.json().catch(() => null)) || {};
      const after = answer.headers.get("Retry-After");
      return { status: answer.status, told, after };
    } catch (reason) {
      // refused, cut, or too slow: a page cannot tell, so it may be kept
      return { status: 0, told: {}, reason };
    }
  }

  #judge(entries, { status, told, after, reason }) {
    this.#silent = status === 0;
    const split = status === 413 && entries.length > 1;
    const again = [];

    entries.forEach((entry, index) => {
      // a batch says it of each record, or names those that are wrong
      const own = told.results?.find((one, at) => (one.index ?? at) === index);
      const code = own?.status ?? status;
      if (code >= 200 && code < 300) {
        const { stored } = own ?? told;
        const kept = code === 202 && !stored ? "queued" : true;
        return this.#done(entry, { kept, status: code, stored });
      }
      // an answer without "persisted" is not the module's: a 4xx produced
      // nothing, a 5xx may have
      const persisted = own?.persisted ?? told.persisted
        ?? (code >= 400 && code < 500 ? "no" : "possibly");
      const retry = persisted === "dead-letter" ? false
        : persisted !== "no" ? this.#set.idempotency
        : split || after !== null || (own ? code >= 500 : !!told.results);
      if (retry && entry.attempts < this.#set.attempts) {
        again.push(entry);
      } else {
        const kept = persisted === "no" ? false
          : persisted === "dead-letter" ? persisted : "possibly";
        this.#done(entry, { kept, status: code, problem: own ?? told, reason });
      }
    });

    this.#queue.unshift(...again);
    if (split) {
      this.#set.batchRecords = Math.ceil(entries.length / 2);
      return 0;
    }
    return again.length && (after !== null || status === 0 || status >= 500)
      ? Math.max(1000 * after || 0, this.#backoff(again[0].attempts)) : 0;
  }

  #backoff(attempts) {
    const most = this.#set.backoff * 2 ** Math.min(attempts - 1, 6);
    return most * (0.5 + Math.random() / 2);
  }

  #done(entry, fate) {
    this.#bytes -= entry.bytes;
    queueMicrotask(() => this.#set.onFate(entry.record, fate));
  }

  // After no answer ask without a body first.  So in an outage the fate of
  // one request is unknown, and not that of every record.
  async #someoneAnswers() {
    const signal = AbortSignal.timeout(this.#set.timeout);
    const asked = fetch(this.#url, { method: "OPTIONS", signal });
    this.#silent = await asked.then(() => false, () => true);
    return !this.#silent;
  }

  #onHidden = () => {
    document.visibilityState === "hidden" && this.flush();
  };

  // Nobody reads the answers.  text/plain needs no preflight.
  #onLeave = () => {
    if (!this.#sent) {
      this.#queue.unshift(...this.#flying.splice(0));
    }
    while (this.#queue.length) {
      const entries = this.#take(KEEPALIVE);
      if (!navigator.sendBeacon(this.#url, lines(entries))) {
        this.#queue.unshift(...entries); // the page may come back
        return;
      }
      entries.forEach((entry) => this.#done(entry, { kept: "possibly" }));
    }
  };
}
