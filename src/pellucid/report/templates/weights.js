// Every pair of networks in every question, weighed as the sliders say; a tie is a win for nobody.
const contests = document.getElementById("contests");
if (contests) {
  const { names, signs } = JSON.parse(contests.textContent);
  const sliders = [...document.querySelectorAll("[data-weight]")];
  const words = ["not at all", "a little", "as usual", "more", "most"];
  const body = document.getElementById("weighed");
  const rows = [...body.rows];
  const listed = (list) => (list.length > 1 ? `${list.slice(0, -1).join(", ")} and ${list.at(-1)}` : list[0]);
  const weigh = () => {
    const weights = sliders.map((slider) => Number(slider.value));
    sliders.forEach((slider, number) => {
      slider.setAttribute("aria-valuetext", words[weights[number]]);
      slider.nextElementSibling.textContent = words[weights[number]];
    });
    const shown = names.map((_, run) => run).filter(isShown);
    const most = weights.reduce((sum, weight) => sum + weight, 0) * (shown.length - 1);
    const found = shown.map((run) => {
      const counts = { 1: 0, "-1": 0, 0: 0 };
      let sum = 0;
      signs.forEach((matrix, question) => {
        if (!weights[question]) return;
        for (const other of shown) {
          if (other === run) continue;
          counts[matrix[run][other]] += 1;
          sum += weights[question] * matrix[run][other];
        }
      });
      return { run, counts, score: most ? sum / most : 0 };
    });
    found.sort((a, b) => b.score - a.score || a.run - b.run);
    for (const { run, counts, score } of found) {
      const row = rows.find((one) => Number(one.dataset.run) === run);
      [counts[1], counts[-1], counts[0]].forEach((count, place) => {
        row.cells[place + 1].textContent = count;
      });
      const percent = Math.round(100 * score);
      row.querySelector("b").textContent = `${percent < 0 ? "−" : "+"}${Math.abs(percent)}\u00a0%`;
      const bar = row.querySelector(".track span");
      bar.style.left = `${50 + 50 * Math.min(score, 0)}%`;
      bar.style.width = `${50 * Math.abs(score)}%`;
      body.append(row);
    }
    const first = found.filter((one) => found[0].score - one.score < 1e-9);
    const nobody = !most || first.length === found.length;
    const comes = first.length === 1 ? "comes" : "come";
    document.getElementById("weighed-said").textContent = nobody
      ? "With these weights no network comes first."
      : `With these weights ${listed(first.map((one) => names[one.run]))} ${comes} first.`;
  };
  for (const control of [...sliders, ...networks]) control.addEventListener("input", weigh);
}
