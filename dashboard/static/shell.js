// What every page does beyond plain HTML: the viewer's zone, menus, keys, questions before what cannot be undone.
"use strict";

const Shell = (() => {
  const cookie = (name) => document.cookie.split("; ").find((part) => part.startsWith(name + "="))?.slice(name.length + 1);
  const csrf = () => document.body.dataset.csrf;

  /** A request with the session's cookie and our proof; rejects with the problem's sentence. */
  async function send(method, address, body) {
    const headers = { accept: "application/json", "x-csrf-token": csrf() };
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await fetch(address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    if (answer.status === 401) location.reload();
    const text = await answer.text();
    const content = text ? JSON.parse(text) : null;
    if (!answer.ok) throw new Error(content?.detail ?? answer.statusText);
    return content;
  }

  /** Replace the element with this id by the one that the same page has now (`?part=` names a block, if the page knows it). */
  async function renew(id, address = location.href) {
    const answer = await fetch(address, { headers: { accept: "text/html", "x-part": id } });
    if (!answer.ok) return false;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
    if (fresh) document.getElementById(id)?.replaceWith(fresh);
    return Boolean(fresh);
  }

  function rememberZone() {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!zone || decodeURIComponent(cookie("crm_elt_zone") ?? "") === zone) return;
    document.cookie = `crm_elt_zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;
  }

  const typing = (target) => target.closest("input, select, textarea, [contenteditable]") !== null;
  let waiting = 0;

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { closeMenus(null); return; }
    if (typing(event.target)) return;
    if (event.key === "?") { document.getElementById("keys")?.showModal(); return; }
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); search.select?.(); }
      return;
    }
    if (event.key === "g") { waiting = Date.now(); return; }
    if (Date.now() - waiting < 1500) {
      waiting = 0;
      document.querySelector(`header nav a[data-key="${CSS.escape(event.key)}"]`)?.click();
      return;
    }
    if (event.key === "j" || event.key === "k") moveRow(event.key === "j" ? 1 : -1);
    if (event.key === "Enter" && event.target === document.body) document.querySelector("tr.selected a[data-open]")?.click();
  }

  function moveRow(step) {
    const rows = [...document.querySelectorAll("table[data-rows] tbody tr")];
    if (!rows.length) return;
    const now = rows.findIndex((row) => row.classList.contains("selected"));
    rows[now]?.classList.remove("selected");
    const row = rows[Math.min(rows.length - 1, Math.max(0, now + step))];
    row.classList.add("selected");
    row.scrollIntoView({ block: "nearest" });
  }

  function closeMenus(kept) {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) if (!menu.contains(kept)) menu.open = false;
  }

  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => closeMenus(event.target));
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
  document.addEventListener("change", (event) => event.target.closest("form[data-preferences], form[data-auto]")?.requestSubmit());
  rememberZone();
  return { send, renew, cookie, csrf };
})();
