"use strict";

// For browsers that print what is closed as closed: on paper everything is open.
{
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => (details.open = true));
  });
  addEventListener("afterprint", () => closed.forEach((details) => (details.open = false)));
}

// The filters. What has data-facets names there by what it can be filtered; every row can be by its text.
const form = document.querySelector("form");
if (form) {
  const facets = { family: "families", outcome: "outcomes", rule: "rules" };
  const lists = [...document.querySelectorAll("[data-facets]")].map((list) => {
    const note = document.createElement("p");
    note.className = "faint";
    note.hidden = true;
    list.before(note);
    // Bars have no text to look for.
    const text = list.tagName === "FIGURE" ? [] : ["text"];
    return { note, known: [...list.dataset.facets.split(" "), ...text] };
  });
  const has = (element, key, value) => {
    const values = element.dataset[facets[key]];
    return !value || values === undefined || JSON.parse(values).includes(value);
  };
  const fits = (element, wanted) => Object.keys(facets).every((key) => has(element, key, wanted[key]));
  const head = (row) => (row.querySelector("summary") ?? row).textContent.toLowerCase();

  // Whether the row is shown. A row that has others in it is shown for one of them, too, and shows all if the text is its own.
  function show(row, wanted) {
    const inner = [...row.querySelectorAll("[data-row]")].filter((other) => other.parentElement.closest("[data-row]") === row);
    const own = (inner.length ? head(row) : row.textContent.toLowerCase()).includes(wanted.text);
    const shown = inner.map((other) => show(other, own ? { ...wanted, text: "" } : wanted));
    row.hidden = !(fits(row, wanted) && (own || shown.includes(true)));
    return !row.hidden;
  }

  // What is left of a day stands on the axis again.
  function stack(day, wanted) {
    let top = Number(day.ownerSVGElement.viewBox.baseVal.height);
    for (const part of day.children) {
      const visible = fits(part, wanted);
      part.setAttribute("visibility", visible ? "visible" : "hidden");
      top -= visible ? Number(part.getAttribute("height")) : 0;
      part.setAttribute("y", top);
    }
  }

  function filter() {
    const wanted = Object.fromEntries(new FormData(form));
    wanted.text = wanted.text.trim().toLowerCase();
    const rows = [...document.querySelectorAll("[data-row]")].filter((row) => !row.parentElement.closest("[data-row]"));
    const shown = rows.filter((row) => show(row, wanted));
    document.querySelectorAll("svg.chart g").forEach((day) => stack(day, wanted));
    for (const { note, known } of lists) {
      const ignored = Object.keys(wanted).filter((key) => wanted[key] && !known.includes(key));
      note.hidden = ignored.length === 0;
      note.textContent = `Not filtered by ${ignored.join(" and ")}, which is not counted here.`;
    }
    form.elements.shown.value = shown.length === rows.length ? "" : `${shown.length} of ${rows.length} rows are shown.`;
  }

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  form.querySelector("button").addEventListener("click", () => {
    form.reset();
    filter();
  });
}
