// Settings: add rows, presets of hours, hints while typing, a warning before unsaved changes are left.
"use strict";

(() => {
  const form = document.querySelector("form[data-settings]");
  if (!form) return;
  const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
  const PRESETS = { always: () => "00:00-24:00", office: (day) => (DAYS.indexOf(day) < 5 ? "09:00-18:00" : "") };
  const DURATION = /^\s*([0-9]{1,6}:[0-5][0-9](:[0-5][0-9])?)?\s*$/;
  const TIME = "([01]?[0-9]|2[0-3]|24(?=:00)):[0-5][0-9](:[0-5][0-9])?";
  const WINDOWS = new RegExp(`^\\s*(${TIME}\\s*[-–]\\s*${TIME}\\s*([,;]\\s*(?=[0-9])|$))*\\s*$`);

  /** A copy of the last row of a list, empty and with the next number. */
  function addRow(list) {
    const last = list.querySelector(":scope > [data-row]:last-of-type");
    const old = last.dataset.row;
    const [name, index] = old.split(".");
    const next = `${name}.${Number(index) + 1}`;
    const fresh = last.cloneNode(true);
    fresh.dataset.row = next;
    for (const error of fresh.querySelectorAll(".error, .hint-bad, svg")) error.remove();
    for (const element of fresh.querySelectorAll("*")) {
      for (const attribute of ["name", "id", "for", "data-preset", "aria-describedby"]) {
        const value = element.getAttribute(attribute);
        if (value?.includes(old)) element.setAttribute(attribute, value.replace(old, next));
      }
      element.removeAttribute("aria-invalid");
      if (element.matches("input:not([type]), input[type='text'], input[type='date'], textarea")) element.value = "";
      if (element.matches("select")) element.selectedIndex = 0;
      if (element.matches("input[type='radio']")) { element.value = String(Number(index) + 1); element.checked = false; }
      if (element.matches("input[name$='.remove']")) element.checked = false;
    }
    list.append(fresh);
    fresh.querySelector("input:not([type='hidden']), select")?.focus();
  }

  for (const button of form.querySelectorAll("button[data-add]")) {
    button.hidden = false;
    button.addEventListener("click", () => addRow(form.querySelector(`[data-list="${button.dataset.add}"]`)));
  }

  const field = (name) => form.querySelector(`[name="${CSS.escape(name)}"]`);

  form.addEventListener("change", (event) => {
    const select = event.target.closest("select[data-preset]");
    if (!select || !PRESETS[select.value]) return;
    for (const day of DAYS) field(`${select.dataset.preset}.${day}`).value = PRESETS[select.value](day);
    if (!(select.value === "always" && "alwaysStays" in select.dataset)) select.value = "hours";
    draw(select.dataset.preset);
  });

  /** Say at once what the server would say. */
  function check(input) {
    const pattern = { duration: DURATION, windows: WINDOWS }[input.dataset.kind];
    if (!pattern) return;
    const hint = input.parentElement.querySelector(".hint-bad");
    if (pattern.test(input.value)) {
      hint?.remove();
      if (hint) input.removeAttribute("aria-invalid");
    } else if (!hint) {
      const said = document.createElement("span");
      said.className = "hint-bad";
      said.textContent = input.dataset.kind === "duration" ? form.dataset.hoursHint : form.dataset.windowsHint;
      input.after(said);
      input.setAttribute("aria-invalid", "true");
    }
  }

  const minute = (text) => Number(text.split(":")[0]) * 60 + Number(text.split(":")[1]);

  /** Draw the week of a calendar again from what is typed. */
  function draw(name) {
    const picture = form.querySelector(`svg[data-week="${CSS.escape(name)}"]`);
    if (!picture || DAYS.some((day) => !WINDOWS.test(field(`${name}.${day}`).value))) return;
    const spans = DAYS.map(() => []);
    DAYS.forEach((day, index) => {
      for (const part of field(`${name}.${day}`).value.split(/[,;]/).filter((piece) => piece.trim())) {
        const [opens, closes] = part.split(/[-–]/).map((time) => minute(time.trim()));
        const end = closes || 1440;
        if (end > opens) spans[index].push([opens, end]);
        else { spans[index].push([opens, 1440]); spans[(index + 1) % 7].push([0, end]); }
      }
    });
    const grounds = picture.querySelectorAll("rect.closed");
    picture.querySelectorAll("rect.open").forEach((bar) => bar.remove());
    spans.forEach((day, index) => {
      const open = new Set();
      for (const [start, end] of day) {
        for (let at = start; at < end; at += 1) open.add(at);
        const bar = grounds[index].cloneNode();
        bar.setAttribute("class", "open");
        bar.setAttribute("x", String(40 + start / 3));
        bar.setAttribute("width", String((end - start) / 3));
        grounds[index].after(bar);
      }
      const total = [...picture.querySelectorAll("text[x='556']")][index];
      if (total) total.textContent = `${Math.floor(open.size / 60)}:${String(open.size % 60).padStart(2, "0")}`;
    });
  }

  form.addEventListener("input", (event) => {
    const input = event.target;
    if (input.matches("input[data-kind]")) check(input);
    if (input.dataset.kind === "windows") {
      const name = input.name.slice(0, input.name.lastIndexOf("."));
      const select = form.querySelector(`select[data-preset="${CSS.escape(name)}"]`);
      if (select) select.value = "hours";
      draw(name);
    }
  });

  const policy = form.querySelector("[data-policy]");
  const perField = form.querySelector("[data-per-field]");
  if (policy && perField) {
    const follow = () => { perField.hidden = policy.value !== "per-field"; };
    policy.addEventListener("change", follow);
    follow();
  }

  let isChanged = false;
  const note = () => {
    if (isChanged) return;
    isChanged = true;
    const said = document.createElement("span");
    said.className = "unsaved";
    said.setAttribute("role", "status");
    said.textContent = form.dataset.unsaved;
    form.querySelector(".save")?.append(said);
  };
  form.addEventListener("input", note);
  form.addEventListener("change", note);
  form.addEventListener("submit", () => { isChanged = false; });
  window.addEventListener("beforeunload", (event) => { if (isChanged) event.preventDefault(); });
})();
