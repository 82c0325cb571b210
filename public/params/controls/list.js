import { h } from '../../dom.js'
import { icon } from '../../icons.js'
import { specOf } from '../schema.js'
import { fits, initial, isObject, matches, problemOfList, problemOfText } from '../values.js'
import { groupLabel, labelOver, titleOf } from './parts.js'

/** Rows of fields with buttons to add, move and remove them. `make(index)` returns a row's fields. */
function rows(id, { describedBy, title, make, count, add, remove, move, full, least }) {
  const body = h('ol', { class: 'rows' })
  const adding = h('button', { type: 'button', class: 'quiet small' }, icon('plus'), 'Add')
  adding.setAttribute('aria-label', `Add to ${title.toLowerCase()}`)
  const element = h(
    'div',
    { class: 'group list', role: 'group', 'aria-labelledby': groupLabel(id), 'aria-describedby': describedBy },
    body,
    adding,
  )
  const button = (name, text, off, act) => {
    const one = h('button', { type: 'button', class: 'icon-button', 'aria-label': text, title: text }, icon(name))
    one.disabled = off
    one.addEventListener('click', act)
    return one
  }
  const draw = () => {
    const items = Array.from({ length: count() }, (_, index) => {
      const what = `${title} ${index + 1}`
      const up = move && button('up', `Move ${what} up`, index === 0, () => move(index, index - 1))
      const gone = button('remove', `Remove ${what}`, count() <= least, () => remove(index))
      return h('li', {}, h('div', { class: 'row-fields' }, make(index)), h('div', { class: 'row-tools' }, up, gone))
    })
    body.replaceChildren(...items)
    body.hidden = items.length === 0
    adding.disabled = full()
  }
  adding.addEventListener('click', () => {
    add()
    body.lastElementChild?.querySelector('input, select, textarea')?.focus()
  })
  // The pressed button is removed with its row.
  const keepFocus = (index) => {
    const row = body.children[Math.min(index, body.children.length - 1)]
    const target = row?.querySelector('.row-tools button:not(:disabled)') ?? adding
    target.focus()
  }
  return { element, draw, keepFocus }
}

export function list(spec, id, { describedBy, change, invalid, nest }) {
  const { root, schema } = spec
  const items = schema.items ?? {}
  const title = titleOf(spec)
  let value = []
  const tell = () => {
    const wrong = problemOfList(root, schema, value)
    if (wrong) invalid(wrong)
    else change(value)
  }
  const redraw = (next) => {
    value = next
    table.draw()
    tell()
  }
  const make = (index) => {
    const entry = specOf(root, `${index + 1}`, items, { required: true })
    const edited = (next) => {
      value = value.with(index, next)
      tell()
    }
    const field = nest(entry, edited, { says: `${title} ${index + 1}` })
    field.show(value[index])
    return field.element
  }
  const table = rows(id, {
    describedBy,
    title,
    make,
    count: () => value.length,
    add: () => redraw([...value, fresh(root, schema, items, value)]),
    remove: (index) => {
      redraw(value.toSpliced(index, 1))
      table.keepFocus(index)
    },
    move: (from, to) => {
      redraw(value.toSpliced(from, 1).toSpliced(to, 0, value[from]))
      table.keepFocus(to)
    },
    full: () => schema.maxItems !== undefined && value.length >= schema.maxItems,
    least: schema.minItems ?? 0,
  })
  const set = (given) => {
    value = Array.isArray(given) ? given : []
    table.draw()
  }
  return { element: table.element, set, mark: () => {}, labelled: labelOver(id), typing: true }
}

/** A new entry; where entries must be unique, the next whole number. */
function fresh(root, schema, items, value) {
  const first = initial(root, items)
  if (!schema.uniqueItems) return first
  for (let next = first, tries = 0; typeof next === 'number' && tries <= value.length; next++, tries++)
    if (!value.includes(next) && fits(root, items, next)) return next
  return value.includes(first) ? undefined : first
}

/** An object with names that the user chooses. */
export function map(spec, id, { describedBy, change, invalid, nest }) {
  const { root, schema } = spec
  const title = titleOf(spec)
  let entries = []
  const names = {
    type: 'string',
    ...schema.propertyNames,
    minLength: Math.max(1, schema.propertyNames?.minLength ?? 1),
  }
  const tell = () => {
    const wrong = problemOf(root, schema, entries)
    if (wrong) invalid(wrong)
    else change(Object.fromEntries(entries))
  }
  const redraw = (next) => {
    entries = next
    table.draw()
    tell()
  }
  const part = (index, place, inner, name, says) => {
    const edited = (next) => {
      entries = entries.with(index, entries[index].with(place, next))
      tell()
    }
    const field = nest(specOf(root, name, inner, { required: true }), edited, { says })
    field.show(entries[index][place])
    return field.element
  }
  const table = rows(id, {
    describedBy,
    title,
    make: (index) => [
      part(index, 0, names, 'name', `${title} ${index + 1}, name`),
      part(index, 1, schema.additionalProperties, 'value', `${title} ${index + 1}, value`),
    ],
    count: () => entries.length,
    add: () =>
      redraw([...entries, [freeName(schema, entries, spec.fallback), initial(root, schema.additionalProperties)]]),
    remove: (index) => {
      redraw(entries.toSpliced(index, 1))
      table.keepFocus(index)
    },
    full: () => schema.maxProperties !== undefined && entries.length >= schema.maxProperties,
    least: schema.minProperties ?? 0,
  })
  const set = (given) => {
    entries = isObject(given) ? Object.entries(given) : []
    table.draw()
  }
  table.element.classList.add('map')
  return { element: table.element, set, mark: () => {}, labelled: labelOver(id), typing: true }
}

function problemOf(root, { additionalProperties, propertyNames = {} }, entries) {
  for (const [index, [name, value]] of entries.entries()) {
    if (!name) return `Entry ${index + 1} needs a name.`
    const wrong = problemOfText(propertyNames, name)
    if (wrong) return `Name of entry ${index + 1}: ${wrong}`
    if (entries.slice(0, index).some(([earlier]) => earlier === name)) return `The name “${name}” is used twice.`
    if (!fits(root, additionalProperties, value)) return `Entry ${index + 1} is incomplete.`
  }
  return undefined
}

/** `name-1` and so on; empty where the schema requires another form. */
function freeName({ propertyNames = {} }, entries, usual) {
  // Pydantic's schema of a dictionary of numbers does not tell its names from others.
  const known = [...entries.map(([name]) => name), ...Object.keys(usual ?? {})]
  if (known.length > 0 && known.every((name) => /^\d+$/.test(name))) return String(Math.max(...known.map(Number)) + 1)
  for (let number = 1; number <= entries.length + 1; number++) {
    const name = `name-${number}`
    if (propertyNames.pattern && !matches(propertyNames.pattern, name)) return ''
    if (!entries.some(([taken]) => taken === name)) return name
  }
  return ''
}
