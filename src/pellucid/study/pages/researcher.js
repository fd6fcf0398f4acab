// Without this file the page loads itself again every minute and tells times in UTC. With it, the parts that change are
// fetched and put in place while the page stays where it is, and times are those of this machine.
const EVERY = 5000, PATIENCE = 20000;
const status = document.querySelector("[data-status]");

function localise(within) {
  const style = { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" };
  for (const each of within.querySelectorAll("[data-time]")) {
    each.textContent = new Date(each.dataset.time).toLocaleString([], style);
  }
}

async function refresh() {
  const began = performance.now();
  try {
    if (!document.hidden) {
      const answer = await fetch("/researcher", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!fresh.querySelector("[data-live]")) { location.reload(); return; }  // the session is over
      for (const part of document.querySelectorAll("[data-live]")) {
        const now = fresh.getElementById(part.id);
        const scrolled = part.querySelector(".scroll")?.scrollLeft ?? 0;
        localise(now);
        if (now.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
        part.replaceChildren(...now.childNodes);
        const scroll = part.querySelector(".scroll");
        if (scroll) scroll.scrollLeft = scrolled;
      }
      document.title = fresh.title;
    }
    status.textContent = status.dataset.liveWords;
  } catch {
    status.textContent = status.dataset.staleWords;
  }
  setTimeout(refresh, Math.max(EVERY, 10 * (performance.now() - began)));  // a large study is asked less often
}

localise(document);
status.textContent = status.dataset.liveWords;
setTimeout(refresh, EVERY);
