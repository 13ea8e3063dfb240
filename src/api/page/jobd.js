const $ = id => document.getElementById(id), main = $('main');
const STATES = ['queued', 'scheduled', 'blocked', 'running', 'done', 'failed', 'cancelled'];
const SHOWN_MAX = 65536, STATUS_MS = 10000, AGAIN_MS = 2000;

function h(what, ...kids) {
  const [tag, classes = ''] = what.split('.'), e = document.createElement(tag);
  e.className = classes;
  if (kids[0]?.constructor === Object)
    for (const [name, value] of Object.entries(kids.shift())) name in e ? e[name] = value : e.setAttribute(name, value);
  e.append(...kids.flat(9).filter(Boolean));
  return e;
}
const button = (text, verb, of, kind = '') => h('button' + kind, {onclick: () => attempt(verb), 'aria-label': `${text} ${of}`}, text);
const pre = (label, text) => h('pre', {tabIndex: 0, role: 'region', 'aria-label': label}, text);
const bar = (...kids) => h('div.row', kids), apart = (...kids) => h('div.row apart', kids);
const cells = (tag, list) => h('tr', list.map(cell => h(tag, cell)));
const table = (caption, heads, rows) => h('div.scroll', {tabIndex: 0}, h('table', h('caption', caption), h('thead', cells('th', heads)), h('tbody', rows.map(row => cells('td', row)))));
const fields = (kind, list) => h('dl.' + kind, list.map(([name, value]) => h('div', h('dt', name), h('dd', value))));
const link = (href, ...kids) => h('a', {href: '#/' + href}, kids);
const jobLink = id => link('jobs/' + id, String(id)), jobsOf = (values, text) => link('jobs' + query(values), text);
const others = paths => paths.map(path => [/batch/.test(path) ? jobsOf({batch: path.slice(9)}, path) : link(path.slice(1), path), ' ']);

const number = n => (n || 0).toLocaleString('en'), jobs = (n, what = 'job') => `${number(n)} ${what}${n === 1 ? '' : 's'}`;
const some = ({length}, next, what) => jobs(length, what) + (next ? ' and more' : '');
const round = n => +n.toFixed(n < 10);
const scaled = (n, units) => Object.entries(units).filter(([, size]) => n >= size || size === 1).map(([unit, size]) => `${round(n / size)} ${unit}`)[0];
const bytes = n => scaled(n, {GiB: 2 ** 30, MiB: 2 ** 20, KiB: 1024, B: 1});
const duration = ms => scaled(ms, {d: 864e5, h: 36e5, min: 6e4, s: 1e3, ms: 1});
const time = (iso, text) => h('time', {title: iso}, text || new Date(iso).toLocaleString());
const age = iso => time(iso, duration(Date.now() - Date.parse(iso)));
const query = values => String(new URLSearchParams(Object.entries(values).filter(([, value]) => value))).replace(/^./, '?$&');

function say(...text) {
  $('said').replaceChildren(...text);
  clearTimeout(say.timer);
  say.timer = setTimeout(say, 6000);
}

let token = sessionStorage.jobd || '', status;

async function send(method, path, {accept = 'application/json', headers, ...more} = {}) {
  const sent = token;
  const reply = await fetch(path, {method, headers: {Accept: accept, ...headers, ...token && {Authorization: 'Bearer ' + token}}, cache: 'no-store', ...more})
    .catch(error => { if (error.name === 'TypeError') gone(false); throw error; });
  gone(true);
  if (reply.ok) return reply;
  const text = await reply.text(), error = new Error(text || reply.statusText);
  try { error.message = JSON.parse(text).detail; } catch {}
  error.status = reply.status;
  if (error.status === 401 && sent === token) askToken(error.message);
  throw error;
}
const get = async path => (await send('GET', path)).json();
const gone = here => { $('gone').hidden = here; };

async function act(method, path, of, more) {
  const {id, state, status, purged, changed = purged} = await (await send(method, path, more)).json();
  say(id ? jobLink(id) : of, ': ', state || status || changed + ' changed');
  renew();
  return changed ?? 1;
}
async function attempt(verb) {
  try { return await verb(); } catch (error) { say(error.message); }
}

async function* events(path, signal) {
  const reader = (await send('GET', path, {accept: 'text/event-stream', signal})).body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = '', part; !(part = await reader.read()).done;) {
    const found = (rest + part.value).split('\n\n');
    rest = found.pop();
    for (const text of found) {
      const {event, data, id} = Object.fromEntries(text.split('\n').map(line => line.split(/: (.*)/)));
      yield [event, data && JSON.parse(data), id];
    }
  }
}

