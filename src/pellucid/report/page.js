"use strict";

// One kind of saliency map at a time, and the main measures only; without this script the page shows all of them.
const choices = document.querySelectorAll("#switch input");
const further = document.getElementById("further");
function show() {
  const map = document.querySelector("#switch input:checked")?.value;
  for (const part of document.querySelectorAll("[data-map], [data-more]")) {
    const other = map !== undefined && part.dataset.map !== undefined && part.dataset.map !== map;
    part.hidden = other || (part.dataset.more !== undefined && !further.checked);
  }
}
for (const choice of [...choices, ...(further ? [further] : [])]) choice.addEventListener("change", show);
show();

// A head sorts its column, best first, then the other way round; runs without the number stay last.
const table = document.getElementById("numbers");
for (const head of table.querySelectorAll("th[aria-sort]")) {
  head.querySelector("button").addEventListener("click", () => {
    const metric = head.dataset.metric;
    const first = head.dataset.better === "↑" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    for (const each of table.querySelectorAll("th[aria-sort]")) each.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", order);
    const cell = (row) => (metric ? [...row.cells].find((c) => c.dataset.metric === metric) : row.cells[0]);
    const value = (row) => parseFloat(cell(row).dataset.value);
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return Number.isNaN(x) - Number.isNaN(y) || sign * (x - y) || 0;
    });
    table.tBodies[0].append(...rows);
  });
}

const more = document.getElementById("more");
if (more) {
  const rows = document.querySelectorAll(".gallery tr.more");
  const label = more.textContent;
  const toggle = (open) => {
    for (const row of rows) row.hidden = !open;
    more.setAttribute("aria-expanded", String(open));
    more.textContent = open ? "Show fewer pictures" : label;
  };
  more.hidden = false;
  toggle(false);
  more.addEventListener("click", () => toggle(more.getAttribute("aria-expanded") === "false"));
}

// On paper nothing can be clicked: the columns' meanings are open.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll(".definitions details")) part.open = true;
});
