// The gallery: which pictures, in which order, the map over the picture, one colour scale per row.
const pictures = document.getElementById("pictures");
const data = pictures && JSON.parse(document.getElementById("gallery-data").textContent);
const all = pictures ? [...pictures.tBodies[0].rows] : [];
const tool = (id) => document.getElementById(id);
const more = tool("more");
let opened = false;

function arrange() {
  const measure = tool("order").value;
  const of = data.values[measure];
  const values = of?.[currentMap()] ?? of?.[""];
  const whose = tool("whose")?.value ?? "";
  const number = (row) => {
    const isAsked = (run) => (whose === "" ? isShown(run) : run === Number(whose));
    const there = values[all.indexOf(row)].filter((value, run) => value !== null && isAsked(run));
    return there.length ? there.reduce((sum, value) => sum + value, 0) / there.length : NaN;
  };
  const found = all.filter((row) => {
    const wrong = row.dataset.wrong.trim().split(" ").filter(Boolean).filter((run) => isShown(Number(run)));
    const runs = networks.length ? networks.filter((box) => box.checked).length : 1;
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
  const most = more && !opened ? Number(more.dataset.shown) : all.length;
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
  rescale();
  const shown = Math.min(most, found.length);
  tool("found").textContent = `${shown} of ${all.length} pictures shown`;
  if (more) {
    more.hidden = found.length <= Number(more.dataset.shown);
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

// Every heatmap is drawn in the palette's colours, so its levels can be read back and drawn to another top.
const read = (palette) => Array.from({ length: 256 }, (_, i) => parseInt(palette.slice(6 * i, 6 * i + 6), 16));
const scales = (data ? [data.palette, data.signed] : []).map((palette) => {
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
function coloured(image, top) {
  const signed = "signed" in image.dataset;
  const { colors } = scales[Number(signed)];
  const zero = signed ? 127.5 : 0;
  const { levels } = ownOf(image);
  const drawn = context.createImageData(image.naturalWidth, image.naturalHeight);
  levels.forEach((level, i) => {
    const color = colors[Math.min(255, Math.round(zero + ((level - zero) * Number(image.dataset.top)) / top))];
    drawn.data.set([color >> 16, (color >> 8) & 255, color & 255, 255], 4 * i);
  });
  return drawn;
}
function recolor(image, top) {
  const drawn = coloured(image, top);
  [canvas.width, canvas.height] = [drawn.width, drawn.height];
  context.putImageData(drawn, 0, 0);
  image.src = canvas.toDataURL();
}
// The largest number of each scale is of all pictures; only those in sight are drawn anew.
function rescale() {
  const [perRow, perNetwork] = ["one-scale", "network-scale"].map((id) => tool(id)?.checked ?? false);
  tool("scale-of").textContent = perRow && perNetwork ? "table" : perRow ? "row" : perNetwork ? "network" : "map";
  const key = (image, number, run) =>
    [image.parentElement.dataset.map, perNetwork ? "" : number, perRow ? "" : run].join(" ");
  const tops = new Map();
  const seen = [];
  all.forEach((row, number) => {
    [...row.cells].slice(1).forEach((cell, run) => {
      for (const image of cell.querySelectorAll(".map img")) {
        const group = key(image, number, run);
        tops.set(group, Math.max(tops.get(group) ?? 0, Number(image.dataset.top)));
        if (!row.hidden && image.parentElement.dataset.map === currentMap()) seen.push([image, group]);
      }
    });
  });
  for (const [image, group] of seen) {
    const top = perRow || perNetwork ? tops.get(group) : Number(image.dataset.top);
    if (Number(image.dataset.shown ?? image.dataset.top) === top) continue;
    if (top === Number(image.dataset.top)) image.src = own.get(image).src;
    else recolor(image, top);
    image.dataset.shown = top;
  }
}
if (pictures) {
  tool("opacity").addEventListener("input", (event) => {
    const share = event.target.value;
    event.target.setAttribute("aria-valuetext", `${share} %`);
    pictures.style.setProperty("--opacity", share / 100);
    for (const row of all) {
      const photograph = row.cells[0].querySelector("img").src;
      for (const map of row.querySelectorAll(".map")) map.style.backgroundImage = `url(${photograph})`;
    }
  });
  for (const id of ["one-scale", "network-scale"]) tool(id)?.addEventListener("change", rescale);
  for (const id of ["of-class", "answered", "order", "end", "whose"]) tool(id)?.addEventListener("change", arrange);
  mapChoice?.addEventListener("change", offer);
  for (const box of networks) box.addEventListener("change", arrange);
  more?.addEventListener("click", () => {
    opened = !opened;
    arrange();
  });
  tool("tools").hidden = false;
  offer();
}
