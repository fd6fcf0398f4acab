// The section that is being read is marked in the contents.
const entries = new Map([...document.querySelectorAll(".bar nav a")].map((entry) => [entry.hash.slice(1), entry]));
const inSight = new Set();
const watcher = new IntersectionObserver(
  (changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) inSight.add(target.id);
      else inSight.delete(target.id);
    }
    const first = [...entries.keys()].find((id) => inSight.has(id));
    if (!first) return;
    for (const [id, entry] of entries) {
      if (id === first) entry.setAttribute("aria-current", "true");
      else entry.removeAttribute("aria-current");
    }
    const [line, entry] = [document.querySelector(".bar nav"), entries.get(first)];
    line.scrollLeft = entry.offsetLeft - line.offsetLeft - line.clientWidth / 2 + entry.offsetWidth / 2;
  },
  { rootMargin: "-15% 0px -70% 0px" },
);
for (const id of entries.keys()) {
  const section = document.getElementById(id);
  if (section) watcher.observe(section);
}

// A click beside the list of networks closes it.
const pop = document.getElementById("networks");
addEventListener("click", (event) => {
  if (pop?.open && !pop.contains(event.target)) pop.open = false;
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && pop?.open) {
    pop.open = false;
    pop.querySelector("summary").focus();
  }
});

// On paper nothing can be clicked: numbers that are folded are open there. What columns mean, single mistakes and
// settings would fill twice as many sheets, and have a line each where they are folded.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("#subgroups details, .notes details, .folded")].filter((part) => !part.open);
  for (const part of unfolded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of unfolded) part.open = false;
});

const sorted = view.get("sort");
if (sorted) {
  const [metric, order] = [sorted.slice(0, sorted.lastIndexOf(":")), sorted.slice(sorted.lastIndexOf(":") + 1)];
  const head = [...table.querySelectorAll("th[aria-sort]")].find((one) => (one.dataset.metric ?? "") === metric);
  if (head && ["ascending", "descending"].includes(order)) sortBy(head, order);
}
restore();