const isAdmin = () => status.scope === 'admin', seesData = () => status.scope !== 'read';

function askToken(why) {
  if ($('token').open) return;
  $('why').textContent = why;
  $('token').showModal();
}
$('token').onclose = () => {
  if (!$('token').returnValue) return;
  token = $('secret').value.trim();
  $('secret').value = sessionStorage.jobd = '';
  if ($('keep').checked) sessionStorage.jobd = token;
  status = null;
  stream?.abort();
  refresh(true);
};
$('login').onclick = () => askToken('Log in');

function ask(text, verb) {
  $('asked').textContent = text;
  $('yes').textContent = verb;
  $('ask').showModal();
  return new Promise(resolve => { $('yes').onclick = resolve; });
}

const sum = list => list.reduce((a, b) => a + b, 0), bad = text => h('span.tag bad', text);
const waits = q => q.queued + q.scheduled + q.blocked, isGone = q => q.declared === false;
const isBroken = q => /open/.test(q.breaker), isFull = q => q.capacity && waits(q) >= q.capacity;
const words = q => [q.paused && bad('paused'), isBroken(q) && bad('broken'), isGone(q) && bad('undeclared'), isFull(q) && bad('full')];

const atLimit = q => (q.keys?.busiest || []).filter(k => k.running >= q.per_key.running || k.waiting >= q.per_key.waiting).map(k => k.key);

function troubles(q) {
  const {failed, done} = q.history, n = waits(q), look = state => jobsOf({queue: q.name, state}, 'Look'), full = isFull(q);
  const [why, help, mild] = isGone(q) ? ['it is no longer declared']
    : q.paused ? ['it is paused', isAdmin() && pauseButton(q), true]
      : isBroken(q) ? ['its service is down', look()]
        : q.blocked === n && !q.running ? ['others must end first', look('blocked'), true]
          : !full && (q.oldest_age_ms < 6e4 || sum([...done.slice(-6), ...failed.slice(-6)])) ? []
            : q.held_back ? [q.running >= q.running_limit ? `only ${q.running_limit} may run` : (atLimit(q).join(', ') || 'its rate') + ' is at its limit', look('running')]
              : q.running ? [`it ends ${round(q.drain_per_s)} a second`, look('running')]
                : ['nobody takes them', link('workers', 'Workers')];
  return [
    why && (n || q.paused) && [full || !mild, `${jobs(n)} wait${n === 1 ? 's' : ''}${full ? ' and more are turned away' : ''}, as ${why}.`, help],
    sum(failed) && [sum(failed) >= sum(done), `${number(sum(failed))} failed in ten minutes, ${number(sum(done))} done.`, look('failed')],
  ].filter(Boolean).map(([isBad, ...text]) => [isBad, h('b', q.name), ': ', ...text]);
}

function recent(q, name, last = q.history[name].at(-1) || 0) {
  return name === 'waiting' ? waits(q) : name === 'rejected' ? last : (last + q[name] - q.then[name]) / (1 + (Date.now() - asked) / STATUS_MS);
}
function chart(q, names, per, unit) {
  const lists = names.map(name => [...q.history[name].slice(-59), recent(q, name)]), max = Math.max(1, ...lists.flat());
  const point = (at, y) => `${at / .59}% ${100 - 95 * y / max}%`;
  const area = list => `clip-path:polygon(${[point(60 - list.length, 0), ...list.map((v, at) => point(60 - list.length + at, v)), point(59, 0)]})`;
  return h('figure', h('div.chart', lists.map((list, of) => h('i.' + names[of], {style: area(list)}))),
  h('figcaption.dim', names.map((name, of) => [h('span.' + name, `${name} ${round(lists[of].at(-1) / per)}`), ' ']), unit));
}

const verb = (text, kind, {name}, path = text.toLowerCase()) => button(text, () => act('POST', `${kind}/${name}/${path}`, name), name);
const pauseButton = (of, kind = 'queues') => verb(of.paused ? 'Resume' : 'Pause', kind, of);
const queueButtons = q => isAdmin() && bar(pauseButton(q), waits(q) > 0 && button('Purge…', async () => {
  const n = jobs(waits(q));
  await ask(`Cancel all ${n} that wait in ${q.name}? They will not run.`, 'Cancel ' + n);
  await act('POST', `queues/${q.name}/purge`, q.name);
}, q.name, '.harm'));
const queueLink = name => jobsOf({queue: name}, name);
const figures = q => [...STATES.slice(0, 6).map(state => [state, jobsOf({queue: q.name, state}, number(q[state]))]),
  ['oldest', q.queued ? duration(q.oldest_age_ms) : '–'], ['rejected', number(q.rejected)]];
