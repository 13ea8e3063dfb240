'use strict';
// The page of jobd. It knows what any client can know: all it shows comes from jobd's own requests,
// and every text of a job becomes textContent. Addresses are relative, so that it works below a
// path of a proxy.

const $ = id => document.getElementById(id);
const main = $('main');
const STATES = ['queued', 'scheduled', 'blocked', 'running', 'done', 'failed', 'cancelled'];
const FINAL = ['done', 'failed', 'cancelled'];
const CARDS_MAX = 12, SHOW_BYTES = 65536, DRAW_MS = 250, LIST_MS = 2000, STATUS_MS = 10000;

// An element with its properties, listeners (on…) and children.
function h(tag, props, ...kids) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value == null || value === false) continue;
    if (name.startsWith('on')) e.addEventListener(name.slice(2), value);
    else if (name in e && typeof value !== 'string') e[name] = value;
    else e.setAttribute(name, value === true ? '' : value);
  }
  e.append(...kids.flat(2).filter(kid => kid != null && kid !== false));
  return e;
}

const table = (caption, heads, rows) => h('div', {class: 'scroll'}, h('table', {}, h('caption', {}, caption),
  h('thead', {}, h('tr', {}, heads.map(t => h('th', {scope: 'col'}, t)))), h('tbody', {}, rows.map(row => h('tr', {}, row.map(kid => h('td', {}, kid)))))));

function svg(tag, props) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(props)) e.setAttribute(name, value);
  return e;
}

const number = n => n == null ? '–' : n.toLocaleString('en');
function bytes(n) {
  let unit = 0;
  for (; n >= 1024 && unit < 3; unit++) n /= 1024;
  return (unit ? n.toFixed(1) : n) + ' ' + ['B', 'KiB', 'MiB', 'GiB'][unit];
}
function duration(ms) {
  for (const [size, unit] of [[172800e3, 'd'], [7200e3, 'h'], [120e3, 'min'], [1e3, 's']])
    if (ms >= size) { const n = ms / ({d: 864e5, h: 36e5, min: 6e4, s: 1e3})[unit]; return (n < 10 ? n.toFixed(1) : Math.round(n)) + ' ' + unit; }
  return Math.round(ms) + ' ms';
}
const time = iso => h('time', {datetime: iso, title: iso}, new Date(iso).toLocaleString());
const ago = iso => h('time', {datetime: iso, title: iso}, duration(Math.max(0, Date.now() - Date.parse(iso))));
const jobLink = id => h('a', {href: '#/jobs/' + id}, String(id));
const enc = encodeURIComponent;

function say(text) {
  $('said').textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { $('said').textContent = ''; }, 6000);
}

// ---- asking the server

let token = sessionStorage.getItem('jobd-token') || '';
let status = null; // the last /status

class Refused extends Error {
  constructor(code, text) { super(text); this.code = code; }
}

async function send(method, path, {accept = 'application/json', headers = {}, body, signal} = {}) {
  const fields = {Accept: accept, ...headers};
  if (token) fields.Authorization = 'Bearer ' + token;
  let reply;
  try {
    reply = await fetch(path, {method, headers: fields, body, signal, cache: 'no-store', referrerPolicy: 'no-referrer'});
  } catch (error) {
    if (error.name !== 'AbortError') gone('The server does not answer. Trying again every 2 seconds.');
    throw error;
  }
  gone('');
  if (reply.ok) return reply;
  let why = reply.status + ' ' + reply.statusText;
  try {
    const text = await reply.text();
    why = (reply.headers.get('Content-Type') || '').includes('json') ? JSON.parse(text).detail : text.trim() || why;
  } catch { /* the status says enough */ }
  if (reply.status === 401) askToken(why);
  throw new Refused(reply.status, why);
}
const get = async (path, options) => (await send('GET', path, options)).json();

