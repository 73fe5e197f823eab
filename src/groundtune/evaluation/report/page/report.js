
// The theme button, and the list of all questions with its filters. Without this script the rest of the page is whole.
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

  // what is printed of the folded parts is in the stylesheet; this is for browsers that do not know its selector
  const folded = () => CSS.supports("selector(::details-content)") ? [] : document.querySelectorAll("main details:not(.screen, .context, .config, .record)");
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...folded()].filter((each) => !each.open);
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });

  const form = document.getElementById("filters");
  const held = document.getElementById("questions");
  if (!form || !held) return;
  const { systems, measures, chunks, records } = JSON.parse(held.textContent);
  const list = document.getElementById("records");
  const found = document.getElementById("found");
  const more = document.getElementById("more");
  const PAGE = 25;

  // text goes in as text, never as markup
  const make = (name, { lang, text, ...attributes } = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (value) node.setAttribute(key === "kind" ? "class" : key, value);
    if (lang) {
      node.lang = lang;
      // what turns the direction of writing ends with the text it stands in
      node.dir = "auto";
    }
    if (text !== undefined) node.textContent = text;
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  };
  const plural = (count, one) => count.toLocaleString("en") + " " + one + (count === 1 ? "" : "s");
  const places = (value) => value === null ? "–" : value.toFixed(2);

  const marked = (text, unsupported) => {
    if (!unsupported.length) return [text];
    const quoted = [...unsupported].sort((a, b) => b.length - a.length).map((each) => each.replace(/[.*+?^${}()|[\]\\\/]/g, "\\$&"));
    const parts = text.split(new RegExp("(?<![\\p{L}\\p{N}_])(?<!\\d[.,])(" + quoted.join("|") + ")(?![\\p{L}\\p{N}_]|[.,]\\d)", "u"));
    return parts.map((part, place) => place % 2 ? make("mark", { text: part }) : part);
  };

  const answerOf = (record, answer, system) => {
    const marks = [];
    const mark = (text, kind) => marks.push(make("span", { kind, text }));
    const value = (label) => answer.values[measures.findIndex((measure) => measure.label === label)];
    if (record.answerable) mark("F1 " + places(answer.values[0]));
    if (value("Exact match")) mark("exact", "good");
    if (answer.refused) mark("refused", record.answerable ? "bad" : "good");
    else if (!record.answerable) mark("not refused", "bad");
    if (!answer.stopped) mark("cut at the limit", "bad");
    if (value("Repetition")) mark("repeats", "bad");
    if (answer.unsupported.length) mark(answer.unsupported.length + (answer.unsupported.length === 1 ? " number or code" : " numbers or codes") + " not in the passages", "bad");
    mark(plural(answer.tokens, "token"));
    const text = answer.text ? make("p", { lang: record.language }, ...marked(answer.text, answer.unsupported)) : make("p", { kind: "empty", text: "(empty answer)" });
    return make("div", { kind: "answer " + system.kind }, make("h4", {}, make("span", { kind: "key " + system.kind, text: system.label })), text, make("p", { kind: "marks" }, ...marks.flatMap((each) => [each, " "])));
  };

  const passageOf = (record, index) => {
    const [id, place, text] = chunks[index];
    return make("li", {}, place ? make("code", { text: place }) : "", " " + id + " ", record.evidence.includes(index) ? make("b", { text: "evidence" }) : "",
      text ? make("blockquote", { lang: record.language, text: text.trim() }) : "");
  };

  const passagesOf = (record) => record.answers.flatMap((answer, place) => {
    const missing = record.answerable ? record.evidence.filter((index) => !answer.chunks.includes(index)) : [];
    const same = place > 0 && record.answers[place - 1].chunks.join() === answer.chunks.join();
    if (!answer.chunks.length || same) return [];
    return [make("details", { kind: "context" },
      make("summary", {}, plural(answer.chunks.length, "passage") + " in the prompt", missing.length ? make("b", { kind: "bad", text: ", " + plural(missing.length, "evidence passage") + " missing" }) : ""),
      make("ul", {}, ...answer.chunks.map((index) => passageOf(record, index))),
      missing.length ? make("p", { text: "Evidence that was not in the prompt:" }) : "",
      missing.length ? make("ul", {}, ...missing.map((index) => passageOf(record, index))) : "")];
  });

  const measuresOf = (record) => {
    const shown = (value, measure) => value === null ? "–" : measure.rate ? (value ? "yes" : "no") : value.toFixed(2);
    const head = make("tr", {}, make("th", { scope: "col", text: "Measure" }), ...systems.map((system) => make("th", { scope: "col", kind: "num", text: system.label })));
    const rows = measures.map((measure, place) => make("tr", {}, make("th", { scope: "row", text: measure.label }), ...record.answers.map((answer) => make("td", { kind: "num", text: shown(answer.values[place], measure) }))));
    return make("details", { kind: "context" }, make("summary", { text: "All measures" }), make("div", { kind: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))));
  };

  const fill = (node, record) => {
    const told = [record.type, record.difficulty, record.rule.replaceAll("_", " "), record.answerable ? "" : "unanswerable", record.error ? "error: " + record.error : "",
      record.answerable && record.looked && record.evidence.length ? (record.rank ? "evidence found at place " + record.rank : "evidence not among " + record.looked + " found") : ""].filter(Boolean).join(" · ");
    node.append(
      make("p", { kind: "tags" }, told + " · ", make("code", { text: record.id }), record.pair ? " from pair " : "", record.pair ? make("code", { text: record.pair }) : ""),
      make("div", { kind: "reference" }, make("h4", { text: record.references.length === 1 ? "Reference" : "References, any of which will do" }), ...record.references.map((text) => make("p", { lang: record.language, text }))),
      make("div", { kind: "side" }, ...record.answers.map((answer, place) => answerOf(record, answer, systems[place]))),
      ...passagesOf(record),
      record.own ? make("p", { kind: "context", text: "The question brought its own passages, which stand in its file." }) : "",
      measuresOf(record));
  };

  const nodes = new Map();
  const nodeOf = (record) => {
    if (!nodes.has(record)) {
      const scores = record.answerable ? record.answers.slice(-2).map((answer) => places(answer.values[0])).join(" → ") : "unanswerable";
      const node = make("details", { kind: "record" }, make("summary", {}, make("span", { lang: record.language, text: record.question }), " ", make("em", { kind: record.outcome, text: record.outcome }), " ",
        make("small", { text: (record.answerable ? "F1 " : "") + scores })));
      node.addEventListener("toggle", () => { if (node.open && node.children.length === 1) fill(node, record); });
      nodes.set(record, node);
    }
    return nodes.get(record);
  };

  // Turkish-aware: the two letters i are told apart in Turkish text only
  const lower = (text, language) => text.toLocaleLowerCase(language === "tr" ? "tr" : "en");
  const texts = new Map();
  const textOf = (record) => {
    if (!texts.has(record)) texts.set(record, lower([record.id, record.question, ...record.references, ...record.answers.map((answer) => answer.text)].join("\n"), record.language));
    return texts.get(record);
  };
  const filters = {
    type: (record) => record.type,
    language: (record) => record.language,
    answerable: (record) => record.answerable ? "yes" : "no",
    outcome: (record) => record.outcome,
    error: (record) => record.error,
  };
  const orders = { gain: (a, b) => b.gain - a.gain, loss: (a, b) => a.gain - b.gain };
  let kept = [];
  let shown = 0;
  const grow = (least = 0) => {
    const until = Math.min(kept.length, Math.max(shown + PAGE, least));
    list.append(...kept.slice(shown, until).map(nodeOf));
    shown = until;
    more.hidden = shown === kept.length;
    more.textContent = "Show " + Math.min(PAGE, kept.length - shown) + " more";
    found.textContent = kept.length.toLocaleString("en") + " of " + plural(records.length, "question") + (shown < kept.length ? ", the first " + shown + " shown" : "");
  };
  const update = () => {
    const wanted = new FormData(form);
    const words = (wanted.get("words") ?? "").trim();
    const asked = Object.entries(filters).filter(([name]) => wanted.get(name));
    kept = records.filter((record) => asked.every(([name, of]) => of(record) === wanted.get(name)) && (!words || textOf(record).includes(lower(words, record.language))));
    if (orders[wanted.get("order")]) kept.sort(orders[wanted.get("order")]);
    list.replaceChildren();
    shown = 0;
    grow();
  };
  form.hidden = false;
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => grow());
  update();

  // a link to one question, or to all of one kind of error
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-question], a[data-error]");
    if (!link) return;
    form.reset();
    if (link.dataset.error && form.elements.error) form.elements.error.value = link.dataset.error;
    update();
    const place = kept.findIndex((record) => record.id === link.dataset.question);
    if (place < 0) return;
    event.preventDefault();
    if (place >= shown) grow(place + 1);
    const node = nodeOf(kept[place]);
    node.open = true;
    node.scrollIntoView({ block: "start" });
    node.firstElementChild.focus({ preventScroll: true });
  });
})();
