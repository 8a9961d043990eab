// The live list of processes and the view of logs. Plain script, nothing loaded from elsewhere.
// Everything that comes from the daemon goes into the page as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const SAMPLES = 40;        // points of a sparkline
const LINES = 5000;        // lines of a log that are kept
const EVENTS = 50;         // past changes that are shown
// Without the name and password that an address may hold: fetch refuses them.
const HERE = location.origin + location.pathname.replace(/[^/]*$/, "");
const STATES = ["RUNNING", "STARTING", "BACKOFF", "STOPPING", "STOPPED", "EXITED", "FATAL", "UNKNOWN"];

let token = "";            // sent with every change
let shown = "";            // the state that is filtered by; empty: all
const processes = new Map(); // name → facts, row and cells, samples

function make(tag, classes, text) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Texts

function uptime(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const clock = `${Math.floor(seconds / 3600) % 24}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const days = Math.floor(seconds / 86400);
  return days ? `${days} d ${clock}` : clock;
}

function bytes(kib) {
  if (kib < 1024) return `${kib} KiB`;
  const mib = kib / 1024;
  if (mib < 1024) return `${mib.toFixed(mib < 100 ? 1 : 0)} MiB`;
  return `${(mib / 1024).toFixed(2)} GiB`;
}

function moment(seconds) {
  const date = new Date(seconds * 1000);
  const today = new Date().toDateString() === date.toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}

// Why it is not running, or how its last run ended. `reason`: what the last event said of that.
function why(facts, reason) {
  const failed = facts.spawn_error && (facts.state === "FATAL" || facts.state === "BACKOFF");
  const what = reason || (failed ? facts.spawn_error : facts.ended);
  if (!facts.stop) return what || (facts.start ? "" : "not started");
  return what ? `${what}, ${moment(facts.stop)}` : moment(facts.stop);
}

// Changes

async function change(path, button) {
  if (button) button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`${HERE}api/v1/${path}`, { method: "POST", headers: { "X-CSRF-Token": token } });
    if (answer.ok) return;
    let said = {};
    try { said = await answer.json(); } catch { said = { text: `${answer.status} ${answer.statusText}` }; }
    const troubles = (said.results || []).filter((item) => item.error).map((item) => `${item.name}: ${item.text}`);
    if (said.text) troubles.unshift(said.text);
    troubles.slice(0, 5).forEach(toast);
    if (troubles.length > 5) toast(`and ${troubles.length - 5} more`);
  } catch {
    toast("The daemon does not answer.");
  } finally {
    if (button) button.removeAttribute("aria-busy");
  }
}

function toast(text) {
  const note = make("p", "", text);
  $("toasts").append(note);
  setTimeout(() => note.remove(), 8000);
}

function confirmed(question, answer) {
  put($("question"), question);
  put($("yes"), answer);
  const dialog = $("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const CAPITAL = { start: "Start", restart: "Restart", stop: "Stop" };

async function changeMany(verb, selector, what, button) {
  if (verb !== "start" && !(await confirmed(`${CAPITAL[verb]} ${what}?`, CAPITAL[verb]))) return;
  change(`${verb}/${encodeURIComponent(selector)}`, button);
}

// Rows

// `kind` is the column of a button: those of all rows stand below each other.
function act(label, kind, name, deed) {
  const button = make("button", kind, label);
  button.type = "button";
  button.setAttribute("aria-label", `${label} ${name}`);
  button.addEventListener("click", () => deed(button));
  return button;
}

function columns(...buttons) {
  const all = make("div");
  all.append(...buttons);
  return all;
}

function newRow(facts) {
  const row = make("tr", "process");
  row.dataset.name = facts.name;
  const cells = {};
  for (const [name, classes, label] of [
    ["state", "state"], ["name", "name"],
    ["pid", "pid number facts", "pid"], ["uptime", "uptime number facts", "up"],
    ["cpu", "cpu measure facts", "CPU"], ["memory", "memory measure facts", "mem"],
    ["why", "why"], ["acts", "acts"],
  ]) {
    cells[name] = make("td", classes);
    if (label) cells[name].dataset.label = label;
    row.append(cells[name]);
  }
  const name = facts.name;
  const deed = (verb) => (button) => change(`${verb}/${encodeURIComponent(name)}`, button);
  for (const verb of ["start", "restart", "stop"]) cells[verb] = act(CAPITAL[verb], verb, name, deed(verb));
  cells.log = act("Log", "log", name, () => { location.hash = `#log/${encodeURIComponent(name)}`; });
  cells.acts.append(columns(cells.start, cells.restart, cells.stop, cells.log));
  for (const measure of ["cpu", "memory"]) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "spark");
    svg.setAttribute("viewBox", `0 0 ${SAMPLES - 1} 16`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (const part of ["area", "edge"]) {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", part);
      svg.append(path);
    }
    cells[`${measure}Line`] = svg;
    cells[`${measure}Text`] = make("span", "figure");
  }
  return { facts, row, cells, cpu: [], memory: [], since: 0, reason: "" };
}

