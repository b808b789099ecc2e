/* Draws what "kafka_status json" says, which is the address "status" beside
   this page.  Asks every two seconds while somebody looks; texts are set as
   text, never as markup. */

'use strict';

const ADDRESS = 'status';
const PERIOD = 2000, PATIENCE = 5000;   /* ms */
const POINTS = 90;                      /* of a line */
const NONE = '\u2013';

const $ = id => document.getElementById(id);
const tiles = new Map();
let before = null;                      /* what was said the last time */

/* Texts */

function number(n) {
  if (n === null || n !== n) return NONE;
  for (const unit of ['', ' k', ' M', ' G', ' T']) {
    if (Math.abs(n) < 1000 || unit === ' T')
      return (n < 10 && n % 1 ? n.toFixed(1) : Math.round(n)) + unit;
    n /= 1000;
  }
}

const octets = n => number(n).replace(/(\d)$/, '$1 ') + 'B';

function seconds(s) {
  if (s === null) return NONE;
  if (s === Infinity) return '> 10 s';
  if (s < 0.001) return Math.round(s * 1e6) + ' \u00b5s';
  if (s < 1) return +(s * 1000).toPrecision(3) + ' ms';
  if (s < 120) return +s.toPrecision(3) + ' s';
  if (s < 7200) return Math.round(s / 60) + ' min';
  return s < 172800 ? Math.round(s / 3600) + ' h'
                    : Math.round(s / 86400) + ' d';
}

/* Figures */

/* within a bucket as if its values were spread evenly */
function quantile(bounds, counts, q) {
  const total = counts.reduce((a, b) => a + b, 0);
  let sum = 0;
  for (let i = 0; i < counts.length && total; i++) {
    if (counts[i] && sum + counts[i] >= q * total) {
      if (i === bounds.length) return Infinity;
      const low = i ? bounds[i - 1] : 0;
      return low + (bounds[i] - low) * (q * total - sum) / counts[i];
    }
    sum += counts[i];
  }
  return null;
}

const failed = t => t.not_kept + t.maybe_kept + t.refused;

/* every topic's counters, by producer and topic */
function flatten(status) {
  const all = new Map();
  for (const p of status.producers)
    for (const t of p.topics) all.set(`${p.name}\n${t.name}`, t);
  return all;
}

/* Elements */

function add(parent, name, text, style) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (style) node.className = style;
  parent.append(node);
  return node;
}

function shape(parent, name, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes))
    node.setAttribute(key, value);
  parent.append(node);
  return node;
}

