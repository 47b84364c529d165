// The chart of usage, of a key or of all. The numbers stand in the page, and in the table below the chart.
"use strict";

const short = new Intl.NumberFormat("en", { notation: "compact" }); // 1,500,000 is 1.5M
const full = new Intl.NumberFormat("en");
const steps = Array.from({ length: 13 }, (_, zeros) => [1, 2, 5].map((n) => n * 10 ** zeros)).flat();

function drawUsage(place) {
  const [hours, granted, refused] = JSON.parse(place.dataset.usage);
  const few = hours.length < 200; // so that points can be told apart; otherwise the line has no gaps
  const data = [hours, granted, refused.map((n) => n || (few ? null : 0))]; // no point where there is none
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  const half = (hours[1] - hours[0]) / 2;
  const value = (_, n, __, at) => at == null ? null : full.format(n || 0); // of the hour that is pointed at
  place.textContent = "";
  new uPlot({
    width: place.clientWidth,
    height: 220,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"), // as in the table
    fmtDate: (template) => uPlot.fmtDate(template.replace("{h}{aa}", "{HH}:00").replace("{h}:{mm}{aa}", "{HH}:{mm}")
      .replace("{M}/{D}/{YY}", "{D} {MMM}").replace("{M}/{D}", "{D} {MMM}").replace("{YYYY}-{MM}-{DD}", "{D} {MMM} {YYYY}")),
    // Half a step more on both sides, where half of the first and of the last bar are.
    scales: { x: { range: (_, min, max) => [min - half, max + half] }, y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
    axes: [axis, { ...axis, size: 56, incrs: steps, values: (_, values) => values.map((n) => short.format(n)) }],
    series: [
      {},
      // Told apart by shape, and not by colour alone: bars, and a dashed line with points.
      { label: "Granted", value, width: 0, stroke: colour("--accent"), fill: colour("--accent"), paths: uPlot.paths.bars({ size: [0.7, 30] }), points: { show: false } },
      { label: "Refused", value, stroke: colour("--bad"), width: 2, dash: [5, 4], points: { show: few, size: 6 } },
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