function paint(process) {
  const { facts, row, cells } = process;
  row.dataset.state = facts.state;
  put(cells.state, facts.state.toLowerCase());
  put(cells.name, facts.name === facts.group ? facts.name : facts.process);
  put(cells.pid, facts.pid ? String(facts.pid) : "");
  put(cells.why, why(facts, process.reason));
  if (facts.log_trouble) cells.why.append(make("span", "trouble", facts.log_trouble));
  if (facts.left_behind) cells.why.append(make("span", "trouble", "left behind: " + facts.left_behind));
  if (facts.disabled) cells.why.append(make("span", "note", "disabled"));
  const lives = ["STARTING", "RUNNING", "BACKOFF"].includes(facts.state);
  cells.start.hidden = lives || facts.state === "STOPPING";
  cells.restart.hidden = !lives;
  cells.stop.hidden = !lives && facts.state !== "STOPPING" && !facts.left_behind;
  cells.stop.disabled = facts.state === "STOPPING";
  if (!facts.pid) {
    process.cpu = [];
    process.memory = [];
    cells.cpu.replaceChildren();
    cells.memory.replaceChildren();
  }
  tick(process);
}

function tick(process) {
  const { facts, cells } = process;
  if (facts.uptime === null) return put(cells.uptime, "");
  put(cells.uptime, uptime(facts.uptime + Math.floor((performance.now() - process.since) / 1000)));
}

function take(facts) {
  let process = processes.get(facts.name);
  const isNew = !process;
  if (isNew) {
    process = newRow(facts);
    processes.set(facts.name, process);
  }
  const changed = !isNew && process.facts.state !== facts.state;
  const restarted = process.facts.pid !== facts.pid;
  process.facts = facts;
  process.since = performance.now();
  if (restarted) { process.cpu = []; process.memory = []; }
  paint(process);
  if (changed) {
    process.row.classList.remove("changed");
    void process.row.offsetWidth; // so that the animation begins anew
    process.row.classList.add("changed");
    if (processes.size < 50) put($("announcements"), `${facts.name} is ${facts.state.toLowerCase()}`);
  }
  return isNew;
}

// Groups: a body of the table for each, with a heading if there is more in it than its name says.

function arrange() {
  const groups = new Map();
  for (const process of processes.values()) {
    const { group } = process.facts;
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(process);
  }
  const byName = (a, b) => a.localeCompare(b, "en", { numeric: true });
  const table = $("processes");
  table.querySelectorAll("tbody").forEach((body) => body.remove());
  let plain = null;
  for (const group of [...groups.keys()].sort(byName)) {
    const members = groups.get(group).sort((a, b) => byName(a.facts.process, b.facts.process));
    const alone = members.length === 1 && members[0].facts.process === group;
    if (alone) {
      if (!plain) { plain = make("tbody"); table.append(plain); }
      members[0].row.classList.remove("member");
      plain.append(members[0].row);
      continue;
    }
    plain = null;
    const body = make("tbody");
    body.append(heading(group, members));
    for (const member of members) {
      member.row.classList.add("member");
      body.append(member.row);
    }
    table.append(body);
  }
  $("empty").hidden = processes.size > 0;
  sift();
}

function heading(group, members) {
  const row = make("tr", "group");
  const head = make("th", "", group);
  head.scope = "rowgroup";
  head.colSpan = 7;
  head.append(make("span", "quiet", `${members.length} ${members.length === 1 ? "process" : "processes"}`));
  const acts = make("td", "acts");
  const what = `all ${members.length} of ${group}`;
  acts.append(columns(...["start", "restart", "stop"].map((verb) =>
    act(CAPITAL[verb], verb, `group ${group}`, (button) => changeMany(verb, `${group}:*`, what, button)))));
  row.append(head, acts);
  return row;
}

