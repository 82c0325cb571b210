import { h } from './dom.js'

const LIFE_MS = { info: 4000, good: 3000, bad: 10_000 }

/** A short message in the corner, read out by screen readers. `tone` is info, good or bad. */
export function notify(text, tone = 'info') {
  const close = () => notice.remove()
  const notice = h(
    'div',
    { class: `notice ${tone}` },
    h('span', {}, text),
    h('button', { type: 'button', class: 'quiet', 'aria-label': 'Dismiss', onclick: close }, '×'),
  )
  const place = document.getElementById('notices')
  place.append(notice)
  while (place.children.length > 4) place.firstElementChild?.remove()
  setTimeout(close, LIFE_MS[tone])
}

/** The strip under the header for what concerns the whole page; undefined takes it away. */
export function setBanner(text) {
  const banner = document.getElementById('banner')
  if (text === undefined) banner.hidden = true
  else {
    banner.hidden = false
    if (banner.textContent !== text) banner.textContent = text
  }
}
