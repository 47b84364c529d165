// The chart of a key's usage. The numbers stand in the page, and in the table below the chart.
"use strict";

function drawUsage(place) {
  const [hours, granted, refused] = JSON.parse(place.dataset.usage);
  const data = [hours, granted, refused.map((n) => n || null)]; // no point where there is none
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  place.textContent = "";
  new uPlot({
    width: place.clientWidth,
    height: 220,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"), // as in the table
    fmtDate: (template) => uPlot.fmtDate(template.replace("{h}{aa}", "{HH}:00").replace("{h}:{mm}{aa}", "{HH}:{mm}")),
    scales: { y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
    axes: [axis, { ...axis, size: 56, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] }],
    series: [
      {},
      // Told apart by shape, and not by colour alone: bars, and a dashed line with points.
      { label: "Granted", stroke: colour("--accent"), fill: colour("--accent"), paths: uPlot.paths.bars({ size: [0.7, 30] }), points: { show: false } },
      { label: "Refused", stroke: colour("--bad"), width: 2, dash: [5, 4], points: { show: true, size: 6 } },
    ],
  }, data, place);
}

function drawAll() {
  document.querySelectorAll("[data-usage]").forEach(drawUsage);
}

document.addEventListener("DOMContentLoaded", drawAll);
let later;
addEventListener("resize", () => { clearTimeout(later); later = setTimeout(drawAll, 150); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