const places = q => `${number(waits(q))} of ${number(q.capacity)}`;

const card = q => h('section.card' + (troubles(q.then).some(([isBad]) => isBad) ? ' bad' : ''), {'aria-label': q.name}, apart(h('h2', queueLink(q.name)), h('span.row', words(q))),
  h('div', h('meter', {max: q.capacity || 1, high: q.capacity * 0.9, optimum: 0, value: waits(q), 'aria-label': 'places taken'}), h('div.dim', `${places(q)} places · ${jobs(q.workers, 'worker')}`),
    atLimit(q).map(key => [bad(key + ' at its limit'), ' '])),
  fields('figures', figures(q)), chart(q, ['done', 'failed', 'rejected'], 10, 'a second'), chart(q, ['waiting'], 1), queueButtons(q));
const queueTable = queues => table(`${queues.length} queues`, ['queue', '', 'places', ...figures(queues[0]).map(([name]) => name), ''],
  queues.map(q => [queueLink(q.name), words(q), places(q), ...figures(q).map(([, value]) => value), queueButtons(q)]));

async function loadStatus() {
  asked = Date.now();
  status = await get('status');
  for (const q of status.queues) q.then = {...q};
  const {memory: m, connections: c, store: s} = status;
  $('server').replaceChildren(!status.ready && status.reason !== 'full' ? bad(`It takes no new jobs: ${status.reason}.`) : '', ' ', ['jobd ' + status.version, 'up ' + duration(status.uptime_s * 1e3), `memory ${bytes(m.used)} of ${bytes(m.limit)}`, `${c.open} of ${c.limit} connections`,
    s.bytes == null ? `jobs in ${s.kind}` : `disk ${s.state}, ${bytes(s.bytes)}`, (status.queue || !isAdmin()) && `token: ${status.scope} ${status.queue || ''}`].filter(Boolean).join(' · '));
  $('mayput').hidden = !/admin|put/.test(status.scope);
  $('plans').hidden = status.queue;
}

function count({queue, state, was}, id) {
  const q = status?.queues.find(q => q.name === queue);
  if (!q || id <= status.last_event) return;
  if (STATES.indexOf(was) < 4 && q[was]) q[was]--;
  q[state]++;
  moved ||= !route.view.load;
}

const views = {__proto__: null};

views[''] = {
  title: 'Queues',
  draw() {
    const {queues} = status;
    return [h('ul.trouble', queues.flatMap(q => troubles(q.then)).sort((a, b) => b[0] - a[0]).map(([isBad, ...text]) => h(isBad ? 'li' : 'li.warn', text))), queues.length > 12 ? queueTable(queues) : h('div.cards', queues.map(card))];
  },
};

const namesOf = queues => queues.map(q => q.name);
const pick = (name, values, chosen = {}) => h('label', name, h('select', {name}, values.map(v => h('option', {value: v, selected: chosen[name] === v}, v || 'all'))));
const field = (name, placeholder, chosen = {}) => h('label', name, h('input', {name, placeholder, size: 12, value: chosen[name] || ''}));
const filterOf = ({order, limit, after, ...filter}) => query({queue: status.queue, ...filter}), chosen = new Set();
const isFinal = state => /do|fa|ca/.test(state);

function bulk(of, list, params, verb, method, path, kind) {
  const states = STATES.filter(state => (params.state || state) === state && isFinal(state) === !!path && (list || state !== 'running'));
  return states[0] && button(verb + '…', async () => {
    const found = list ? [{jobs: list().filter(job => states.includes(job.state))}] : await Promise.all(states.map(state => get(`jobs${filterOf({...params, state})}&limit=1000`)));
    const all = found.flatMap(({jobs}) => jobs), text = `${verb} ${some(all, found.some(({next}) => next))}`;
    if (!all[0]) return say(`None to ${verb}`);
    await ask(text + '?', text);
    let good = 0;
    for (const each of list ? all.map(({id}) => `/${id}${path}`) : states.map(state => path + filterOf({...params, state}))) good += await attempt(() => act(method, 'jobs' + each, 'All')) || 0;
    chosen.clear();
    say(`${good} changed`);
  }, of, kind);
}

