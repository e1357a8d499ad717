// What every part of the page uses: the data, and elements made of text alone. Nothing here writes markup.
const data = JSON.parse(document.getElementById("data").textContent);

function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("--")) made.style.setProperty(name, value);
    else if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const percent = (value) => value.toFixed(2);
const signed = (value, digits) => (value < 0 ? "−" : value > 0 ? "+" : "") + Math.abs(value).toFixed(digits);
const NO_CLASS = "no class";
// One character a sample, as bench.report.numbers.spelt writes it.
const decode = (text) => Array.from(text, (mark) => (mark === "-" ? -1 : mark.codePointAt(0) - 48));

// Cells and their samples are decoded when somebody looks at them, and then kept.
const kept = new Map();
function once(key, make) {
  if (!kept.has(key)) kept.set(key, make());
  return kept.get(key);
}
function samplesOf(cell) {
  return once(`samples ${cell.samples}`, () => {
    const facts = data.samples[cell.samples];
    const folds = facts.folds.flatMap(([name, count]) => Array(count).fill(name));
    return { ...facts, labels: decode(facts.labels), folds, names: facts.folds.map(([name]) => name) };
  });
}
const saidBy = (cell) => once(cell, () => decode(cell.said));
const classesOf = (cell) => data.datasets[cell.dataset].classes;
const className = (cell, index) => (index < 0 ? NO_CLASS : classesOf(cell)[index]);

function cellLabel(cell) {
  const title = data.methods[cell.name]?.title ?? cell.name;
  const seed = cell.seed === null ? [] : [`seed ${cell.seed}`];
  return [title, cell.prompt_set, `protocol ${cell.protocol}`, ...seed].join(" · ");
}

function picture(samples, position) {
  const number = samples.pictures[position];
  if (number === undefined) return null;
  return el("img", { src: `data:image/jpeg;base64,${data.pictures[number]}`, alt: `sample ${samples.ids[position]}`, loading: "lazy" });
}

function choice(label, options, chosen, changed) {
  const select = el("select", { onchange: (event) => changed(event.target.value) });
  for (const [value, text] of options) select.append(el("option", { value, selected: String(value) === String(chosen) }, text));
  return el("label", {}, label, select);
}

const scroll = (label, child) => el("div", { class: "scroll", role: "region", "aria-label": label, tabindex: 0 }, child);

// Arrow keys, Home and End move inside a grid; Tab enters and leaves it at the spot last visited.
function gridKeys(table, spots) {
  const at = (row, column) => spots()[row]?.[column];
  const find = (node) => {
    const rows = spots();
    for (let row = 0; row < rows.length; row++) {
      const column = rows[row].indexOf(node);
      if (column >= 0) return [row, column];
    }
    return null;
  };
  const enter = (node) => {
    table.querySelectorAll("[tabindex='0']").forEach((other) => other.setAttribute("tabindex", -1));
    node.setAttribute("tabindex", 0);
  };
  table.addEventListener("focusin", (event) => find(event.target) && enter(event.target));
  table.addEventListener("keydown", (event) => {
    const place = find(event.target);
    if (!place || event.altKey || event.metaKey) return;
    const rows = spots();
    let [row, column] = place;
    const moves = {
      ArrowUp: () => { do row--; while (row >= 0 && !at(row, column)); },
      ArrowDown: () => { do row++; while (row < rows.length && !at(row, column)); },
      ArrowLeft: () => { do column--; while (column >= 0 && !at(row, column)); },
      ArrowRight: () => { do column++; while (column < rows[row].length && !at(row, column)); },
      Home: () => { column = rows[row].findIndex(Boolean); if (event.ctrlKey) row = rows.findIndex((line) => line[column]); },
      End: () => { column = rows[row].length - 1; if (event.ctrlKey) row = rows.length - 1; },
    };
    if (moves[event.key]) {
      moves[event.key]();
      // Where a column has nothing further on, as under the headings of rows, the next line's first spot is taken.
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      const target = at(row, column) ?? (step && rows[place[0] + step]?.find(Boolean));
      event.preventDefault();
      if (target) target.focus();
    } else if ((event.key === "Enter" || event.key === " ") && event.target.tagName !== "BUTTON") {
      event.preventDefault();
      event.target.click();
    }
  });
  const first = spots().flat().find(Boolean);
  if (first) first.setAttribute("tabindex", 0);
}
