"use strict";

/* The way through the study: consent, instructions, trials, end. */
(() => {
  const { el, show } = Study;
  const bundle = Study.bundle;
  const link = new Study.Link();
  const AHEAD = 3; // trials whose videos are loaded in advance

  const minutes = () => {
    const one = 6 * bundle.questions.length + (2.5 * bundle.frames) / bundle.fps + 4;
    return Math.max(1, Math.round((bundle.trials * one) / 60));
  };

  function banner() {
    const node = document.getElementById("banner");
    const texts = [];
    if (bundle.trial) texts.push("Trial version: the organiser and the contact of this study are not filled in yet.");
    if (!link.store.kept) texts.push("This browser does not keep data: do not reload the page before the end.");
    node.textContent = texts.join(" ");
    node.hidden = texts.length === 0;
  }

  function consent() {
    const texts = bundle.texts;
    const part = (title, text) => (text ? el("div", {}, el("dt", { text: title }), el("dd", { text })) : null);
    const age = el("input", { type: "checkbox", id: "age" });
    const agree = el("input", { type: "checkbox", id: "agree" });
    const problem = el("p", { class: "problem", role: "alert" });
    const next = el("button", { type: "button", class: "main", text: "Take part", onclick: () => {
      if (!age.checked || !agree.checked) {
        problem.textContent = "Please tick both boxes to take part, or close this page.";
        return;
      }
      instructions();
    } });
    show(el("div", { class: "card text" },
      el("h1", { text: texts.title }),
      el("p", { class: "lead", text: texts.purpose }),
      el("dl", {},
        part("How long it takes", `About ${minutes()} minutes: ${bundle.trials} screens with ${bundle.slots} short videos each, without sound. You can take breaks.`),
        part("Payment", texts.payment),
        part("What is recorded", texts.data),
        part("Stopping", texts.withdrawal),
        part("Who runs this study", texts.organiser),
        part("Contact", texts.contact),
        part("Ethics approval", texts.ethics)),
      el("div", { class: "ticks" },
        el("label", {}, age, " I am 18 years old or older."),
        el("label", {}, agree, " I have read the above and agree to take part.")),
      problem, next));
  }

  function instructions() {
    const problem = el("p", { class: "problem", role: "alert" });
    const choice = (value, text) => el("label", {}, el("input", { type: "radio", name: "check", value }), ` ${text}`);
    const next = el("button", { type: "button", class: "main", text: "Start", onclick: async () => {
      const chosen = document.querySelector("input[name=check]:checked");
      if (!chosen) problem.textContent = "Please answer the question above.";
      else if (chosen.value !== "best") problem.textContent = "Not quite: rank 1 is for the best video. Please choose again.";
      else await begin();
    } });
    show(el("div", { class: "card text" },
      el("h1", { text: "How it works" }),
      el("ol", { class: "steps" },
        el("li", { text: `On every screen, ${bundle.slots} videos start together and repeat. Watch each of them to its end at least once.` }),
        el("li", {}, "Put the letters of the videos in order, best first, ",
          bundle.questions.length > 1 ? `once for each of ${bundle.questions.length} questions:` : "by this question:",
          el("ul", {}, ...bundle.questions.map((q) => el("li", {}, el("b", { text: q.title }), ` – ${q.text}`)))),
        el("li", { text: "Drag a letter to its place, or tap it. With the keyboard: Tab to a letter, then press a number. There is a table of buttons, too, if you prefer that." })),
      el("p", { text: "There are no right answers to most screens; your own impression counts." }),
      el("fieldset", {}, el("legend", { text: "To check that this is clear: which video gets rank 1?" }),
        choice("worst", "The worst video"), choice("best", "The best video"), choice("first", "The video that comes first on the screen")),
      problem, next));
  }

  async function begin() {
    show(el("div", { class: "card text" }, el("h1", { text: "One moment…" }), el("p", { text: "Connecting." })));
    try {
      await link.begin();
    } catch (error) {
      failed(error);
      return;
    }
    proceed();
  }

  function failed(error) {
    show(el("div", { class: "card text" }, el("h1", { text: "The study cannot continue" }),
      el("p", { text: `${error.message}. Please reload the page, or write to ${bundle.texts.contact || "the organisers"}.` })));
  }

  function proceed() {
    if (link.store.get("withdrawn")) withdrawn();
    else {
      const answered = link.answered;
      const index = Study.sheet.findIndex((_, k) => !answered.has(k));
      if (index < 0) end();
      else trial(index, answered.size);
    }
  }

  function trial(index, done) {
    const total = Study.sheet.length;
    const ahead = Study.sheet.slice(index, index + 1 + AHEAD).flatMap((t) => t.slots);
    Study.media.keep(ahead);
    const now = new Study.Trial(link, index, proceed);
    const state = el("span", { class: "connection", role: "status" });
    link.changed = () => {
      const waiting = link.pending.length;
      state.textContent = link.online ? "" : `No connection: ${waiting ? `${waiting} answer${waiting > 1 ? "s are" : " is"} kept here and sent later` : "trying again"}.`;
    };
    link.changed();
    show(el("header", { class: "bar" },
      el("h1", { text: `Screen ${done + 1} of ${total}` }),
      el("progress", { max: total, value: done, "aria-label": "Progress" }),
      state,
      el("button", { type: "button", class: "link leave", text: "Stop and withdraw", onclick: () => leave(now) })),
    now.node);
    // The second click of a double click must not fall on what stands there now.
    now.node.classList.add("settling");
    setTimeout(() => now.node.classList.remove("settling"), 500);
    Study.media.prefetch(ahead);
  }

  function leave(now) {
    const dialog = el("dialog", { class: "card text", "aria-labelledby": "leave" },
      el("h2", { id: "leave", text: "Stop and withdraw?" }),
      el("p", { text: "Your answers will not be used, and you cannot come back." }),
      el("div", { class: "buttons" },
        el("button", { type: "button", class: "main", text: "Continue the study", onclick: () => dialog.close() }),
        el("button", { type: "button", class: "quiet", text: "Withdraw", onclick: async () => {
          dialog.close();
          now.close();
          await link.withdraw();
          withdrawn();
        } })));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  function withdrawn() {
    show(el("div", { class: "card text" }, el("h1", { text: "You have withdrawn" }),
      el("p", { text: "Your answers will not be used. You can close this page." })));
  }

  async function end() {
    if (link.alone) {
      handOver();
      return;
    }
    show(el("div", { class: "card text" }, el("h1", { text: "Storing your last answers…" }),
      el("p", { text: "Please leave this page open for a moment." })));
    let reply;
    try {
      reply = await link.finish();
    } catch (error) {
      failed(error);
      return;
    }
    const node = el("div", { class: "card text" }, el("h1", { text: "Thank you!" }),
      el("p", { text: "All your answers are stored." }));
    if (reply.code) node.append(el("p", {}, "Your completion code: ", el("b", { class: "code", text: reply.code })));
    if (reply.url) {
      node.append(el("p", {}, el("a", { class: "main", href: reply.url, text: "Complete the study" })),
        el("p", { class: "explain", text: "You will be taken there in a few seconds." }));
      setTimeout(() => location.assign(reply.url), 5000);
    } else node.append(el("p", { text: "You can close this page." }));
    node.append(another());
    show(node);
  }

  /** On a shared computer the next rater begins from the start. */
  function another() {
    if (link.prolific) return "";
    return el("p", {}, el("button", { type: "button", class: "link", text: "Start for another participant on this computer",
      onclick: () => {
        link.store.clear();
        location.reload();
      } }));
  }

  function handOver() {
    const data = new Blob([`${JSON.stringify(link.file(), null, 1)}\n`], { type: "application/json" });
    const name = `answers-${bundle.study}-${link.store.get("session").slice(0, 8)}.json`;
    const contact = bundle.texts.contact;
    show(el("div", { class: "card text" }, el("h1", { text: "Thank you!" }),
      el("p", { text: "Your answers are in this browser only. Please save them as a file and " +
        `${contact ? `send the file to ${contact}` : "give the file to the organisers"}.` }),
      el("p", {}, el("a", { class: "main", href: URL.createObjectURL(data), download: name, text: "Download my answers" })),
      another()));
  }

  async function start() {
    document.title = bundle.texts.title;
    await link.look();
    banner();
    if (link.store.get("withdrawn")) withdrawn();
    else if (link.begun) await begin();
    else consent();
  }

  start();
})();
