// Small pictures as SVG. Knows shapes and widths, no figure's meaning. Colours are CSS classes, so that CSP stays strict.

const SVG = "http://www.w3.org/2000/svg";
const BAR = 30;
const LABEL = 24;

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  return filled(element, attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function picture(width, height, label, children) {
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...children);
}

// Rows of {label, parts: [{kind, value, text}]}: stacked bars on one common scale.
export function stackedBars(rows, width, label) {
  const most = Math.max(1, ...rows.map((row) => sum(row.parts)));
  const children = rows.flatMap((row, index) => stackedRow(row, index * (LABEL + BAR + 14), width, most));
  return picture(width, rows.length * (LABEL + BAR + 14), label, children);
}

const sum = (parts) => parts.reduce((total, part) => total + part.value, 0);

function stackedRow(row, top, width, most) {
  const drawn = [shape("text", { x: 0, y: top + 16 }, row.label)];
  let x = 0;
  for (const part of row.parts.filter((part) => part.value > 0)) {
    const length = (part.value / most) * width;
    const visible = Math.max(2, length - 2);
    drawn.push(shape("rect", { class: part.kind, x, y: top + LABEL, width: visible, height: BAR, rx: 3 }));
    if (length > part.text.length * 9 + 10) {
      const place = { class: "on", x: x + length / 2 - 1, y: top + LABEL + 20, "text-anchor": "middle" };
      drawn.push(shape("text", place, part.text));
    }
    x += length;
  }
  return drawn;
}

// Rows of {label, kind, value, text, target?: {value, text}}: one bar each; `scale` maps a value to 0..1.
export function bars(rows, width, label, scale) {
  const height = LABEL + BAR + 14 + (rows.some((row) => row.target) ? LABEL : 0);
  const children = rows.flatMap((row, index) => barRow(row, index * height, width, scale));
  return picture(width, rows.length * height, label, children);
}

function barRow(row, top, width, scale) {
  const length = row.value ? Math.max(3, scale(row.value) * width) : 0;
  const drawn = [
    shape("text", { x: 0, y: top + 16 }, row.label),
    shape("text", { x: width, y: top + 16, "text-anchor": "end" }, row.text),
    shape("rect", { class: "track", x: 0, y: top + LABEL, width, height: BAR, rx: 3 }),
    shape("rect", { class: row.kind, x: 0, y: top + LABEL, width: length, height: BAR, rx: 3 }),
  ];
  if (row.target) {
    const x = scale(row.target.value) * width;
    const anchor = x > width / 2 ? "end" : "start";
    drawn.push(shape("line", { class: "target", x1: x, x2: x, y1: top + LABEL - 4, y2: top + LABEL + BAR + 6 }));
    drawn.push(shape("text", { class: "soft", x, y: top + LABEL + BAR + 21, "text-anchor": anchor }, row.target.text));
  }
  return drawn;
}

// Parts of {kind, value}: a ring that begins at the top; `middle` is written inside.
export function donut(parts, middle, label) {
  const total = sum(parts);
  let turned = 0;
  const arcs = parts.filter((part) => part.value > 0).map((part) => {
    const from = turned;
    turned += part.value / total;
    return shape("path", { class: part.kind, d: arc(from, turned) });
  });
  const text = shape("text", { class: "big", x: 110, y: 120, "text-anchor": "middle" }, middle);
  const ring = picture(220, 220, label, [...arcs, text]);
  ring.setAttribute("class", "donut");
  return ring;
}

function arc(from, to) {
  if (to - from > 0.9999) return `${arc(from, from + 0.5)} ${arc(from + 0.5, from + 0.9998)}`;
  const gap = to - from > 0.02 ? 0.003 : 0;
  const at = (share, radius) => {
    const angle = 2 * Math.PI * (share - 0.25);
    return `${110 + radius * Math.cos(angle)} ${110 + radius * Math.sin(angle)}`;
  };
  const large = to - from > 0.5 ? 1 : 0;
  return `M ${at(from + gap, 100)} A 100 100 0 ${large} 1 ${at(to - gap, 100)} L ${at(to - gap, 66)} A 66 66 0 ${large} 0 ${at(from + gap, 66)} Z`;
}

export function legend(entries) {
  const items = entries.map(({ kind, label }) => {
    const mark = shape("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, shape("rect", { class: kind, width: 16, height: 16, rx: 3 }));
    return make("li", {}, mark, label);
  });
  return make("ul", { class: "legend" }, ...items);
}

export function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((name) => make("th", { scope: "col" }, name)));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((value) => make("td", {}, value))));
  return make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
}
