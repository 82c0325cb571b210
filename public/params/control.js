import { checks, chips, select, switchBox } from './controls/choice.js'
import { color } from './controls/color.js'
import { file } from './controls/file.js'
import { group, tuple } from './controls/group.js'
import { json } from './controls/json.js'
import { list, map } from './controls/list.js'
import { maybe } from './controls/maybe.js'
import { number, slider } from './controls/number.js'
import { resolution } from './controls/resolution.js'
import { moment, secret, text } from './controls/text.js'
import { union } from './controls/union.js'

const KINDS = {
  checks,
  chips,
  color,
  date: moment,
  'date-time': moment,
  file,
  group,
  json,
  list,
  long: text,
  map,
  maybe,
  number,
  resolution,
  secret,
  select,
  slider,
  switch: switchBox,
  text,
  tuple,
  union,
}

/**
 * Makes the control for a spec. Each kind returns `{ element, set(value), mark(wrong), labelled(text), inline?, typing?
 * }` and calls `change(value)` for a valid edit, `invalid(message)` for another. `nest(spec, onChange, options)` makes
 * a field inside.
 */
export function control(spec, id, hooks) {
  return KINDS[spec.kind](spec, id, hooks)
}
