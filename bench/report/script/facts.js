// What made a cell, and what made the run.

// Nested facts in one line; what is null is left out.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain).join(", ");
  if (typeof value !== "object") return String(value);
  return Object.entries(value).flatMap(([name, inner]) => (inner === null ? [] : [`${name} ${plain(inner)}`])).join(", ");
}

function facts(rows) {
  return el("dl", {}, rows.filter(([, value]) => value !== "" && value !== null && value !== undefined).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

const bullets = (lines) => el("ul", {}, lines.map((line) => el("li", {}, line)));

function drawFacts(cell) {
  const dataset = data.datasets[cell.dataset], method = data.methods[cell.name];
  const missing = Object.entries(dataset.missing);
  const marks = data.run.marks.filter((mark) => (!mark.dataset || mark.dataset === cell.dataset) && (!mark.method || mark.method === cell.method));
  const networks = cell.networks.length
    ? cell.networks.map((number) => drawNetwork(data.networks[number]))
    : [el("p", { class: "remark" }, "The record does not say which network this was.")];
  return el(
    "details",
    {},
    el("summary", {}, "What made these numbers"),
    marks.length ? el("div", {}, el("h3", {}, "Marks"), bullets(marks.map((mark) => mark.note))) : null,
    el("h3", {}, "Method"),
    facts([
      ["method", el("code", {}, cell.name)],
      ["card", el("code", {}, method.card)],
      ["head", method.head && bullets(method.head.files.map((head) => el("code", {}, `${head.file} ${head.hash}${head.seed === null ? "" : `, seed ${head.seed}`}`)))],
      ["protocol", cell.protocol],
      ["seed", cell.seed === null ? "nothing was drawn" : String(cell.seed)],
    ]),
    el("h3", {}, "Network"),
    networks,
    el("h3", {}, `Prompts as sent: ${cell.prompt_set}`),
    drawPrompts(cell),
    el("h3", {}, "Dataset"),
    facts([
      ["root", el("code", {}, dataset.root)],
      ["layout", dataset.layout],
      ["samples", Object.entries(dataset.folds).map(([name, count]) => `fold ${name}: ${count}`).join(", ")],
      ["fingerprint", el("code", {}, dataset.fingerprint)],
      ["unreadable", missing.length ? bullets(missing.map(([sample, reason]) => `${sample}: ${reason}`)) : "none"],
    ]),
  );
}

function drawNetwork(network) {
  const code = (value) => el("code", {}, value);
  return facts([
    ["adapter", code(network.adapter)],
    ["options", code(plain(network.options))],
    ...Object.entries(network.weights).map(([role, hash]) => [`checkpoint ${role}`, [code(network.files[role] ?? ""), " ", code(hash)]]),
    ["precision", network.compiled ? `${network.dtype}, compiled` : network.dtype],
    ["pixels", plain(network.protocol.pixels)],
    ["frames", plain(network.protocol.frames)],
    ["input size", `${network.size} pixels`],
    ["embeddings", code(network.artifact)],
  ]);
}

function drawPrompts(cell) {
  const sent = cell.prompts === null ? null : data.prompts[cell.prompts];
  if (!sent) return el("p", { class: "remark" }, "The record does not hold them.");
  const names = sent.combine ? classesOf(cell) : [cell.dataset];
  const texts = facts(names.filter((name) => sent.texts[name]).map((name) => [name, bullets(sent.texts[name])]));
  return el("div", {}, sent.combine ? el("p", { class: "soft" }, `Several are combined by ${sent.combine}.`) : null, texts);
}

function drawRun() {
  const run = data.run;
  const marks = run.marks.filter((mark) => !mark.dataset).map((mark) => mark.note);
  return [
    el("h2", {}, "The run"),
    facts([
      ["marks", marks.length ? bullets(marks) : ""],
      ["warnings", run.warnings.length ? bullets(run.warnings) : ""],
      ["command", el("code", {}, run.command.join(" "))],
      ["began", run.began],
      ["machine", plain(run.machine)],
      ["used", plain(run.device)],
      ["precision", run.dtype],
      ["versions", plain(run.versions)],
      ["revision", run.revision ? el("code", {}, run.revision) : "outside a checkout"],
    ]),
  ];
}
