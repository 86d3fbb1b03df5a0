"use strict";
// Filters the table of wrong rows; without scripts the table stands there whole.
(() => {
  const form = document.getElementById("filter");
  const table = document.getElementById("wrong-rows");
  if (!form || !table) return;
  const rows = [...table.tBodies[0].rows];
  const shown = form.querySelector("output");
  const apply = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const truth = form.elements.truth.value, predicted = form.elements.predicted.value;
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word))
        && (!truth || row.dataset.truth === truth) && (!predicted || row.dataset.predicted === predicted);
      row.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.value = `${count} of ${rows.length} rows`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  form.hidden = false;
  apply();
})();
