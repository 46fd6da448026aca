// Sorting and filtering of tables, and pictures in large; the page reads well without it.
for (const head of document.querySelectorAll("table.sortable th[data-kind]")) {
  head.tabIndex = 0;
  const sort = () => {
    const table = head.closest("table");
    const column = [...head.parentNode.children].indexOf(head);
    const up = head.getAttribute("aria-sort") !== "ascending";
    const value = (row) => row.children[column].dataset.value ?? row.children[column].textContent.trim();
    const order = (a, b) => {
      if (head.dataset.kind === "text") return value(a).localeCompare(value(b), undefined, { numeric: true });
      const [x, y] = [parseFloat(value(a)), parseFloat(value(b))];
      return (Number.isNaN(x) ? Infinity : x) - (Number.isNaN(y) ? Infinity : y);
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? order(a, b) : order(b, a)));
    table.tBodies[0].append(...rows);
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (event) => event.key === "Enter" && sort());
}
for (const box of document.querySelectorAll("input[data-filter]")) {
  box.hidden = false;
  box.addEventListener("input", () => {
    for (const row of document.getElementById(box.dataset.filter).tBodies[0].rows)
      row.hidden = !row.textContent.toLowerCase().includes(box.value.toLowerCase());
  });
}
const dialog = document.createElement("dialog");
dialog.addEventListener("click", () => dialog.close());
document.body.append(dialog);
for (const frame of document.querySelectorAll(".slice .frame")) {
  const show = () => {
    dialog.replaceChildren(frame.cloneNode(true));
    dialog.showModal();
  };
  frame.tabIndex = 0;
  frame.addEventListener("click", show);
  frame.addEventListener("keydown", (event) => event.key === "Enter" && show());
}
