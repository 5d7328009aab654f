"use strict";
// Draws the figures that a page carries, in the colours of the theme, and again when those change.
(() => {
  const places = [...document.querySelectorAll(".figure-of-block")];
  const figures = places.map((place) => JSON.parse(place.querySelector("script").textContent));
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  function themed(layout, isNarrow) {
    const ink = colour("--color-foreground-primary"), soft = colour("--color-foreground-secondary");
    const rule = colour("--color-background-border"), paper = colour("--color-background-primary");
    const label = { bgcolor: paper, bordercolor: rule, font: { color: ink, size: 13 }, align: "left" };
    const made = {
      ...layout, width: undefined, height: undefined, autosize: true, dragmode: false, hoverlabel: label,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: colour("--font-stack"), size: 13, color: ink },
    };
    if (isNarrow) {
      made.margin = { ...layout.margin, l: 8, r: 8 };
      made.title = { ...layout.title, font: { size: 12 }, xref: "container", x: 0.01 };
      if (layout.legend?.orientation !== "h") made.legend = { ...layout.legend, orientation: "h", x: 0, y: -0.2, yanchor: "top" };
    }
    for (const name of Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name)))
      made[name] = { ...layout[name], title: { ...layout[name].title, standoff: 10 }, color: soft, gridcolor: rule, linecolor: rule, tickcolor: rule, fixedrange: true, automargin: true };
    return made;
  }

  function draw() {
    places.forEach((place, k) => {
      const { data, layout } = figures[k];
      Plotly.react(place, data, themed(layout, place.clientWidth < 480), { responsive: true, displayModeBar: false });
    });
  }

  draw();
  new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