async function act(method, path, done, options) {
  try {
    const reply = await send(method, path, options);
    const text = await reply.text();
    let detail = '';
    try {
      const {matched, changed} = JSON.parse(text);
      if (matched != null) detail = `: ${changed} of ${matched}`;
    } catch { /* has no counts */ }
    say(done + detail);
    refresh();
    return true;
  } catch (error) {
    if (error.code) say(error.message);
    return false;
  }
}

function gone(text) {
  $('gone').hidden = !text;
  $('gone').textContent = text;
}

// ---- what a token may do

const RANK = {any: 0, read: 1, 'read+data': 2, put: 3, work: 3, admin: 4};
const isAdmin = () => !status || status.scope === 'admin';
const mayPut = () => isAdmin() || status.scope === 'put';
const seesData = () => !status || RANK[status.scope] > 1;

function askToken(why) {
  const dialog = $('token');
  if (dialog.open) return;
  $('tokened').textContent = why || 'The token of this page. It is sent with each request and kept nowhere else.';
  $('secret').value = '';
  dialog.showModal();
}
$('use').onclick = () => {
  token = $('secret').value.trim();
  if ($('keep').checked) sessionStorage.setItem('jobd-token', token);
  $('token').close();
  restart();
};
$('forget').onclick = () => {
  token = '';
  sessionStorage.removeItem('jobd-token');
  $('token').close();
  restart();
};
$('secret').onkeydown = event => { if (event.key === 'Enter') $('use').click(); };
$('login').onclick = () => askToken();

// Before harm: names the thing and the number; what has the focus changes nothing.
function ask(text, verb) {
  const dialog = $('ask');
  $('asked').textContent = text;
  $('yes').textContent = verb;
  dialog.showModal();
  return new Promise(resolve => {
    $('yes').onclick = () => { dialog.onclose = null; dialog.close(); resolve(true); };
    $('no').onclick = () => dialog.close();
    dialog.onclose = () => resolve(false);
  });
}

// ---- queues

const sum = list => (list || []).reduce((a, b) => a + b, 0);
const broken = q => q.breaker && q.breaker !== 'closed';
const isFull = q => q.capacity > 0 && waits(q) >= q.capacity;
const waits = q => q.queued + q.scheduled + (q.blocked || 0);

// What is wrong with a queue, the worst first.
function troubles({name, history = {}, ...q}) {
  const found = [], full = isFull(q), failed = sum(history.failed), done = sum(history.done), n = number(waits(q));
  const add = (bad, text, verb, act) => found.push({bad, text: `${name} ${text}`, verb, act});
  const resume = ['Resume', () => pause(name, false)];
  if (q.declared === false && waits(q)) add(true, `is not declared: its ${n} jobs can only be moved, or wait for it to come back.`);
  if (broken(q)) add(true, 'holds its jobs back: its service is down. One a time tries whether it is back.');
  if (q.paused) add(full, full ? 'is paused and full: it turns jobs away.' : `is paused: ${n} jobs wait.`, ...resume);
  else if (full && !q.running) add(true, 'is full, and nobody takes its jobs: are its workers running?');
  else if (full) add(true, `is full: jobs come faster than they are done (${number(q.drain_per_s)} a second). More workers, or a larger capacity.`);
  else if (q.queued && !q.running && q.oldest_age_ms > 60000) add(true, `has ${n} jobs and nobody who takes them; the oldest has waited for ${duration(q.oldest_age_ms)}.`);
  if (failed) add(failed >= done, `: ${number(failed)} failed in the last ten minutes, ${number(done)} done.`, 'Look', () => { location.hash = `#/jobs?queue=${enc(name)}&state=failed&order=newest`; });
  return found;
}

function chart(series, title) {
  const max = Math.max(1, ...series.flatMap(([, values]) => values));
  const e = svg('svg', {viewBox: '0 0 59 44', preserveAspectRatio: 'none', role: 'img', 'aria-label': title});
  for (const [name, values] of series) {
    const from = 60 - values.length;
    const points = values.map((v, i) => `${from + i},${(42 - 40 * v / max).toFixed(1)}`).join(' ');
    e.append(svg('polyline', {points, class: name}));
  }
  return h('figure', {}, e, h('figcaption', {class: 'dim'}, title));
}

