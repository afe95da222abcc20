// Makes elements and icons. Never takes markup as text, so that nothing anybody typed can become markup.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  identity: "M4 5h16a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zM8.5 12.2a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM5.6 16c.4-1.7 1.5-2.5 2.9-2.5s2.5.8 2.9 2.5M14 9.5h4.2M14 13h3",
  evidence: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.3 15.3 20.5 20.5M8 9h5M8 12h3.5",
  payment: "M3 6.5h18v11H3zM3 10h18M6.5 14.5h3.5",
  decision: "M12 3l2.2 1.6 2.7-.1.8 2.6 2.2 1.6-.9 2.6.9 2.6-2.2 1.6-.8 2.6-2.7-.1L12 19.6 9.8 18l-2.7.1-.8-2.6-2.2-1.6.9-2.6-.9-2.6 2.2-1.6.8-2.6 2.7.1zM9 11.4l2.1 2.1 3.9-4",
  document: "M6.5 3h7.5l4 4v14h-11.5zM14 3v4h4M9.5 11.5h5.5M9.5 15h5.5",
  check: "M5 12.8l4.6 4.5L19.2 7.2",
  stop: "M7 7l10 10M17 7L7 17",
  inbox: "M4 13l2.5-8h11L20 13v6H4zM4 13h4.5l1.2 2.5h4.6l1.2-2.5H20",
  flag: "M6 21V4M6 4.5c4-2 7 2 12 0v9c-5 2-8-2-12 0",
  house: "M4 11.5 12 4.5l8 7M6 10v9.5h12V10M10 19.5v-5h4v5",
  shield: "M12 3l7.5 2.5v6c0 4.8-3.2 7.8-7.5 9.5-4.3-1.7-7.5-4.7-7.5-9.5v-6zM8.8 11.8l2.3 2.3 4.2-4.3",
  code: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2.5v2.5H14zM18 18h2v2h-2zM19.5 14h.5M14 19.5h.5",
  back: "M14.5 5.5 8 12l6.5 6.5",
  next: "M9.5 5.5 16 12l-6.5 6.5",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 19.5h14",
  outside: "M9 5H5v14h14v-4M13 5h6v6M19 5l-8.5 8.5",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5.5M12 7.5v.2",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5.2l3.3 2",
  alert: "M12 4 2.8 20h18.4zM12 10v4.5M12 17.2v.2",
  person: "M12 12.5a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c.9-4 3.9-6 7.5-6s6.6 2 7.5 6",
};

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name, className = "icon") {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: className, "aria-hidden": "true", focusable: "false" }))
    svg.setAttribute(key, value);
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function link(href, attributes, ...children) {
  return h("a", { href, ...attributes }, ...children);
}

export function button(className, onclick, ...children) {
  const node = h("button", { type: "button", class: className }, ...children);
  node.addEventListener("click", () => busy(node, onclick));
  return node;
}

// One click is one command: further clicks do nothing until it is answered. `aria-disabled` keeps the focus.
export async function busy(node, act) {
  if (node.getAttribute("aria-disabled") === "true") return;
  node.setAttribute("aria-disabled", "true");
  try {
    await act();
  } finally {
    node.removeAttribute("aria-disabled");
  }
}

export function focusOn(node) {
  if (!node) return;
  if (!node.matches("a[href], button, input, select, textarea, summary")) node.setAttribute("tabindex", "-1");
  node.focus();
}

function set(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (typeof value === "function") node.addEventListener(name.replace(/^on/, ""), value);
  else node.setAttribute(name, value === true ? "" : String(value));
}
