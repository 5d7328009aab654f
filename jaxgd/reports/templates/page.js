"use strict";
// Draws the figures that the page carries, and answers its controls. Every figure comes ready from Python; this file
// only picks one, sets the clock, and gives it the page's colours.
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const state = { optimizer: page.first, clock: "epochs", measure: page.score, budget: null };

  // ---- Colours of the page, light or dark

  function themed(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { color: colour("--soft"), gridcolor: colour("--grid"), linecolor: colour("--rule"), tickcolor: colour("--rule") };
    const label = { bgcolor: colour("--paper"), bordercolor: colour("--rule"), font: { color: colour("--ink"), size: 13 }, align: "left" };
    const font = { family: style.getPropertyValue("--sans").trim(), size: 12, color: colour("--ink") };
    return {
      ...layout, font, hoverlabel: label, title: undefined, showlegend: false, dragmode: false,
      xaxis: { ...layout.xaxis, ...axis, fixedrange: true },
      yaxis: { ...layout.yaxis, ...axis, fixedrange: true },
    };
  }

  function draw(place, data, layout) {
    Plotly.react(place, data, themed(layout), { responsive: true, displayModeBar: false, doubleClick: false });
  }

  // ---- Learning curves and the order within a budget

  // The mean curve of each batch size, on a clock.
  function means(clock) {
    const clocks = page.clocks[state.optimizer];
    return page.curves[state.optimizer][state.measure].data.filter((trace) => trace.name).map((trace) => ({
      name: trace.name, colour: trace.line.color, glyph: page.glyphs[trace.marker.symbol],
      x: clocks[trace.name][clock], y: trace.y, text: trace.text,
    }));
  }

  const inWords = {
    epochs: (x) => (x === 1 ? "1 epoch" : `${x.toLocaleString("en")} epochs`),
    updates: (x) => (x === 1 ? "1 update" : `${x.toLocaleString("en")} updates`),
    seconds: (x) => {
      const [unit, name] = x >= 1 ? [1, "s"] : x >= 1e-3 ? [1e-3, "ms"] : [1e-6, "µs"];
      return `${Number((x / unit).toPrecision(2))} ${name}`;
    },
  };

  function spent(x) {
    return state.clock === "seconds" ? inWords.seconds(x) : x.toLocaleString("en");
  }

  // Where a curve stands once a budget is used up: its last measurement within it.
  function standing(curve, budget) {
    let index = -1;
    while (index + 1 < curve.x.length && curve.x[index + 1] <= budget) index += 1;
    if (index < 0) return { ...curve, order: [1, curve.x[0]], value: "–", used: `from ${spent(curve.x[0])}` };
    const used = spent(curve.x[index]) + (index === curve.x.length - 1 ? ", all" : "");
    if (curve.y[index] === null) return { ...curve, order: [2, 0], value: "diverged", used };
    return { ...curve, order: [0, -page.better[state.measure] * curve.y[index]], value: curve.text[index], used, measured: true };
  }

  function standings(clock, budget) {
    return means(clock).map((curve) => standing(curve, budget)).sort((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1]);
  }

  function budgets() {
    return [...new Set(means(state.clock).flatMap((curve) => curve.x))].sort((a, b) => a - b);
  }

  // All epochs; on the other clocks, what the first curve to end has used: no curve has ended before.
  function usualBudget() {
    const ends = means(state.clock).map((curve) => curve.x[curve.x.length - 1]);
    return Math.min(...ends);
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
    const now = standings(state.clock, state.budget);
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
    byId("budget-text").textContent = inWords[state.clock](state.budget);
    byId("changes").textContent = changes(now, final);
  }

  // One sentence about the leader. It compares the curves that have a value both within the budget and at the end.
  function changes(now, final) {
    const measured = now.filter((curve) => curve.measured).map((curve) => curve.name);
    if (state.clock === "epochs" && state.budget === usualBudget()) return "";
    const within = `Within ${inWords[state.clock](state.budget)}`;
    if (measured.length === 1) return `${within} only ${measured[0]} has been measured.`;
    const after = measured.filter((name) => final.includes(name)), before = final.filter((name) => measured.includes(name));
    if (after.length < 2) return "";
    if (after.join() === before.join()) return `${within} the order is that of all epochs, as far as measured.`;
    return after[0] === before[0]
      ? `${within} ${after[0]} leads as it does after all epochs; others change places.`
      : `${within} ${after[0]} leads; after all epochs ${before[0]} does.`;
  }

  function budgetLine() {
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    return [{ type: "line", x0: state.budget, x1: state.budget, y0: 0, y1: 1, yref: "paper", line: { color: ink, width: 1, dash: "dot" } }];
  }

  function showCurves() {
    const figure = page.curves[state.optimizer][state.measure], clocks = page.clocks[state.optimizer];
    const data = figure.data.map((trace) => ({ ...trace, x: clocks[trace.legendgroup][state.clock] }));
    const layout = { ...figure.layout, xaxis: { ...figure.layout.xaxis, ...page.axes[state.clock] }, shapes: budgetLine() };
    draw("curves", data, { ...layout, margin: { l: 46, r: 10, t: 10, b: 46 } });
    byId("curves-heading").textContent = `${state.optimizer}: validation ${state.measure} against ${state.clock}`;
    byId("ranks-value").textContent = `Validation ${state.measure}`;
    byId("ranks-used").textContent = { epochs: "Epochs used", updates: "Updates used", seconds: "Time used" }[state.clock];
    byId("key").replaceChildren(...means("epochs").map((curve) => named("li", curve)));
  }

  function resetBudget() {
    const steps = budgets();
    state.budget = usualBudget();
    byId("budget").max = String(steps.length - 1);
    byId("budget").value = String(steps.indexOf(state.budget));
  }

  function changeCurves() {
    resetBudget();
    showCurves();
    showRanks();
  }

  // ---- Maps and costs

  function showMaps() {
    for (const [id, figure] of Object.entries(page.maps)) {
      const data = figure.data.map((trace) => (trace.type === "heatmap" ? { ...trace, showscale: false } : trace));
      // The page says once what lies along the axes of all maps.
      const [xaxis, yaxis] = [figure.layout.xaxis, figure.layout.yaxis].map((axis) => ({ ...axis, title: undefined }));
      draw(id, data, { ...figure.layout, xaxis, yaxis, margin: { l: 34, r: 6, t: 4, b: 26 } });
    }
  }

  function showCosts() {
    for (const [id, figure] of Object.entries(page.costs)) {
      const data = figure.data.map((trace) => {
        const chosen = trace.meta === state.optimizer;
        return { ...trace, line: { color: chosen ? page.highlight : page.grey, width: chosen ? 2.5 : 1 }, marker: { size: chosen ? 7 : 4 } };
      });
      data.sort((a, b) => (a.meta === state.optimizer) - (b.meta === state.optimizer));
      draw(id, data, { ...figure.layout, margin: { l: 56, r: 10, t: 10, b: 42 } });
    }
  }

  // ---- The table and the copy buttons

  function sortCells(header) {
    const table = header.closest("table"), column = header.cellIndex;
    const headers = [...header.parentElement.cells];
    const descending = header.getAttribute("aria-sort") === "ascending";
    headers.forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.sort;
    const compare = header.classList.contains("number") ? (a, b) => Number(a) - Number(b) : (a, b) => a.localeCompare(b);
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

  all("select.optimizer").forEach((select) => {
    select.value = state.optimizer;
    select.addEventListener("change", () => {
      state.optimizer = select.value;
      all("select.optimizer").forEach((other) => { other.value = select.value; });
      changeCurves();
      showCosts();
    });
  });
  all("input[type=radio]").forEach((radio) => radio.addEventListener("change", () => {
    state[radio.name] = radio.value;
    changeCurves();
  }));
  byId("budget").addEventListener("input", (event) => {
    state.budget = budgets()[Number(event.target.value)];
    Plotly.relayout("curves", { shapes: budgetLine() });
    showRanks();
  });
  all(".cells thead tr:last-child th").forEach((header) => {
    header.querySelector("button").addEventListener("click", () => sortCells(header));
  });
  all(".copy").forEach((button) => button.addEventListener("click", () => copy(button)));

  // A value stays on one line with its sign and unit.
  const headline = document.querySelector("h1");
  headline.textContent = headline.textContent.replace(/ (?=[%±])/g, "\u00a0").replace(/± /g, "±\u00a0");

  function showAll() {
    changeCurves();
    showMaps();
    showCosts();
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAll);
  showAll();
})();