function pause(name, paused) {
  return act('POST', `queues/${enc(name)}/${paused ? 'pause' : 'resume'}`, `${name} is ${paused ? 'paused' : 'running'}`);
}
async function purge(q) {
  if (await ask(`Cancel all ${number(waits(q))} jobs that wait in ${q.name}? They will not run.`, `Cancel ${number(waits(q))} jobs`))
    act('POST', `queues/${enc(q.name)}/purge`, `${q.name} is purged`);
}
const queueButtons = q => isAdmin() && h('div', {class: 'row'},
  h('button', {onclick: () => pause(q.name, !q.paused)}, q.paused ? 'Resume' : 'Pause'),
  h('button', {class: 'harm', disabled: !waits(q), onclick: () => purge(q)}, 'Purge…'));
const jobsOf = q => h('a', {href: `#/jobs?queue=${enc(q.name)}&order=newest`}, q.name);
const oldest = q => q.queued ? duration(q.oldest_age_ms) : '–';
const bad = text => h('span', {class: 'tag bad'}, text);
const count = (q, state) => h('a', {href: `#/jobs?queue=${enc(q.name)}&state=${state}&order=newest`}, number(q[state]));
const words = q => [q.paused && bad('paused'), broken(q) && bad('broken'), q.declared === false && bad('undeclared'), isFull(q) && bad('full')];