// Counts and filter

function sift() {
  const text = $("filter").value.trim().toLowerCase();
  for (const { facts, row } of processes.values()) {
    row.hidden = (shown !== "" && facts.state !== shown) || !facts.name.toLowerCase().includes(text);
  }
  for (const body of document.querySelectorAll("#processes tbody")) {
    body.hidden = !body.querySelector("tr.process:not([hidden])");
  }
  const any = document.querySelector("#processes tbody:not([hidden])");
  $("processes").hidden = !any;
  $("nothing").hidden = any || processes.size === 0;
  count();
}

function count() {
  const counts = new Map();
  for (const { facts } of processes.values()) counts.set(facts.state, (counts.get(facts.state) || 0) + 1);
  const chips = $("counts");
  const wanted = [["", processes.size, "all"]];
  for (const state of STATES) {
    if (counts.has(state) || shown === state) wanted.push([state, counts.get(state) || 0, state.toLowerCase()]);
  }
  while (chips.children.length > wanted.length) chips.lastChild.remove();
  wanted.forEach(([state, number, word], at) => {
    let chip = chips.children[at];
    if (!chip) {
      chip = make("button");
      chip.type = "button";
      chip.append(make("b"), make("span"));
      chip.addEventListener("click", () => { shown = chip.dataset.state; sift(); });
      chips.append(chip);
    }
    chip.dataset.state = state;
    chip.setAttribute("aria-pressed", String(shown === state));
    put(chip.firstChild, String(number));
    put(chip.lastChild, word);
  });
  const bad = (counts.get("FATAL") || 0) + (counts.get("BACKOFF") || 0) + (counts.get("UNKNOWN") || 0);
  $("lamp").className = `lamp ${bad ? "bad" : "good"}`;
  document.title = (bad ? `(${bad}!) ` : "") + $("identifier").textContent;
}

// CPU and memory

function line(svg, values, least) {
  const most = Math.max(least, ...values) * 1.15;
  const shift = SAMPLES - values.length;
  const points = values.map((value, at) => `${at + shift} ${(15 - (value / most) * 14).toFixed(1)}`);
  const path = points.length > 1 ? `M${points.join("L")}` : "";
  svg.firstChild.setAttribute("d", path && `${path}V16H${shift}Z`);
  svg.lastChild.setAttribute("d", path);
}

function measure(process, [cpu, memory]) {
  const { cells } = process;
  if (!process.facts.pid) return;
  if (cpu !== null) {
    process.cpu.push(cpu / 10);
    if (process.cpu.length > SAMPLES) process.cpu.shift();
    if (!cells.cpu.firstChild) cells.cpu.append(cells.cpuText, cells.cpuLine);
    put(cells.cpuText, `${(cpu / 10).toFixed(1)} %`);
    line(cells.cpuLine, process.cpu, 5);
  }
  process.memory.push(memory);
  if (process.memory.length > SAMPLES) process.memory.shift();
  if (!cells.memory.firstChild) cells.memory.append(cells.memoryText, cells.memoryLine);
  put(cells.memoryText, bytes(memory));
  line(cells.memoryLine, process.memory, 1024);
}

// What happened

function tell(facts) {
  const item = make("li");
  const time = make("time", "", moment(facts.time));
  item.append(time, make("b", "", facts.name || facts.group || "daemon"));
  const what = facts.to ? ` ${facts.from.toLowerCase()} → ${facts.to.toLowerCase()}` : ` ${facts.event.toLowerCase().replaceAll("_", " ")}`;
  item.append(what);
  if (facts.why) item.append(make("span", "quiet", facts.why));
  const list = $("events");
  list.prepend(item);
  while (list.children.length > EVENTS) list.lastChild.remove();
  $("recent").hidden = false;
}

// Remembers how a run ended, which is told before the facts that follow from it.
function learn(facts) {
  const process = processes.get(facts.name);
  const ends = ["BACKOFF", "EXITED", "STOPPED"].includes(facts.to);
  if (process && ends && facts.why) process.reason = facts.why;
}

// The stream of the daemon. A page that nobody sees has none.

let source = null;
let about = "";

