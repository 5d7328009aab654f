"use strict";
// Draws the figures that the page carries, in the page's colours, light or dark.
(() => {
  const figures = JSON.parse(document.getElementById("page-data").textContent);

  function themed(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { color: colour("--soft"), gridcolor: colour("--grid"), linecolor: colour("--rule"), tickcolor: colour("--rule"), fixedrange: true };
    const label = { bgcolor: colour("--paper"), bordercolor: colour("--rule"), font: { color: colour("--ink"), size: 13 }, align: "left" };
    const axes = Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
    const font = { family: colour("--sans"), size: 12, color: colour("--ink") };
    const margin = { ...layout.margin, t: 48 };
    const made = { ...layout, font, margin, hoverlabel: label, title: undefined, dragmode: false };
    for (const name of axes) made[name] = { ...layout[name], ...axis };
    return made;
  }

  function drawAll() {
    for (const [place, figure] of Object.entries(figures)) {
      Plotly.react(place, figure.data, themed(figure.layout), { responsive: true, displayModeBar: false, doubleClick: false });
    }
  }

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
