// Sorting and filtering of the tables; without it all rows can be read, best first.
"use strict";

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Sort the rows of each body by a column; what has no figure comes last both ways. */
function sort(table, place, ascending) {
  const numeric = heads(table)[place].querySelector("button").dataset.kind === "number";
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("divider"));
    const keyed = rows.map((row) => [row.cells[place].dataset.sort, row]);
    const full = keyed.filter(([key]) => (numeric ? isNumber(key) : key !== ""));
    const empty = keyed.filter(([key]) => !(numeric ? isNumber(key) : key !== ""));
    const compare = numeric ? (a, b) => a - b : collator.compare;
    full.sort(([a], [b]) => (ascending ? compare(a, b) : compare(b, a)));
    body.append(...[...full, ...empty].map(([, row]) => row));
  }
  heads(table).forEach((head, k) => {
    if (k === place) head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
}

function isNumber(text) {
  return text !== "" && Number.isFinite(Number(text));
}

function heads(table) {
  return [...table.tHead.rows[0].cells];
}

function startSorting(table) {
  heads(table).forEach((head, place) => {
    const button = head.querySelector("button");
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const ascending = now ? now === "descending" : button.dataset.first === "ascending";
      sort(table, place, ascending);
    });
    button.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const next = step && heads(table)[place + step];
      if (next) {
        next.querySelector("button").focus();
        event.preventDefault();
      }
    });
  });
}

/** What the form asks for; also how it stands in the address. */
function asked(form) {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
}

function fits(row, wish) {
  const data = row.dataset;
  const words = (wish.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.every((word) => data.text.includes(word))) return false;
  if (row.classList.contains("references")) {
    if (wish.references === "none") return false;
    return wish.references === "all" || words.length > 0 || !("rare" in data);
  }
  return ["given", "label", "tier", "level"].every((name) => !wish[name] || data[name] === wish[name]);
}

function filter(form) {
  const wish = asked(form);
  let shown = 0;
  let all = 0;
  for (const section of document.querySelectorAll("section.wide")) {
    let left = 0;
    for (const row of section.querySelectorAll(".board tbody tr:not(.divider)")) {
      const fit = fits(row, wish);
      row.hidden = !fit;
      left += fit;
      all += 1;
    }
    for (const divider of section.querySelectorAll(".divider")) {
      divider.hidden = !divider.parentElement.querySelector("tr:not(.divider):not([hidden])");
    }
    section.querySelector(".none").hidden = left > 0;
    shown += left;
  }
  form.querySelector("output").value = `${shown} of ${all} rows`;
}

function remember(form) {
  const text = new URLSearchParams(asked(form)).toString();
  history.replaceState(null, "", location.href.split("#")[0] + (text ? `#${text}` : ""));
}

function restore(form) {
  if (!location.hash.includes("=")) return;
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    const field = form.elements.namedItem(name);
    if (field && "value" in field) field.value = value;
    if (field instanceof HTMLSelectElement && field.selectedIndex < 0) field.value = "";
  }
}

/** A link to a row that is filtered out shows it. */
function reveal() {
  const row = location.hash.startsWith("#entry-") && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (row) {
    row.hidden = false;
    row.scrollIntoView({ block: "center" });
  }
}

function startFiltering(form) {
  form.hidden = false;
  restore(form);
  const update = () => {
    filter(form);
    remember(form);
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll("[data-reset]")) {
    button.addEventListener("click", () => {
      form.reset(); // not by the button's type: its event comes before the fields change
      update();
      if (!form.contains(button)) form.elements.namedItem("q").focus(); // it is hidden now
    });
  }
  filter(form);
}

for (const table of document.querySelectorAll("table.board")) startSorting(table);
const form = document.querySelector("form.filters");
if (form) startFiltering(form);
reveal();
addEventListener("hashchange", reveal);
