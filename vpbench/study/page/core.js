"use strict";

/* Shared by all parts of the page: elements, storage, speech for screen readers. */
const Study = (() => {
  /** An element: tag, properties (class, text, on..., data-..., aria-...), children. */
  function el(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name === "text") node.textContent = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  /** Show a screen and put the focus on its heading, so that screen readers begin there. */
  function show(...children) {
    const screen = document.getElementById("screen");
    screen.replaceChildren(...children);
    const heading = screen.querySelector("h1");
    if (heading) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
    window.scrollTo(0, 0);
  }

  /** Say something to screen readers. */
  function speak(text) {
    document.getElementById("spoken").textContent = text;
  }

  const letter = (slot) => String.fromCharCode(65 + slot);

  const ordinal = (rank) => `${rank}${["th", "st", "nd", "rd"][rank > 3 ? 0 : rank]}`;

  /** Values that survive a reload; in memory only where the browser keeps nothing. */
  class Store {
    constructor(key) {
      this.key = key;
      this.kept = true;
      this.values = {};
      try {
        this.values = JSON.parse(localStorage.getItem(key) || "{}");
        localStorage.setItem(key, JSON.stringify(this.values));
      } catch {
        this.kept = false;
      }
    }

    get(name, otherwise) {
      return name in this.values ? this.values[name] : otherwise;
    }

    set(name, value) {
      this.values[name] = value;
      try {
        localStorage.setItem(this.key, JSON.stringify(this.values));
      } catch {
        this.kept = false;
      }
    }

    clear() {
      this.values = {};
      try {
        localStorage.removeItem(this.key);
      } catch {
        this.kept = false;
      }
    }
  }

  /** 32 random hex digits. */
  function token() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  /** Load a script of this folder, as a sheet. */
  function script(source) {
    return new Promise((resolve, reject) => {
      const node = el("script", { src: source, onload: resolve, onerror: () => reject(new Error(source)) });
      document.head.append(node);
    });
  }

  return { el, show, speak, letter, ordinal, Store, token, wait, script };
})();