function card(q) {
  const rows = ['queued', 'scheduled', 'blocked', 'running', 'done', 'failed'].filter(state => q[state] != null).map(state => [state, count(q, state)]);
  rows.push(['oldest', oldest(q)], ['rejected', number(q.rejected)]);
  return h('section', {class: troubles(q).some(t => t.bad) ? 'card bad' : 'card', 'aria-label': q.name},
    h('div', {class: 'row apart'}, h('h2', {}, jobsOf(q)), h('span', {class: 'row'}, words(q))),
    h('div', {}, h('meter', {min: 0, max: Math.max(1, q.capacity), value: waits(q), high: q.capacity * 0.9, optimum: 0, title: 'how full it is'}),
      h('div', {class: 'dim'}, `${number(waits(q))} of ${number(q.capacity)} places · ${number(q.workers)} workers`)),
    h('dl', {class: 'figures'}, rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
    q.history && chart([['done', q.history.done], ['failed', q.history.failed], ['rejected', q.history.rejected]], 'done, failed, rejected, each 10 s'),
    q.history && chart([['waiting', q.history.waiting]], 'waiting'), queueButtons(q));
}

const queueTable = queues => table(`${queues.length} queues`, ['queue', '', 'waiting', 'capacity', 'running', 'oldest', 'done', 'failed', 'rejected', ''],
  queues.map(q => [jobsOf(q), words(q), number(waits(q)), number(q.capacity), count(q, 'running'), oldest(q), count(q, 'done'), count(q, 'failed'), number(q.rejected), queueButtons(q)]));

function header() {
  if (!status) return;
  const {memory: m, connections: c, store: s} = status;
  const parts = [`jobd ${status.version}`, `up ${duration(status.uptime_s * 1000)}`, `memory ${bytes(m.used)} of ${bytes(m.limit)}`,
    `${c.open} of ${c.limit} connections, ${c.parked} waiting`, s.kind === 'memory' ? 'in memory' : `on disk: ${bytes(s.bytes || 0)}, a commit takes ${s.last_commit_ms} ms`];
  if (status.scope !== 'admin') parts.push(`token: ${status.scope}${status.queue ? ' of ' + status.queue : ''}`);
  $('server').textContent = parts.join(' · ');
  for (const link of document.querySelectorAll('nav a')) link.hidden = link.hash === '#/put' && !mayPut();
}

const views = {};

views.queues = {
  title: 'Queues',
  async load() { await loadStatus(); return status.queues; },
  draw(queues) {
    const found = queues.flatMap(q => troubles(q)).sort((a, b) => !!b.bad - !!a.bad);
    if (!status.ready && status.reason !== 'full') found.unshift({bad: true, text: 'The server takes no new jobs: ' + status.reason + '.'});
    return [h('h1', {}, found.some(t => t.bad) ? 'Queues: something needs you' : 'Queues'),
      h('ul', {class: 'trouble'}, found.map(t => h('li', {class: t.bad ? '' : 'warn'}, t.text,
        t.verb && (isAdmin() || t.verb === 'Look') && h('button', {onclick: t.act}, t.verb)))),
      queues.length > CARDS_MAX ? queueTable(queues) : h('div', {class: 'cards'}, queues.map(card))];
  },
  concerns: () => true,
};

// ---- jobs

const filterOf = params => new URLSearchParams([...params].filter(([name, value]) => value && ['queue', 'state', 'tag', 'key', 'batch'].includes(name)));
const chosen = new Set();

async function bulk(retry, params, ids) {
  const what = ids ? `${ids.length} chosen jobs` : 'all jobs that match', method = retry ? 'POST' : 'DELETE';
  if (ids && !ids.length) return say('No job is chosen');
  if (!await ask(retry ? `Run ${what} once more?` : `Cancel ${what}? Those that have ended are forgotten; running ones go on.`, retry ? 'Retry' : 'Cancel')) return;
  if (!ids) return act(method, `jobs${retry ? '/retry' : ''}?${filterOf(params)}`, 'Changed');
  let good = 0;
  for (const id of ids) good += await act(method, `jobs/${id}${retry ? '/retry' : '?forget=true'}`, `Job ${id}`);
  chosen.clear();
  say(`${good} of ${ids.length} changed`);
}

const state = job => h('b', {class: job.state}, job.stopping ? 'stopping' : job.state);
const jobButtons = job => isAdmin() && h('span', {class: 'row'},
  FINAL.includes(job.state) ? h('button', {onclick: () => act('POST', `jobs/${job.id}/retry`, `Job ${job.id} is queued again`)}, 'Retry')
    : h('button', {class: 'harm', disabled: job.stopping, onclick: async () => {
      if (await ask(`Cancel job ${job.id} of ${job.queue}, which is ${job.state}?`, 'Cancel the job')) act('DELETE', `jobs/${job.id}`, `Job ${job.id} is being cancelled`);
    }}, 'Cancel'));

views.jobs = {
  title: 'Jobs',
  async load(params) {
    const query = new URLSearchParams(params);
    if (!query.get('order')) query.set('order', 'newest');
    query.set('limit', '50');
    return get('jobs?' + new URLSearchParams([...query].filter(([, value]) => value)));
  },
  draw({jobs, next}, params) {
    const pick = (name, values, all) => h('label', {}, name, h('select', {name}, all && h('option', {value: ''}, 'all'), values.map(v => h('option', {value: v, selected: params.get(name) === v}, v))));
    const text = name => h('label', {}, name, h('input', {name, size: 12, value: params.get(name) || ''}));
    const form = h('form', {class: 'filter', onchange: event => event.target.matches('select') && form.requestSubmit(), onsubmit: event => {
      event.preventDefault();
      location.hash = '#/jobs?' + new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    }}, pick('queue', status.queues.map(q => q.name), true), pick('state', STATES, true), text('tag'), text('key'), pick('order', ['newest', 'oldest']), h('button', {}, 'Show'));
    const box = job => h('input', {type: 'checkbox', 'aria-label': 'Choose job ' + job.id, checked: chosen.has(job.id), onchange: event => chosen[event.target.checked ? 'add' : 'delete'](job.id)});
    const both = ids => [['Retry…', true], ['Cancel…', false]].map(([text, retry]) => h('button', {class: retry ? '' : 'harm', onclick: () => bulk(retry, params, ids())}, text));
    const match = [...filterOf(params)].length > 0;
    const more = new URLSearchParams(params);
    if (next) more.set('after', next);
    return [h('h1', {}, 'Jobs'), form,
      isAdmin() && h('div', {class: 'row'}, 'Chosen:', both(() => [...chosen]), match && ['All that match:', both(() => null)]),
      table(jobs.length ? `${jobs.length} jobs` : 'No job matches', ['', 'id', 'queue', 'state', 'came in', 'attempt', 'error', ''], jobs.map(job => [
        isAdmin() && box(job), jobLink(job.id), job.queue, state(job), [ago(job.created_at), ' ago'], `${job.attempt} of ${job.attempts}`,
        h('div', {class: 'wide'}, (job.error || '').split('\n')[0].slice(0, 200)), jobButtons(job)])),
      next && h('p', {}, h('a', {href: '#/jobs?' + more}, 'Go on →'))];
  },
  concerns: (job, params) => !params.get('queue') || job.queue === params.get('queue'),
};

// ---- one job

async function part(id, what) {
  const reply = await send('GET', `jobs/${id}/${what}`, {accept: '*/*'});
  return {type: reply.headers.get('Content-Type') || '', cut: reply.headers.get('Jobd-Output-Truncated') === 'true', data: new Uint8Array(await reply.arrayBuffer())};
}
function hex(data) {
  const lines = [];
  for (let at = 0; at < Math.min(data.length, SHOW_BYTES / 4); at += 16) {
    const row = [...data.subarray(at, at + 16)];
    lines.push(at.toString(16).padStart(8, '0') + '  ' + row.map(b => b.toString(16).padStart(2, '0')).join(' ').padEnd(48) + '  ' +
      row.map(b => b > 31 && b < 127 ? String.fromCharCode(b) : '.').join(''));
  }
  return lines.join('\n');
}
// Indented only when no number would be another one then.
function readable(text, type) {
  if (!type.includes('json')) return text;
  try {
    const value = JSON.parse(text), strip = s => s.replace(/\s+/g, '');
    return strip(JSON.stringify(value)) === strip(text) ? JSON.stringify(value, null, 2) : text;
  } catch { return text; }
}
function panel(name, id, found) {
  const {data, type, cut} = found;
  let text;
  try { text = new TextDecoder('utf-8', {fatal: true}).decode(data.subarray(0, SHOW_BYTES)); } catch { text = null; }
  const save = () => {
    const link = h('a', {href: URL.createObjectURL(new Blob([data])), download: `job-${id}-${name}`});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  return h('section', {}, h('div', {class: 'row apart'}, h('h2', {}, name), h('span', {class: 'row dim'}, `${bytes(data.length)} ${type}`, cut && bad('cut'),
    h('button', {onclick: save}, 'Save'))), h('pre', {tabindex: '0'}, text != null && !text.includes('\0') ? readable(text, type) : hex(data)),
  data.length > SHOW_BYTES && h('p', {class: 'dim'}, 'Only the beginning is shown: save it to see all.'));
}

const follow = {id: 0, abort: null, text: '', on: true};
function stopFollowing() {
  if (follow.abort) follow.abort.abort();
  Object.assign(follow, {id: 0, abort: null, text: ''});
}
async function startFollowing(id, pre) {
  if (follow.id === id) { pre.textContent = follow.text; follow.pre = pre; return; }
  stopFollowing();
  Object.assign(follow, {id, abort: new AbortController(), pre});
  try {
    const reply = await send('GET', `jobs/${id}/output?follow`, {accept: '*/*', signal: follow.abort.signal});
    const reader = reply.body.getReader(), decoder = new TextDecoder();
    for (;;) {
      const {done, value} = await reader.read();
      if (done || follow.id !== id) break;
      follow.text = (follow.text + decoder.decode(value, {stream: true})).slice(-SHOW_BYTES);
      follow.pre.textContent = follow.text;
      if (follow.on) follow.pre.scrollTop = follow.pre.scrollHeight;
    }
    if (follow.id === id) refresh();
  } catch { /* it has ended, or the view has changed */ }
}

// How some fields are shown; all others as they are.
const SHOWN = {
  state, queue: job => jobsOf({name: job.queue}), tags: job => job.tags.map(tag => h('a', {class: 'tag', href: '#/jobs?tag=' + enc(tag)}, tag)),
  batch: job => h('a', {href: '#/jobs?batch=' + enc(job.batch)}, String(job.batch)), schedule: job => h('a', {href: '#/schedules'}, job.schedule),
  after: job => [].concat(job.after).map(path => h('a', {href: '#' + path}, path + ' ')),
};
views.job = {
  title: 'Job',
  async load(params, id) {
    const job = await get('jobs/' + id), parts = {};
    for (const what of ['payload', 'output'])
      if (seesData() && (what === 'payload' ? job.payload_bytes : job.output_bytes) && job.state !== (what === 'output' ? 'running' : ''))
        parts[what] = await part(id, what).catch(() => null);
    return {job, parts};
  },
  draw({job, parts}) {
    const value = name => SHOWN[name] ? SHOWN[name](job) : name.endsWith('_at') ? time(job[name]) : name.endsWith('_bytes') ? bytes(job[name]) : String(job[name]);
    const began = job.started_at && Date.parse(job.started_at), end = job.finished_at ? Date.parse(job.finished_at) : Date.now();
    const pre = job.state === 'running' && seesData() && h('pre', {tabindex: '0', 'aria-label': 'output, live'});
    if (pre) startFollowing(job.id, pre); else stopFollowing();
    return [h('div', {class: 'row apart'}, h('h1', {}, 'Job ' + job.id), jobButtons(job)),
      h('dl', {class: 'fields'}, Object.keys(job).filter(name => !['id', 'error', 'errors'].includes(name)).map(name => [h('dt', {}, name.replaceAll('_', ' ')), h('dd', {}, value(name))]),
        began && [h('dt', {}, 'waited · ran'), h('dd', {}, duration(began - Date.parse(job.run_at || job.created_at)) + ' · ' + duration(end - began))]),
      job.error && h('section', {}, h('h2', {}, 'error'), h('pre', {tabindex: '0'}, job.error)),
      job.errors && job.errors.length > 1 && h('section', {}, h('h2', {}, 'attempts that failed'), h('ul', {}, job.errors.map(e =>
        h('li', {}, `${e.attempt}: `, e.at && time(e.at), e.exit_code != null && ` exit ${e.exit_code}`, h('pre', {}, e.error || ''))))),
      pre && h('section', {}, h('div', {class: 'row apart'}, h('h2', {}, 'output'), h('label', {class: 'row'}, h('input', {type: 'checkbox', checked: follow.on,
        onchange: event => { follow.on = event.target.checked; }}), 'Follow')), pre),
      parts.output && panel('output', job.id, parts.output), parts.payload && panel('payload', job.id, parts.payload)];
  },
  concerns: (job, params, id) => String(job.id) === id,
};

// ---- schedules, workers

views.schedules = {
  title: 'Schedules',
  load: () => get('schedules'),
  draw({schedules}) {
    const button = (s, verb, text) => h('button', {onclick: () => act('POST', `schedules/${enc(s.name)}/${verb}`, `${s.name}: ${text}`)}, text);
    return [h('h1', {}, 'Schedules'), table(schedules.length ? `${schedules.length} schedules` : 'There is none', ['name', 'plan', 'queue', 'next', 'last', 'missed', ''],
      schedules.map(s => [s.name, s.cron ? `${s.cron} ${s.tz || 'UTC'}` : `every ${s.every}`, s.queue, s.paused ? bad('paused') : s.next && s.next[0] ? time(s.next[0]) : '–',
        s.last ? [time(s.last.instant), ' ', s.last.job && jobLink(s.last.job), ' ', s.last.state || ''] : '–', number(s.missed || 0),
        isAdmin() && h('span', {class: 'row'}, button(s, 'run', 'Run now'), s.paused ? button(s, 'resume', 'Resume') : button(s, 'pause', 'Pause'))]))];
  },
  concerns: job => job.schedule != null,
};

views.workers = {
  title: 'Workers',
  load: () => get('leases'),
  draw: ({leases}) => [h('h1', {}, 'Workers'), table(leases.length ? `${leases.length} jobs are leased` : 'No job is leased',
    ['job', 'queue', 'worker', 'attempt', 'since', 'until'], leases.map(l => [jobLink(l.job), l.queue, l.worker || '–', String(l.attempt), ago(l.since), time(l.expires_at)]))],
  concerns: () => true,
};

// ---- putting

views.put = {
  title: 'Put',
  async load() { await loadStatus(); return status.queues; },
  still: true, // what is being written stays
  draw(queues) {
    const field = (name, attributes) => h('label', {}, name, h('input', {name, ...attributes}));
    const form = h('form', {class: 'put', oninput: line, onsubmit: async event => {
      event.preventDefault();
      const {path, body, headers} = request();
      try {
        const job = await (await send('POST', path, {body, headers})).json();
        say('Queued');
        made.replaceChildren('Queued: ', jobLink(job.id));
      } catch (error) { if (error.code) say(error.message); }
    }}, h('label', {}, 'queue', h('select', {name: 'queue'}, queues.filter(q => q.declared !== false).map(q => h('option', {value: q.name}, q.name)))),
    h('label', {}, 'payload', h('textarea', {name: 'payload', spellcheck: 'false'})), field('type', {placeholder: 'text/plain'}),
    h('div', {class: 'row'}, field('delay', {placeholder: '30s', size: 8}), field('priority', {placeholder: '0 to 7', size: 8}), field('key', {size: 16})), h('div', {}, h('button', {}, 'Put it in')));
    const curl = h('pre', {'aria-label': 'the same with curl', tabindex: '0'}), made = h('p', {role: 'status'});
    function request() {
      const data = new FormData(form), query = new URLSearchParams(['delay', 'priority', 'key'].map(name => [name, data.get(name)]).filter(([, value]) => value));
      const type = data.get('type') || 'text/plain';
      return {path: `do/${enc(data.get('queue'))}${query.size ? '?' + query : ''}`, body: data.get('payload'), headers: {'Content-Type': type}};
    }
    function line() {
      const {path, body, headers} = request(), quote = text => "'" + text.replaceAll("'", "'\\''") + "'";
      curl.textContent = ['curl', ...(token ? ['-H', '"Authorization: Bearer $TOKEN"'] : []), '-H', quote('Content-Type: ' + headers['Content-Type']), '--data-binary', quote(body),
        quote(new URL(path, document.baseURI).href)].join(' ');
    }
    line();
    const copy = () => navigator.clipboard.writeText(curl.textContent).then(() => say('Copied'), () => say('The browser does not let it be copied'));
    return [h('h1', {}, 'Put a job in'), form, made, h('div', {class: 'row apart'}, h('h2', {}, 'The same with curl'), h('button', {onclick: copy}, 'Copy')), curl];
  },
  concerns: () => false,
};

// ---- which view, and keeping it true

let route = {view: views.queues, params: new URLSearchParams(), id: ''};
let live = true, dirty = false, drawn = 0, loading = false;

async function loadStatus() {
  status = await get('status');
  header();
}

function read() {
  const [path, query] = (location.hash.slice(1) || '/').split('?');
  const [, name, id] = path.split('/');
  const view = name === 'jobs' && id ? views.job : views[name || 'queues'] || views.queues;
  return {view, params: new URLSearchParams(query), id: id || ''};
}

// Draws the view anew; the focus stays where it was, by its place.
async function refresh(first) {
  const of = route;
  if (loading && !first) { dirty = true; return; }
  if (of.view.still && !first) return;
  loading = true;
  try {
    if (!status) await loadStatus();
    const found = await of.view.load(of.params, of.id);
    if (of !== route) return;
    const places = () => [...main.querySelectorAll('a,button,input,select,textarea,pre')];
    const active = document.activeElement, at = main.contains(active) ? places().indexOf(active) : -1;
    if (!first && at >= 0 && active.matches('input:not([type=checkbox]),textarea,select')) return; // somebody writes
    main.replaceChildren(...[of.view.draw(found, of.params, of.id)].flat(2).filter(Boolean));
    if (first) main.focus({preventScroll: true});
    else if (at >= 0 && places()[at]) places()[at].focus({preventScroll: true});
  } catch (error) {
    if (of !== route) return;
    if (error instanceof Refused) main.replaceChildren(h('h1', {}, of.view.title), h('p', {role: 'alert'}, error.code === 403 ? `This token may not see that: ${error.message}.` : error.message));
    else if (error.name !== 'TypeError' && error.name !== 'AbortError') throw error;
  } finally {
    loading = false;
    drawn = Date.now();
  }
}

function open() {
  stopFollowing();
  chosen.clear();
  route = read();
  document.title = route.view.title + (route.id ? ' ' + route.id : '') + ' · jobd';
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === '#/' + (location.hash.slice(2).split(/[/?]/)[0] || '')) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  refresh(true);
}

// Changes come as server-sent events, read by fetch() as EventSource sends no token.
let stream = null;
async function listen() {
  if (stream || !live || document.hidden) return;
  stream = new AbortController();
  try {
    const reply = await send('GET', status && status.queue ? 'events?queue=' + enc(status.queue) : 'events', {accept: 'text/event-stream', signal: stream.signal});
    const reader = reply.body.getReader(), decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const {done, value} = await reader.read();
      if (done) break;
      const events = (rest + decoder.decode(value, {stream: true})).split('\n\n');
      rest = events.pop();
      for (const event of events) {
        const data = event.split('\n').filter(line => line.startsWith('data:')).map(line => line.slice(5)).join('\n');
        if (!data) continue;
        try { if (route.view.concerns(JSON.parse(data), route.params, route.id)) dirty = true; } catch { dirty = true; }
        if (dirty) break;
      }
    }
  } catch { /* the next tick tries again */ }
  stream = null;
}

