// Orders: due times that count down, and rows that follow the stream. Without it the pages are as they were loaded.
"use strict";

(() => {
  const sign = document.getElementById("live-sign");
  const part = document.getElementById("live") ?? document.getElementById("timeline");
  if (!sign || !part) { forgetEmptyFilters(); return; }
  const name = part.id;
  const followed = part.dataset.order ?? null;
  const units = sign.dataset.units.split(" ");
  const QUIET = 60000, PAUSE = 600, MARKED = 4000;
  const marked = new Map();
  let ahead = 0;
  let renewedAt = 0, took = 0, timer = null, renewing = false, again = false;

  /** As the server writes durations: whole minutes, below one minute whole seconds. */
  function duration(seconds) {
    const whole = Math.trunc(seconds);
    if (whole < 60) return `${whole} ${units[3]}`;
    const parts = [[Math.trunc(whole / 86400), units[0]], [Math.trunc(whole % 86400 / 3600), units[1]], [Math.trunc(whole % 3600 / 60), units[2]]];
    return parts.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}`).join(" ");
  }

  function count() {
    for (const time of document.querySelectorAll("time[data-due]")) {
      const seconds = (Date.parse(time.dateTime) - Date.now() - ahead) / 1000;
      const kind = seconds > 0 ? "in" : time.dataset.state === "over" ? "over" : "now";
      const text = kind === "now" ? sign.dataset.now : sign.dataset[kind].replace("{}", duration(Math.abs(seconds)));
      if (time.textContent !== text) time.textContent = text;
      if (!time.classList.contains(kind)) { time.classList.remove("in", "now", "over"); time.classList.add(kind); }
    }
  }

  /** How far the server's clock is ahead of ours, as the part that it made says. */
  function setClock(element, began) {
    const middle = began === null ? performance.timeOrigin + performance.now() : (began + Date.now()) / 2;
    const difference = Date.parse(element.dataset.now) - middle;
    ahead = Math.abs(difference) < 2000 ? 0 : difference;
  }

  async function renew() {
    if (renewing) { again = true; return; }
    renewing = true;
    const began = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html", "x-part": name } });
      if (answer.ok && !answer.redirected) replace(new DOMParser().parseFromString(await answer.text(), "text/html"), began);
    } catch {
      show("wait");
    } finally {
      renewing = false;
      renewedAt = Date.now();
      took = renewedAt - began;
      if (again) { again = false; soon(); }
    }
  }

  function replace(made, began) {
    const fresh = made.getElementById(name), old = document.getElementById(name);
    if (!fresh || !old) return;
    if (old.contains(document.activeElement) && document.activeElement.matches("summary, a")) { keepFocus(old, fresh); }
    const versions = new Map([...old.querySelectorAll("tr[data-key]")].map((row) => [row.dataset.key, row.dataset.version]));
    const selected = old.querySelector("tr.selected")?.dataset.key;
    const open = [...old.querySelectorAll("details")].map((details) => details.open);
    for (const row of fresh.querySelectorAll("tr[data-key]")) {
      if (versions.get(row.dataset.key) !== row.dataset.version) marked.set(row.dataset.key, Date.now());
      mark(row);
      if (row.dataset.key === selected) row.classList.add("selected");
    }
    const details = [...fresh.querySelectorAll("details")];
    if (details.length === open.length) details.forEach((one, place) => { one.open = open[place]; });
    const scrolled = [...old.querySelectorAll("[role=region]")].map((box) => box.scrollLeft);
    const focus = fresh.querySelector("[data-focus]");
    old.replaceWith(fresh);
    fresh.querySelectorAll("[role=region]").forEach((box, place) => { box.scrollLeft = scrolled[place] ?? 0; });
    if (focus) { focus.removeAttribute("data-focus"); focus.focus({ preventScroll: true }); }
    setClock(fresh, began);
    count();
  }

  /** Briefly, and over further renewals. */
  function mark(row) {
    const since = Date.now() - marked.get(row.dataset.key);
    if (!(since < MARKED)) { marked.delete(row.dataset.key); return; }
    row.classList.add("changed");
    row.style.animationDelay = `-${since}ms`;
    setTimeout(() => row.classList.remove("changed"), MARKED - since);
  }

  /** What has the focus now has it in the new part too, if it is there. */
  function keepFocus(old, fresh) {
    const active = document.activeElement;
    const same = active.matches("a[href]")
      ? fresh.querySelector(`a[href="${CSS.escape(active.getAttribute("href"))}"]`)
      : [...fresh.querySelectorAll("summary")][[...old.querySelectorAll("summary")].indexOf(active)];
    same?.setAttribute("data-focus", "");
  }

  /** At once after a quiet time; while much happens, a pause that leaves a busy server time for others. */
  function soon() {
    if (timer !== null) return;
    const wait = Math.max(50, renewedAt + Math.max(PAUSE, Math.min(8 * took, 10000)) - Date.now());
    timer = setTimeout(() => { timer = null; if (document.hidden) again = true; else renew(); }, wait);
  }

  function show(state) {
    sign.hidden = false;
    sign.classList.remove("live", "wait", "off");
    sign.classList.add(state);
    if (sign.textContent !== sign.dataset[state]) sign.textContent = sign.dataset[state];
  }

  let source = null;

  function follow() {
    source = new EventSource(sign.dataset.stream);
    let wasAway = false;
    source.onopen = () => { show("live"); if (wasAway) soon(); wasAway = false; };
    source.onerror = () => { wasAway = true; show(source.readyState === EventSource.CLOSED ? "off" : "wait"); };
    const heard = (event) => {
      const said = JSON.parse(event.data);
      if (followed === null || said.order_id === followed || (said.kind === "order" && said.entity_id === followed)) soon();
    };
    source.addEventListener("order", heard);
    source.addEventListener("payment", heard);
    source.addEventListener("reset", soon);
    source.addEventListener("end", () => { source.close(); show("off"); });
  }

  /** So that the address names only what was chosen. */
  function forgetEmptyFilters() {
    document.querySelector("form[data-orders-filter]")?.addEventListener("formdata", (event) => {
      for (const key of [...event.formData.keys()]) {
        const kept = event.formData.getAll(key).filter((value) => value !== "" && !(key === "by" && value === "created"));
        event.formData.delete(key);
        for (const value of kept) event.formData.append(key, value);
      }
    });
  }

  /** The list's address, to come back to from an order. */
  function rememberList() {
    const back = document.querySelector("a[data-back]");
    if (!back) { sessionStorage.setItem("orders", location.pathname + location.search); return; }
    const list = sessionStorage.getItem("orders");
    if (list?.startsWith("/orders")) back.href = list;
    document.addEventListener("keydown", (event) => {
      const busy = event.target.closest("input, select, textarea, dialog") || document.querySelector("details[data-menu][open]");
      if (event.key === "Escape" && !busy) back.click();
    }, true);
  }

  setClock(part, null);
  count();
  setInterval(count, 1000);
  setInterval(() => { if (Date.now() - renewedAt > QUIET) soon(); }, 5000);  // states change with the clock alone
  document.addEventListener("visibilitychange", () => { if (!document.hidden && again) { again = false; soon(); } });
  renewedAt = Date.now() - PAUSE;
  forgetEmptyFilters();
  rememberList();
  follow();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) { follow(); soon(); } });
})();
