import { h } from './dom.js'

/** Asks for the server's token. Resolves with the token, or undefined if the user closes the dialog. */
export function askForToken(wasWrong) {
  return new Promise((resolve) => {
    const input = h('input', { type: 'password', id: 'token', name: 'token', autocomplete: 'off', required: true })
    const dialog = h(
      'dialog',
      { class: 'dialog', 'aria-labelledby': 'token-title' },
      h(
        'form',
        { method: 'dialog' },
        h('h2', { id: 'token-title' }, 'This server requires a token'),
        h(
          'p',
          { class: 'muted' },
          wasWrong
            ? 'The token you entered is wrong. '
            : 'It is the server’s AUTH_TOKEN (or VIEW_TOKEN for watching). ',
          'It is kept until you close this tab and is sent only to this server.',
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

/** Asks a yes-or-no question. Resolves with true for yes. */
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

/** Asks for a name. Resolves with the name, or undefined if the user closes the dialog. */
export function askForName(title, suggested, help) {
  return new Promise((resolve) => {
    const input = h('input', {
      id: 'new-name',
      required: true,
      maxlength: 60,
      pattern: '.*\\S.*',
      autocomplete: 'off',
      value: suggested,
      'aria-describedby': 'new-name-help',
    })
    const dialog = h(
      'dialog',
      { class: 'dialog', 'aria-labelledby': 'name-title' },
      h(
        'form',
        { method: 'dialog' },
        h('h2', { id: 'name-title' }, title),
        h('label', { class: 'field', for: 'new-name' }, h('span', { class: 'field-label' }, 'Name'), input),
        h('p', { class: 'help', id: 'new-name-help' }, `${help} A preset with the same name is replaced.`),
        h(
          'div',
          { class: 'row end' },
          h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
          h('button', { class: 'primary', value: 'save' }, 'Save'),
        ),
      ),
    )
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'save' ? input.value.trim() : undefined)
      dialog.remove()
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}