const stateOf = job => h('b.' + job.state, job.stopping ? 'stopping' : job.state);
const jobButtons = job => isAdmin() && (isFinal(job.state) ? button('Retry', () => act('POST', `jobs/${job.id}/retry`), job.id)
  : button('Cancel…', async () => {
    await ask(`Cancel job ${job.id} of ${job.queue}, which is ${job.state}?`, 'Cancel the job');
    await act('DELETE', 'jobs/' + job.id);
  }, job.id, '.harm'));

views.jobs = {
  title: 'Jobs',
  load: params => get('jobs' + query({order: 'newest', limit: 50, queue: status.queue, ...params})),
  draw({jobs: found, next}, params) {
    const form = h('form', {onchange: event => event.target.matches('select') && form.requestSubmit(), onsubmit(event) {
      event.preventDefault();
      location.hash = '#/jobs' + query(Object.fromEntries(new FormData(form)));
    }}, pick('queue', ['', ...namesOf(status.queues)], params), pick('state', ['', ...STATES], params), ['tag', 'key', ...['batch', 'since', 'before'].filter(name => params[name])].map(name => field(name, '', params)), pick('order', ['newest', 'oldest'], params), h('button', 'Show'));
    const both = (of, list) => [of + ':', bulk(of, list, params, 'Retry', 'POST', '/retry'), bulk(of, list, params, 'Cancel', 'DELETE', '', '.harm')];
    const box = ({id}) => h('input', {type: 'checkbox', 'aria-label': 'Choose job ' + id, checked: chosen.has(id), onchange: () => { chosen.delete(id) || chosen.add(id); }});
    return [form, isAdmin() && bar(both('Chosen', () => found.filter(job => chosen.has(job.id))), filterOf(params) && both('All that match')),
      table(found.length ? jobs(found.length) : 'No job matches', ['', 'id', 'queue', 'state', 'came in', 'attempt', 'error', ''], found.map(job => [isAdmin() && box(job), jobLink(job.id), job.queue, stateOf(job),
        [age(job.created_at), ' ago'], `${job.attempt} of ${job.attempts}`, h('div.wide', (job.error || '').split('\n')[0].slice(0, 200), job.state === 'blocked' && job.after && ['after ', others(job.after)]), jobButtons(job)])),
      next && jobsOf({...params, after: next}, 'Go on →')];
  },
  concerns: ({queue, state, was}, {params: p}) => (p.queue || queue) === queue && [state, was, undefined].includes(p.state),
};

const digits = (n, width) => n.toString(16).padStart(width, 0);
const hex = text => text.replace(/[^]{1,16}/g, (row, at) =>
  `${digits(at, 6)}  ${row.replace(/[^]/g, c => digits(c.charCodeAt(), 2) + ' ').padEnd(49)}${row.replace(/[^ -~]/g, '.')}\n`);
async function panel(job, what) {
  const reply = await send('GET', `jobs/${job.id}/${what}`, {accept: '*/*'}), data = new Uint8Array(await reply.arrayBuffer()), type = reply.headers.get('Content-Type') || '';
  const save = () => h('a', {href: URL.createObjectURL(new Blob([data], {type})), download: `job-${job.id}-${what}`}).click();
  let text;
  try {
    text = new TextDecoder('utf-8', {fatal: true}).decode(data.subarray(0, SHOWN_MAX), {stream: true});
    const bare = json => json.replace(/\s/g, ''), value = JSON.parse(type.includes('json') && text);
    if (value && bare(JSON.stringify(value)) === bare(text)) text = JSON.stringify(value, null, 2);
  } catch {}
  const max = text == null || text.includes('\0') ? SHOWN_MAX / 4 : SHOWN_MAX;
  return [apart(h('h2', what), h('span.row dim', `${bytes(data.length)} ${type}`, what === 'output' && job.output_truncated && bad('cut'), button('Save', save, what))),
    pre(what, max < SHOWN_MAX ? hex(String.fromCharCode(...data.subarray(0, max))) : text), data.length > max && h('p.dim', `The first ${bytes(max)}. Save it to see all.`)];
}

