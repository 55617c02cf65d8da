// Draws each plot from the JSON beside it. plotly.min.js is loaded once, from this folder.
document.querySelectorAll("script.plot-data").forEach(function (data) {
  const plot = JSON.parse(data.textContent);
  Plotly.newPlot(data.dataset.plot, plot.data, plot.layout, { displaylogo: false, responsive: true, displayModeBar: false });
});
