"use strict";
// Draws the figures that the page carries, and answers its controls. Every figure comes ready from Python; this file
// only picks one, sets its clock, and gives it the page's colours.
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const chosen = {};  // the place of the option of each name that is chosen
  const clocks = {};  // of each figure that has several
  let budget = null;

  // ---- Figures

  function current(place) {
    const { names, counts, figures, titles } = page.figures[place];
    const index = names.reduce((index, name, k) => index * counts[k] + (chosen[name] ?? 0), 0);
    return { ...figures[index], meta: figures[index].layout.meta ?? {}, title: titles[index] };
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  const pen = document.createElement("canvas").getContext("2d");

  // The labels of an axis: side by side, or every second one a line below, where all of them fit so; else those that do:
  // the chosen ones first and then the ends, for which there is a second line, then the rest.
  function fitting({ tickvals, ticktext, range }, width, chosen) {
    const at = (k) => (width * (tickvals[k] - range[0])) / (range[1] - range[0]);
    pen.font = `12px ${colour("--sans")}`;
    const half = (k) => pen.measureText(plain(ticktext[k])).width / 2 + 2;
    const keys = ticktext.map((_, k) => k), lines = [[], []];
    const isApart = (k) => (other) => Math.abs(at(other) - at(k)) > half(other) + half(k);
    const texts = keys.filter((k) => ticktext[k]);
    for (const step of [1, 2]) {
      if (!texts.every((k, n) => texts.slice(n + step, n + step + 1).every(isApart(k)))) continue;
      return ticktext.map((text, k) => (texts.indexOf(k) % step > 0 ? `<br>${text}` : text));
    }
    const fits = (k) => (line) => line.every(isApart(k));
    const first = [...chosen, 0, keys.length - 1];
    for (const k of [...first, ...keys]) {
      if (!ticktext[k] || lines[1].includes(k)) continue;
      lines.slice(0, first.includes(k) ? 2 : 1).find(fits(k))?.push(k);
    }
    return ticktext.map((text, k) => (lines[0].includes(k) ? text : lines[1].includes(k) ? `<br>${text}` : ""));
  }

  function themed(layout, isSmall) {
    const axis = { color: colour("--soft"), gridcolor: colour("--grid"), linecolor: colour("--rule"), tickcolor: colour("--rule"), fixedrange: true };
    const label = { bgcolor: colour("--paper"), bordercolor: colour("--rule"), font: { color: colour("--ink"), size: 13 }, align: "left" };
    const font = { family: colour("--sans"), size: 12, color: colour("--ink") };
    const margin = isSmall ? { l: 34, r: 6, t: 4, b: 26 } : { ...layout.margin, t: layout.legend?.y > 1 ? 48 : 12 };
    const made = { ...layout, font, margin, hoverlabel: label, title: undefined, dragmode: false, meta: undefined };
    for (const name of Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))) {
      made[name] = { ...layout[name], ...axis };
      if (isSmall) Object.assign(made[name], { title: undefined, tickangle: 0 });  // a legend above says it once
    }
    return made;
  }

  // The traces of a figure on its clock.
  function onClock(place, clock) {
    const { data, meta } = current(place);
    if (!meta.clocks) return data;
    const { x, of } = meta.clocks[clock];
    return data.map((trace, k) => ({ ...trace, x: x[of[k]] }));
  }

  function draw(place) {
    const { layout, meta, title } = current(place), { small } = page.figures[place];
    const data = onClock(place, clocks[place]).map((trace) => (small && trace.type === "heatmap" ? { ...trace, showscale: false } : trace));
    const made = themed(layout, small);
    const { xaxis } = made, width = byId(place).clientWidth - (made.margin?.l ?? 80) - (made.margin?.r ?? 80);
    if (meta.chosen && xaxis.ticktext && xaxis.range) {
      made.xaxis = { ...xaxis, tickangle: 0, ticktext: fitting(xaxis, width, meta.chosen) };
      if (made.xaxis.ticktext.some((text) => text.startsWith("<br>"))) made.margin.b += 14;
    }
    if (meta.clocks) {
      made.xaxis = { ...made.xaxis, ...meta.clocks[clocks[place]].xaxis };
      byId(`${place}-key`).replaceChildren(...curves(place, clocks[place]).map((curve) => named("li", curve)));
    }
    if (small || meta.clocks) made.showlegend = false;
    if (place === ranked) made.shapes = budgetLine();
    byId(`${place}-title`).textContent = title;
    Plotly.react(place, data, made, { responsive: true, displayModeBar: false, doubleClick: false });
  }

  // What a text with Plotly's tags and entities says.
  function plain(text) {
    return new DOMParser().parseFromString(text, "text/html").documentElement.textContent;
  }

  // ---- The order of curves within a budget

  const ranked = document.querySelector(".ranks")?.dataset.figure;

  // The curves with names of a figure, on a clock.
  function curves(place, clock) {
    return onClock(place, clock).filter((trace) => trace.name).map((trace) => ({
      name: plain(trace.name), colour: trace.line.color, glyph: page.glyphs[trace.marker.symbol], x: trace.x, y: trace.y, text: trace.text,
    }));
  }

  const count = (noun) => (x) => (x === 1 ? `1 ${noun}` : `${x.toLocaleString("en")} ${noun}s`);
  const inWords = {
    epochs: count("epoch"),
    updates: count("update"),
    examples: count("example"),
    seconds: (x) => {
      const [unit, name] = x >= 1 ? [1, "s"] : x >= 1e-3 ? [1e-3, "ms"] : [1e-6, "µs"];
      return `${Number((x / unit).toPrecision(2))} ${name}`;
    },
  };

  function spent(x) {
    return clocks[ranked] === "seconds" ? inWords.seconds(x) : x.toLocaleString("en");
  }

  // Where a curve stands once a budget is used up: its last measurement within it.
  function standing(curve, budget) {
    const index = curve.x.findLastIndex((x) => x <= budget);
    if (index < 0) return { ...curve, order: [1, curve.x[0]], value: "–", used: `from ${spent(curve.x[0])}` };
    const used = spent(curve.x[index]) + (index === curve.x.length - 1 ? ", all" : "");
    if (curve.y[index] === null) return { ...curve, order: [2, 0], value: "diverged", used };
    return { ...curve, order: [0, -current(ranked).meta.better * curve.y[index]], value: curve.text[index], used, measured: true };
  }

  function standings(clock, budget) {
    return curves(ranked, clock).map((curve) => standing(curve, budget)).sort((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1]);
  }

  function budgets() {
    return [...new Set(curves(ranked, clocks[ranked]).flatMap((curve) => curve.x))].sort((a, b) => a - b);
  }

  // All epochs; on the other clocks, what the first curve to end has used: no curve has ended before.
  function usualBudget() {
    return Math.min(...curves(ranked, clocks[ranked]).map((curve) => curve.x.at(-1)));
  }

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function named(tag, curve) {
    const made = element(tag), glyph = element("span", curve.glyph, "glyph");
    glyph.style.color = curve.colour;
    glyph.setAttribute("aria-hidden", "true");
    made.append(glyph, ` ${curve.name}`);
    return made;
  }

  function showRanks() {
    const now = standings(clocks[ranked], budget);
    // Infinity: every curve to its end, whatever the clock.
    const final = standings("epochs", Infinity).filter((curve) => curve.measured).map((curve) => curve.name);
    byId("ranks").tBodies[0].replaceChildren(...now.map((curve, index) => {
      const before = final.indexOf(curve.name) + 1;
      const moved = curve.measured && before && before !== index + 1;
      const row = element("tr");
      row.append(
        element("td", curve.measured ? String(index + 1) : "–", moved ? "moved" : ""), named("td", curve),
        element("td", curve.value, "number"), element("td", curve.used, "number aside"),
        element("td", before ? String(before) : "diverged", moved ? "number moved" : "number aside"),
      );
      return row;
    }));
    byId("budget-text").textContent = inWords[clocks[ranked]](budget);
    byId("ranks-value").textContent = plain(current(ranked).layout.yaxis.title.text);
    byId("changes").textContent = changes(now, final);
  }

  // One sentence about the leader. It compares the curves that have a value both within the budget and at the end.
  function changes(now, final) {
    const measured = now.filter((curve) => curve.measured).map((curve) => curve.name);
    if (clocks[ranked] === "epochs" && budget === usualBudget()) return "";
    const within = `Within ${inWords[clocks[ranked]](budget)}`;
    if (measured.length === 1) return `${within} only ${measured[0]} has been measured.`;
    const after = measured.filter((name) => final.includes(name)), before = final.filter((name) => measured.includes(name));
    if (after.length < 2) return "";
    if (after.join() === before.join()) return `${within} the order is that of all epochs, as far as measured.`;
    return after[0] === before[0]
      ? `${within} ${after[0]} leads as it does after all epochs; others change places.`
      : `${within} ${after[0]} leads; after all epochs ${before[0]} does.`;
  }

  function budgetLine() {
    return [{ type: "line", x0: budget, x1: budget, y0: 0, y1: 1, yref: "paper", line: { color: colour("--ink"), width: 1, dash: "dot" } }];
  }

  // A figure whose curves or clock are others now.
  function change(place) {
    if (place === ranked && curves(place, clocks[place]).length) {
      const steps = budgets();
      budget = usualBudget();
      byId("budget").max = String(steps.length - 1);
      byId("budget").value = String(steps.indexOf(budget));
      showRanks();
    }
    draw(place);
  }

  // ---- Tables and copy buttons

  function sortRows(header) {
    const table = header.closest("table"), column = header.cellIndex;
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.sort;
    const compare = header.classList.contains("number") ? (a, b) => Number(a) - Number(b) : (a, b) => a.localeCompare(b, "en", { numeric: true });
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
      return descending ? compare(key(b), key(a)) : compare(key(a), key(b));
    });
    table.tBodies[0].append(...rows);
  }

  async function copy(button) {
    const source = byId(button.dataset.copies);
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // The browser keeps the clipboard to itself: select the text, so that the person can copy it.
      getSelection().selectAllChildren(source);
      done = "Selected";
    }
    button.textContent = done;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  // ---- Controls

  const places = Object.keys(page.figures);
  for (const input of all("input[type=radio]")) {
    const place = input.name.replace("clock-", "");
    if (input.checked) clocks[place] = input.value;
    input.addEventListener("change", () => { clocks[place] = input.value; change(place); });
  }
  for (const select of all("select")) {
    select.selectedIndex = 0;
    select.addEventListener("change", () => {
      const { name } = select.dataset;
      chosen[name] = select.selectedIndex;
      for (const other of all("select")) if (other.dataset.name === name) other.selectedIndex = chosen[name];
      for (const place of places) if (page.figures[place].names.includes(name)) change(place);
    });
  }
  byId("budget")?.addEventListener("input", (event) => {
    budget = budgets()[Number(event.target.value)];
    Plotly.relayout(ranked, { shapes: budgetLine() });
    showRanks();
  });
  for (const button of all(".cells thead button")) button.addEventListener("click", () => sortRows(button.parentElement));
  for (const button of all(".copy")) button.addEventListener("click", () => copy(button));

  // A value stays on one line with its sign and unit.
  for (const text of all("h1, .lead")) {
    text.textContent = text.textContent.replace(/ (?=[%±])/g, "\u00a0").replace(/± /g, "±\u00a0");
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.forEach(draw));
  places.forEach(change);
})();