let live = {};
function follow(job) {
  if (live.id === job.id) return live.section;
  live.stop?.abort();
  live = {id: job.id, stop: new AbortController()};
  if (!job.id) return;
  const out = pre('output, live'), progress = h('p'), box = h('input', {type: 'checkbox', checked: true}), mine = live;
  (async () => {
    for await (const [name, data] of events(`jobs/${job.id}/output?follow`, mine.stop.signal)) {
      if (name === 'output') out.textContent = (out.textContent + (data.base64 ? hex(atob(data.base64)) : data)).slice(-SHOWN_MAX);
      if (name === 'progress') progress.textContent = data;
      if (box.checked) out.scrollTop = out.scrollHeight;
      if (name === 'end') break;
    }
    live = {};
    dirty = true;
  })().catch(() => {});
  return live.section = [apart(h('h2', 'output'), h('label.row', box, 'Follow')), progress, out];
}

views.job = {
  title: 'Job',
  async load(params, id) {
    const job = await get('jobs/' + +id), parts = ['output', 'payload'].filter(what => seesData() && job[what + '_bytes'] && (what === 'payload' || job.state !== 'running'));
    return [job, await Promise.all(parts.map(what => panel(job, what).catch(() => '')))];
  },
  draw([job, parts]) {
    const {error, errors = []} = job, at = name => Date.parse(job[name]), runs = job.state === 'running' && seesData();
    const value = (name, of = [].concat(job[name]), [filter] = name.match(/^(queue|key|batch|tag)/) || []) => filter ? of.map(value => [jobsOf({[filter]: value}, String(value)), ' '])
      : name === 'state' ? stateOf(job) : name === 'schedule' ? link('schedules', of) : name === 'after' ? others(of)
        : /_at/.test(name) ? time(of) : /_bytes/.test(name) ? bytes(job[name]) : String(of);
    if (!runs) follow({});
    return [jobButtons(job),
      fields('fields', [...Object.keys(job).filter(name => !/^(id|errors?)$/.test(name)).map(name => [name.replace(/_/g, ' '), value(name)]),
        ...job.started_at ? [['waited', duration(at('started_at') - (at('run_at') || at('created_at')))], ['ran', duration((at('finished_at') || Date.now()) - at('started_at'))]] : []]),
      error && error !== errors.at(-1)?.error && [h('h2', job.state === 'done' ? 'standard error' : 'error'), pre('error', error)],
      errors[0] && [h('h2', 'attempts that failed'), errors.map(e => [h('p.dim', `attempt ${e.attempt}, `, time(e.at)), pre('attempt ' + e.attempt, e.error)])],
      runs && follow(job), parts];
  },
  concerns: (job, {id}) => job.id == id,
};

views.schedules = {
  title: 'Schedules',
  load: () => get('schedules?limit=1000'),
  draw: ({schedules, next}) => [table(some(schedules, next, 'schedule'), ['name', 'plan', 'queue', 'next', 'last', 'missed', ''],
      schedules.map(s => [s.name, s.cron ? `${s.cron} ${s.tz}` : 'every ' + s.every, s.queue, s.paused ? bad('paused') : s.next?.[0] ? time(s.next[0]) : '–',
        s.last && [time(s.last.at), ' ', jobLink(s.last.job), ' ', s.last.state], number(s.missed), isAdmin() && bar(verb('Run now', 'schedules', s, 'run'), pauseButton(s, 'schedules'))]))],
};

views.workers = {
  title: 'Workers',
  load: () => get('leases' + query({queue: status.queue, limit: 1000})),
  draw: ({leases, next}) => [table(some(leases, next) + ' at remote workers', ['job', 'queue', 'worker', 'attempt', 'for', 'until'],
    leases.map(l => [jobLink(l.job), l.queue, l.worker, String(l.attempt), age(l.since), time(l.expires_at)]))],
};

