// Everything works without this file: it adds the time on a page, the size of the window, and a guard against double clicks.
const began = performance.now();
for (const form of document.querySelectorAll("form[data-once]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) { event.preventDefault(); return; }
    const seconds = form.querySelector("[data-seconds]");
    if (seconds) seconds.value = ((performance.now() - began) / 1000).toFixed(3);
    const width = form.querySelector("[data-width]"), height = form.querySelector("[data-height]");
    if (width) width.value = String(window.innerWidth);
    if (height) height.value = String(window.innerHeight);
    sent = true;
    form.classList.add("sent");
  });
  // A page that comes back from the browser's cache may be sent again; the server keeps the first answer.
  addEventListener("pageshow", () => { sent = false; form.classList.remove("sent"); });
}
const error = document.querySelector(".error");
if (error) { error.tabIndex = -1; error.focus(); }
