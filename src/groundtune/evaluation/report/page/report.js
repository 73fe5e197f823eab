
// The theme button and the filters of the explorer. The page is whole without this script.
(() => {
  "use strict";
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  const remember = (value) => { try { return value === undefined ? localStorage.getItem("groundtune-theme") : localStorage.setItem("groundtune-theme", value); } catch { return null; } };
  const apply = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = "Theme: " + theme;
  };
  let theme = themes.includes(remember()) ? remember() : "auto";
  button.hidden = false;
  apply(theme);
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    remember(theme);
    apply(theme);
  });

  const form = document.getElementById("filters");
  if (!form) return;
  const list = document.getElementById("records");
  const found = document.getElementById("found");
  const records = [...list.children].map((node, index) => ({ node, index, gain: Number(node.dataset.gain), text: null }));
  // Turkish-aware: the two letters i are told apart in Turkish text only
  const lower = (text, language) => text.toLocaleLowerCase(language === "tr" ? "tr" : "en");
  const orders = { "": (a, b) => a.index - b.index, gain: (a, b) => b.gain - a.gain || a.index - b.index, loss: (a, b) => a.gain - b.gain || a.index - b.index };
  let order = "";
  const update = () => {
    const wanted = new FormData(form);
    const words = wanted.get("words").trim();
    let count = 0;
    for (const record of records) {
      const data = record.node.dataset;
      let keep = ["type", "language", "answerable", "outcome"].every((name) => !wanted.get(name) || data[name] === wanted.get(name));
      if (keep && words) {
        record.text ??= lower(record.node.textContent, data.language);
        keep = record.text.includes(lower(words, data.language));
      }
      record.node.hidden = !keep;
      count += keep;
    }
    if (order !== wanted.get("order")) {
      order = wanted.get("order");
      list.append(...[...records].sort(orders[order]).map((record) => record.node));
    }
    found.textContent = count + " of " + records.length + " shown";
  };
  form.hidden = false;
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
})();
