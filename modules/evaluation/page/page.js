"use strict";
// The list of examples and its filters; which pair and which confusion is shown; figures under the pointer in charts.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const questions = data.questions, texts = questions.texts;
  const AT_ONCE = 24;
  const find = (id) => document.getElementById(id);

  function element(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  function mark(model) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", `swatch m${model}`);
    svg.setAttribute("viewBox", "-7 -7 14 14");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#mark${model % 4}`);
    svg.append(use);
    return svg;
  }

  // --- examples

  const isRight = (model, index) => questions.given[model][index] === questions.truth[index];
  const isMissing = (model, index) => questions.given[model][index] < 0;
  const isNear = (model, index) =>
    !isRight(model, index) && (questions.best[model][index] || []).includes(questions.truth[index]);
  const hasPicture = (video) => Object.hasOwn(data.pictures, video);
  const everyModel = data.models.map((_, model) => model);

  function hasOutcome(outcome, index) {
    const [kind, ...models] = outcome.split(":");
    const [model, other] = models.map(Number);
    switch (kind) {
      case "all-right": return everyModel.every((one) => isRight(one, index));
      case "all-wrong": return everyModel.every((one) => !isRight(one, index));
      case "differ": return new Set(everyModel.map((one) => isRight(one, index))).size > 1;
      case "flipped":
        return !isRight(model, index) && isRight(other, index) && !isMissing(model, index);
      case "right": return isRight(model, index);
      case "wrong": return !isRight(model, index) && !isMissing(model, index);
      case "near": return isNear(model, index);
      case "missing": return isMissing(model, index);
      default: return true;
    }
  }

  const searched = questions.qid.map((qid, index) => {
    const given = everyModel.filter((model) => !isMissing(model, index)).map((model) => texts[questions.given[model][index]]);
    const parts = [questions.question[index], questions.truth[index], questions.video[index]].map((number) => texts[number]);
    return [qid, ...parts, ...given].join("\n").toLowerCase();
  });

  let matches = [], shown = 0;

  function filter() {
    const outcome = find("outcome").value, category = find("category").value;
    const words = find("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const pictured = find("pictured") !== null && find("pictured").checked;
    matches = questions.qid.map((_, index) => index).filter((index) =>
      hasOutcome(outcome, index)
      && (category === "" || questions.in[index].includes(Number(category)))
      && (!pictured || hasPicture(texts[questions.video[index]]))
      && words.every((word) => searched[index].includes(word)));
    shown = 0;
    find("cards").replaceChildren();
    showMore();
  }

  function showMore() {
    const next = matches.slice(shown, shown + AT_ONCE);
    find("cards").append(...next.map(card));
    shown += next.length;
    find("more").hidden = shown >= matches.length;
    const number = (count) => count.toLocaleString("en");
    find("found").textContent = matches.length === 0
      ? "No question fits."
      : `${number(matches.length)} of ${number(questions.qid.length)} listed questions; ${number(shown)} shown`;
    return next.length;
  }

  function card(index) {
    const video = texts[questions.video[index]], truth = texts[questions.truth[index]];
    const item = element("li");
    if (hasPicture(video)) {
      item.append(element("img", { src: data.pictures[video], alt: `six frames of the video ${video}, in order`, width: 344, height: 228 }));
    }
    item.append(element("p", { class: "ask" }, texts[questions.question[index]]));
    const list = element("dl", { class: "given" }, element("dt", {}, "true answer"), element("dd", {}, element("b", {}, truth)));
    const best = [];
    for (const model of everyModel) {
      const right = isRight(model, index), missing = isMissing(model, index);
      const verdict = missing ? "– missing" : `${right ? "✓" : "✗"} ${texts[questions.given[model][index]]}`;
      const said = right ? " (right)" : " (wrong)";
      list.append(
        element("dt", {}, mark(model), ` ${data.models[model]}`),
        element("dd", { class: right ? "good" : "bad" }, verdict, missing ? "" : element("span", { class: "unseen" }, said)));
      if (questions.best[model][index]) best.push([model, questions.best[model][index]]);
    }
    item.append(list);
    if (best.length) {
      const details = element("details", {}, element("summary", {}, `best ${best[0][1].length} answers`));
      for (const [model, answers] of best) {
        details.append(
          element("p", {}, mark(model), ` ${data.models[model]}`),
          element("ol", {}, ...answers.map((answer) =>
            element("li", answer === questions.truth[index] ? { class: "good" } : {}, texts[answer] + (answer === questions.truth[index] ? " ✓" : "")))));
      }
      item.append(details);
    }
    const more = element("button", { type: "button", class: "plain", title: "all questions about this video" }, video);
    more.addEventListener("click", () => look("", "", video));
    const labels = questions.in[index].map((category) => questions.categories[category].join(": ")).join(" · ");
    item.append(element("p", { class: "where" }, more, ` · ${questions.qid[index]} · ${labels}`));
    return item;
  }

  function look(outcome, category, text) {
    find("outcome").value = outcome;
    find("category").value = category;
    find("text").value = text;
    if (find("pictured")) find("pictured").checked = false;
    filter();
    find("examples").scrollIntoView();
    find("outcome").focus({ preventScroll: true });
  }

  find("filters").addEventListener("input", filter);
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("filters").addEventListener("reset", () => setTimeout(filter));
  find("more").addEventListener("click", () => {
    const before = shown;
    showMore();
    const first = find("cards").children[before];
    first.setAttribute("tabindex", "-1");
    first.focus({ preventScroll: true });
  });
  for (const link of document.querySelectorAll('a[href="#examples"][data-category]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const { outcome = "", category, label } = link.dataset;
      const place = questions.categories.findIndex(([title, name]) => title === category && name === label);
      look(outcome, place < 0 ? "" : String(place), "");
    });
  }
  filter();

  // --- choices of a table

  for (const kind of ["pair", "confusion"]) {
    const choice = find(kind);
    if (choice === null) continue;
    const show = () => {
      for (const part of document.querySelectorAll(`.${kind}`)) part.hidden = part.dataset[kind] !== choice.value;
    };
    choice.addEventListener("input", show);
    show();
  }

  // --- curves

  for (const figure of document.querySelectorAll(".panel[data-panel]")) {
    const panel = data.panels[Number(figure.dataset.panel)];
    const svg = figure.querySelector(".plot svg"), cursor = figure.querySelector(".cursor");
    const [caption, ...outputs] = figure.querySelectorAll("output");
    const clear = () => {
      cursor.setAttribute("hidden", "");
      for (const output of [caption, ...outputs]) output.textContent = "";
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      const step = panel.steps[0] + share * (panel.steps[1] - panel.steps[0]);
      cursor.removeAttribute("hidden");
      cursor.setAttribute("x1", 100 * share);
      cursor.setAttribute("x2", 100 * share);
      caption.textContent = `near step ${Math.round(step).toLocaleString("en")}`;
      panel.lines.forEach((points, place) => {
        const nearest = points.reduce((best, point) => (Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best));
        outputs[place].textContent = `${panel.stages[place]} ${Number(nearest[1].toPrecision(4))}`;
      });
    });
    svg.addEventListener("pointerleave", clear);
  }
})();
