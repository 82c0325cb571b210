import { h } from '../../dom.js'
import { problemOfNumber } from '../numbers.js'
import { isObject } from '../values.js'
import { labelFor, mark } from './parts.js'

const USUAL = [
  [320, 240],
  [512, 512],
  [640, 360],
  [1280, 720],
  [1920, 1080],
  [720, 1280],
]

/** Width and height together: common resolutions to choose from, and boxes for others. */
export function resolution(spec, id, { describedBy, change, invalid }) {
  const { sides } = spec
  const usual = USUAL.filter((sizes) => sizes.every((size, index) => !problemOfNumber(sides[index].schema, size)))
  const which = h(
    'select',
    { id, 'aria-describedby': describedBy },
    h('option', { value: 'none' }, 'Same as the source'),
    usual.map(([width, height]) => h('option', { value: `${width}x${height}` }, `${width} × ${height}`)),
    h('option', { value: 'own' }, 'Custom'),
  )
  const boxes = sides.map(({ name, min, max, step }) =>
    h('input', { type: 'number', min, max, step, 'aria-label': name === 'width' ? 'Width' : 'Height' }),
  )
  const own = h('div', { class: 'resolution' }, boxes[0], h('span', { 'aria-hidden': 'true' }, '×'), boxes[1])
  const typed = () => {
    const sizes = boxes.map(({ value }) => (value === '' ? Number.NaN : Number(value)))
    for (const [index, size] of sizes.entries()) {
      const wrong = problemOfNumber(sides[index].schema, size)
      if (wrong) return invalid(`${index === 0 ? 'Width' : 'Height'}: ${wrong}`)
    }
    change({ width: sizes[0], height: sizes[1] })
  }
  for (const box of boxes) box.addEventListener('input', typed)
  which.addEventListener('change', () => {
    own.hidden = which.value !== 'own'
    if (which.value === 'own') return boxes[0].value === '' ? boxes[0].focus() : typed()
    const sizes = which.value.split('x')
    if (sizes.length === 2) for (const [index, box] of boxes.entries()) box.value = sizes[index]
    change(sizes.length === 2 ? { width: Number(sizes[0]), height: Number(sizes[1]) } : undefined)
  })
  const set = (value) => {
    const given = isObject(value) && value.width !== undefined && value.height !== undefined
    for (const [index, side] of ['width', 'height'].entries()) boxes[index].value = given ? value[side] : ''
    const known = given && `${value.width}x${value.height}`
    if (!given) which.value = 'none'
    else which.value = usual.some((sizes) => sizes.join('x') === known) ? known : 'own'
    own.hidden = which.value !== 'own'
  }
  return {
    element: h('div', { class: 'resolutions' }, which, own),
    set,
    mark: mark(which, ...boxes),
    labelled: labelFor(id),
    typing: true,
  }
}