views.put = {
  title: 'Put a job in',
  still: true,
  draw() {
    if ($('mayput').hidden) return ['It needs a token of scope put.'];
    const curl = pre('curl');
    const form = h('form.put', {oninput: show, onsubmit(event) {
      event.preventDefault();
      attempt(() => act('POST', ...request()));
    }}, pick('queue', namesOf(status.queues.filter(q => !isGone(q) && q.name !== 'callbacks'))), h('label', 'payload', h('textarea', {name: 'payload'})),
    bar(field('type', 'text/plain'), field('delay', '30s'), field('priority', '0 to 7'), field('key', '')), h('div', h('button', 'Put it in')));
    function request() {
      const {queue, payload, type, ...options} = Object.fromEntries(new FormData(form));
      return [`do/${queue}${query(options)}`, queue, {body: payload, headers: {'Content-Type': type || 'text/plain'}}];
    }
    function show() {
      const [path, , {body, headers}] = request(), quote = text => `'${text.replaceAll("'", "'\\''")}'`;
      curl.textContent = `curl ${token && '-H "Authorization: Bearer $TOKEN" '}-H ${quote('Content-Type: ' + headers['Content-Type'])} --data-raw ${quote(body)} ${quote(new URL(path, document.baseURI).href)}`;
    }
    show();
    function copy() {
      getSelection().selectAllChildren(curl);
      say(document.execCommand('copy') ? 'Copied' : 'Selected');
    }
    return [form, apart(h('h2', 'The same with curl'), button('Copy', copy, 'it')), curl];
  },
};

let route, dirty, moved, drawn = 0, asked = 0, loaded, loading;

function draw(first) {
  const {view, params, id, title, found} = route, begun = Date.now(), active = document.activeElement, name = e => e.ariaLabel || e.href || e;
  if (!status || !found || !first && (view.still || main.querySelector(':read-write:focus,select:focus,:active'))) return;
  moved = false;
  const mine = main.contains(active), scrolled = main.querySelector('.scroll')?.scrollLeft;
  main.replaceChildren(title, ...view.draw(found, params, id).flat(9).filter(Boolean));
  if (scrolled) main.querySelector('.scroll').scrollLeft = scrolled;
  if (first && drawn && active !== $('id') || mine) ([...main.querySelectorAll('a,button,input,pre')].find(e => mine && name(e) === name(active)) || main).focus({preventScroll: true});
  drawn = Date.now() + 4 * (Date.now() - begun);
}

async function load(first) {
  const of = route, {view, params, id} = of;
  loaded = Date.now();
  try {
    if (!status || loaded - asked > STATUS_MS) await loadStatus();
    if (first || dirty || !stream || !view.concerns) {
      dirty = false;
      of.found = await view.load?.(params, id) || {};
    }
  } catch (error) {
    dirty = !error.status;
    if (dirty) asked = 0;
    else if (of === route) of.found = main.replaceChildren(of.title, h('p', {role: 'alert'}, error.message));
  }
  moved = true;
  if (of === route) draw(first);
}
function refresh(first) {
  if (first || !loading) loading = load(first).finally(() => { loading = null; });
}
function renew() {
  asked = loaded = 0;
  dirty = true;
  refresh();
}

function open() {
  const [path, search] = location.hash.split('?'), [, name = '', id = ''] = path.split('/');
  follow({});
  chosen.clear();
  const view = name === 'jobs' && id ? views.job : views[name] || views[''], title = `${view.title} ${id}`;
  route = {view, params: Object.fromEntries(new URLSearchParams(search)), id, title: h('h1', title)};
  document.title = title + ' · jobd';
  for (const link of document.querySelectorAll('nav a')) link.ariaCurrent = link.hash === '#/' + name ? 'page' : null;
  refresh(true);
}

let stream, listened = 0;
async function listen() {
  let heard;
  stream = new AbortController();
  listened = Date.now() + AGAIN_MS;
  try {
    for await (const [name, job, id] of events('events' + query({queue: status?.queue}), stream.signal)) {
      await loading;
      heard ||= !renew();
      dirty ||= name || job && (!route.view.concerns || route.view.concerns(job, route));
      if (job) count(job, id);
    }
  } catch (error) {
    if (error.status) listened += STATUS_MS;
  }
  stream = null;
}

function tick() {
  if (!$('live').checked || document.hidden) {
    follow({});
    return stream?.abort();
  }
  const now = Date.now();
  if (!stream && status && now > listened) listen();
  if (now - loaded > AGAIN_MS && (dirty || now - asked > STATUS_MS)) refresh();
  else if (moved && now > drawn) draw();
}

$('goto').onsubmit = event => {
  event.preventDefault();
  location.hash = '#/jobs/' + $('id').value.trim();
  $('id').value = '';
};
document.onkeydown = event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches(':read-write,select') || document.querySelector('dialog[open]')) return;
  [...document.querySelectorAll('nav a:not([hidden])')].find(a => a.text[0].toLowerCase() === event.key)?.click();
  if (event.key === '/') {
    event.preventDefault();
    $('id').focus();
  }
};
onhashchange = open;
setInterval(tick, 250);
open();
