/**
 * Builds an element. `on…` props are listeners; `dataset` and `style` are merged; true sets an empty attribute; false
 * and undefined omit it; the rest are attributes. Children are nodes, texts, or lists of them.
 */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children)
}

/** The same for SVG. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), props, children)
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false || value === null) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'dataset') Object.assign(element.dataset, value)
    else if (name === 'style') for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text)
    else element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false))
  return element
}

/** Sets the text only if it changes, so that screen readers and the selection are not disturbed. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/** Renders `words in backticks` as code. */
export function prose(text) {
  return text.split(/`([^`]+)`/).map((part, index) => (index % 2 === 1 ? h('code', {}, part) : part))
}

let lastId = 0
/** An id that is unique in the page. */
export const freshId = (stem) => `${stem}-${++lastId}`
