"use strict";

/* Where answers go: to the server that served the page, or to this browser and a file. */
Study.Link = class {
  constructor() {
    const query = new URLSearchParams(location.search);
    const pid = query.get("PROLIFIC_PID");
    this.prolific = pid
      ? { pid, study: query.get("STUDY_ID") || "", session: query.get("SESSION_ID") || "" }
      : null;
    this.wanted = query.get("sheet");
    this.store = new Study.Store(`study ${Study.bundle.study} ${pid || ""}`);
    this.alone = false;
    this.online = true;
    this.changed = () => {};
    this.sending = false;
    window.addEventListener("online", () => this.flush());
  }

  /** Find out whether there is a server. */
  async look() {
    this.alone = true;
    if (location.protocol === "file:") return;
    try {
      const answer = await fetch("api/status", { cache: "no-store" });
      const type = answer.headers.get("content-type") || "";
      if (!answer.ok || !type.includes("json")) return;
      this.alone = (await answer.json()).study !== Study.bundle.study;
    } catch {
      // With answers on their way there was a server, and there will be again.
      this.alone = !this.store.get("session");
    }
  }

  get begun() {
    return Boolean(this.store.get("session"));
  }

  get pending() {
    return this.store.get("outbox", []);
  }

  get answered() {
    const here = this.alone ? this.store.get("answers", []) : this.pending;
    return new Set([...this.store.get("answered", []), ...here.map((answer) => answer.index)]);
  }

  /** Begin or go on, and load this rater's sheet. Throws an Error with a sentence for the rater. */
  async begin() {
    const viewport = [innerWidth, innerHeight];
    if (this.alone) {
      if (!this.begun) {
        const sheets = Study.bundle.sheets;
        const asked = /^\d+$/.test(this.wanted || "") ? Number(this.wanted) % sheets : null;
        const drawn = crypto.getRandomValues(new Uint32Array(1))[0] % sheets;
        this.store.set("session", Study.token());
        this.store.set("sheet", asked ?? drawn);
        this.store.set("viewport", viewport);
      }
    } else {
      const client = this.store.get("client", Study.token());
      this.store.set("client", client);
      const reply = await this.insist("session", {
        study: Study.bundle.study, client, consent: true, prolific: this.prolific, viewport,
      });
      for (const name of ["session", "sheet", "answered", "finished", "withdrawn"]) this.store.set(name, reply[name]);
    }
    await Study.script(`sheets/${String(this.store.get("sheet")).padStart(3, "0")}.js`);
    this.flush();
  }

  /** Post, and try again for as long as there is no connection. */
  async insist(name, body) {
    for (let pause = 500; ; pause = Math.min(2 * pause, 15000)) {
      const { status, reply } = await this.post(name, body);
      if (status === 200) return reply;
      if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
        throw new Error(reply.error || "The study cannot be opened.");
      }
      await Study.wait(pause);
    }
  }

  /** One request; status 0 stands for no connection. */
  async post(name, body) {
    try {
      const answer = await fetch(`api/${name}`, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
        signal: AbortSignal.timeout(15000),
      });
      const reply = await answer.json().catch(() => ({}));
      this.connected(answer.status < 500);
      return { status: answer.status, reply };
    } catch {
      this.connected(false);
      return { status: 0, reply: {} };
    }
  }

  connected(yes) {
    this.online = yes;
    this.changed();
  }

  /** Keep an answer here at once, and send it when that is possible. */
  answer(index, answer) {
    if (this.alone) {
      const answers = this.store.get("answers", []);
      if (!answers.some((kept) => kept.index === index)) this.store.set("answers", [...answers, { index, ...answer }]);
      return;
    }
    if (!this.answered.has(index)) this.store.set("outbox", [...this.pending, { index, ...answer }]);
    this.flush();
  }

  /** Send what is waiting, oldest first. */
  async flush() {
    if (this.alone || this.sending) return;
    this.sending = true;
    for (let pause = 500; this.pending.length; ) {
      const [{ index, ...answer }, ...rest] = this.pending;
      const { status } = await this.post("answer", { session: this.store.get("session"), ...answer });
      if (status === 0 || status >= 500 || status === 408 || status === 429) {
        await Study.wait(pause);
        pause = Math.min(2 * pause, 15000);
        continue;
      }
      // Refused for good (it was answered in another window, say): keep it, do not send it again.
      if (status !== 200) this.store.set("refused", [...this.store.get("refused", []), { index, status, ...answer }]);
      this.store.set("answered", [...this.store.get("answered", []), index]);
      this.store.set("outbox", this.pending.slice(1));
      pause = 500;
      this.changed();
      void rest;
    }
    this.sending = false;
    this.changed();
  }

  /** Wait until everything is stored; gives the completion code. */
  async finish() {
    while (this.pending.length) {
      this.flush();
      await Study.wait(200);
    }
    return this.insist("finish", { session: this.store.get("session") });
  }

  async withdraw() {
    if (!this.alone && this.begun) await this.insist("withdraw", { session: this.store.get("session") });
    this.store.clear();
    this.store.set("withdrawn", true);
  }

  /** Everything of this rater, for the file that is sent to the researchers. */
  file() {
    return {
      schema: "vpbench.study-answers/1",
      study: Study.bundle.study,
      session: this.store.get("session"),
      sheet: this.store.get("sheet"),
      consent: true,
      prolific: this.prolific,
      viewport: this.store.get("viewport"),
      browser: navigator.userAgent,
      answers: this.store.get("answers", []),
    };
  }
};
