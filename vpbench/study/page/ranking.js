"use strict";

/* One ranking of K videos: tiles that are dragged, clicked or moved by keys, or a table of radios. */
Study.Ranking = class {
  /**
   * @param question id, title, text
   * @param slots number of videos
   * @param changed called after every change
   * @param table whether to begin with the table
   */
  constructor(question, slots, changed, table) {
    this.question = question;
    this.slots = slots;
    this.changed = changed;
    this.ranks = new Array(slots).fill(0); // 0: not ranked yet
    this.way = "drag";
    this.node = this.build();
    this.useTable(table);
  }

  get complete() {
    return this.ranks.every((rank) => rank > 0);
  }

  /** Put back what was ranked before a reload. */
  restore(ranks, way) {
    if (Array.isArray(ranks) && ranks.length === this.slots) {
      this.ranks = ranks.slice();
      this.way = way;
      this.draw();
    }
  }

  /** Give a video a rank; whoever holds it changes places, or goes back. */
  place(slot, rank, way) {
    const other = this.ranks.indexOf(rank);
    if (rank > 0 && other >= 0 && other !== slot) this.ranks[other] = this.ranks[slot];
    this.ranks[slot] = rank;
    this.way = way;
    this.draw();
    const name = Study.letter(slot);
    const where = rank ? `${Study.ordinal(rank)} of ${this.slots}` : "not ranked";
    Study.speak(`${this.question.title}: video ${name} is ${where}.`);
    this.changed();
  }

  useTable(table) {
    this.board.hidden = table;
    this.table.hidden = !table;
  }

  build() {
    const { el } = Study;
    const id = this.question.id;
    this.places = [];
    const list = el("ol", { class: "places" });
    for (let rank = 1; rank <= this.slots; rank += 1) {
      const hint = rank === 1 ? "best" : rank === this.slots ? "worst" : "";
      const well = el("span", { class: "well", "data-rank": rank });
      this.places.push(well);
      list.append(
        el("li", { class: "place", "data-rank": rank },
          el("span", { class: "rank", "aria-hidden": "true" },
            el("b", { text: String(rank) }), hint ? ` ${hint}` : ""),
          well),
      );
    }
    this.tray = el("div", { class: "tray", "data-rank": 0 });
    this.tiles = [];
    for (let slot = 0; slot < this.slots; slot += 1) this.tiles.push(this.tile(slot));
    this.board = el("div", { class: "board", role: "group", "aria-labelledby": `q-${id}` },
      el("p", { class: "spoken", id: `keys-${id}`,
        text: `Press 1 to ${this.slots} to give the focused video that rank, the arrow keys to move ` +
          "it, Delete to take it back." }),
      this.tray, list);
    this.table = this.buildTable();
    this.state = el("span", { class: "state" });
    const node = el("section", { class: "question card" },
      el("h2", { id: `q-${id}` }, this.question.title, " ", this.state),
      el("p", { class: "explain", text: this.question.text }),
      this.board, this.table);
    this.node = node;
    this.draw();
    return node;
  }

  tile(slot) {
    const tile = Study.el("button", {
      type: "button", class: "tile", "aria-describedby": `keys-${this.question.id}`,
      text: Study.letter(slot),
    });
    tile.addEventListener("click", (event) => {
      if (this.dragged) return;
      this.toggle(slot, event.detail === 0 ? "keyboard" : "drag");
    });
    tile.addEventListener("keydown", (event) => this.key(event, slot));
    tile.addEventListener("pointerdown", (event) => this.grab(event, slot));
    return tile;
  }

  /** A click: to the best free place, or back. */
  toggle(slot, way) {
    const free = this.free()[0];
    this.place(slot, this.ranks[slot] ? 0 : free, way);
    if (way === "keyboard") this.tiles[slot].focus();
  }

  free() {
    const all = Array.from({ length: this.slots }, (_, k) => k + 1);
    return all.filter((rank) => !this.ranks.includes(rank));
  }

  key(event, slot) {
    const rank = this.ranks[slot];
    let target = null;
    if (/^[1-9]$/.test(event.key) && Number(event.key) <= this.slots) target = Number(event.key);
    else if (event.key === "Delete" || event.key === "Backspace") target = 0;
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") target = rank ? rank - 1 : this.free().at(-1);
    else if (event.key === "ArrowRight" || event.key === "ArrowDown") target = rank ? rank + 1 : this.free()[0];
    if (target === null || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const arrow = event.key.startsWith("Arrow");
    if (target > this.slots || (arrow && target < 1)) return;
    this.place(slot, target, "keyboard");
    this.tiles[slot].focus();
  }

  /** Follow the pointer; a short way is a click. */
  grab(event, slot) {
    if (event.button !== 0) return;
    const tile = this.tiles[slot];
    const from = { x: event.clientX, y: event.clientY };
    this.dragged = false;
    let over = null;
    const move = (now) => {
      const dx = now.clientX - from.x, dy = now.clientY - from.y;
      if (!this.dragged && Math.hypot(dx, dy) < 6) return;
      this.dragged = true;
      tile.classList.add("moving");
      tile.style.setProperty("transform", `translate(${dx}px, ${dy}px)`);
      over?.classList.remove("over");
      over = this.under(now.clientX, now.clientY);
      over?.classList.add("over");
    };
    const end = (last) => {
      tile.removeEventListener("pointermove", move);
      tile.removeEventListener("pointerup", end);
      tile.removeEventListener("pointercancel", end);
      tile.classList.remove("moving");
      tile.style.removeProperty("transform");
      over?.classList.remove("over");
      if (this.dragged && over && last.type === "pointerup") this.place(slot, Number(over.dataset.rank), "drag");
      // The click that ends a drag comes right after this.
      setTimeout(() => { this.dragged = false; }, 0);
    };
    tile.setPointerCapture(event.pointerId);
    tile.addEventListener("pointermove", move);
    tile.addEventListener("pointerup", end);
    tile.addEventListener("pointercancel", end);
  }

  /** The place of this question under a point. */
  under(x, y) {
    const hit = document.elementsFromPoint(x, y)
      .map((node) => node.closest(".place, .tray"))
      .find((node) => node && this.board.contains(node));
    return hit || null;
  }

  buildTable() {
    const { el, letter, ordinal } = Study;
    const id = this.question.id;
    const head = el("tr", {}, el("th", { scope: "col", text: "Video" }));
    for (let rank = 1; rank <= this.slots; rank += 1) head.append(el("th", { scope: "col", text: ordinal(rank) }));
    const body = el("tbody");
    this.radios = [];
    for (let slot = 0; slot < this.slots; slot += 1) {
      const row = el("tr", {}, el("th", { scope: "row", text: letter(slot) }));
      this.radios.push([]);
      for (let rank = 1; rank <= this.slots; rank += 1) {
        const radio = el("input", {
          type: "radio", name: `${id}-${slot}`, value: rank,
          "aria-label": `Video ${letter(slot)}: ${ordinal(rank)}`,
          onchange: () => this.place(slot, rank, "table"),
        });
        this.radios[slot].push(radio);
        row.append(el("td", {}, el("label", { class: "hit" }, radio)));
      }
      body.append(row);
    }
    return el("table", { class: "grid", "aria-labelledby": `q-${id}` }, el("thead", {}, head), body);
  }

  /** Show the ranks in both forms. */
  draw() {
    this.ranks.forEach((rank, slot) => {
      const tile = this.tiles[slot];
      const home = rank ? this.places[rank - 1] : this.tray;
      if (tile.parentNode !== home) {
        const next = rank ? null : [...this.tray.children].find((node) => node.textContent > tile.textContent);
        home.insertBefore(tile, next || null);
      }
      const where = rank ? `${Study.ordinal(rank)} of ${this.slots}` : "not ranked";
      tile.setAttribute("aria-label", `Video ${Study.letter(slot)}, ${where}`);
      this.radios[slot].forEach((radio, k) => { radio.checked = rank === k + 1; });
    });
    this.tray.classList.toggle("empty", this.complete);
    this.node?.classList.toggle("done", this.complete);
    if (this.state) {
      this.state.textContent = this.complete ? "✓" : "";
      this.state.setAttribute("aria-label", this.complete ? "ranked" : "not ranked yet");
    }
  }
};
