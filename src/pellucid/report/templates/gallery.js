// The gallery: which pictures, in which order, the map over the picture, one colour scale per row.
const all = pictures ? [...pictures.tBodies[0].rows] : [];
const places = new Map(all.map((row, number) => [row, number]));
const drawnMaps = all.flatMap((row, number) =>
  [...row.querySelectorAll(".map img")].map((image) => {
    const [map, run, top] = [image.parentElement.dataset.map, image.closest("td").dataset.run, Number(image.dataset.top)];
    return { image, row, number, run, map, top };
  }),
);
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
    const there = values[places.get(row)].filter((value, run) => value !== null && isAsked(run));
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
  const [fits, inSight] = [new Set(found), new Set(found.slice(0, most))];
  const order = [...found, ...all.filter((row) => !fits.has(row))];
  if (order.some((row, place) => row !== pictures.tBodies[0].rows[place])) pictures.tBodies[0].append(...order);
  for (const row of all) {
    row.hidden = !inSight.has(row);
    for (const span of row.querySelectorAll(".value")) span.remove();
    if (!values) continue;
    [...row.cells].slice(1).forEach((cell, run) => {
      const value = values[places.get(row)][run];
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

// The largest number of each scale is of all pictures; only those in sight are drawn anew, so many before each frame.
const AT_ONCE = 30;
let drawing = 0;
function rescale() {
  const [perRow, perNetwork] = ["one-scale", "network-scale"].map((id) => tool(id)?.checked ?? false);
  tool("scale-of").textContent = perRow && perNetwork ? "table" : perRow ? "row" : perNetwork ? "network" : "map";
  const group = ({ map, number, run }) => [map, perNetwork ? "" : number, perRow ? "" : run].join(" ");
  const tops = new Map();
  for (const one of perRow || perNetwork ? drawnMaps : []) tops.set(group(one), Math.max(tops.get(group(one)) ?? 0, one.top));
  const inSight = drawnMaps.filter((one) => !one.row.hidden && one.map === currentMap());
  const asked = (drawing += 1);
  const draw = () => {
    for (const one of inSight.splice(0, AT_ONCE)) {
      load(one.image);
      const top = tops.get(group(one)) ?? one.top;
      if (Number(one.image.dataset.shown ?? one.top) === top) continue;
      one.image.src = top === one.top ? sources.get(one.image) : recolored(one.image, top);
      one.image.dataset.shown = top;
    }
    if (inSight.length) requestAnimationFrame(() => asked === drawing && draw());
  };
  draw();
}
if (pictures) {
  tool("opacity").addEventListener("input", (event) => {
    const share = event.target.value;
    event.target.setAttribute("aria-valuetext", `${share} %`);
    pictures.style.setProperty("--opacity", share / 100);
    if (pictures.classList.contains("over")) return;
    pictures.classList.add("over");
    for (const row of all) row.style.setProperty("--photograph", `url(${row.cells[0].querySelector("img").src})`);
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