function tick() {
  if (!live || document.hidden) {
    if (stream) stream.abort();
    return;
  }
  listen();
  const age = Date.now() - drawn, quick = route.view === views.queues ? 1000 : LIST_MS;
  if ((dirty && age > quick) || age > STATUS_MS || (!$('gone').hidden && age > 2000)) {
    dirty = false;
    refresh();
  }
}
function restart() {
  status = null;
  if (stream) stream.abort();
  refresh(true);
}

$('live').onclick = () => {
  live = !live;
  $('live').setAttribute('aria-pressed', String(live));
  $('live').textContent = live ? 'Live' : 'Stopped';
  tick();
};
$('goto').onsubmit = event => {
  event.preventDefault();
  const id = $('id').value.trim();
  if (/^\d+$/.test(id)) { location.hash = '#/jobs/' + id; $('id').value = ''; } else say('A job id is a number');
};
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input,textarea,select') || document.querySelector('dialog[open]')) return;
  const keys = {q: '#/', j: '#/jobs', s: '#/schedules', w: '#/workers', p: '#/put'};
  if (event.key === '/') { event.preventDefault(); $('id').focus(); } else if (keys[event.key]) location.hash = keys[event.key];
});
document.addEventListener('visibilitychange', tick);
window.addEventListener('hashchange', open);
setInterval(tick, DRAW_MS);
open();
