"use strict";
/* The player of a vpbench page. One frame index drives all pictures; they are drawn together.
   A film holds the planes Y, Cb, Cr of every track as grey pictures beside each other. */
(() => {
  const films = new Map(); // element id -> {film, points}
  const waiting = new Map();
  const KEPT = 8; // decoded clips that stay in memory
  const GAIN = 4; // of the difference view
  const SPEEDS = [0.25, 0.5, 1, 2, 4];
  const LATE = 500; // milliseconds
  const MINUS = "\u2212";

  /** What the scripts beside the page call. */
  window.vpbenchFilm = (id, value) => {
    films.set(id, value);
    waiting.get(id)?.(value);
    waiting.delete(id);
  };

  function el(tag, props, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(props || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (key === "text") node.textContent = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  }

  function number(value) {
    if (value === null || value === undefined) return "\u2014";
    const size = Math.abs(value);
    const text = value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3);
    return text.replace("-", MINUS);
  }

  /** Pictures are put and read by the processor, so that is where they should lie. */
  function pen(canvas) {
    return canvas.getContext("2d", { willReadFrequently: true });
  }

  function bytes(base64) {
    const text = atob(base64);
    const out = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) out[i] = text.charCodeAt(i);
    return out;
  }

  function event(target, name) {
    return new Promise((resolve, reject) => {
      target.addEventListener(name, resolve, { once: true });
      target.addEventListener("error", () => reject(new Error("unplayable")), { once: true });
    });
  }

  /** A function that waits until frame t is what the video would paint. A busy browser says "seeked"
      while it still paints the frame before; where it does not say what it presents, as in a tab that
      is hidden, LATE milliseconds must do. */
  function presentation(video, rate) {
    if (!video.requestVideoFrameCallback) return async () => {};
    let last = -1, heard = () => {};
    const hear = (now, metadata) => {
      last = Math.round(metadata.mediaTime * rate);
      heard();
      video.requestVideoFrameCallback(hear);
    };
    video.requestVideoFrameCallback(hear);
    return async (t) => {
      const end = performance.now() + LATE;
      for (let left = LATE; last !== t && left > 0; left = end - performance.now()) {
        await new Promise((resolve) => {
          heard = resolve;
          setTimeout(resolve, left);
        });
      }
    };
  }

  /** The pictures of one clip: [frame][track] -> ImageData; masks likewise. Fills from frame 0 on. */
  class Clip {
    constructor(data, film) {
      this.data = data;
      this.points = film.points || {};
      this.frames = [];
      this.masks = [];
      this.stopped = false;
      this.film = film.film;
    }

    async decode(arrived) {
      const { data } = this;
      const url = URL.createObjectURL(new Blob([bytes(this.film)], { type: "video/mp4" }));
      const video = document.createElement("video");
      Object.assign(video, { muted: true, playsInline: true, preload: "auto" });
      try {
        const loaded = event(video, "loadeddata");
        const presented = presentation(video, data.rate);
        video.src = url;
        await loaded;
        const canvas = document.createElement("canvas");
        canvas.width = video.videoWidth;
        canvas.height = video.videoHeight;
        const pen = canvas.getContext("2d", { willReadFrequently: true });
        for (let t = 0; t < data.frames && !this.stopped; t += 1) {
          const sought = event(video, "seeked");
          video.currentTime = (t + 0.5) / data.rate;
          await sought;
          await presented(t);
          pen.drawImage(video, 0, 0);
          this.read(t, pen.getImageData(0, 0, canvas.width, canvas.height));
          arrived(this, t);
        }
      } finally {
        video.removeAttribute("src");
        video.load();
        URL.revokeObjectURL(url);
      }
      this.film = null;
    }

    /** Put the colours of one frame together. */
    read(t, picture) {
      const { tracks, layout, given } = this.data;
      const { height, width } = layout;
      const corner = (plane) => {
        const row = Math.floor(plane / layout.columns), column = plane % layout.columns;
        return 4 * (row * layout.pitch[0] * picture.width + column * layout.pitch[1]);
      };
      const colour = (plane) => {
        const out = new ImageData(width, height);
        const [a, b, c] = [corner(plane), corner(plane + 1), corner(plane + 2)];
        for (let y = 0, k = 0; y < height; y += 1) {
          let at = 4 * y * picture.width;
          for (let x = 0; x < width; x += 1, k += 4, at += 4) {
            const luma = picture.data[a + at];
            const blue = 1.772 * (picture.data[b + at] - 128);
            const red = 1.402 * (picture.data[c + at] - 128);
            out.data[k] = luma + red;
            out.data[k + 1] = luma - (0.299 * red + 0.114 * blue) / 0.587;
            out.data[k + 2] = luma + blue;
            out.data[k + 3] = 255;
          }
        }
        return out;
      };
      const grey = (plane) => {
        const out = new ImageData(width, height);
        const start = corner(plane);
        for (let y = 0, k = 0; y < height; y += 1) {
          for (let x = 0; x < width; x += 1, k += 4) {
            const value = picture.data[start + 4 * (y * picture.width + x)];
            out.data[k] = out.data[k + 1] = out.data[k + 2] = value;
            out.data[k + 3] = 255;
          }
        }
        return out;
      };
      if (t === 0 && given) {
        const first = colour(tracks[0].plane);
        this.frames.push(tracks.map(() => first));
        this.masks.push(tracks.map(() => null));
        return;
      }
      this.frames.push(tracks.map((track) => colour(track.plane)));
      this.masks.push(tracks.map((track) => (track.mask === null ? null : grey(track.mask))));
    }
  }

  class Player {
    constructor(section) {
      this.section = section;
      this.data = JSON.parse(section.querySelector(".player-data").textContent);
      this.first = this.data.given ? 0 : 1; // what the first picture is called
      this.clips = this.data.clips.map((clip, index) => ({ ...clip, index }));
      this.cache = new Map();
      this.frame = 0;
      this.playing = false;
      this.speed = 1;
      this.view = "picture";
      this.points = false;
      this.build();
      this.list();
      const start = this.shown.find((clip) => clip.inside) || this.shown[0];
      if (start) this.choose(start.index);
    }

    hasFilm(clip) {
      return Boolean(clip.film) && (clip.inside || Boolean(this.data.folder));
    }

    // The page.

    build() {
      const { data } = this;
      const { height, width } = data.layout;
      this.screens = data.tracks.map((track) => {
        const picture = el("canvas", { class: "picture", width, height, role: "img", "aria-label": track.title });
        const overlay = el("canvas", { class: "overlay", width: 4 * width, height: 4 * height, "aria-hidden": "true" });
        const value = el("span", { class: "value" });
        const note = el("span", { class: "note" });
        const figure = el("figure", { class: `track ${track.kind}` },
          el("div", { class: "screen" }, picture, overlay),
          el("figcaption", {}, el("b", { text: track.title }), value, note));
        return { picture, overlay, value, note, figure };
      });
      this.section.classList.toggle("few", data.tracks.length < 5);
      this.stage = el("div", { class: "stage", tabindex: "0", role: "group", "aria-label": "Pictures; space plays, arrow keys step" },
        ...this.screens.map((screen) => screen.figure));
      this.state = el("p", { class: "state", role: "status" });
      this.title = el("p", { class: "clip-title" });
      this.section.append(this.title, this.stage, this.state, this.transport(), this.choices(), this.keys());
      this.section.addEventListener("keydown", (press) => this.key(press));
    }

    button(text, label, action) {
      return el("button", { type: "button", "aria-label": label, title: label, text, onclick: action });
    }

    transport() {
      const last = this.data.frames - 1;
      this.toggle = this.button("Play", "Play or pause", () => this.play(!this.playing));
      this.toggle.classList.add("play");
      this.slider = el("input", {
        type: "range", min: 0, max: last, value: 0, step: 1, "aria-label": "Frame",
        oninput: () => { this.play(false); this.show(Number(this.slider.value)); },
      });
      this.counter = el("output", { class: "counter" });
      const speed = el("select", { "aria-label": "Speed", onchange: () => { this.speed = Number(speed.value); } },
        ...SPEEDS.map((s) => el("option", { value: s, selected: s === 1, text: `${s}\u00d7` })));
      return el("div", { class: "transport" },
        this.button("|\u2039", "First frame", () => this.jump(0)),
        this.button("\u2039", "Previous frame", () => this.step(-1)),
        this.toggle,
        this.button("\u203a", "Next frame", () => this.step(1)),
        this.slider, this.counter, speed);
    }

    choices() {
      const { data } = this;
      const classes = [...new Set(this.clips.map((clip) => clip.class).filter(Boolean))].sort();
      const again = () => this.list(true);
      this.filter = el("select", { onchange: again }, el("option", { value: "", text: "all classes" }),
        ...classes.map((name) => el("option", { value: name, text: name })));
      this.order = el("select", { onchange: again }, el("option", { value: "", text: "clip number" }));
      data.metrics.forEach((metric, m) => {
        const group = el("optgroup", { label: metric.title });
        data.tracks.forEach((track, k) => {
          if (this.clips.some((clip) => clip.values[m][k] !== null)) {
            group.append(el("option", { value: `${m},${k}`, text: `${metric.title} of ${track.title}` }));
          }
        });
        if (group.children.length) this.order.append(group);
      });
      this.worst = el("select", { onchange: again },
        el("option", { value: "", text: "best first" }), el("option", { value: "1", text: "worst first" }));
      this.select = el("select", { class: "clips", onchange: () => this.choose(Number(this.select.value)) });
      const views = [["picture", "pictures"], ["difference", `differences \u00d7${GAIN}`]];
      if (data.tracks.some((track) => track.mask !== null)) views.push(["mask", "masks"]);
      this.viewer = el("select", { onchange: () => { this.view = this.viewer.value; this.show(this.frame); } },
        ...views.map(([value, text]) => el("option", { value, text })));
      this.pointed = el("input", { type: "checkbox", onchange: () => { this.points = this.pointed.checked; this.show(this.frame); } });
      this.pointsLabel = el("label", { class: "check", hidden: true }, this.pointed, " keypoints");
      const label = (text, node) => el("label", {}, el("span", { text }), node);
      return el("div", { class: "choices" },
        label("Class", this.filter), label("Sort by", this.order), label("Order", this.worst),
        el("div", { class: "pick" }, this.button("\u2191", "Previous clip", () => this.move(-1)),
          label("Clip", this.select), this.button("\u2193", "Next clip", () => this.move(1))),
        label("Show", this.viewer), this.pointsLabel);
    }

    keys() {
      const rows = [["space", "play or pause"], ["\u2190 \u2192", "one frame back or on"], ["Home End", "first or last frame"],
        ["\u2191 \u2193", "previous or next clip"], ["d", "differences"], ["m", "masks"], ["k", "keypoints"], ["\u2212 +", "slower or faster"]];
      return el("details", { class: "keys" }, el("summary", { text: "Keys" }),
        el("dl", {}, ...rows.flatMap(([key, what]) => [el("dt", { text: key }), el("dd", { text: what })])));
    }

    // The list of clips.

    list(jump) {
      const [m, k] = this.order.value ? this.order.value.split(",").map(Number) : [null, null];
      const sign = m === null ? 0 : (this.data.metrics[m].direction === "up" ? -1 : 1) * (this.worst.value ? -1 : 1);
      const chosen = this.clips.filter((clip) => !this.filter.value || clip.class === this.filter.value);
      if (m !== null) {
        const value = (clip) => clip.values[m][k];
        chosen.sort((a, b) => {
          if (value(a) === null || value(b) === null) return (value(a) === null) - (value(b) === null) || a.index - b.index;
          return sign * (value(a) - value(b)) || a.index - b.index;
        });
      }
      this.worst.disabled = m === null;
      this.shown = chosen;
      this.select.replaceChildren(...chosen.map((clip) => {
        const parts = [clip.id, clip.class, m === null ? "" : number(clip.values[m][k]), this.hasFilm(clip) ? "" : "no video here"];
        return el("option", { value: clip.index, text: parts.filter(Boolean).join(" \u00b7 ") });
      }));
      this.section.dataset.clips = chosen.length;
      const keep = chosen.some((clip) => clip.index === this.index);
      if (jump && chosen.length && (m !== null || !keep)) {
        this.choose((chosen.find((clip) => this.hasFilm(clip)) || chosen[0]).index);
      } else if (keep) this.select.value = this.index;
    }

    move(by) {
      if (!this.shown.length) return;
      const at = this.shown.findIndex((clip) => clip.index === this.index);
      this.choose(this.shown[(at + by + this.shown.length) % this.shown.length].index);
    }

    /** Show a clip by its place in the data. */
    async choose(index) {
      const clip = this.clips[index];
      this.index = index;
      this.select.value = index;
      this.title.textContent = [clip.id, clip.class].filter(Boolean).join(" \u00b7 ");
      this.section.dataset.clip = clip.id;
      this.section.dataset.index = index;
      this.section.dataset.ready = 0;
      this.screens.forEach((screen, k) => {
        screen.value.textContent = this.data.metrics
          .map((metric, m) => (clip.values[m][k] === null ? "" : `${metric.title} ${number(clip.values[m][k])}`))
          .filter(Boolean).join(" \u00b7 ");
      });
      const wanted = await this.pictures(clip);
      if (this.index !== index) return;
      this.clip = wanted;
      if (wanted) this.show(Math.min(this.frame, Math.max(0, wanted.frames.length - 1)));
      else this.blank();
    }

    blank() {
      this.play(false);
      this.screens.forEach(({ picture, overlay }) => {
        pen(picture).clearRect(0, 0, picture.width, picture.height);
        overlay.getContext("2d").clearRect(0, 0, overlay.width, overlay.height);
      });
    }

    /** The decoded clip, perhaps with its first frame only; null without a film. */
    async pictures(clip) {
      if (!this.hasFilm(clip)) {
        this.say("The video of this clip is not in this page; its scores are.");
        return null;
      }
      for (const other of this.cache.values()) if (other.key !== clip.film) other.stopped = true;
      const known = this.cache.get(clip.film);
      if (known && !known.stopped) {
        this.say("");
        this.section.dataset.ready = known.frames.length;
        return known;
      }
      this.say("Loading\u2026");
      try {
        const made = new Clip(this.data, await this.film(clip));
        made.key = clip.film;
        this.cache.set(clip.film, made);
        if (this.cache.size > KEPT) this.cache.delete(this.cache.keys().next().value);
        await new Promise((resolve, reject) => {
          made.decode((decoded, t) => {
            if (t === 0) resolve();
            if (this.clip === decoded || t === 0) this.section.dataset.ready = decoded.frames.length;
            if (this.clip === decoded && t + 1 === this.data.frames) this.say("");
          }).catch(reject);
        });
        if (this.index === clip.index) this.say("");
        return made;
      } catch (error) {
        this.cache.delete(clip.film);
        if (this.index === clip.index) {
          this.say(error.message === "unplayable" ? "This browser cannot play H.264 video." : "The video of this clip was not found.");
        }
        return null;
      }
    }

    film(clip) {
      const id = `${this.section.id}-${clip.film}`;
      if (films.has(id)) return Promise.resolve(films.get(id));
      const block = document.getElementById(id);
      if (block) return Promise.resolve(JSON.parse(block.textContent));
      if (document.readyState === "loading" && clip.inside) { // films stand at the end of the page
        return new Promise((resolve) => {
          document.addEventListener("DOMContentLoaded", () => resolve(this.film(clip)), { once: true });
        });
      }
      if (!this.data.folder) return Promise.reject(new Error("missing"));
      return new Promise((resolve, reject) => {
        waiting.set(id, resolve);
        const source = el("script", { src: `${this.data.folder}/${clip.film}.js` });
        source.addEventListener("error", () => reject(new Error("missing")));
        document.head.append(source);
      });
    }

    say(text) {
      this.state.textContent = text;
    }

    // Time.

    play(on) {
      if (on && !this.clip) return;
      this.playing = on;
      this.toggle.textContent = on ? "Pause" : "Play";
      this.section.dataset.playing = on;
      if (!on) return;
      let due = null;
      const tick = (now) => {
        if (!this.playing) return;
        const each = 1000 / (this.data.fps * this.speed);
        if (due === null) due = now + each;
        if (now >= due && this.clip) {
          const next = (this.frame + 1) % this.data.frames;
          if (next < this.clip.frames.length) {
            this.show(next);
            due = Math.max(due + each, now);
            if (next === this.data.frames - 1) due += 400; // the last frame stands for a moment
          }
        }
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }

    jump(t) {
      this.play(false);
      this.show(t);
    }

    step(by) {
      this.jump((this.frame + by + this.data.frames) % this.data.frames);
    }

    /** Draw frame t of every track. */
    show(t) {
      const pictures = this.clip?.frames[t];
      if (!pictures) return;
      this.frame = t;
      const masks = this.clip.masks[t];
      const predicted = !(this.data.given && t === 0);
      this.screens.forEach((screen, k) => {
        let picture = pictures[k];
        let note = predicted ? "" : "given";
        if (this.view === "difference" && k > 0) picture = difference(pictures[0], picture);
        if (this.view === "mask" && predicted) {
          if (masks[k]) picture = masks[k];
          else if (k > 0) note = "no mask";
        }
        screen.note.textContent = note;
        pen(screen.picture).putImageData(picture, 0, 0);
        this.draw(screen.overlay, this.points ? this.pointsOf(k, t) : null);
      });
      this.pointsLabel.hidden = !Object.keys(this.clip.points).length;
      this.slider.value = t;
      const name = t + this.first;
      const text = name === 0 ? "given" : `frame ${name} of ${this.data.frames - 1 + this.first}`;
      this.counter.textContent = text;
      this.slider.setAttribute("aria-valuetext", text);
      this.section.dataset.frame = t;
    }

    pointsOf(k, t) {
      const path = this.clip.points[k];
      return path ? path[t + path.length - this.data.frames] || null : null;
    }

    draw(overlay, points) {
      const pen = overlay.getContext("2d");
      pen.clearRect(0, 0, overlay.width, overlay.height);
      if (!points) return;
      const { height, width } = this.data.layout;
      const count = points.length / 3;
      for (let p = 0; p < count; p += 1) {
        const [x, y, sure] = points.slice(3 * p, 3 * p + 3);
        if (!sure) continue;
        pen.beginPath();
        pen.arc(4 * ((x / 1000) * (width - 1) + 0.5), 4 * ((y / 1000) * (height - 1) + 0.5), width / 16, 0, 7);
        pen.fillStyle = `hsl(${(360 * p) / count} 90% 55% / ${0.35 + (0.65 * sure) / 100})`;
        pen.fill();
        pen.lineWidth = width / 64;
        pen.strokeStyle = "#000b";
        pen.stroke();
      }
    }

    key(press) {
      if (press.altKey || press.ctrlKey || press.metaKey) return;
      const target = press.target;
      const typing = target.matches("select, input, summary");
      if (typing || (press.key === " " && target.matches("button"))) return;
      const toggle = (view) => { this.view = this.view === view ? "picture" : view; this.viewer.value = this.view; this.show(this.frame); };
      const speed = (by) => {
        const box = this.section.querySelector("select[aria-label=Speed]");
        this.speed = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(this.speed) + by))];
        box.value = this.speed;
      };
      const actions = {
        " ": () => this.play(!this.playing),
        ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1),
        ArrowUp: () => this.move(-1), ArrowDown: () => this.move(1),
        Home: () => this.jump(0), End: () => this.jump(this.data.frames - 1),
        d: () => toggle("difference"),
        m: () => { if (this.data.tracks.some((track) => track.mask !== null)) toggle("mask"); },
        k: () => { this.pointed.checked = this.points = !this.points; this.show(this.frame); },
        "-": () => speed(-1), "+": () => speed(1),
      };
      const action = actions[press.key];
      if (!action) return;
      press.preventDefault();
      action();
    }
  }

  function difference(real, other) {
    const out = new ImageData(real.width, real.height);
    for (let i = 0; i < out.data.length; i += 4) {
      for (let c = 0; c < 3; c += 1) out.data[i + c] = GAIN * Math.abs(real.data[i + c] - other.data[i + c]);
      out.data[i + 3] = 255;
    }
    return out;
  }

  function start() {
    for (const section of document.querySelectorAll("section.player")) {
      if (!section.vpbenchPlayer) section.vpbenchPlayer = new Player(section);
    }
  }
  start(); // what stands above this script is there already
  document.addEventListener("DOMContentLoaded", start);
})();