function watch() {
  if (source || document.hidden) return;
  source = new EventSource(`${HERE}live`);
  source.onopen = () => put($("connection"), "");
  source.onerror = () => {
    put($("connection"), "not connected, trying again…");
    $("lamp").className = "lamp busy";
    if (source && source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(watch, 3000);
    }
  };
  const on = (kind, handle) => source.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
  on("token", (given) => { token = given; });
  on("snapshot", (snapshot) => {
    const { daemon } = snapshot;
    put($("identifier"), daemon.identifier);
    about = `appctl ${daemon.version}, pid ${daemon.pid}${daemon.state === "running" ? "" : `, ${daemon.state}`}`;
    put($("about"), about);
    const names = new Set(snapshot.processes.map((facts) => facts.name));
    for (const [name, process] of processes) {
      if (!names.has(name)) { process.row.remove(); processes.delete(name); }
    }
    snapshot.processes.forEach(take);
    $("events").replaceChildren();
    const events = snapshot.events.filter((facts) => facts.to || facts.group);
    events.forEach(tell);
    events.forEach(learn);
    processes.forEach(paint);
    arrange();
  });
  on("processes", (list) => {
    const isNew = list.map(take).some(Boolean);
    if (isNew) arrange(); else sift();
  });
  on("change", (facts) => { tell(facts); learn(facts); });
  on("usage", (usage) => {
    for (const [name, share] of Object.entries(usage.processes)) {
      const process = processes.get(name);
      if (process) measure(process, share);
    }
    const [cpu, memory] = usage.daemon;
    put($("about"), `${about}, ${cpu === null ? "" : `${(cpu / 10).toFixed(1)} % CPU, `}${bytes(memory)}`);
  });
}

function unwatch() {
  if (source) source.close();
  source = null;
}

document.addEventListener("visibilitychange", () => (document.hidden ? unwatch() : watch()));
setInterval(() => { if (!document.hidden) processes.forEach(tick); }, 1000);

// The log

