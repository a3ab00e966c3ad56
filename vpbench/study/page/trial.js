"use strict";

/* One trial: the videos, a ranking for each question, and the button that ends it. */
Study.Trial = class {
  /**
   * @param link where drafts are kept and answers go
   * @param index of the trial in the sheet
   * @param done called once, after the answer was kept
   */
  constructor(link, index, done) {
    this.link = link;
    this.index = index;
    this.trial = Study.sheet[index];
    this.done = done;
    this.sent = false;
    this.begun = performance.now();
    this.visible = 0;
    this.shown = document.hidden ? null : performance.now();
    this.onvisibility = () => this.look();
    document.addEventListener("visibilitychange", this.onvisibility);
    this.player = new Study.Player(this.trial.slots, () => this.update());
    this.build();
    this.restore();
    this.update();
  }

  build() {
    const { el } = Study;
    const store = this.link.store;
    const table = store.get("table", false);
    this.rankings = Study.bundle.questions.map(
      (question) => new Study.Ranking(question, this.trial.slots.length, () => this.update(true), table));
    this.form = el("button", {
      type: "button", class: "link", "aria-pressed": String(table), text: "Rank in a table instead",
      onclick: () => {
        const now = !store.get("table", false);
        store.set("table", now);
        this.form.setAttribute("aria-pressed", String(now));
        this.rankings.forEach((ranking) => ranking.useTable(now));
      },
    });
    this.submit = el("button", { type: "button", class: "main", onclick: () => this.send(), text: "Submit and continue" });
    this.missing = el("p", { class: "missing", id: "missing" });
    this.submit.setAttribute("aria-describedby", "missing");
    this.node = el("div", { class: "trial" }, this.player.node,
      el("div", { class: "questions" },
        el("p", { class: "how" }, "Drag or tap the letters into order, best first. ", this.form),
        ...this.rankings.map((ranking) => ranking.node),
        el("div", { class: "submit" }, this.submit, this.missing)));
  }

  restore() {
    const draft = this.link.store.get("draft");
    if (!draft || draft.trial !== this.trial.id) return;
    this.rankings.forEach((ranking) => {
      const kept = draft.rankings[ranking.question.id];
      if (kept) ranking.restore(kept.ranks, kept.way);
    });
    this.before = draft.seconds || 0;
  }

  keep() {
    const rankings = {};
    for (const { question, ranks, way } of this.rankings) rankings[question.id] = { ranks, way };
    this.link.store.set("draft", { trial: this.trial.id, rankings, seconds: this.seconds });
  }

  get seconds() {
    return (this.before || 0) + (performance.now() - this.begun) / 1000;
  }

  look() {
    if (this.shown !== null) this.visible += (performance.now() - this.shown) / 1000;
    this.shown = document.hidden ? null : performance.now();
  }

  /** What is left to do, as a sentence; "" when the answer may be sent. */
  get left() {
    const names = this.player.plays.flatMap((count, slot) => (count ? [] : [Study.letter(slot)]));
    if (!this.player.ready) return "The videos are loading.";
    const open = this.rankings.filter((ranking) => !ranking.complete).map((ranking) => ranking.question.title.toLowerCase());
    const parts = [];
    if (names.length) parts.push(`watch ${names.join(", ")} to the end`);
    if (open.length) parts.push(`rank all videos by ${open.join(" and by ")}`);
    return parts.length ? `Please ${parts.join(", and ")}.` : "";
  }

  update(keep) {
    if (!this.rankings || !this.submit) return;
    if (keep) this.keep();
    const left = this.left;
    this.submit.disabled = left !== "" || this.sent;
    if (this.missing.textContent !== left) this.missing.textContent = left;
  }

  send() {
    if (this.sent || this.left !== "") return;
    this.sent = true; // a second click comes too late
    this.submit.disabled = true;
    this.look();
    const ranks = {}, ways = {};
    for (const ranking of this.rankings) {
      ranks[ranking.question.id] = ranking.ranks;
      ways[ranking.question.id] = ranking.way;
    }
    const round = (value) => Math.round(Math.min(value, 86400) * 1000) / 1000;
    this.link.answer(this.index, {
      trial: this.trial.id,
      slots: this.trial.slots,
      ranks,
      plays: this.player.plays,
      seconds: round(this.seconds),
      visible: round(this.visible),
      ways,
      viewport: [innerWidth, innerHeight],
    });
    this.close();
    this.done();
  }

  close() {
    document.removeEventListener("visibilitychange", this.onvisibility);
    this.player.close();
  }
};
