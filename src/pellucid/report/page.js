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
  // A section of figures of which none is about this kind of map.
  for (const section of document.querySelectorAll("section:has(.panels)")) {
    section.hidden = ![...section.querySelectorAll(".panel, tr")].some((part) => !part.hidden);
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

// A head's question mark, and a measure in the verdict, open what the number means.
for (const link of document.querySelectorAll(".about, .answers a")) {
  link.addEventListener("click", () => {
    document.querySelector(link.hash).open = true;
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

// The gallery: which pictures, in which order, the map over the picture, one colour scale per row.
const pictures = document.getElementById("pictures");
const data = JSON.parse(document.getElementById("gallery-data").textContent);
const all = [...pictures.tBodies[0].rows];
const tool = (id) => document.getElementById(id);
const more = tool("more");
let opened = false;
const currentMap = () => document.querySelector("#switch input:checked")?.value ?? Object.keys(maps)[0];
const maps = {};
for (const part of pictures.querySelectorAll(".map")) maps[part.dataset.map] = true;

function arrange() {
  const measure = tool("order").value;
  const of = data.values[measure];
  const values = of?.[currentMap()] ?? of?.[""];
  const whose = tool("whose")?.value ?? "";
  const number = (row) => {
    const there = values[all.indexOf(row)].filter((value, run) => value !== null && (whose === "" || run === +whose));
    return there.length ? there.reduce((sum, value) => sum + value, 0) / there.length : NaN;
  };
  const found = all.filter((row) => {
    const wrong = row.dataset.wrong.trim().split(" ").filter(Boolean);
    const runs = row.cells.length - 1;
    const answered = tool("answered").value;
    const fits = { "": true, right: !wrong.length, wrong: wrong.length > 0, "all-wrong": wrong.length === runs };
    const ofClass = tool("of-class").value;
    return (ofClass === "" || row.dataset.class === ofClass) && (fits[answered] ?? wrong.includes(answered));
  });
  if (values) {
    const key = new Map(found.map((row) => [row, number(row)]));
    const sign = (data.better[measure] === "higher") === (tool("end").value === "best") ? -1 : 1;
    const last = (row) => Number(Number.isNaN(key.get(row)));
    found.sort((a, b) => last(a) - last(b) || sign * (key.get(a) - key.get(b)) || 0);
  }
  const most = more && !opened ? +more.dataset.shown : all.length;
  pictures.tBodies[0].append(...found, ...all.filter((row) => !found.includes(row)));
  for (const row of all) {
    row.hidden = !found.slice(0, most).includes(row);
    for (const span of row.querySelectorAll(".value")) span.remove();
    if (!values) continue;
    [...row.cells].slice(1).forEach((cell, run) => {
      const value = values[all.indexOf(row)][run];
      const span = document.createElement("span");
      span.className = "value";
      span.textContent = `${tool("order").selectedOptions[0].textContent}: ${value ?? "–"}`;
      cell.querySelector(":scope > .right, :scope > .wrong").before(span);
    });
  }
  const shown = Math.min(most, found.length);
  tool("found").textContent = `${shown} of ${all.length} pictures shown`;
  if (more) {
    more.hidden = found.length <= +more.dataset.shown;
    more.setAttribute("aria-expanded", String(opened));
    more.textContent = opened ? "Show fewer pictures" : `Show all ${found.length} pictures`;
  }
}

// A measure of a map is there for the kinds of map it was measured for.
function offer() {
  for (const option of tool("order").options) {
    const of = data.values[option.value];
    option.disabled = of !== undefined && of[currentMap()] === undefined && of[""] === undefined;
    if (option.disabled && option.selected) tool("order").value = "";
  }
  arrange();
}

tool("opacity").addEventListener("input", (event) => {
  const share = event.target.value;
  event.target.setAttribute("aria-valuetext", `${share} %`);
  pictures.style.setProperty("--opacity", share / 100);
  for (const row of all) {
    const photograph = row.cells[0].querySelector("img").src;
    for (const map of row.querySelectorAll(".map")) map.style.backgroundImage = `url(${photograph})`;
  }
});

// Every heatmap is drawn in the palette's colours, so its levels can be read back and drawn to another top.
const read = (palette) => Array.from({ length: 256 }, (_, i) => parseInt(palette.slice(6 * i, 6 * i + 6), 16));
const scales = [data.palette, data.signed].map((palette) => {
  const colors = read(palette);
  return { colors, levelOf: new Map(colors.map((color, level) => [color, level])) };
});
const canvas = document.createElement("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });
const own = new Map(); // of each image the picture that it came with, and the level of each of its pixels
function ownOf(image) {
  if (own.has(image)) return own.get(image);
  const { levelOf } = scales[Number("signed" in image.dataset)];
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  context.drawImage(image, 0, 0);
  const { data: pixels } = context.getImageData(0, 0, canvas.width, canvas.height);
  const levels = new Uint8Array(pixels.length / 4);
  for (let i = 0; i < levels.length; i += 1) {
    levels[i] = levelOf.get((pixels[4 * i] << 16) | (pixels[4 * i + 1] << 8) | pixels[4 * i + 2]) ?? 0;
  }
  own.set(image, { src: image.src, levels });
  return own.get(image);
}
function recolor(image, top) {
  const signed = "signed" in image.dataset;
  const { colors } = scales[Number(signed)];
  const zero = signed ? 127.5 : 0;
  const { levels } = ownOf(image);
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const drawn = context.createImageData(canvas.width, canvas.height);
  levels.forEach((level, i) => {
    const color = colors[Math.round(zero + ((level - zero) * image.dataset.top) / top)];
    drawn.data.set([color >> 16, (color >> 8) & 255, color & 255, 255], 4 * i);
  });
  context.putImageData(drawn, 0, 0);
  image.src = canvas.toDataURL();
}
function rescale() {
  const [perRow, perNetwork] = ["one-scale", "network-scale"].map((id) => tool(id)?.checked ?? false);
  tool("scale-of").textContent = perRow && perNetwork ? "table" : perRow ? "row" : perNetwork ? "network" : "map";
  const groups = new Map();
  all.forEach((row, number) => {
    [...row.cells].slice(1).forEach((cell, run) => {
      for (const image of cell.querySelectorAll(".map img")) {
        const key = [image.parentElement.dataset.map, perNetwork ? "" : number, perRow ? "" : run].join(" ");
        groups.set(key, [...(groups.get(key) ?? []), image]);
      }
    });
  });
  for (const images of groups.values()) {
    const top = Math.max(...images.map((image) => +image.dataset.top));
    for (const image of images) {
      if (perRow || perNetwork) recolor(image, top);
      else image.src = own.get(image)?.src ?? image.src;
    }
  }
}
for (const id of ["one-scale", "network-scale"]) tool(id)?.addEventListener("change", rescale);
for (const id of ["of-class", "answered", "order", "end", "whose"]) tool(id)?.addEventListener("change", arrange);
for (const choice of choices) choice.addEventListener("change", offer);
more?.addEventListener("click", () => {
  opened = !opened;
  arrange();
});
tool("tools").hidden = false;
offer();

// On paper nothing can be clicked: what can be unfolded is open there, but for the table's other forms.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details:not([open])")].filter((part) => !part.closest(".copy"));
  for (const part of unfolded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of unfolded) part.open = false;
});
