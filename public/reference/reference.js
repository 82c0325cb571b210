import { h, prose } from '../dom.js'
import { curlOf } from './curl.js'
import { resolver, schemaView, typeText } from './schema-view.js'

const METHODS = ['options', 'get', 'post', 'put', 'patch', 'delete']
const main = document.querySelector('#operations')
const contents = document.querySelector('#contents')
const filter = document.querySelector('#filter')

/** The server's URL, whatever path it is served under. */
const origin = new URL('.', location.href).href.replace(/\/$/, '')

try {
  const answer = await fetch('openapi.json')
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`)
  show(await answer.json())
} catch (error) {
  document.querySelector('#message').textContent = `The API description could not be loaded: ${error.message}.`
}

function show(api) {
  const resolve = resolver(api)
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ method, path, operation: item[method] })),
  )
  const groups = api.tags.map((tag) => ({
    ...tag,
    entries: operations
      .filter(({ operation }) => operation.tags?.includes(tag.name))
      .map((entry) => ({ ...entry, article: articleOf(entry, resolve), link: linkOf(entry) })),
  }))
  const shown = groups.filter(({ entries }) => entries.length > 0)
  for (const group of shown) {
    group.section = h(
      'section',
      {},
      h('h2', {}, group.name),
      h('p', { class: 'muted' }, group.description),
      group.entries.map(({ article }) => article),
    )
    group.list = h(
      'div',
      {},
      h('h3', {}, group.name),
      h(
        'ul',
        {},
        group.entries.map(({ link }) => link),
      ),
    )
  }
  main.replaceChildren(
    h('p', { class: 'muted' }, `Version ${api.info.version}. Placeholders in curl lines are in capitals.`),
    ...api.info.description.split('\n\n').map((text) => h('p', {}, prose(text))),
    ...shown.map(({ section }) => section),
  )
  contents.replaceChildren(...shown.map(({ list }) => list))
  filter.addEventListener('input', () => sift(shown, filter.value.trim().toLowerCase()))
  document.getElementById(location.hash.slice(1))?.scrollIntoView()
}

function sift(groups, words) {
  for (const { entries, section, list } of groups) {
    for (const { method, path, operation, article, link } of entries) {
      const text = `${method} ${path} ${operation.summary} ${operation.tags}`.toLowerCase()
      const hidden = !words.split(/\s+/).every((word) => text.includes(word))
      article.hidden = hidden
      link.hidden = hidden
    }
    section.hidden = list.hidden = entries.every(({ article }) => article.hidden)
  }
}

function linkOf({ method, path, operation }) {
  const badge = h('span', { class: `method ${method}` }, method.toUpperCase())
  return h('li', {}, h('a', { href: `docs#${operation.operationId}` }, badge, h('code', {}, path)))
}

function articleOf({ method, path, operation }, resolve) {
  const token = operation.security?.length > 0 && (operation.security[0].authToken ? 'AUTH_TOKEN' : 'VIEW_TOKEN')
  return h(
    'article',
    { id: operation.operationId },
    h('h3', {}, h('span', { class: `method ${method}` }, method.toUpperCase()), h('code', {}, path)),
    h('p', { class: 'summary' }, prose(operation.summary ?? '')),
    operation.description && h('p', {}, prose(operation.description)),
    token && h('p', { class: 'muted small' }, prose(`Needs \`${token}\`, if the server has one.`)),
    parametersOf(operation, resolve),
    bodyOf(operation, resolve),
    responsesOf(operation, resolve),
    curlLine(curlOf({ method, path, operation, origin, resolve })),
  )
}

function parametersOf({ parameters = [] }, resolve) {
  if (parameters.length === 0) return undefined
  const rows = parameters.map(({ name, in: where, required, schema, content, description }) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, h('code', {}, name)),
      h('td', {}, required ? where : `${where}, optional`),
      h('td', {}, h('span', { class: 'type' }, typeText(schema ?? content?.['application/json']?.schema, resolve))),
      h('td', {}, prose(description ?? schema?.description ?? '')),
    ),
  )
  const head = ['Name', 'In', 'Type', 'Meaning'].map((text) => h('th', { scope: 'col' }, text))
  const caption = h('caption', {}, 'Parameters')
  return h('div', { class: 'scroll' }, h('table', {}, caption, h('thead', {}, h('tr', {}, head)), h('tbody', {}, rows)))
}

function bodyOf({ requestBody }, resolve) {
  if (!requestBody) return undefined
  return h('div', { class: 'body' }, h('h4', {}, 'Body'), contentView(requestBody.content, resolve))
}

function responsesOf({ responses = {} }, resolve) {
  const items = Object.entries(responses).map(([status, { description, content, headers }]) => {
    const kind = status.startsWith('2') ? 'good' : 'refusal'
    const names = Object.keys(headers ?? {})
    return h(
      'li',
      {},
      h('span', { class: `status ${kind}` }, status),
      h('span', {}, prose(description)),
      names.length > 0 && h('span', { class: 'muted small' }, ` Headers: ${names.join(', ')}`),
      kind === 'good' && content && contentView(content, resolve),
    )
  })
  return h('div', {}, h('h4', {}, 'Answers'), h('ul', { class: 'answers' }, items))
}

function contentView(content, resolve) {
  return Object.entries(content).map(([type, { schema }]) => {
    const fields = schemaView(schema, resolve)
    const title = [h('code', {}, type), ' ', h('span', { class: 'type' }, typeText(schema, resolve))]
    if (!fields) return h('p', { class: 'content' }, title, schema?.description && [' — ', prose(schema.description)])
    return h('details', {}, h('summary', {}, title), fields)
  })
}

function curlLine(line) {
  const copy = h('button', { type: 'button', class: 'copy' }, 'Copy')
  copy.addEventListener('click', async () => {
    await navigator.clipboard?.writeText(line)
    copy.textContent = 'Copied'
    setTimeout(() => (copy.textContent = 'Copy'), 1500)
  })
  return h('div', { class: 'curl' }, h('pre', { tabindex: '0' }, h('code', {}, line)), copy)
}
