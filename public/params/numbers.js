/** Beyond it, whole numbers are not exact in JSON as browsers and Node parse it. */
const LARGEST = Number.MAX_SAFE_INTEGER

/** Removes floating-point residue: 0.1 · 3 is 0.3. */
const clean = (value) => Number(value.toPrecision(15))

const isBound = (value) => typeof value === 'number'

/**
 * The bounds of a number's schema. `min` and `max` are the first and the last valid value on the grid of `multipleOf`;
 * without a grid they are the bounds, exclusive if `above` or `below` is true; undefined if unbounded. `grid` is the
 * distance between values, undefined if any value is valid.
 */
export function rangeOf(schema) {
  const integer = schema.type === 'integer'
  // `exclusiveMinimum: true` is the form of draft 4.
  const above = isBound(schema.exclusiveMinimum) ? schema.exclusiveMinimum : undefined
  const below = isBound(schema.exclusiveMaximum) ? schema.exclusiveMaximum : undefined
  const low = highest(schema.minimum, above)
  const high = lowest(schema.maximum, below)
  const openLow = low !== undefined && (low === above || schema.exclusiveMinimum === true)
  const openHigh = high !== undefined && (high === below || schema.exclusiveMaximum === true)
  const multiple = schema.multipleOf
  const grid = multiple && integer ? wholeMultiple(multiple) : (multiple ?? (integer ? 1 : undefined))
  if (grid === undefined) return { min: low, max: high, above: openLow, below: openHigh, grid, integer }
  const first = low === undefined ? undefined : Math.ceil(timesOf(low, grid))
  const last = high === undefined ? undefined : Math.floor(timesOf(high, grid))
  const at = (times) => (times === undefined ? undefined : onGrid(times, grid))
  let min = openLow && at(first) <= low ? at(first + 1) : at(first)
  let max = openHigh && at(last) >= high ? at(last - 1) : at(last)
  if (integer) {
    if (min !== undefined && min < -LARGEST) min = undefined
    if (max !== undefined && max > LARGEST) max = undefined
  }
  return { min, max, above: false, below: false, grid, integer }
}

const isExact = (grid) => Number.isInteger(grid) || grid !== Number(grid.toPrecision(12))
const onGrid = (times, grid) => (isExact(grid) ? times * grid : clean(times * grid))
const timesOf = (value, grid) =>
  Number.isInteger(grid) && Number.isInteger(value) ? value / grid : clean(value / grid)
const highest = (a, b) => (isBound(a) && isBound(b) ? Math.max(a, b) : (a ?? b))
const lowest = (a, b) => (isBound(a) && isBound(b) ? Math.min(a, b) : (a ?? b))

/** The smallest whole number that is a multiple of it: 5 for 2.5. */
function wholeMultiple(multiple) {
  const [digits, power = '0'] = multiple.toExponential().split('e')
  const [ones, rest = ''] = digits.split('.')
  const tens = Number(power) - rest.length
  const numerator = Number(ones + rest)
  return tens >= 0 ? multiple : numerator / divisorOf(numerator, 10 ** -tens)
}

const divisorOf = (a, b) => (b === 0 ? a : divisorOf(b, a % b))

/** The valid value that is nearest to another; undefined if the bounds leave none. */
export function nearestOf(schema, value) {
  const { min, max, above, below, grid } = rangeOf(schema)
  if (min > max || (min === max && (above || below))) return undefined
  if (above && value <= min) return max === undefined ? min + 1 : clean((min + max) / 2)
  if (below && value >= max) return min === undefined ? max - 1 : clean((min + max) / 2)
  const inside = Math.min(Math.max(value, min ?? value), max ?? Number.POSITIVE_INFINITY)
  return grid === undefined ? inside : onGrid(Math.round(timesOf(inside, grid)), grid)
}

/** What is wrong with a number of this schema; undefined when it is valid. */
export function problemOfNumber(schema, value) {
  const { min, max, above, below, grid, integer } = rangeOf(schema)
  if (!Number.isFinite(value)) return 'Enter a number.'
  if (integer && !Number.isInteger(value)) return 'Enter a whole number.'
  if (integer && Math.abs(value) > LARGEST) return `Whole numbers are exact up to ${LARGEST}; enter a smaller one.`
  const low = min !== undefined && (value < min || (above && value === min))
  const high = max !== undefined && (value > max || (below && value === max))
  if (low || high) {
    const [from, to] = [`${above ? 'more than' : 'at least'} ${min}`, `${below ? 'less than' : 'at most'} ${max}`]
    if (min === undefined) return capital(`${to}.`)
    if (max === undefined) return capital(`${from}.`)
    return above || below ? capital(`${from}, ${to}.`) : `Between ${min} and ${max}.`
  }
  if (schema.multipleOf === undefined || grid === undefined) return undefined
  const times = timesOf(value, grid)
  if (Number.isInteger(times)) return undefined
  const near = [Math.floor(times), Math.ceil(times)].map((whole) => onGrid(whole, grid))
  const taken = near.filter((one) => one >= (min ?? one) && one <= (max ?? one))
  return `A multiple of ${schema.multipleOf}${taken.length > 0 ? `, such as ${taken.join(' or ')}` : ''}.`
}

const capital = (text) => text[0].toUpperCase() + text.slice(1)

/** With more positions a slider is too coarse, and a box is used. */
const MAX_POSITIONS = 1000

/**
 * About a hundredth of the range: 1, 2 or 5 times a power of ten where that many steps lead from one end to the other,
 * else a hundredth of it.
 */
export function stepFor(min, max) {
  if (min === undefined || max === undefined || max <= min) return 'any'
  const hundredth = (max - min) / 100
  const power = 10 ** Math.floor(Math.log10(hundredth))
  const round = [5, 2, 1, 0.5, 0.2].map((times) => Number((times * power).toPrecision(1)))
  const isWhole = (step) => Number.isInteger(clean((max - min) / step))
  return round.find((step) => step <= hundredth * 1.001 && isWhole(step)) ?? clean(hundredth)
}

/** The slider's positions, `{ min, max, step }`, each a valid value; undefined if a box is the better control. */
export function positionsOf(schema) {
  const { min, max, above, below, grid } = rangeOf(schema)
  if (min === undefined || max === undefined) return undefined
  // Whether a number is a multiple of a third, say, depends on how a validator rounds.
  if (grid !== undefined && !Number.isInteger(grid) && isExact(grid)) return undefined
  const step = grid ?? stepFor(min, max)
  if (step === 'any') return undefined
  const first = above ? clean(min + step) : min
  const last = below ? clean(max - step) : max
  if (last <= first || (last - first) / step > MAX_POSITIONS) return undefined
  return { min: first, max: last, step }
}

/** The position that a browser's slider means: it computes with fewer digits than the bounds may have. */
export function positionNear(schema, value) {
  const { grid } = rangeOf(schema)
  const { min, max, step } = positionsOf(schema)
  if (value - min < step / 2) return min
  if (max - value < step / 2) return max
  if (grid !== undefined) return nearestOf(schema, value)
  const digits = Math.ceil(-Math.log10(step))
  return clean(digits > 0 ? Number(value.toFixed(Math.min(digits + 1, 100))) : value)
}
