import { h } from './dom.js'

/** Asks for the server's token. Resolves with it, or undefined when the user closes the question. */
export function askForToken(wasWrong) {
  return new Promise((resolve) => {
    const input = h('input', { type: 'password', id: 'token', name: 'token', autocomplete: 'off', required: true })
    const dialog = h(
      'dialog',
      { class: 'dialog', 'aria-labelledby': 'token-title' },
      h(
        'form',
        { method: 'dialog' },
        h('h2', { id: 'token-title' }, 'This server asks for a token'),
        h(
          'p',
          { class: 'muted' },
          wasWrong
            ? 'The token you entered is not the right one. '
            : 'Whoever runs the server set it as AUTH_TOKEN (or VIEW_TOKEN for watching). ',
          'It is kept until you close this tab, and sent to this server only.',
        ),
        h('label', { class: 'field', for: 'token' }, h('span', { class: 'field-label' }, 'Token'), input),
        h(
          'div',
          { class: 'row end' },
          h('button', { type: 'button', onclick: () => dialog.close() }, 'Not now'),
          h('button', { class: 'primary', value: 'use' }, 'Use token'),
        ),
      ),
    )
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'use' && input.value.trim() ? input.value.trim() : undefined)
      dialog.remove()
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}

/** A yes-or-no question. Resolves with true for yes. */
export function confirmAction(title, text, yes) {
  return new Promise((resolve) => {
    const dialog = h(
      'dialog',
      { class: 'dialog', 'aria-labelledby': 'confirm-title' },
      h(
        'form',
        { method: 'dialog' },
        h('h2', { id: 'confirm-title' }, title),
        h('p', { class: 'muted' }, text),
        h(
          'div',
          { class: 'row end' },
          h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
          h('button', { class: 'danger', value: 'yes' }, yes),
        ),
      ),
    )
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes')
      dialog.remove()
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}
