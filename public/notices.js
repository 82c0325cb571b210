import { h } from './dom.js'

const LIFE_MS = { info: 4000, good: 3000, bad: 10_000 }

/**
 * Shows a short message in the corner; screen readers announce it. `tone` is info, good or bad; `action` is a button `{
 * text, act }`.
 */
export function notify(text, tone = 'info', action) {
  const close = () => notice.remove()
  const acted = () => {
    close()
    action.act()
  }
  const notice = h(
    'div',
    { class: `notice ${tone}` },
    h('span', {}, text),
    action && h('button', { type: 'button', class: 'small', onclick: acted }, action.text),
    h('button', { type: 'button', class: 'quiet', 'aria-label': 'Dismiss', onclick: close }, '×'),
  )
  const place = document.getElementById('notices')
  place.append(notice)
  while (place.children.length > 4) place.firstElementChild?.remove()
  setTimeout(close, action ? LIFE_MS.bad : LIFE_MS[tone])
}

/** Shows a text under the header for the whole page; undefined removes it. */
export function setBanner(text) {
  const banner = document.getElementById('banner')
  if (text === undefined) banner.hidden = true
  else {
    banner.hidden = false
    if (banner.textContent !== text) banner.textContent = text
  }
}
