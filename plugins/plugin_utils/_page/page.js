/* SPDX-License-Identifier: GPL-3.0-or-later
   Copyright (c) 2026 The gonka.devshard authors */
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const told = one("#told");

  // how old the page is, by the clock of this device
  const OLD_MINUTES = 60;
  const seen = Date.parse(one("#looked-at").dateTime);
  const span = (minutes) => {
    if (minutes < 120) return `${minutes} minute${minutes === 1 ? "" : "s"}`;
    return minutes < 2880 ? `${Math.floor(minutes / 60)} hours` : `${Math.floor(minutes / 1440)} days`;
  };
  const tellAge = () => {
    const minutes = Math.floor((Date.now() - seen) / 60000);
    const ahead = minutes < -1;
    const old = minutes >= OLD_MINUTES;
    document.body.classList.toggle("old", old || ahead);
    one("#age").textContent = ahead
      ? `The clock of this device is ${span(-minutes)} behind the time of the look, so its age is not known.`
      : `This is ${span(Math.max(0, minutes))} old.${old ? " Look again before you rely on it." : ""}`;
  };
  tellAge();
  setInterval(tellAge, 15000);

  // commands to copy
  for (const place of all(".command")) {
    const button = document.createElement("button");
    const code = one("code", place);
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy the command ${code.textContent}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = told.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        told.textContent = "The command is selected. Copy it with the keys of your system.";
      }
    });
    place.append(button);
  }

  // which gateways are shown
  const rows = all("#fleet tbody tr");
  const sections = new Map(all("details[data-host]").map((part) => [part.dataset.host, part]));
  const wanted = () => all("#states button[aria-pressed=true]").map((button) => button.value);
  const filter = () => {
    const words = one("#find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const states = wanted();
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.dataset.find.includes(word))
        && (states.length === 0 || states.includes(row.dataset.state));
      row.hidden = !fits;
      sections.get(row.dataset.host).hidden = !fits;
      shown += fits;
    }
    one("#shown").textContent = `${shown} of ${rows.length} gateways are shown.`;
  };
  one("#find").addEventListener("input", filter);
  for (const button of all("#states button")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  one("#open").addEventListener("click", () => {
    const open = one("#open").getAttribute("aria-pressed") !== "true";
    one("#open").setAttribute("aria-pressed", String(open));
    for (const part of sections.values()) part.open = open;
  });
  filter();

  // the order of the gateways
  const heads = all("#fleet thead th");
  const order = (head) => {
    const column = heads.indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    const value = (row) => row.cells[column].dataset.v;
    const numbers = rows.every((row) => value(row) !== "" && Number.isFinite(Number(value(row))));
    const compare = numbers
      ? (a, b) => Number(value(a)) - Number(value(b))
      : (a, b) => value(a).localeCompare(value(b), undefined, { numeric: true });
    const sorted = [...rows].sort((a, b) => compare(a, b) * (down ? -1 : 1));
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    one("#fleet tbody").append(...sorted);
  };
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => order(head));
    head.append(button);
  }

  // a link to a gateway opens its part
  const reveal = () => {
    const part = location.hash && document.getElementById(location.hash.slice(1));
    if (part && part.tagName === "DETAILS") {
      part.open = true;
      part.scrollIntoView();
    }
  };
  addEventListener("hashchange", reveal);
  reveal();
  for (const part of all(".scripted")) part.hidden = false;
})();
