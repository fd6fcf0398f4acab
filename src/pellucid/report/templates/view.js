// What a reader has chosen stands in the address, after the section's name, so that a link shows the same view again.
const view = new URLSearchParams(location.hash.split("?")[1] ?? "");
function remember(key, value) {
  if (value === "" || value === null) view.delete(key);
  else view.set(key, value);
  const section = location.hash.split("?")[0] || "#recommendation";
  history.replaceState(null, "", String(view) ? `${section}?${view}` : section);
}
addEventListener("hashchange", () => {
  if (String(view) && !location.hash.includes("?")) history.replaceState(null, "", `${location.hash}?${view}`);
});

function usual(control) {
  if (control.type === "checkbox") return String(Number(control.defaultChecked));
  return control.tagName === "SELECT" ? control.options[0].value : control.defaultValue;
}
function keep(control) {
  const value = control.type === "checkbox" ? String(Number(control.checked)) : control.value;
  remember(control.dataset.keep, value === usual(control) ? "" : value);
}
function keepSet(name) {
  const boxes = [...document.querySelectorAll(`[data-keep-set=${name}] input`)];
  const changed = boxes.filter((box) => box.checked !== box.defaultChecked);
  remember(name, changed.map((box) => box.value).join(","));
}
for (const control of document.querySelectorAll("[data-keep]")) {
  control.addEventListener("change", () => keep(control));
}
for (const set of document.querySelectorAll("[data-keep-set]")) {
  set.addEventListener("change", () => keepSet(set.dataset.keepSet));
}

// Called once every part of the page listens.
function restore() {
  const chosen = new URLSearchParams(view);
  for (const control of document.querySelectorAll("[data-keep]")) {
    const value = chosen.get(control.dataset.keep);
    if (value === null) continue;
    if (control.type === "checkbox") control.checked = value === "1";
    else control.value = value;
    control.dispatchEvent(new Event("input", { bubbles: true }));
    control.dispatchEvent(new Event("change", { bubbles: true }));
  }
  for (const name of ["hide", "columns"]) {
    const changed = new Set((chosen.get(name) ?? "").split(",").filter(Boolean));
    if (!changed.size) continue;
    const boxes = [...document.querySelectorAll(`[data-keep-set=${name}] input`)].filter((one) => changed.has(one.value));
    for (const box of boxes) box.checked = !box.defaultChecked;
    for (const kind of ["input", "change"]) boxes[0]?.dispatchEvent(new Event(kind, { bubbles: true }));
  }
  const section = location.hash.split("?")[0];
  if (section) document.getElementById(section.slice(1))?.scrollIntoView();
}

const link = document.getElementById("link");
link.hidden = false;
link.addEventListener("click", async () => {
  let copied = true;
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    copied = false; // a browser that gives a local file no clipboard
  }
  document.getElementById("linked").textContent = copied ? "Copied." : "Copy the address above: it holds this view.";
});

// What is hidden is hidden by one style sheet: a page of many cells changes at once.
const hiding = { map: "", runs: "", columns: "" };
const sheet = document.head.appendChild(document.createElement("style"));
function hide(what, selectors) {
  hiding[what] = selectors.length ? `${selectors.join(",")}{display:none!important}` : "";
  sheet.textContent = Object.values(hiding).join("\n");
}

// One kind of saliency map at a time; without this script the page shows all of them.
const mapChoice = document.getElementById("map");
const maps = [...new Set([...document.querySelectorAll("#pictures .map")].map((part) => part.dataset.map))];
const currentMap = () => mapChoice?.value ?? maps[0];
const ofMaps = [...document.querySelectorAll("section:has(.panels)")].map((section) => ({
  section,
  about: new Set([...section.querySelectorAll(".panel, tr")].map((part) => part.dataset.map)),
}));
function showMap() {
  hide("map", mapChoice ? [`[data-map]:not([data-map="${CSS.escape(currentMap())}"])`] : []);
  // A section of figures of which none is about this kind of map.
  for (const { section, about } of ofMaps) {
    section.hidden = mapChoice !== null && !about.has(undefined) && !about.has(currentMap());
  }
}
mapChoice?.addEventListener("change", showMap);
showMap();

// The networks that are shown, in tables, pictures and figures alike.
const networks = [...document.querySelectorAll("[data-keep-set=hide] input")];
const isShown = (run) => networks.length === 0 || networks[run].checked;
function showNetworks() {
  const hidden = networks.filter((box) => !box.checked).map((box) => box.value);
  hide("runs", hidden.flatMap((run) => [`[data-run="${run}"]`, `svg .run-${run}`]));
  const left = networks.length - hidden.length;
  document.getElementById("networks-shown").textContent = hidden.length ? `${left} of ${networks.length}` : `all ${left}`;
  for (const head of document.querySelectorAll("[data-span]")) head.colSpan = Math.max(1, left);
}
for (const box of networks) box.addEventListener("change", showNetworks);
