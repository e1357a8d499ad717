// One cell: its numbers, its confusion matrix, its samples, and what made it.

function drawCell(number) {
  const cell = data.cells[number];
  const state = { fold: "" };
  const names = samplesOf(cell).names;
  const figures = el("div"), board = el("div", { class: "columns" }), found = el("div", { "aria-live": "polite" });
  const draw = () => {
    const matrix = confusionOf(cell, state.fold);
    figures.replaceChildren(drawFigures(cell, state.fold, matrix));
    found.replaceChildren();
    board.replaceChildren(
      el("div", {}, el("h3", {}, "Confusion matrix"), drawMatrix(cell, matrix, (label, said) => found.replaceChildren(...drawFound(cell, state.fold, label, said)))),
      el("div", {}, el("h3", {}, "Recall per class"), drawRecalls(cell, matrix)),
    );
  };
  draw();
  const siblings = data.cells.flatMap((other, index) => (sameBut(cell, other, ["seed"]) ? [[index, other.seed ?? "none"]] : []));
  const others = data.cells.flatMap((other, index) => (index !== number && other.samples === cell.samples ? [[index, cellLabel(other)]] : []));
  const choices = el(
    "div",
    { class: "choices" },
    siblings.length > 1 ? choice("Seed", siblings, number, (value) => show(`cell-${value}`)) : null,
    names.length > 1 ? choice("Fold", [["", "all, added up"], ...names.map((name) => [name, name])], "", (value) => { state.fold = value; draw(); }) : null,
    others.length ? choice("Compare with", [["", "…"], ...others], "", (value) => value && show(`compare-${number}-${value}`)) : null,
  );
  return {
    title: `${data.datasets[cell.dataset].title}: ${cellLabel(cell)}`,
    body: [choices, figures, board, found, drawLooked(cell), drawFacts(cell)],
  };
}

const KEY = ["method", "variant", "prompt_set", "protocol", "dataset", "seed"];
const sameBut = (a, b, names) => KEY.every((name) => names.includes(name) || a[name] === b[name]);

function drawFigures(cell, fold, matrix) {
  const one = (name, value, soft) => el("div", {}, el("span", { class: "soft" }, name), el("b", {}, value), el("span", { class: "soft number" }, soft));
  const range = ([, low, high]) => `95 % from ${percent(low)} to ${percent(high)}`;
  const unheard = matrix.reduce((sum, row) => sum + row.at(-1), 0);
  const parts = cell.folds.find(([name]) => name === fold);
  const count = parts ? parts[3] : cell.folds.reduce((sum, part) => sum + part[3], 0);
  const boxes = [
    parts ? one("UAR, %", percent(parts[1]), `fold ${fold}`) : one("UAR, %", percent(cell.uar[0]), range(cell.uar)),
    parts ? one("WAR, %", percent(parts[2]), `fold ${fold}`) : one("WAR, %", percent(cell.war[0]), range(cell.war)),
    one("samples", String(count), cell.folds.length > 1 && !parts ? `${cell.folds.length} folds` : ""),
  ];
  if (unheard) boxes.push(one("named no class", String(unheard), `${percent((100 * unheard) / count)} %, counted as wrong`));
  const table = el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ["fold", "samples", "UAR", "WAR"].map((text) => el("th", { scope: "col", class: "number" }, text)))));
  table.append(el("tbody", {}, cell.folds.map(([name, uar, war, n]) => el("tr", {}, [name, n, percent(uar), percent(war)].map((text) => el("td", { class: "number" }, String(text)))))));
  const folds = cell.folds.length > 1 ? el("details", {}, el("summary", {}, "Every fold"), scroll("folds", table)) : null;
  return el("div", {}, el("div", { class: "figures" }, boxes), folds);
}

function drawMatrix(cell, matrix, picked) {
  const classes = classesOf(cell), size = classes.length;
  const columns = matrix.some((row) => row[size]) ? [...classes, NO_CLASS] : classes;
  const table = el("table", { class: "matrix", role: "grid", "aria-label": "confusion matrix: rows are true classes, columns what was said" });
  table.append(el("thead", {}, el("tr", {}, el("td", { class: "none" }), columns.map((name) => el("th", { scope: "col" }, el("span", {}, name))), el("th", { scope: "col" }, el("span", {}, "samples")))));
  const spots = [];
  const body = el("tbody");
  matrix.forEach((row, label) => {
    const all = row.reduce((sum, count) => sum + count, 0);
    const cells = columns.map((name, said) => {
      const share = all ? (100 * row[said]) / all : 0;
      const text = `${classes[label]} taken for ${name}: ${row[said]} of ${all}`;
      const kind = [share > 60 ? "hot" : row[said] ? "" : "zero", said === label ? "true" : ""].join(" ").trim();
      const open = () => picked(label, said === size ? -1 : said);
      return el("td", { class: kind, tabindex: -1, "aria-label": text, title: text, "--share": share.toFixed(1), onclick: open }, all ? share.toFixed(1) : "–", el("small", {}, String(row[said])));
    });
    spots.push(cells);
    body.append(el("tr", {}, el("th", { scope: "row" }, classes[label]), cells, el("td", { class: "none number" }, String(all))));
  });
  table.append(body);
  gridKeys(table, () => spots);
  const legend = el("p", { class: "remark" }, "Rows are true classes, columns what was said: percent of the row, and the number of samples beneath. Pick one to see which samples they are.");
  return el("div", {}, el("div", { class: "scroll" }, table), legend);
}

