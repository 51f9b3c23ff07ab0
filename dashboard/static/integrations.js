// Integrations: spinners while the server works, the state of a synchronisation without reloading, buttons that copy.
"use strict";

(() => {
  const WAIT = 1500;

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-busy]") || event.defaultPrevented) return;
    const button = form.querySelector("button");
    if (button.querySelector(".spinner")) { event.preventDefault(); return; }
    const spinner = document.createElement("span");
    spinner.className = "spinner";
    spinner.setAttribute("aria-hidden", "true");
    button.append(" ", spinner);
    button.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const spinner of document.querySelectorAll("button > .spinner")) spinner.remove();
  });

  for (const button of document.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    const text = button.textContent;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = button.dataset.copied;
      setTimeout(() => { button.textContent = text; }, 2000);
    });
  }

  /** Ask how far a synchronisation is; once it is over, show the whole part again. */
  async function follow(part) {
    try {
      const state = await Shell.send("GET", part.dataset.sync);
      if (state.is_over && (await Shell.renew("sync"))) return;
      part.querySelector("[data-sentence]").textContent = state.sentence;
    } catch {
      // the server is away for a moment: ask again
    }
    setTimeout(() => follow(part), WAIT);
  }

  async function renewed(id) {
    const is_over = (await Shell.renew(id).catch(() => false)) && !document.querySelector(`#${id}[data-renew]`);
    if (!is_over) setTimeout(() => renewed(id), WAIT);
  }

  const sync = document.querySelector("[data-sync]");
  if (sync) setTimeout(() => follow(sync), WAIT);
  const part = document.querySelector("[data-renew]");
  if (part) setTimeout(() => renewed(part.dataset.renew), WAIT);
})();
