import { UnreachableError } from './client/index.js'
import { askForToken } from './dialogs.js'
import { h, setText } from './dom.js'
import { icon } from './icons.js'
import { notify, setBanner } from './notices.js'
import { millrace, onTokenNeeded, setToken, token } from './session.js'
import { StartView } from './views/start-view.js'
import { StreamView } from './views/stream-view.js'
import { stateWords } from './words.js'

const LIST_EVERY_MS = 2000

const main = document.getElementById('main')
const nav = document.getElementById('streams')
const barEnd = document.getElementById('bar-end')
let view
let shown

onTokenNeeded(askForToken)

/** The stream named in the address; undefined on the start page. */
const named = () => new URLSearchParams(location.search).get('stream') || undefined

function render() {
  const name = named()
  if (view && shown === name) return
  view?.close()
  shown = name
  view = name ? new StreamView(name) : new StartView(go)
  document.title = name ? `${name} · Millrace` : 'Millrace'
  main.replaceChildren(view.element)
  scrollTo(0, 0)
  markCurrent()
}

function go(name) {
  history.pushState(undefined, '', name ? `?stream=${encodeURIComponent(name)}` : location.pathname)
  render()
  // As after a page load: a screen reader starts at the new content.
  main.focus({ preventScroll: true })
}

addEventListener('popstate', render)
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[data-internal]')
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return
  event.preventDefault()
  go(new URL(link.href).searchParams.get('stream') ?? undefined)
})

/** Links to the running streams. Elements are reused so that focus is kept. */
function showNav(streams) {
  const links = new Map([...nav.children].map((link) => [link.dataset.stream, link]))
  for (const { name, state } of streams) {
    let link = links.get(name)
    if (!link) {
      link = h(
        'a',
        { class: 'tab', href: `?stream=${encodeURIComponent(name)}`, 'data-internal': true, dataset: { stream: name } },
        h('i', {}),
        h('span', {}, name),
      )
      nav.append(link)
    }
    const { word, tone } = stateWords(state)
    link.firstElementChild.className = `dot ${tone}`
    link.title = `${name}: ${word}`
    links.delete(name)
  }
  for (const link of links.values()) link.remove()
  markCurrent()
}

function markCurrent() {
  for (const link of nav.children) {
    if (link.dataset.stream === named()) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
}

const tokenButton = h('button', { type: 'button', class: 'quiet' }, icon('key'), h('span', {}))
tokenButton.addEventListener('click', async () => {
  if (token()) {
    setToken(undefined)
    notify('Token removed from this tab.')
  } else {
    const given = await askForToken(false)
    if (given) setToken(given)
  }
  showToken()
})

function showToken() {
  setText(tokenButton.lastElementChild, token() ? 'Forget token' : 'Token')
}

const newStream = h(
  'a',
  { class: 'button quiet', href: './', 'data-internal': true },
  icon('plus'),
  h('span', {}, 'New stream'),
)
barEnd.append(newStream, tokenButton)

async function watch() {
  for (;;) {
    try {
      const streams = await millrace.streams()
      setBanner(undefined)
      showNav(streams)
      if (view instanceof StartView) view.update(streams)
    } catch (error) {
      if (error instanceof UnreachableError) setBanner('The server does not answer. This page keeps retrying.')
    }
    showToken()
    await new Promise((resolve) => setTimeout(resolve, LIST_EVERY_MS))
  }
}

render()
void watch()
