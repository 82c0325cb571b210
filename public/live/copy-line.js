import { h, setText } from '../dom.js'
import { icon } from '../icons.js'

/** A line of text with a copy button. A function is called for the current text. */
export function copyLine(title, text) {
  // A line longer than its box scrolls, also by keyboard.
  const now = () => (typeof text === 'function' ? text() : text)
  const code = h('code', { tabindex: '0', role: 'textbox', 'aria-readonly': 'true', 'aria-label': title }, now())
  const renew = () => setText(code, now())
  const button = h(
    'button',
    { type: 'button', class: 'icon-button', 'aria-label': `Copy ${title}`, title: 'Copy' },
    icon('copy'),
  )
  button.addEventListener('click', async () => {
    renew()
    const copied = await copy(code.textContent, code)
    button.replaceChildren(icon(copied ? 'check' : 'copy'))
    button.setAttribute('aria-label', copied ? `${title} copied` : `Press Ctrl+C to copy ${title}`)
    setTimeout(() => {
      button.replaceChildren(icon('copy'))
      button.setAttribute('aria-label', `Copy ${title}`)
    }, 1500)
  })
  return h(
    'div',
    { class: 'copy-line', onpointerenter: renew, onfocusin: renew },
    h('span', { class: 'copy-title' }, title),
    h('div', { class: 'copy-box' }, code, button),
  )
}

/** True if the text was copied. Otherwise it is selected: the clipboard is available only on https and localhost. */
async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    getSelection().selectAllChildren(element)
    return document.execCommand('copy')
  }
}
