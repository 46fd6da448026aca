// Sorting and filtering of tables; the page reads well without it.
const read = (id) => JSON.parse(document.getElementById(id).textContent);

function value(row, column) {
  return row.children[column].dataset.value ?? row.children[column].textContent.trim();
}

function sortBy(head, up) {
  const body = head.closest("table").tBodies[0];
  const column = [...head.parentNode.children].indexOf(head);
  const order = (a, b) => {
    const [x, y] = [value(a, column), value(b, column)];
    if (head.dataset.kind === "text") return x.localeCompare(y, undefined, { numeric: true });
    const [m, n] = [parseFloat(x), parseFloat(y)];
    if (Number.isNaN(m) || Number.isNaN(n)) return (Number.isNaN(m) - Number.isNaN(n)) * (up ? 1 : -1); // unknown last
    return m - n;
  };
  body.append(...[...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a))));
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
}

for (const head of document.querySelectorAll("table.sortable th[data-kind]")) {
  head.tabIndex = 0;
  const turn = () => sortBy(head, head.getAttribute("aria-sort") !== "ascending");
  head.addEventListener("click", turn);
  head.addEventListener("keydown", (event) => event.key === "Enter" && turn());
}

function shortNumber(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en").replaceAll(",", "\u2009");
  return value.toFixed(size < 10 ? 3 : 1).replace("-", "\u2212");
}

function average(values) {
  const known = values.filter((one) => one !== null);
  return known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
}

const numbers = read("numbers");
const tools = document.getElementById("case-tools");
const table = document.getElementById("case-table");
const head = document.getElementById("score-column");

function scoreOf(name, structure, metric) {
  const { values } = numbers.cases[name];
  if (structure !== "") return values[structure][metric];
  return average(numbers.judged.map((one) => values[numbers.structures.indexOf(one)][metric]));
}

function chooseScore() {
  const [structure, metric] = [tools.structure.value, Number(tools.metric.value)];
  const { name, unit, higher } = numbers.metrics[metric];
  for (const row of table.tBodies[0].rows) {
    const cell = row.children[head.cellIndex];
    const score = scoreOf(row.dataset.case, structure, metric);
    cell.dataset.value = score ?? NaN;
    cell.textContent = shortNumber(score);
  }
  const whose = structure !== "" ? ` of ${numbers.structures[structure]}` : "";
  head.textContent = `${whose || numbers.structures.length === 1 ? "" : "Mean "}${name}${whose}${unit ? ` (${unit})` : ""}`;
  sortBy(head, higher);
}

function filterRows() {
  const text = tools.text.value.trim().toLowerCase();
  const structure = tools.structure.value;
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const { findings } = numbers.cases[row.dataset.case];
    const failed = structure === "" ? row.classList.contains("failed") : ["missed", "spurious"].includes(findings[structure]);
    const wanted = row.textContent.toLowerCase().includes(text) && (!tools.failures?.checked || failed);
    row.hidden = !wanted;
    shown += wanted;
  }
  const total = table.tBodies[0].rows.length;
  tools.count.value = shown === total ? `${total} case${total === 1 ? "" : "s"}` : `${shown} of ${total} cases`;
}

numbers.structures.forEach((name, place) => tools.structure.add(new Option(name, place)));
numbers.metrics.forEach(({ name }, place) => tools.metric.add(new Option(name, place)));
if (numbers.structures.length === 1) tools.structure.parentNode.hidden = true;
for (const choice of [tools.structure, tools.metric]) choice.addEventListener("change", chooseScore);
tools.addEventListener("input", filterRows);
tools.addEventListener("submit", (event) => event.preventDefault());
tools.hidden = false;
filterRows();
