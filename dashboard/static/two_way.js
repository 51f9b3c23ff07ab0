// Renews the part of a page that says how things stand, for as long as somebody looks at it.
"use strict";

(() => {
  const part = () => document.querySelector("[data-renew]");
  // What a person is about to press, or has opened, is left alone until they are done with it.
  const isBusy = (element) => (element.contains(document.activeElement) && document.activeElement.matches("a, button, input, select, summary"))
    || element.querySelector("details[open]") !== null;

  async function go() {
    const element = part();
    if (!element) return;
    if (!document.hidden && !isBusy(element)) {
      try { await Shell.renew(element.id); } catch { /* the server is away: the next round asks again */ }
    }
    const next = part();
    if (next) setTimeout(go, Number(next.dataset.renew) * 1000);
  }

  const first = part();
  if (first) setTimeout(go, Number(first.dataset.renew) * 1000);
})();
