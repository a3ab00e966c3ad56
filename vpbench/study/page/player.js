"use strict";

/* Videos of a trial, loaded whole, begun together, repeated together. */
Study.media = {
  urls: new Map(),
  ending: null,

  /** The first form of video that this browser plays. */
  kind() {
    if (!this.ending) {
      const plays = (type) => document.createElement("video").canPlayType(type) !== "";
      this.ending = plays('video/mp4; codecs="avc1.64000d"') || !plays('video/webm; codecs="vp9"') ? "mp4" : "webm";
    }
    return this.ending;
  },

  /** An address that is played without the network: the whole file is here. */
  url(name) {
    const file = `media/${name}.${this.kind()}`;
    if (location.protocol === "file:") return Promise.resolve(file);
    if (!this.urls.has(file)) this.urls.set(file, this.load(file));
    return this.urls.get(file);
  },

  async load(file) {
    for (let pause = 500; ; pause = Math.min(2 * pause, 8000)) {
      try {
        const answer = await fetch(file);
        if (answer.ok) return URL.createObjectURL(await answer.blob());
      } catch {
        // no connection: try again
      }
      await Study.wait(pause);
    }
  },

  prefetch(names) {
    if (location.protocol !== "file:") for (const name of names) this.url(name);
  },

  /** Forget all videos but these. */
  async keep(names) {
    const wanted = new Set(names.map((name) => `media/${name}.${this.kind()}`));
    for (const [file, loading] of [...this.urls]) {
      if (wanted.has(file)) continue;
      this.urls.delete(file);
      loading.then((url) => URL.revokeObjectURL(url));
    }
  },
};

Study.Player = class {
  /**
   * @param names media names by slot
   * @param changed called when something was played, loaded or stopped
   */
  constructor(names, changed) {
    this.names = names;
    this.changed = changed;
    this.plays = new Array(names.length).fill(0);
    this.ready = false;
    this.running = false;
    this.closed = false;
    this.round = 0;
    this.node = this.build();
    this.prepare();
  }

  get allPlayed() {
    return this.plays.every((count) => count > 0);
  }

  build() {
    const { el, letter } = Study;
    const side = Study.bundle.side;
    this.marks = [];
    this.videos = this.names.map((_, slot) => {
      const video = el("video", {
        muted: true, playsinline: true, preload: "auto", width: side, height: side,
        disablepictureinpicture: true, "aria-label": `Video ${letter(slot)}`,
      });
      video.muted = true; // the attribute alone does not count for elements made by scripts
      video.addEventListener("ended", () => this.ended(slot));
      video.addEventListener("error", () => this.failed());
      return video;
    });
    const figures = this.videos.map((video, slot) => {
      const mark = el("span", { class: "seen", text: "not played yet" });
      this.marks.push(mark);
      return el("figure", {}, video, el("figcaption", {}, el("b", { text: letter(slot) }), mark));
    });
    this.toggle = el("button", { type: "button", class: "quiet", onclick: () => this.flip(), text: "Pause" });
    this.again = el("button", { type: "button", class: "quiet", onclick: () => this.start(), text: "Play again" });
    this.state = el("span", { class: "loading", role: "status", text: "Loading videos…" });
    return el("section", { class: "player", "aria-label": "Videos" },
      el("div", { class: `videos of${this.names.length}` }, ...figures),
      el("div", { class: "controls" }, this.again, this.toggle, this.state));
  }

  async prepare() {
    const urls = await Promise.all(this.names.map((name) => Study.media.url(name)));
    if (this.closed) return;
    await Promise.all(this.videos.map((video, slot) => new Promise((resolve) => {
      video.addEventListener("canplaythrough", resolve, { once: true });
      video.src = urls[slot];
      video.load();
    })));
    if (this.closed) return;
    this.ready = true;
    this.state.textContent = "";
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (still) this.wait("Press “Play” to start the videos.");
    else this.start();
    this.changed();
  }

  /** All from the beginning, at once. */
  async start() {
    if (!this.ready || this.closed) return;
    this.round += 1;
    const round = this.round;
    this.running = true;
    this.over = new Set();
    this.videos.forEach((video) => video.pause());
    await Promise.all(this.videos.map((video) => this.rewind(video)));
    if (round !== this.round || !this.running) return;
    this.label();
    try {
      await Promise.all(this.videos.map((video) => video.play()));
    } catch (error) {
      if (error.name === "NotAllowedError") this.wait("Press “Play” to start the videos.");
    }
  }

  rewind(video) {
    if (video.currentTime === 0) return Promise.resolve();
    return new Promise((resolve) => {
      video.addEventListener("seeked", resolve, { once: true });
      video.currentTime = 0;
    });
  }

  async ended(slot) {
    this.plays[slot] += 1;
    this.marks[slot].textContent = "played";
    this.marks[slot].classList.add("yes");
    this.over.add(slot);
    this.changed();
    if (this.over.size < this.videos.length || !this.running) return;
    const round = this.round;
    await Study.wait(500); // the last frame stands for a moment, so that the jump is not part of it
    if (round === this.round && this.running && !this.closed) this.start();
  }

  /** Another form of the same videos, if this one cannot be played. */
  failed() {
    if (this.closed || this.replaced || Study.media.ending === "webm") {
      this.state.textContent = "A video cannot be played by this browser.";
      return;
    }
    this.replaced = true;
    Study.media.ending = "webm";
    this.prepare();
  }

  flip() {
    if (!this.ready) return;
    if (!this.running) {
      this.start();
      return;
    }
    this.wait("");
  }

  /** Stand still until somebody presses Play. */
  wait(text) {
    this.running = false;
    this.videos.forEach((video) => video.pause());
    this.state.textContent = text;
    this.label();
  }

  label() {
    this.toggle.textContent = this.running ? "Pause" : "Play";
    if (this.running) this.state.textContent = "";
  }

  close() {
    this.closed = true;
    this.running = false;
    this.videos.forEach((video) => {
      video.pause();
      video.removeAttribute("src");
      video.load();
    });
  }
};
