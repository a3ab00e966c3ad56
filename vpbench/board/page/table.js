"use strict";
/* Tables with class "sortable" are sorted by the buttons in their header, each part by itself. */
(() => {
  function compare(a, b, sign) {
    if (a === "" || b === "") return (a === "") - (b === ""); // what is missing stands last
    const [x, y] = [Number(a), Number(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return sign * (x - y);
    return sign * a.localeCompare(b, undefined, { numeric: true });
  }

  function sort(table, index, head, first) {
    const now = head.getAttribute("aria-sort");
    const other = { ascending: "descending", descending: "ascending" };
    const order = now ? other[now] : first;
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    for (const body of table.tBodies) {
      const rows = [...body.rows];
      const value = (row) => row.cells[index].dataset.value ?? row.cells[index].textContent;
      rows.sort((a, b) => compare(value(a), value(b), sign));
      body.append(...rows);
    }
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      const button = head.querySelector("button");
      button?.addEventListener("click", () => sort(table, index, head, button.dataset.first || "ascending"));
    });
  }
})();
