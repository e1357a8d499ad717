// Two methods on the same samples.

function drawComparison(first, second) {
  const [a, b] = [data.cells[first], data.cells[second]];
  const title = `${data.datasets[a.dataset].title}: two methods`;
  if (a.samples !== b.samples) return { title, body: [el("p", {}, "These two were not run on the same samples, so they cannot be compared one by one.")] };
  const samples = samplesOf(a), saidA = saidBy(a), saidB = saidBy(b);
  const groups = { both: [], a: [], b: [], none: [] };
  samples.labels.forEach((label, at) => {
    const [x, y] = [saidA[at] === label, saidB[at] === label];
    groups[x && y ? "both" : x ? "a" : y ? "b" : "none"].push(at);
  });
  const others = data.cells.flatMap((cell, index) => (cell.samples === a.samples ? [[index, cellLabel(cell)]] : []));
  const choices = el(
    "div",
    { class: "choices" },
    choice("A", others.filter(([index]) => index !== second), first, (value) => show(`compare-${value}-${second}`)),
    choice("B", others.filter(([index]) => index !== first), second, (value) => show(`compare-${first}-${value}`)),
    el("button", { type: "button", class: "quiet", onclick: () => show(`compare-${second}-${first}`) }, "Swap"),
    el("button", { type: "button", class: "quiet", onclick: () => show(`cell-${first}`) }, "Open A"),
    el("button", { type: "button", class: "quiet", onclick: () => show(`cell-${second}`) }, "Open B"),
  );
  const columns = [["true", (at) => className(a, samples.labels[at])], ["A said", (at) => className(a, saidA[at])], ["B said", (at) => className(b, saidB[at])]];
  const list = (heading, positions) => [el("h3", {}, `${heading}: ${positions.length}`), positions.length ? sampleList(samples, positions, columns, 20) : el("p", { class: "soft" }, "none")];
  return {
    title,
    body: [
      choices,
      drawScores(a, b),
      el("div", { class: "columns" }, drawCounts(groups), drawClasses(a, samples, groups)),
      list("Only A is right", groups.a),
      list("Only B is right", groups.b),
    ],
  };
}

function drawScores(a, b) {
  const row = (name, cell) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "wraps" }, cellLabel(cell)), el("td", { class: "number" }, percent(cell.uar[0])), el("td", { class: "number" }, percent(cell.war[0])));
  const difference = el("tr", {}, el("th", { scope: "row" }, "A − B"), el("td"), el("td", { class: "number" }, signed(a.uar[0] - b.uar[0], 2)), el("td", { class: "number" }, signed(a.war[0] - b.war[0], 2)));
  const heads = ["", "method", "UAR, %", "WAR, %"].map((text, index) => el("th", { scope: "col", class: index > 1 ? "number" : "" }, text));
  return scroll("scores", el("table", { class: "plain" }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, row("A", a), row("B", b), difference)));
}

function drawCounts(groups) {
  const [both, a, b, none] = [groups.both, groups.a, groups.b, groups.none].map((positions) => positions.length);
  const line = (head, ...counts) => el("tr", {}, el("th", { scope: "row" }, head), counts.map((count) => el("td", { class: "number" }, String(count))));
  const heads = ["", "B right", "B wrong"].map((text) => el("th", { scope: "col", class: "number" }, text));
  const table = el("table", { class: "plain" }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, line("A right", both, a), line("A wrong", b, none)));
  return el(
    "div",
    {},
    el("h3", {}, "Samples"),
    scroll("samples", table),
    el("p", { class: "number", id: "mcnemar" }, `McNemar's exact test: ${pValue(mcnemar(a, b))} (${a} against ${b})`),
    el("p", { class: "remark" }, "Over the samples of all folds; not corrected for the number of pairs one may look at."),
  );
}

function drawClasses(cell, samples, groups) {
  const count = (positions, label) => positions.filter((at) => samples.labels[at] === label).length;
  const rows = classesOf(cell).map((name, label) => {
    const [a, b] = [count(groups.a, label), count(groups.b, label)];
    return el("tr", {}, el("th", { scope: "row" }, name), [String(a), String(b), signed(a - b, 0)].map((text) => el("td", { class: "number" }, text)));
  });
  const heads = ["class", "only A right", "only B right", "A − B"].map((text, index) => el("th", { scope: "col", class: index ? "number" : "" }, text));
  return el("div", {}, el("h3", {}, "Class by class"), scroll("classes", el("table", { class: "plain" }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows))));
}