function drawRecalls(cell, matrix) {
  const table = el("table", { class: "plain recalls" });
  const heads = [["class"], ["recall, %", "number"], ["95 % from, to", "number"], ["", ""], ["right of", "number"]];
  table.append(el("thead", {}, el("tr", {}, heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))));
  const rows = classesOf(cell).map((name, label) => {
    const all = matrix[label].reduce((sum, count) => sum + count, 0), right = matrix[label][label];
    const head = el("th", { scope: "row" }, name);
    if (!all) return el("tr", {}, head, el("td", { class: "soft", colspan: 4 }, "no samples"));
    const [low, high] = wilson(right, all), share = (100 * right) / all;
    const track = el("div", { class: "track", role: "presentation" }, el("i", { "--to": share }), el("s", { "--from": low, "--to": high }));
    return el("tr", {}, head, el("td", { class: "number" }, percent(share)), el("td", { class: "number soft" }, `${low.toFixed(1)}, ${high.toFixed(1)}`), el("td", {}, track), el("td", { class: "number soft" }, `${right} / ${all}`));
  });
  table.append(el("tbody", {}, rows));
  return el("div", {}, scroll("recalls", table), el("p", { class: "remark" }, "Intervals of a recall are Wilson's, over all samples shown; those of UAR and WAR are a stratified bootstrap's that keeps classes and folds."));
}

function drawFound(cell, fold, label, said) {
  const samples = samplesOf(cell), heard = saidBy(cell);
  const positions = samples.labels.flatMap((own, at) => (own === label && heard[at] === said && (fold === "" || samples.folds[at] === fold) ? [at] : []));
  const title = `${className(cell, label)} taken for ${className(cell, said)}: ${positions.length}`;
  return [el("h3", {}, title), positions.length ? sampleList(samples, positions, []) : null].filter(Boolean);
}

// Samples as rows, some at a time; each column is a heading and what it says of a position.
function sampleList(samples, positions, columns, step = 50) {
  const body = el("tbody");
  const pictured = positions.some((at) => samples.pictures[at] !== undefined);
  const heads = [...(pictured ? [""] : []), "sample", ...(samples.names.length > 1 ? ["fold"] : []), ...columns.map(([head]) => head)];
  const more = el("button", { type: "button", class: "quiet", onclick: () => grow() }, "Show more");
  let shown = 0;
  const grow = () => {
    for (const at of positions.slice(shown, shown + step)) {
      const cells = [el("code", {}, samples.ids[at]), ...(samples.names.length > 1 ? [samples.folds[at]] : []), ...columns.map(([, say]) => say(at))];
      body.append(el("tr", {}, pictured ? el("td", {}, picture(samples, at)) : null, cells.map((child) => el("td", {}, child))));
    }
    shown = Math.min(shown + step, positions.length);
    more.hidden = shown === positions.length;
  };
  grow();
  const table = el("table", { class: "plain list" }, el("thead", {}, el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text)))), body);
  return el("div", {}, scroll("samples", table), more);
}

function drawLooked(cell) {
  const reason = data.reasons[cell.dataset];
  const parts = cell.ranked
    ? [["Worst samples", cell.worst, "The true class's score lies furthest below the best other one's."], ["Best samples", cell.best, "It lies furthest above."]]
    : [["Wrong samples", cell.worst, "This method gives no scores, so these are the first in the record's order."], ["Right samples", cell.best, ""]];
  return el(
    "div",
    {},
    parts.map(([title, looks, remark]) => (looks.length ? [el("h3", {}, title), remark ? el("p", { class: "remark" }, remark) : null, el("ul", { class: "samples" }, looks.map((look) => drawSample(cell, look)))] : null)),
    reason ? el("p", { class: "remark" }, `Thumbnails of ${data.datasets[cell.dataset].title} are missing: ${reason}.`) : null,
  );
}

function drawSample(cell, [at, margin, shares, answer]) {
  const samples = samplesOf(cell), label = samples.labels[at], said = saidBy(cell)[at];
  const verdict = said === label ? el("span", { class: "right" }, `✓ ${className(cell, label)}`) : el("span", {}, className(cell, label), " ", el("span", { class: "wrong" }, `✗ said ${className(cell, said)}`));
  const order = shares.map((share, index) => [share, index]).sort((a, b) => b[0] - a[0]).slice(0, 3);
  const bars = order.map(([share, index]) => [el("span", {}, className(cell, index)), el("span", { class: "track" }, el("i", { "--to": share / 10 })), el("span", { class: "number" }, (share / 10).toFixed(1))]);
  const fold = samples.names.length > 1 ? ` · fold ${samples.folds[at]}` : "";
  return el(
    "li",
    {},
    picture(samples, at),
    verdict,
    margin === null ? null : el("span", { class: "soft number" }, `margin ${signed(margin, 3)}`),
    bars.length ? el("div", { class: "shares", "aria-label": "softmax of the scores, percent" }, bars) : null,
    answer === null ? null : el("q", { class: "soft" }, answer),
    el("code", {}, samples.ids[at] + fold),
  );
}
