import { h } from '../dom.js'
import { icon } from '../icons.js'

/** A line of text with a button that copies it. */
export function copyLine(title, text) {
  // A line that is longer than its box is read by scrolling, also with the keyboard.
  const code = h('code', { tabindex: '0', role: 'textbox', 'aria-readonly': 'true', 'aria-label': title }, text)
  const button = h(
    'button',
    { type: 'button', class: 'icon-button', 'aria-label': `Copy ${title}`, title: 'Copy' },
    icon('copy'),
  )
  button.addEventListener('click', async () => {
    const copied = await copy(text, code)
    button.replaceChildren(icon(copied ? 'check' : 'copy'))
    button.setAttribute('aria-label', copied ? `${title} copied` : `Press Ctrl+C to copy ${title}`)
    setTimeout(() => {
      button.replaceChildren(icon('copy'))
      button.setAttribute('aria-label', `Copy ${title}`)
    }, 1500)
  })
  return h(
    'div',
    { class: 'copy-line' },
    h('span', { class: 'copy-title' }, title),
    h('div', { class: 'copy-box' }, code, button),
  )
}

/** True when it was copied; the text is selected otherwise, since the clipboard is only for https and localhost. */
async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    getSelection().selectAllChildren(element)
    return document.execCommand('copy')
  }
}