const log = { hash: "", path: "", reader: null, partial: "", paused: false, waiting: [], atEnd: true };
const ESCAPES = /\u001b(?:\[[0-?]*[ -\/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
// Control characters, and those that reorder what is read.
const ODD = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function readable(line) {
  return line.replace(/\r$/, "").replace(ESCAPES, "").replace(ODD, (c) =>
    c < " " ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : "\ufffd");
}

function newLine(text) {
  const element = make("div");
  fill(element, text);
  return element;
}

// Puts a line's text into its element, with what is searched for marked.
function fill(element, text) {
  const wanted = $("search").value.toLowerCase();
  element.replaceChildren();
  element.classList.toggle("match", false);
  if (!wanted) { element.textContent = text; return; }
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    element.append(text.slice(from, at), make("mark", "", text.slice(at, at + wanted.length)));
    from = at + wanted.length;
    element.classList.add("match");
  }
  element.append(text.slice(from));
}

function isAtEnd() {
  const view = $("lines");
  return view.scrollHeight - view.scrollTop - view.clientHeight < 30;
}

function addLines(lines) {
  if (log.paused) {
    log.waiting.push(...lines);
    if (log.waiting.length > LINES) log.waiting.splice(0, log.waiting.length - LINES);
    put($("pause"), `Go on (${log.waiting.length})`);
    return;
  }
  const view = $("lines");
  view.classList.remove("blank");
  const follow = isAtEnd();
  const fresh = document.createDocumentFragment();
  lines.slice(-LINES).forEach((line) => fresh.append(newLine(readable(line))));
  view.append(fresh);
  while (view.children.length > LINES) view.firstChild.remove();
  if (follow) view.scrollTop = view.scrollHeight;
  matches();
}

function note(text) {
  $("lines").classList.remove("blank");
  $("lines").append(make("div", "note", text));
}

function matches() {
  const wanted = $("search").value;
  const number = wanted ? document.querySelectorAll("#lines .match").length : 0;
  put($("found"), wanted ? `${number} ${number === 1 ? "line" : "lines"}` : "");
  $("lines").classList.toggle("only", $("only").checked && wanted !== "");
}

async function follow(path) {
  const abort = new AbortController();
  log.reader = abort;
  log.partial = "";
  const decoder = new TextDecoder();
  try {
    const answer = await fetch(`${HERE}${path}?follow=yes`, { signal: abort.signal });
    if (!answer.ok) {
      let said = {};
      try { said = await answer.json(); } catch { /* not ours */ }
      note(said.text || `${answer.status} ${answer.statusText}`);
      return;
    }
    // Unless the file is short its first line is the end of one.
    let cut = Number(answer.headers.get("X-Log-Offset")) > 0;
    const reader = answer.body.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (abort.signal.aborted) return;
      if (done) break;
      const lines = (log.partial + decoder.decode(value, { stream: true })).split("\n");
      log.partial = lines.pop();
      if (log.partial.length > 100000) { lines.push(log.partial); log.partial = ""; }
      if (cut && lines.length) { lines.shift(); cut = false; }
      if (lines.length) addLines(lines);
    }
    note("the stream ended");
  } catch (error) {
    if (!abort.signal.aborted) note(`the stream broke: ${error.message}`);
  }
}

function showLog(name, channel) {
  if (log.reader) log.reader.abort();
  $("lines").replaceChildren();
  $("lines").classList.add("blank");
  log.waiting = [];
  setPaused(false);
  $("search").value = "";
  matches();
  const main = name === "";
  const path = main ? "api/v1/mainlog" : `api/v1/log/${encodeURIComponent(name)}/${channel}`;
  put($("log-name"), main ? "Main log" : name);
  $("download").href = `${HERE}${path}?download=yes`;
  const facts = processes.get(name)?.facts;
  const file = facts ? facts[`${channel}_logfile`] : "";
  put($("log-file"), file);
  const nowhere = Boolean(facts) && file === "";
  for (const part of ["download", "pause"]) $(part).hidden = nowhere;
  const channels = $("channels");
  channels.replaceChildren();
  if (!main) {
    for (const word of ["stdout", "stderr"]) {
      const button = make("button", "", word);
      button.type = "button";
      button.setAttribute("aria-pressed", String(word === channel));
      button.addEventListener("click", () => { location.replace(`#log/${encodeURIComponent(name)}/${word}`); });
      channels.append(button);
    }
  }
  log.hash = location.hash;
  const dialog = $("log");
  if (!dialog.open) dialog.showModal();
  $("lines").focus();
  if (nowhere) note(`${channel} is kept in no file.`); else follow(path);
}

function setPaused(paused) {
  log.paused = paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  put($("pause"), paused ? "Go on" : "Pause");
  if (!paused && log.waiting.length) addLines(log.waiting.splice(0));
}

function route() {
  const [what, name, channel] = location.hash.slice(1).split("/");
  if (what === "log" && name) return showLog(decodeURIComponent(name), channel === "stderr" ? "stderr" : "stdout");
  if (what === "mainlog") return showLog("", "");
  if ($("log").open) $("log").close();
}

// This comes a moment later: by then another log may be asked for, or shown.
$("log").addEventListener("close", () => {
  if ($("log").open) return;
  if (log.reader) log.reader.abort();
  log.reader = null;
  $("lines").replaceChildren();
  if (location.hash === log.hash) history.pushState(null, "", location.pathname + location.search);
});
$("close").addEventListener("click", () => $("log").close());
$("pause").addEventListener("click", () => setPaused(!log.paused));
$("search").addEventListener("input", () => {
  for (const element of $("lines").children) {
    if (!element.classList.contains("note")) fill(element, element.textContent);
  }
  matches();
  const last = [...document.querySelectorAll("#lines .match")].pop();
  if (last) last.scrollIntoView({ block: "nearest" });
});
$("only").addEventListener("change", matches);
$("wrap").addEventListener("change", () => $("log").classList.toggle("wraps", $("wrap").checked));
$("log").classList.add("wraps");
$("lines").addEventListener("scroll", () => { $("to-end").hidden = isAtEnd(); });
$("to-end").addEventListener("click", () => { $("lines").scrollTop = $("lines").scrollHeight; });

// The rest

$("filter").addEventListener("input", sift);
$("show-all").addEventListener("click", () => { $("filter").value = ""; shown = ""; sift(); $("filter").focus(); });
$("main-log").addEventListener("click", () => { location.hash = "#mainlog"; });
for (const button of document.querySelectorAll("[data-all]")) {
  const verb = button.dataset.all;
  button.addEventListener("click", () => changeMany(verb, "all", `all ${processes.size} processes`, button));
}
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  $($("log").open ? "search" : "filter").focus();
});
addEventListener("hashchange", route);
if (location.search.includes("message=")) history.replaceState(null, "", location.pathname + location.hash);
watch();
route();
