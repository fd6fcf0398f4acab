// One picture large: two networks' maps side by side along a seam, with the value below the pointer.
const lightbox = document.getElementById("lightbox");
if (lightbox) {
  const part = (name) => document.getElementById(`lightbox-${name}`);
  const sides = [part("left"), part("right")];
  const seam = part("seam");
  let row = null;
  const runOf = (side) => Number(part(`of-${side}`)?.value ?? 0);
  const mapOf = (side) =>
    row.cells[runOf(side) + 1].querySelector(`.map[data-map="${CSS.escape(currentMap())}"] img`);
  const shownSide = (event) => {
    const box = part("stack").getBoundingClientRect();
    const across = (event.clientX - box.left) / box.width;
    return seam && across > Number(seam.value) / 100 ? "right" : "left";
  };

  const place = () => {
    const at = seam ? Number(seam.value) : 100;
    part("left").style.clipPath = `inset(0 ${100 - at}% 0 0)`;
    const line = part("stack").querySelector(".seam");
    line.style.left = `${at}%`;
    line.hidden = !seam;
    seam?.setAttribute("aria-valuetext", `${at} % left`);
  };
  const draw = () => {
    const images = ["left", "right"].map(mapOf);
    const there = images.filter(Boolean);
    const top = Math.max(...there.map((image) => Number(image.dataset.top)));
    sides.forEach((canvas, number) => {
      const image = images[number];
      canvas.hidden = !image;
      if (!image) return;
      canvas.className = image.className;
      drawOn(canvas, image, part("common").checked ? top : Number(image.dataset.top), draw);
    });
    const said = (seam ? ["left", "right"] : ["left"]).map((side) => {
      const cell = row.cells[runOf(side) + 1];
      const words = [...cell.querySelectorAll(":scope > span:not(.map):not(.value)")].map((one) => one.textContent);
      return `${part(`of-${side}`).selectedOptions[0].textContent}: ${words.join(", ")}.`;
    });
    part("right").setAttribute("aria-label", `Maps. ${said.join(" ")}`);
    part("said").textContent = `${said.join(" ")} `;
    for (const side of seam ? ["left", "right"] : ["left"]) {
      const card = row.cells[runOf(side) + 1].querySelector(".card");
      if (!card) continue;
      const link = card.cloneNode(true);
      link.className = "";
      part("said").append(link, " ");
    }
    place();
  };
  const show = (next, run) => {
    row = next;
    const photograph = row.querySelector(".photograph");
    part("photograph").querySelector("img")?.remove();
    part("photograph").prepend(photograph.cloneNode());
    part("title").textContent = photograph.alt;
    if (run !== undefined) {
      part("of-left").value = run;
      if (seam) part("of-right").value = (run + 1) % (row.cells.length - 1);
    }
    draw();
    if (!lightbox.open) lightbox.showModal();
  };
  const step = (by) => {
    const shown = [...pictures.tBodies[0].rows].filter((one) => !one.hidden);
    show(shown.at((shown.indexOf(row) + by) % shown.length));
  };

  pictures.addEventListener("click", (event) => {
    const cell = event.target.closest("td, th[scope=row]");
    if (!cell || event.target.closest("a")) return;
    if (!event.target.closest(".enlarge, .map img")) return;
    show(cell.parentElement, cell.tagName === "TD" ? Number(cell.dataset.run) : 0);
  });
  for (const side of ["of-left", "of-right", "common"]) part(side)?.addEventListener("change", draw);
  seam?.addEventListener("input", place);
  part("close").addEventListener("click", () => lightbox.close());
  part("previous").addEventListener("click", () => step(-1));
  part("next").addEventListener("click", () => step(1));
  lightbox.addEventListener("click", (event) => {
    if (event.target === lightbox) lightbox.close();
  });
  lightbox.addEventListener("keydown", (event) => {
    if (["INPUT", "SELECT"].includes(event.target.tagName)) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });

  const told = (image, event, box, again) => {
    const map = levelsOf(image, again);
    if (!map) return "";
    const size = [map.width, map.height];
    const at = [event.clientX - box.left, event.clientY - box.top];
    const [x, y] = at.map((value, axis) =>
      Math.min(size[axis] - 1, Math.max(0, Math.floor((value / [box.width, box.height][axis]) * size[axis]))),
    );
    const level = map.levels[y * size[0] + x];
    const signed = "signed" in image.dataset;
    const share = signed ? (level - 127.5) / 127.5 : level / 255;
    const value = share * Number(image.dataset.top);
    const percent = `${Math.round(100 * share)} %`.replace("-", "−");
    const number = value.toPrecision(2).replace("-", "−");
    return `column ${x + 1}, row ${y + 1}: ${percent} of this map’s scale, ${number}`;
  };
  const tellLarge = (event) => {
    const side = shownSide(event);
    const image = mapOf(side);
    const name = part(`of-${seam ? side : "left"}`).selectedOptions[0].textContent;
    const canvas = part(side).hidden ? part("right") : part(side);
    if (!image) return;
    const value = told(image, event, canvas.getBoundingClientRect(), () => tellLarge(event));
    if (value) part("value").textContent = `${name}, ${value}`;
  };
  part("stack").addEventListener("pointermove", tellLarge);
  const hover = document.getElementById("hover");
  const tell = (event) => {
    const image = event.target.closest(".map img");
    const value = image && told(image, event, image.getBoundingClientRect(), () => tell(event));
    hover.hidden = !value;
    if (!value) return;
    hover.textContent = value;
    hover.style.left = `${Math.min(event.clientX + 14, innerWidth - hover.offsetWidth - 8)}px`;
    hover.style.top = `${event.clientY + 16}px`;
  };
  pictures.addEventListener("pointermove", tell);
  pictures.addEventListener("pointerleave", () => {
    hover.hidden = true;
  });
}
