// ---- light or dark: as the system is, unless the reader chose ----
const root = document.documentElement;
const chosen = (function () { try { return localStorage.getItem("theme"); } catch { return null; } })();
if (chosen) root.dataset.theme = chosen;
const isDark = () => root.dataset.theme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
const drawn = {};  // {id of a plot: the function that draws it}

document.querySelectorAll("button.theme").forEach(function (button) {
  button.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a page from a file may keep nothing */ }
    Object.values(drawn).forEach((draw) => draw());
  });
});

// ---- plots: plotly is large, so it is loaded from this folder when the first is asked for ----
function withPlotly(then) {
  if (window.Plotly) return then();
  const script = document.createElement("script");
  script.src = (root.dataset.content_root || "./") + "_static/plotly.min.js";
  script.onload = then;
  document.head.append(script);
}

document.querySelectorAll("button[data-explore]").forEach(function (button) {
  const id = button.dataset.explore, place = document.getElementById(id);
  const data = document.querySelector('script.plot-data[data-plot="' + id + '"]');
  const choice = document.querySelector('select[data-plot="' + id + '"]');
  button.addEventListener("click", function () {
    place.parentElement.hidden = false;
    const plots = JSON.parse(data.textContent);
    drawn[id] = function () {
      const plot = plots[choice ? choice.value : Object.keys(plots)[0]];
      const ink = getComputedStyle(root).getPropertyValue("--ink").trim(), line = getComputedStyle(root).getPropertyValue("--line").trim();
      const axis = (own) => ({ ...own, gridcolor: line, zerolinecolor: line, linecolor: line });
      const look = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { ...plot.layout.font, color: ink },
        xaxis: axis(plot.layout.xaxis), yaxis: axis(plot.layout.yaxis) };
      Plotly.react(id, plot.data, { ...plot.layout, ...look }, { displaylogo: false, responsive: true, displayModeBar: false });
    };
    withPlotly(drawn[id]);
    button.hidden = true;
  });
  if (choice) choice.addEventListener("change", () => drawn[id] && drawn[id]());
});

// ---- verdicts by family and verdict, and exhibits by name ----
function tell(count) {
  document.querySelectorAll(".filtered").forEach((place) => { place.textContent = count + " shown"; });
}

const filters = [...document.querySelectorAll("select[data-filter]")];
filters.forEach((filter) => filter.addEventListener("change", function () {
  let count = 0;
  document.querySelectorAll("tr[data-family]").forEach(function (row) {
    row.hidden = filters.some((each) => each.value && row.dataset[each.dataset.filter] !== each.value);
    count += !row.hidden;
  });
  tell(count);
}));

document.querySelectorAll("input[data-find]").forEach((input) => input.addEventListener("input", function () {
  let count = 0;
  document.querySelectorAll("[data-" + input.dataset.find + "]").forEach(function (item) {
    item.hidden = !item.dataset[input.dataset.find].includes(input.value.trim().toLowerCase());
    count += !item.hidden;
  });
  tell(count);
}));

// ---- copying ----
function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");  // from a file there may be no clipboard
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  return Promise.resolve();
}

document.querySelectorAll("button[data-copy]").forEach(function (button) {
  button.addEventListener("click", function () {
    const label = button.textContent;
    copy(button.dataset.copy).then(function () {
      button.textContent = "copied";
      setTimeout(() => { button.textContent = label; }, 1500);
    }, function () { button.textContent = "not copied"; });
  });
});

// Whatever scrolls sideways must be reachable by keyboard.
document.querySelectorAll("pre, div.output, table.docutils").forEach(function (element) {
  if (element.scrollWidth > element.clientWidth + 1) element.tabIndex = 0;
});
