"use strict";
/* What stands in the page is shown in parts: the rows that match, and what is left at a threshold. Without this script,
   and on paper, the page stands at its default. Every text is written as text; none is ever read as HTML. */

const PAGE = 20;
// Characters of a field that stand there unfolded, and slices that are named below a row.
const LONG = 120, NAMED = 3;
const MARKS = ["", "found", "missed", "invented", "otherwise"];

/** An element with a class and a text. */
function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** Show what needs a script and hide what stands for it. */
function show(part, instead) {
  part.hidden = false;
  for (const one of instead) one.classList.add("without-script");
}

function browseRows(section) {
  const { sets, texts, pictures, columns } = JSON.parse(section.querySelector("script").textContent);
  const form = section.querySelector("form"), body = section.querySelector("tbody");
  const status = section.querySelector("[role=status]"), more = section.querySelector(".more button");
  const heads = [...section.querySelectorAll("thead th")].map((head) => head.textContent);
  const withConfidence = heads.includes("confidence"), withBaseline = heads.length === (withConfidence ? 5 : 4);
  const slices = new Map();
  for (const option of form.querySelectorAll("select[name=slice] optgroup option")) {
    slices.set(Number(option.value), { name: option.parentElement.label, value: option.textContent });
  }
  const all = columns.set.map((_, row) => row);
  let searched = null, matching = all, shown = 0;

  const given = (row) => {
    const value = columns.given[row];
    if (typeof value === "string") return value;
    if (value.marks) return value.marks.map(([text]) => text).join("");
    return value.fields.map(([name, text]) => `${name}: ${texts[text]}`).join("\n");
  };
  const haystack = (row) =>
    [columns.name[row], given(row), ...["reference", "answer", "baseline"].map((name) => texts[columns[name][row]])]
      .join("\n").toLowerCase();

  const orders = {
    unsure: (one, other) => (columns.confidence[one] ?? 2) - (columns.confidence[other] ?? 2) || one - other,
    confident: (one, other) => (columns.confidence[other] ?? -1) - (columns.confidence[one] ?? -1) || one - other,
    place: (one, other) => columns.place[one] - columns.place[other],
  };

  function filter() {
    const asked = Object.fromEntries(new FormData(form));
    const words = (asked.words || "").trim().toLowerCase();
    if (words && !searched) searched = all.map(haystack);
    const number = (text, otherwise) => (text === undefined || text.trim() === "" ? otherwise : Number(text));
    const low = number(asked.low, -1) / 100, high = number(asked.high, 200) / 100, bounded = asked.low || asked.high;
    const [right, baseline] = asked.right || "";
    matching = all.filter((row) =>
      (!asked.set || columns.set[row] === Number(asked.set)) &&
      (!right || columns.right[row] === Number(right)) &&
      (!baseline || columns.baseline_right[row] === Number(baseline)) &&
      (!asked.slice || columns.slices[row].includes(Number(asked.slice))) &&
      (!asked.nothing || columns.nothing[row] === Number(asked.nothing)) &&
      (!asked.sure || columns.sure[row] === Number(asked.sure)) &&
      (!bounded || (columns.confidence[row] !== null && columns.confidence[row] >= low && columns.confidence[row] <= high)) &&
      (!words || searched[row].includes(words)));
    if (asked.order) matching = [...matching].sort(orders[asked.order]);
    body.replaceChildren();
    shown = 0;
    extend();
  }

  function extend() {
    body.append(...matching.slice(shown, shown + PAGE).map(drawn));
    shown = Math.min(shown + PAGE, matching.length);
    more.hidden = shown === matching.length;
    const of = matching.length === all.length ? "" : ` of ${all.length.toLocaleString("en")}`;
    const part = shown < matching.length ? `; the first ${shown.toLocaleString("en")} are shown` : "";
    status.textContent = matching.length
      ? `${matching.length.toLocaleString("en")}${of} rows${part}` : "No row matches: take a condition away.";
  }

  function drawn(row) {
    const line = element("tr");
    const input = element("td", "text"), notes = [columns.name[row]];
    input.append(...asked(row));
    if (sets.length > 1) notes.unshift(sets[columns.set[row]]);
    const right = texts[columns.reference[row]];
    const parts = columns.slices[row].map((index) => slices.get(index)).filter((slice) => slice && slice.value !== right)
      .map((slice) => `${slice.name}: ${slice.value}`);
    if (columns.leaked[row]) notes.push("also among the training rows, nearly or exactly");
    if (parts.length > NAMED) {
      const folded = element("details", "id");
      folded.append(element("summary", "", [...notes, `${parts.length} slices`].join(" · ")), parts.join(" · "));
      input.append(folded);
    } else {
      input.append(element("span", "id", [...notes, ...parts].join(" · ")));
    }
    const answer = said("the model said", row, "answer", "grade", columns.right[row]);
    if (texts[columns.doubt[row]]) answer.append(element("span", "grade", texts[columns.doubt[row]]));
    line.append(input, said("right answer", row, "reference"), answer);
    if (withConfidence) {
      const cell = element("td", "n", texts[columns.how_sure[row]]);
      cell.dataset.name = "confidence";
      line.append(cell);
    }
    if (withBaseline) {
      line.append(said(heads.at(-1), row, "baseline", "baseline_grade", columns.baseline_right[row]));
    }
    return line;
  }

  /** The nodes that show what was asked: a picture, fields, a text with its spans marked, or a text. */
  function asked(row) {
    const value = columns.given[row];
    if (pictures[row]) {
      const picture = element("img", "input");
      picture.src = pictures[row];
      picture.alt = given(row);
      return [picture];
    }
    const block = element("div", "", typeof value === "string" ? value : "");
    block.dir = "auto";
    for (const [name, text] of value.fields || []) block.append(fieldOf(name, texts[text]));
    for (const [text, kind] of value.marks || []) block.append(kind ? element("mark", MARKS[kind], text) : text);
    return [block];
  }

  /** A field of an input; of a long text its beginning, which unfolds. */
  function fieldOf(name, text) {
    const long = text.length > LONG, field = element(long ? "details" : "div");
    const shown = long ? element("summary") : field;
    shown.append(element("span", "muted", `${name}: `), long ? `${text.slice(0, LONG).replace(/\s+\S*$/, "").replace(/\s+/g, " ")} …` : text);
    if (long) field.append(shown, text);
    return field;
  }

  /** A cell with a reference or an answer, and how good that is. */
  function said(title, row, name, grade, right) {
    const cell = element("td", "", texts[columns[name][row]]);
    cell.dataset.name = title;
    cell.dir = "auto";
    if (grade) {
      const words = texts[columns[grade][row]];
      cell.append(element("span", right === 1 ? "grade good" : words.startsWith("wrong") ? "grade bad" : "grade", words));
    }
    return cell;
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  more.addEventListener("click", () => {
    const next = shown;
    extend();
    const row = body.children[next];  // whoever uses the keyboard goes on where the new rows begin
    row.tabIndex = -1;
    row.focus();
  });
  form.reset();
  filter();
  show(section, document.querySelectorAll("[data-default=errors]"));
}

function chooseThreshold(part) {
  const rows = [...part.querySelectorAll("[data-default] tbody")];
  const chooser = part.querySelector("[data-scripted]"), slider = chooser.querySelector("input");
  const output = chooser.querySelector("output"), lines = [...chooser.querySelectorAll("tbody tr")];
  const dots = part.querySelectorAll("figure > svg circle");

  function move() {
    const ofSets = rows[Number(slider.value)].rows, name = ofSets[0].cells[0];
    output.textContent = name.textContent;
    slider.setAttribute("aria-valuetext", name.textContent);
    lines.forEach((line, number) => {
      const [score, answered] = [...ofSets[number].cells].reverse();
      [line.cells[1].textContent, line.cells[2].textContent] = [answered.textContent, score.textContent];
      dots[number].style.display = answered.dataset.y === undefined ? "none" : "";
      dots[number].setAttribute("cx", answered.dataset.x || 0);
      dots[number].setAttribute("cy", answered.dataset.y || 0);
    });
  }

  slider.addEventListener("input", move);
  slider.value = part.dataset.start;
  move();
  show(chooser, [part.querySelector("[data-default]")]);
}

document.querySelectorAll(".report .browser").forEach(browseRows);
document.querySelectorAll(".report .coverage").forEach(chooseThreshold);
