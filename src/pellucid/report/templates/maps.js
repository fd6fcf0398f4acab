"use strict";

// A page may hold thousands of maps: each is loaded once it is shown, and the others one after another while the
// browser has nothing to do.
const plain = document.getElementById("pictures-plain");
const sources = new Map(); // of each image of a map the picture that it came with
if (plain) {
  const template = document.createElement("template");
  template.innerHTML = plain.textContent;
  for (const image of template.content.querySelectorAll(".map img")) {
    sources.set(image, image.getAttribute("src"));
    image.removeAttribute("src");
  }
  plain.replaceWith(template.content);
}
const pictures = document.getElementById("pictures");

function load(image) {
  if (!image.hasAttribute("src")) image.src = sources.get(image);
}
addEventListener("load", () => {
  const waiting = [...sources.keys()];
  const whenIdle = window.requestIdleCallback ?? ((next) => setTimeout(() => next({ timeRemaining: () => 5 }), 50));
  const next = (idle) => {
    for (let started = 0; waiting.length && started < 20 && idle.timeRemaining() > 3; started += 1) load(waiting.shift());
    if (waiting.length) whenIdle(next);
  };
  whenIdle(next);
});

// A map is a PNG with the colours of 256 levels in its palette: on another scale only the palette is another one.
const data = pictures && JSON.parse(document.getElementById("gallery-data").textContent);
const read = (palette) => Array.from({ length: 256 }, (_, i) => parseInt(palette.slice(6 * i, 6 * i + 6), 16));
const scales = (data ? [data.palette, data.signed] : []).map((palette) => {
  const colors = read(palette);
  return { colors, levelOf: new Map(colors.map((color, level) => [color, level])) };
});
function colorsOf(image, top) {
  const signed = "signed" in image.dataset;
  const zero = signed ? 127.5 : 0;
  const factor = Number(image.dataset.top) / top;
  const { colors } = scales[Number(signed)];
  return colors.map((_, level) => colors[Math.min(255, Math.round(zero + (level - zero) * factor))]);
}

const checks = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit += 1) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});
const [NAME, COLORS, END] = [37, 41, 809]; // bytes of a PNG: the palette's name, its colours, its checksum
function recolored(image, top) {
  const source = sources.get(image);
  const start = source.indexOf(",") + 1;
  const end = start + (4 * (END + 4)) / 3;
  const bytes = Uint8Array.from(atob(source.slice(start, end)), (letter) => letter.charCodeAt(0));
  colorsOf(image, top).forEach((color, level) => {
    bytes.set([color >> 16, (color >> 8) & 255, color & 255], COLORS + 3 * level);
  });
  let check = 0xffffffff;
  for (let i = NAME; i < END; i += 1) check = checks[(check ^ bytes[i]) & 255] ^ (check >>> 8);
  new DataView(bytes.buffer).setUint32(END, ~check >>> 0);
  return source.slice(0, start) + btoa(String.fromCharCode(...bytes)) + source.slice(end);
}

// For the enlarged map and the value below the pointer: the level of each pixel, read back from its colour.
const canvas = document.createElement("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });
const known = new Map();
function levelsOf(image, ready) {
  if (known.has(image)) return known.get(image);
  const { levelOf } = scales[Number("signed" in image.dataset)];
  const readFrom = (drawn) => {
    const [width, height] = [(canvas.width = drawn.naturalWidth), (canvas.height = drawn.naturalHeight)];
    context.drawImage(drawn, 0, 0);
    const { data: pixels } = context.getImageData(0, 0, width, height);
    const levels = new Uint8Array(pixels.length / 4);
    for (let i = 0; i < levels.length; i += 1) {
      levels[i] = levelOf.get((pixels[4 * i] << 16) | (pixels[4 * i + 1] << 8) | pixels[4 * i + 2]) ?? 0;
    }
    known.set(image, { width, height, levels });
    return known.get(image);
  };
  if (image.complete && image.naturalWidth && image.getAttribute("src") === sources.get(image)) return readFrom(image);
  const original = new Image();
  original.addEventListener("load", () => {
    readFrom(original);
    ready();
  });
  original.src = sources.get(image);
  return null;
}
function drawOn(target, image, top, ready) {
  const map = levelsOf(image, ready);
  if (!map) return;
  const colors = colorsOf(image, top);
  [target.width, target.height] = [map.width, map.height];
  const drawn = context.createImageData(map.width, map.height);
  map.levels.forEach((level, i) => {
    const color = colors[level];
    drawn.data.set([color >> 16, (color >> 8) & 255, color & 255, 255], 4 * i);
  });
  target.getContext("2d").putImageData(drawn, 0, 0);
}
