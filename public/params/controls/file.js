import { h, setText } from '../../dom.js'
import { icon } from '../../icons.js'
import { problemOfText } from '../values.js'
import { labelFor, mark, titleOf } from './parts.js'

/** A file's bytes as base64, or as a data URL if the format asks for one. */
export function file(spec, id, { describedBy, change, invalid }) {
  const { schema, empty } = spec
  const clearable = empty ?? (problemOfText(schema, '') === undefined ? { value: '' } : undefined)
  const input = h('input', {
    type: 'file',
    id,
    accept: schema.contentMediaType,
    'aria-describedby': describedBy,
  })
  const preview = h('img', { alt: '', hidden: true })
  const facts = h('span', { class: 'help' })
  const remove = h('button', { type: 'button', class: 'quiet small' }, icon('reset'), 'Remove')
  remove.setAttribute('aria-label', `Remove ${titleOf(spec).toLowerCase()}`)
  const inside = h('div', { class: 'file-facts' }, preview, facts, remove)
  const element = h('div', { class: 'file' }, input, inside)

  const take = async (chosen) => {
    const value = await encoded(chosen, schema)
    const room = schema.maxLength
    const wrong =
      room !== undefined && value.length > room
        ? `${chosen.name} has ${size(chosen.size)}; at most ${size(Math.floor((room * 3) / 4))} fit.`
        : problemOfText(schema, value)
    if (wrong) return invalid(wrong)
    show(value, chosen.name)
    change(value)
  }
  input.addEventListener('change', () => input.files[0] && take(input.files[0]))
  element.addEventListener('dragover', (event) => event.preventDefault())
  element.addEventListener('drop', (event) => {
    event.preventDefault()
    const [dropped] = event.dataTransfer.files
    if (dropped) void take(dropped)
  })
  remove.addEventListener('click', () => {
    input.value = ''
    show(clearable.value)
    change(clearable.value)
  })

  const show = (value, name) => {
    const some = typeof value === 'string' && value !== ''
    remove.hidden = !clearable
    inside.hidden = !some
    setText(facts, some ? [name, size(bytesOf(value))].filter(Boolean).join(', ') : '')
    const type = some && imageType(value, schema)
    preview.hidden = !type
    if (type) preview.src = value.startsWith('data:') ? value : `data:${type};base64,${standard(value)}`
    else preview.removeAttribute('src')
  }
  return { element, set: (value) => show(value), mark: mark(input), labelled: labelFor(id) }
}

async function encoded(chosen, { format, contentEncoding }) {
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(reader.result)
    reader.onerror = () => reject(reader.error)
    reader.readAsDataURL(chosen)
  })
  if (format === 'data-url') return url
  const base64 = url.slice(url.indexOf(',') + 1)
  if ((contentEncoding ?? format) !== 'base64url') return base64
  return base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

const standard = (value) => value.replaceAll('-', '+').replaceAll('_', '/')

/** Image types by their first bytes in base64. */
const IMAGES = { iVBORw0KGgo: 'image/png', '/9j/': 'image/jpeg', R0lGOD: 'image/gif', UklGR: 'image/webp' }

function imageType(value, { contentMediaType = '' }) {
  if (value.startsWith('data:image/')) return 'image'
  const known = Object.entries(IMAGES).find(([start]) => standard(value).startsWith(start))?.[1]
  return known ?? (contentMediaType.startsWith('image/') && contentMediaType.length > 7 ? contentMediaType : undefined)
}

function bytesOf(value) {
  const base64 = value.startsWith('data:') ? value.slice(value.indexOf(',') + 1) : value
  return Math.floor((base64.replace(/=+$/, '').length * 3) / 4)
}

function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`
  return bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}
