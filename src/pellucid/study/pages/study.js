// Every page works without this file. It adds the time on a page, the size of the window, a guard against double clicks,
// larger pictures, and answers that outlive a lost connection: they are sent by a request of this script, which tries
// again, and until the server has them the browser's tab remembers them.
const began = performance.now();
const AGAIN = 5000, PATIENCE = 15000, BUSY = [408, 429, 502, 503, 504];

function remembered(form) {
  return `pellucid ${form.elements.token.value} ${form.elements.step.value}`;
}

function remember(form) {
  const chosen = [...new FormData(form)].filter(([name]) => form.elements[name].type !== "hidden");
  try { sessionStorage.setItem(remembered(form), JSON.stringify(chosen)); } catch { /* a browser that forbids it */ }
}

function restore(form) {
  let chosen = [];
  try { chosen = JSON.parse(sessionStorage.getItem(remembered(form)) ?? "[]"); } catch { /* as above */ }
  for (const [name, value] of chosen) {
    const field = form.elements[name];
    if (field && !field.value) field.value = value;
  }
}

function forget(form) {
  try { sessionStorage.removeItem(remembered(form)); } catch { /* as above */ }
}

function describe(form) {
  const fill = (name, value) => { const field = form.querySelector(`[data-${name}]`); if (field) field.value = value; };
  const seconds = form.querySelector("[data-seconds]");
  if (seconds && !seconds.value) seconds.value = ((performance.now() - began) / 1000).toFixed(3);
  fill("width", String(window.innerWidth));
  fill("height", String(window.innerHeight));
  fill("touch", matchMedia("(any-pointer: fine)").matches ? "0" : "1");
}

for (const form of document.querySelectorAll("form[data-once]")) {
  const lost = form.querySelector("[data-lost]");
  let sent = false, waiting = 0;
  const free = () => { sent = false; form.classList.remove("sent"); };

  async function send() {
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(PATIENCE), cache: "no-store",
      });
      if (BUSY.includes(answer.status)) throw new Error(answer.statusText);
      if (!answer.ok) { form.submit(); return; }  // the server's own page says why
      const { next } = await answer.json();
      forget(form);
      location.assign(next);
    } catch {
      free();
      lost.textContent = lost.dataset.lost;
      lost.hidden = false;
      waiting = setTimeout(() => form.requestSubmit(), AGAIN);
    }
  }

  form.addEventListener("submit", (event) => {
    if (sent) { event.preventDefault(); return; }
    clearTimeout(waiting);
    describe(form);
    sent = true;
    form.classList.add("sent");
    if (lost && form.checkValidity()) { event.preventDefault(); send(); }  // what is missing is said by the server
  });
  if (lost) {
    restore(form);
    form.addEventListener("input", () => { form.querySelector("[data-seconds]").value = ""; remember(form); });
    addEventListener("online", () => { if (!lost.hidden && !sent) form.requestSubmit(); });
  }
  // A page that comes back from the browser's cache may be sent again; the server keeps the first answer.
  addEventListener("pageshow", free);
}

for (const button of document.querySelectorAll("[data-zoom]")) {
  const words = [button.textContent, button.dataset.shrink];
  button.parentElement.hidden = false;
  button.addEventListener("click", () => {
    const large = button.closest(".shown").classList.toggle("large");
    button.textContent = words[Number(large)];
  });
}

const error = document.querySelector(".error");
if (error) { error.tabIndex = -1; error.focus(); }
