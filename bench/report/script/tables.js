// The record's tables, sortable by any column.

function drawTable(table, number) {
  const section = el("section", { id: `table-${number}`, "aria-labelledby": `title-${number}` });
  section.append(el("h2", { id: `title-${number}` }, table.title));
  if (table.caption) section.append(el("p", { class: "soft" }, table.caption));
  const grid = el("table", { class: "results", role: "grid", "aria-labelledby": `title-${number}` });
  const state = { sort: null, paper: false };
  const spots = [];
  const draw = () => {
    const focused = document.activeElement?.dataset?.sort;
    spots.length = 0;
    grid.replaceChildren(drawHead(table, state, spots, draw), ...drawBody(table, state, spots));
    stick(grid, table.stub.length);
    if (focused) grid.querySelector(`[data-sort="${CSS.escape(focused)}"]`)?.focus();
  };
  if (table.rows.some((row) => Object.values(row.cells).some((cell) => cell.beneath?.some((line) => line.kind === "paper")))) {
    const box = el("input", { type: "checkbox", onchange: () => { state.paper = box.checked; draw(); } });
    section.append(el("label", { class: "soft" }, box, "the paper's number and the difference beneath ours"));
  }
  section.append(el("div", { class: "scroll" }, grid));
  draw();
  gridKeys(grid, () => spots);
  new ResizeObserver(() => stick(grid, table.stub.length)).observe(grid);
  for (const [sign, note] of Object.entries(table.notes)) section.append(el("p", { class: "remark" }, el("sup", {}, sign), ` ${note}`));
  for (const remark of table.remarks) section.append(el("p", { class: "remark" }, remark));
  return section;
}

function drawHead(table, state, spots, draw) {
  const heads = new Map();
  const sortable = (key, text, name, properties) => {
    const sorted = state.sort?.key === key ? state.sort.direction : undefined;
    const button = el("button", { type: "button", tabindex: -1, "data-sort": key, "aria-label": name, onclick: () => { state.sort = nextSort(state.sort, key); draw(); } }, text);
    heads.set(key, button);
    return el("th", { scope: "col", "aria-sort": sorted, ...properties }, button);
  };
  const several = table.metrics.length > 1;
  const groups = el("tr"), names = el("tr"), metrics = el("tr");
  table.stub.forEach((text, column) => groups.append(sortable(`stub ${column}`, text, `sort by ${text}`, { class: "stub", rowspan: 3 })));
  for (const group of table.groups) {
    groups.append(el("th", { scope: "colgroup", class: "first", colspan: group.datasets.length * table.metrics.length }, group.title));
    for (const dataset of group.datasets) {
      const title = table.titles[dataset];
      names.append(el("th", { scope: "colgroup", class: "first", colspan: table.metrics.length }, title));
      table.metrics.forEach((metric, index) => {
        const text = metric.toUpperCase();
        metrics.append(sortable(`${dataset} ${index}`, text, `sort by ${title} ${text}`, { class: index === 0 && several ? "first" : "" }));
      });
    }
  }
  spots.push([...heads.values()]);
  return el("thead", {}, groups, names, metrics);
}

// Numbers: best first, then worst first, then the paper's order again; texts the other way round.
function nextSort(sort, key) {
  const order = key.startsWith("stub ") ? ["ascending", "descending"] : ["descending", "ascending"];
  const next = sort?.key === key ? order[order.indexOf(sort.direction) + 1] : order[0];
  return next && { key, direction: next };
}

function sortedRows(table, sort) {
  if (!sort) return table.rows;
  const [dataset, index] = [sort.key.slice(0, sort.key.lastIndexOf(" ")), Number(sort.key.slice(sort.key.lastIndexOf(" ") + 1))];
  const sign = sort.direction === "ascending" ? 1 : -1;
  if (dataset === "stub") return [...table.rows].sort((a, b) => sign * a.stub[index].localeCompare(b.stub[index], undefined, { numeric: true }));
  const value = (row) => row.cells[dataset].values?.[index] ?? null;
  return [...table.rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return x === null || y === null ? (x === null) - (y === null) : sign * (x - y);
  });
}

function drawBody(table, state, spots) {
  const datasets = table.groups.flatMap((group) => group.datasets);
  const body = el("tbody");
  let section = "";
  for (const row of sortedRows(table, state.sort)) {
    if (!state.sort && row.section !== section) {
      section = row.section;
      body.append(el("tr", { class: "section" }, el("th", { colspan: table.stub.length + datasets.length * table.metrics.length }, el("span", {}, section))));
    }
    const stubs = row.stub.map((text, column) => {
      const origin = state.sort && column === 0 && row.origin ? el("span", { class: "origin" }, row.origin) : null;
      const shown = el("span", { class: !state.sort && row.again[column] ? "again" : "" }, text);
      return el("th", { scope: "row", class: "stub" }, shown, origin);
    });
    const cells = datasets.flatMap((dataset) => table.metrics.map((_, index) => drawNumber(row.cells[dataset], index, state.paper)));
    spots.push([...stubs.map(() => null), ...cells]);
    body.append(el("tr", {}, stubs, cells));
  }
  return [body];
}

const TAGS = { bold: "b", underline: "u" };

function drawNumber(cell, index, paper) {
  const text = cell.values ? cell.texts[index] : cell.texts[0];
  const emphasis = cell.emphasis?.[index];
  const last = index === (cell.values?.length ?? 1) - 1;
  const open = cell.compare ? () => show(`compare-${cell.compare.join("-")}`) : cell.open?.length ? () => show(`cell-${cell.open[0]}`) : null;
  const beneath = (cell.beneath ?? []).filter((line) => line.kind === "std" || paper);
  return el(
    "td",
    { class: [index === 0 ? "first" : "", open ? "opens" : ""].join(" ").trim(), tabindex: -1, "aria-haspopup": open ? "dialog" : null, onclick: open },
    emphasis ? el(TAGS[emphasis], {}, text) : text,
    cell.sign && last ? el("sup", {}, cell.sign) : null,
    beneath.map((line) => el("small", { title: line.label }, line.kind === "std" ? `±${line.texts[index]}` : line.texts[index])),
  );
}

// The columns that name a row stay in sight, each beside the one before.
function stick(grid, columns) {
  const heads = [...grid.querySelectorAll("thead th.stub")];
  let left = 0;
  for (let column = 0; column < columns; column++) {
    for (const cell of grid.querySelectorAll(`tr > th.stub:nth-child(${column + 1})`)) cell.style.left = `${Math.floor(left)}px`;
    left += heads[column].getBoundingClientRect().width - 1;
  }
}
