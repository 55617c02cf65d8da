// Draws each plot from the JSON next to it, one metric at a time. plotly.min.js is loaded once, from this folder.
document.querySelectorAll("script.plot-data").forEach(function (data) {
  const plots = JSON.parse(data.textContent);
  const choice = document.querySelector('select[data-plot="' + data.dataset.plot + '"]');
  function draw() {
    const plot = plots[choice ? choice.value : Object.keys(plots)[0]];
    Plotly.react(data.dataset.plot, plot.data, plot.layout, { displaylogo: false, responsive: true, displayModeBar: false });
  }
  if (choice) choice.addEventListener("change", draw);
  draw();
});

// Whatever scrolls sideways must be reachable by keyboard.
document.querySelectorAll("pre, div.output, table.docutils").forEach(function (element) {
  if (element.scrollWidth > element.clientWidth + 1) element.tabIndex = 0;
});
