// Ties the parts together: what the address names is shown, so that a view can be linked to, and Back goes to the one before.
const view = document.getElementById("view");
const title = document.getElementById("view-title");

const VIEW = /^(cell|compare)-(\d+)(?:-(\d+))?$/;
const named = () => location.hash.slice(1);

function show(name) {
  const match = VIEW.exec(name);
  const numbers = match ? match.slice(2).filter((text) => text !== undefined).map(Number) : [];
  if (!match || numbers.length !== (match[1] === "cell" ? 1 : 2) || numbers.some((number) => number >= data.cells.length)) return;
  const drawn = match[1] === "cell" ? drawCell(numbers[0]) : drawComparison(numbers[0], numbers[1]);
  title.textContent = drawn.title;
  document.getElementById("view-body").replaceChildren(...drawn.body.flat().filter(Boolean));
  if (named() !== name) history.pushState(null, "", `#${name}`);
  if (!view.open) view.showModal();
  view.scrollTop = 0;
  title.focus();
}

document.getElementById("close").addEventListener("click", () => view.close());
view.addEventListener("click", (event) => event.target === view && view.close());
view.addEventListener("close", () => {
  if (VIEW.test(named())) history.pushState(null, "", location.pathname + location.search);
});

const theme = document.getElementById("theme");
const dark = () => (document.documentElement.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const nameTheme = () => { theme.textContent = dark() ? "Light colours" : "Dark colours"; };
theme.addEventListener("click", () => {
  document.documentElement.style.colorScheme = dark() ? "light" : "dark";
  nameTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
nameTheme();

const main = document.getElementById("tables"), contents = document.getElementById("contents");
data.tables.forEach((table, number) => {
  main.append(drawTable(table, number));
  contents.append(el("a", { href: `#table-${number}` }, table.title));
});
document.getElementById("run").append(...drawRun());
addEventListener("popstate", () => {
  if (VIEW.test(named())) show(named());
  else view.close();
});
show(named());