function tile(name, text, value) {
  let t = tiles.get(name);
  if (!t) {
    const box = add($('tiles'), 'div', undefined, 'tile');
    add(box, 'span', name);
    t = { text: add(box, 'b'), values: [] };
    const svg = shape(box, 'svg', { viewBox: `0 0 ${POINTS - 1} 40`,
      preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    t.area = shape(svg, 'polygon', {});
    t.line = shape(svg, 'polyline', {});
    tiles.set(name, t);
  }
  t.text.textContent = text;
  if (value === null && !t.values.length) return;
  t.values.push(Number.isFinite(value) ? value : 0);
  if (t.values.length > POINTS) t.values.shift();
  const top = Math.max(...t.values) || 1;
  const from = POINTS - t.values.length;
  const points = t.values.map(
    (v, i) => `${from + i},${38 - Math.round(34 * v / top)}`).join(' ');
  t.line.setAttribute('points', points);
  t.area.setAttribute('points', `${from},40 ${points} ${POINTS - 1},40`);
}

/* a cell is its text, or [text, style] */
function table(id, heads, rows) {
  const node = $(id);
  node.replaceChildren();
  const head = add(add(node, 'thead'), 'tr');
  for (const text of heads) add(head, 'th', text).scope = 'col';
  const body = add(node, 'tbody');
  for (const row of rows) {
    const line = add(body, 'tr');
    for (const cell of row) add(line, 'td', ...[cell].flat());
  }
}

function say(text, style) {
  if ($('state').textContent !== text) $('state').textContent = text;
  $('state').className = style;
}

/* The page */

function show(status) {
  const same = before && before.since === status.since
               && status.time > before.time;
  const last = same ? before : status;
  const span = same ? status.time - before.time : 0;
  const rate = (a, b) => span ? Math.max(a - b, 0) / span : null;

  showTopics(status, same ? flatten(before) : null, last, rate);
  showProducers(status);

  const { version, installed } = status;
  const upgrade = installed && installed !== version
                  ? `, ${installed} is installed` : '';
  $('build').textContent = [`${version}${upgrade}`, `nginx ${status.nginx}`,
    `librdkafka ${status.librdkafka}`,
    `up ${seconds(Math.max(status.time - status.since, 0))}`
  ].join(' \u00b7 ');
  if (status.producers.some(p => p.workers && !p.connected))
    say('no broker is connected', 'bad');
  else
    say('serving', 'good');
  before = status;
}

/* topics and what is summed over them; "old" is flattened, or null */
function showTopics(status, old, last, rate) {
  const bounds = status.latencies;
  const many = status.producers.length > 1;
  const all = bounds.concat(0).map(() => 0);
  const errors = new Map();
  const topics = [], warnings = [];
  let bytes = 0, bytesOld = 0;

  for (const p of status.producers) {
    for (const t of p.topics) {
      const o = old && old.get(`${p.name}\n${t.name}`);
      const counts = t.latency.counts.map(
        (n, i) => n - (o ? o.latency.counts[i] : old ? 0 : n));
      const name = many ? `${p.name} / ${t.name}` : t.name;
      counts.forEach((n, i) => { all[i] += n; });
      bytes += t.bytes;
      bytesOld += o ? o.bytes : 0;
      topics.push([
        [name, t.warning ? 'warn' : ''],
        number(rate(t.kept, o ? o.kept : 0)), number(t.kept),
        [number(failed(t)), failed(t) ? 'bad' : 'dim'],
        [number(t.dropped), t.dropped ? 'bad' : 'dim'],
        seconds(quantile(bounds, counts, 0.5)),
        seconds(quantile(bounds, counts, 0.99)),
        t.replication || NONE, t.min_insync_replicas || NONE]);
      if (t.warning) warnings.push(`${name}: ${t.warning}`);
      for (const [code, n] of Object.entries(t.requests)) {
        if (['kept', 'queued', 'stored'].includes(code)) continue;
        const e = errors.get(code) || [0, 0];
        e[0] += n;
        e[1] += o ? o.requests[code] || 0 : 0;
        errors.set(code, e);
      }
    }
  }

  showTiles(status, last, rate, all, rate(bytes, bytesOld));
  table('topics', ['topic', 'kept / s', 'kept', 'failed', 'dropped',
                   'median', '99 %', 'replicas', 'in sync'], topics);
  table('errors', ['code', '/ s', 'requests'],
        [...errors].sort((a, b) => b[1][0] - a[1][0]).map(
          ([code, [n, o]]) => [code, number(rate(n, o)), number(n)]));
  $('refused').hidden = !errors.size;
  $('warnings').hidden = !warnings.length;
  $('list').replaceChildren();
  for (const text of warnings) add($('list'), 'li', text, 'warn');
}

function showTiles(status, last, rate, counts, bytes) {
  const median = quantile(status.latencies, counts, 0.5);
  const slow = quantile(status.latencies, counts, 0.99);
  const requests = rate(status.requests, last.requests);
  const kept = rate(status.acked, last.acked);
  const lost = rate(status.failed, last.failed);
  const room = status.producers.reduce(
    (sum, p) => sum + p.queue * p.workers, 0);
  const full = room ? 100 * status.queued_bytes / room : 0;

  tile('requests / s', number(requests), requests);
  tile('records kept / s', number(kept), kept);
  tile('bytes kept / s', number(bytes), bytes);
  tile('records failed / s', number(lost), lost);
  tile('latency, median', seconds(median), median);
  tile('latency, 99 %', seconds(slow), slow);
  tile('queue', `${number(status.queued)} \u00b7 ${number(full)}\u00a0%`,
       status.queued_bytes);
  tile('requests waiting', number(status.in_flight), status.in_flight);
}

function showProducers(status) {
  const many = status.producers.length > 1;

  table('producers', ['producer', 'connected', 'queue', 'waiting', 'receipts',
                      'rebuilt', 'not started', 'unreported'],
        status.producers.map(p => [
          p.name,
          [`${p.connected} of ${p.workers}`,
           p.connected < p.workers ? 'bad' : 'good'],
          `${octets(p.queued_bytes)} of ${octets(p.queue * p.workers)}`,
          number(p.in_flight),
          p.receipts ? [`${p.receipts.reading} of ${p.workers}`,
                        p.receipts.reading < p.workers ? 'warn' : 'good']
            : NONE,
          number(Object.values(p.rebuilds).reduce((a, n) => a + n)),
          number(p.start_failures), number(p.unreported)]));
  table('brokers', ['broker', 'address', 'connected', 'round trip', '99 %'],
        status.producers.flatMap(p => p.brokers.map(r => [
          many ? `${p.name} / ${r.id}` : `${r.id}`, r.address,
          [`${r.up} of ${r.up + r.connecting + r.down + r.unused}`,
           r.up ? 'good' : r.down + r.connecting ? 'bad' : 'dim'],
          seconds(r.rtt || null), seconds(r.rtt_p99 || null)])));
  table('workers', ['process', 'age', 'state', 'queue', 'waiting'],
        status.processes.map(w => [
          `${w.pid}`, seconds(Math.max(status.time - w.since, 0)),
          w.leaving ? ['leaving', 'warn'] : ['serving', 'good'],
          number(w.queued), number(w.in_flight)]));
}

async function turn() {
  if (!document.hidden) {
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(), PATIENCE);
    try {
      const answer = await fetch(ADDRESS, { cache: 'no-store',
                                            signal: end.signal });
      if (!answer.ok) throw new Error(`the status answers ${answer.status}`);
      show(await answer.json());
    } catch (reason) {
      say(`no news: ${reason.message}`, 'bad');
    } finally {
      clearTimeout(timer);
    }
  }
  setTimeout(turn, PERIOD);
}

document.addEventListener('visibilitychange', () => { before = null; });
turn();
