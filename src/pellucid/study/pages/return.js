// Leads a participant back to the recruiting service, once in a tab. Whoever reads on (scrolls, taps, presses a key) or
// asks for it stays, and so does everybody who wants less motion; the button is always there. A screen reader hears one
// sentence and not the count.
const button = document.querySelector("[data-leave]");
const words = document.querySelector("[data-leaving]");

function before() {
  try { return sessionStorage.getItem(`pellucid left ${button.href}`) !== null; } catch { return true; }
}

if (button && !matchMedia("(prefers-reduced-motion: reduce)").matches && !before()) {
  const left = document.querySelector("[data-left]"), events = ["wheel", "touchmove", "keydown", "pointerdown"];
  let seconds = Number(button.dataset.leave);
  const tell = () => { left.textContent = left.dataset.left.replace("{seconds}", seconds); };
  const counting = setInterval(() => {
    seconds -= 1;
    tell();
    if (seconds > 0) return;
    clearInterval(counting);
    sessionStorage.setItem(`pellucid left ${button.href}`, "");
    location.assign(button.href);
  }, 1000);
  const stay = () => {
    clearInterval(counting);
    for (const name of events) removeEventListener(name, stay);
    if (document.activeElement?.dataset.stay !== undefined) button.focus();
    left.parentElement.hidden = true;
    words.textContent = words.dataset.staying;
  };
  tell();
  words.textContent = words.dataset.leaving.replace("{seconds}", seconds);
  left.parentElement.hidden = false;
  for (const name of events) addEventListener(name, stay, { passive: true });
  document.querySelector("[data-stay]").addEventListener("click", stay);
}
