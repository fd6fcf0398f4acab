// The columns that are shown.
const table = document.getElementById("numbers");
const columnBoxes = [...document.querySelectorAll("[data-column]")];
const heads = [...table.tHead.rows[1].cells].slice(1);
function showColumns() {
  const off = new Set(columnBoxes.filter((box) => !box.checked).map((box) => box.dataset.column));
  hide("columns", [...off].map((own) => `[data-own="${own}"]`));
  const shown = columnBoxes.length - off.size;
  document.getElementById("columns-shown").textContent = `${shown} of ${columnBoxes.length}`;
  let place = 0;
  for (const group of table.tHead.rows[0].querySelectorAll("th")) {
    group.dataset.width ??= group.colSpan;
    const of = heads.slice(place, (place += Number(group.dataset.width)));
    const left = of.filter((head) => !off.has(head.dataset.own) && (!head.dataset.map || head.dataset.map === currentMap()));
    group.hidden = !left.length;
    if (left.length) group.colSpan = left.length;
  }
}
for (const box of columnBoxes) box.addEventListener("change", showColumns);
mapChoice?.addEventListener("change", showColumns);
for (const button of document.querySelectorAll("[data-columns]")) {
  button.addEventListener("click", () => {
    for (const box of columnBoxes) box.checked = button.dataset.columns === "all" || box.defaultChecked;
    showColumns();
    keepSet("columns");
  });
}
showColumns();

// A head sorts its column, best first, then the other way round; networks without the number stay last.
function sortBy(head, order) {
  for (const each of table.querySelectorAll("th[aria-sort]")) each.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", order);
  const place = heads.indexOf(head) + 1; // 0 is the network itself
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => [parseFloat(row.cells[place].dataset.value), row]);
  rows.sort(([x], [y]) => Number.isNaN(x) - Number.isNaN(y) || sign * (x - y) || 0);
  table.tBodies[0].append(...rows.map(([, row]) => row));
}
for (const head of table.querySelectorAll("th[aria-sort]")) {
  head.querySelector("button").addEventListener("click", () => {
    const first = head.dataset.better === "↑" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    sortBy(head, order);
    remember("sort", `${head.dataset.metric ?? ""}:${order}`);
  });
}

// A head's question mark, and a measure's name anywhere, open what the number means.
for (const link of document.querySelectorAll("a[href^='#about-']")) {
  link.addEventListener("click", () => {
    const meaning = document.getElementById(link.hash.slice(1));
    const box = columnBoxes.find((one) => one.dataset.column === meaning.dataset.own);
    if (!box.checked) box.click();
    meaning.open = true;
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const area = document.getElementById(button.dataset.copy);
    let copied = true;
    try {
      await navigator.clipboard.writeText(area.value);
    } catch {
      // A browser that has no clipboard for a local file: the text is shown and selected.
      area.closest("details").open = true;
      area.select();
      copied = document.execCommand("copy");
    }
    const said = copied ? "copied." : "is selected below: copy it with Ctrl+C or ⌘C.";
    document.getElementById("copied").textContent = `${button.textContent} ${said}`;
  });
}

// The rows of single pictures, unpacked only when they are asked for.
const rowsButton = document.getElementById("rows");
if (rowsButton && "DecompressionStream" in window) {
  rowsButton.hidden = false;
  rowsButton.addEventListener("click", async () => {
    const packed = atob(document.getElementById("rows-packed").textContent);
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const address = URL.createObjectURL(await new Response(plain, { headers: { "Content-Type": "text/csv" } }).blob());
    const link = document.createElement("a");
    [link.href, link.download] = [address, rowsButton.dataset.name];
    link.click();
    URL.revokeObjectURL(address);
  });
}
