/**
 * Millrace's own lettering: a rounded monoline sans for printable ASCII and `…`, so that text in the frame needs no font of the machine.
 *
 * Grid: y grows upwards from the baseline; x-height 10, capitals and ascenders 14, descenders -4, one em is 22. Coordinates are the centre
 * of a round pen. A glyph is `SIDES stroke; stroke; …`. A stroke is a run of points `x,y`; `x,y~r` rounds that corner by at most `r` units
 * along either edge, a final `z` closes the stroke, a lone point is a dot. SIDES names the left and right bearing: S beside a straight stem,
 * O beside a bowl, A beside a diagonal or an open end, T for figures, which all take the same width so that a counter does not wobble.
 */
const FONT: Record<string, string> = {
  a: 'OS 0.5,8.3 1.5,10~2.4 6.4,10~3.7 6.4,0; 6.4,5.8 0,5.8~2.9 0,0~2.9 6.4,0~3.8 6.4,3.4',
  b: 'SO 0,14 0,0; 0,6 0,10~4 7.2,10~4.2 7.2,0~4.2 0,0~4 0,4',
  c: 'OA 6.5,8.2 5.5,10~2.2 0,10~4.6 0,0~4.6 5.5,0~2.2 6.5,1.8',
  d: 'OS 7.2,14 7.2,0; 7.2,6 7.2,10~4 0,10~4.2 0,0~4.2 7.2,0~4 7.2,4',
  e: 'OO 0,5.1 7.4,5.1 7.4,10~4.6 0,10~4.6 0,0~4.6 5.8,0~2.4 6.9,1.7',
  f: 'AA 4.9,14 1.8,14~3 1.8,0; 0,10 4.6,10',
  g: 'OS 7.2,10 7.2,-4~3.8 1.5,-4~2.2 0.6,-2.6; 7.2,6 7.2,10~4 0,10~4.2 0,0~4.2 7.2,0~4 7.2,4',
  h: 'SS 0,14 0,0; 0,6 0,10~4 7,10~4 7,0',
  i: 'SS 0,10 0,0; 0,13.7',
  j: 'AS 2.2,10 2.2,-4~2.6 0,-4; 2.2,13.7',
  k: 'SA 0,14 0,0; 6.3,10 0,4.1; 2.5,6.4 6.7,0',
  l: 'SA 0,14 0,0~2.4 2.2,0',
  m: 'SS 0,0 0,10; 0,6 0,10~3.8 5.9,10~3.8 5.9,0; 5.9,6 5.9,10~3.8 11.8,10~3.8 11.8,0',
  n: 'SS 0,0 0,10; 0,6 0,10~4 7,10~4 7,0',
  o: 'OO 0,0~4.6 0,10~4.6 7.6,10~4.6 7.6,0~4.6 z',
  p: 'SO 0,10 0,-4; 0,6 0,10~4 7.2,10~4.2 7.2,0~4.2 0,0~4 0,4',
  q: 'OS 7.2,10 7.2,-4; 7.2,6 7.2,10~4 0,10~4.2 0,0~4.2 7.2,0~4 7.2,4',
  r: 'SA 0,0 0,10; 0,5.8 0,10~4.2 4.4,10',
  s: 'OO 6,8.4 5,10~2 0.3,10~2.6 0.3,5.5~2.4 6.4,4.7~2.4 6.4,0~2.6 1.2,0~2 0,1.7',
  t: 'AA 1.8,13.2 1.8,0~2.8 4.6,0; 0,10 4.6,10',
  u: 'SS 7,10 7,0; 0,10 0,0~4 7,0~4 7,4',
  v: 'AA 0,10 3.7,0 7.4,10',
  w: 'AA 0,10 2.9,0 5.7,9.6 8.5,0 11.4,10',
  x: 'AA 0.1,10 6.9,0; 6.9,10 0,0',
  y: 'AA 0,10 3.7,0; 7.4,10 2.2,-4~2.4 0.2,-4',
  z: 'AA 0.2,10 6.2,10 0,0 6.4,0',

  A: 'AA 0,0 5,14 10,0; 1.7,4.8 8.3,4.8',
  B: 'SO 0,7.4 0,14 7.3,14~3.3 7.3,7.4~3.3 0,7.4 0,0 8,0~3.7 8,7.4~3.7 5,7.4',
  C: 'OA 9.1,11.5 7.7,14~3 0,14~6.2 0,0~6.2 7.7,0~3 9.1,2.5',
  D: 'SO 0,0 0,14 9.2,14~6 9.2,0~6 0,0',
  E: 'SA 7.4,14 0,14 0,0 7.5,0; 0,7.2 6.6,7.2',
  F: 'SA 7.2,14 0,14 0,0; 0,7 6.4,7',
  G: 'OS 9.2,11.5 7.8,14~3 0,14~6.2 0,0~6.2 9.4,0~4.8 9.4,6.6 5.6,6.6',
  H: 'SS 0,0 0,14; 9,0 9,14; 0,7.2 9,7.2',
  I: 'SS 0,0 0,14',
  J: 'AS 6,14 6,0~3.8 0.9,0~2.2 0,1.8',
  K: 'SA 0,0 0,14; 8.2,14 0,5.2; 3.1,8.5 8.8,0',
  L: 'SA 0,14 0,0 7,0',
  M: 'SS 0,0 0,14 5.6,4.6 11.2,14 11.2,0',
  N: 'SS 0,0 0,14 9.2,0 9.2,14',
  O: 'OO 0,0~6.2 0,14~6.2 10.4,14~6.2 10.4,0~6.2 z',
  P: 'SO 0,0 0,14 8,14~3.8 8,6.4~3.8 0,6.4',
  Q: 'OO 0,0~6.2 0,14~6.2 10.4,14~6.2 10.4,0~6.2 z; 6.6,3.4 10.2,-0.6',
  R: 'SA 0,0 0,14 8,14~3.8 8,6.4~3.8 0,6.4; 4.3,6.4 8.6,0',
  S: 'OO 8,11.5 6.8,14~2.8 0.3,14~3.6 0.3,7.6~3.4 8.5,6.5~3.4 8.5,0~3.6 1.4,0~2.8 0,2.5',
  T: 'AA 0,14 9,14; 4.5,14 4.5,0',
  U: 'SS 0,14 0,0~4.8 9,0~4.8 9,14',
  V: 'AA 0,14 5,0 10,14',
  W: 'AA 0,14 3.8,0 7.6,13.6 11.4,0 15.2,14',
  X: 'AA 0.2,14 9,0; 8.8,14 0,0',
  Y: 'AA 0,14 4.6,6.4 9.2,14; 4.6,6.4 4.6,0',
  Z: 'AA 0.2,14 8.4,14 0,0 8.6,0',

  '0': 'TT 0,0~5.2 0,14~5.2 7.6,14~5.2 7.6,0~5.2 z',
  '1': 'TT 0,11 3.4,14 3.4,0',
  '2': 'TT 0.2,10.9 0.2,14~3.6 7.2,14~3.8 7.2,8.2~3.2 0,0 7.5,0',
  '3': 'TT 0.4,11.8 1.4,14~2.6 7,14~3.4 7,7.5~3.2 3,7.5 7.5,7.5~3.7 7.5,0~3.7 1.1,0~2.6 0,2.4',
  '4': 'TT 5,14 0,4 7.9,4; 5.9,7.6 5.9,0',
  '5': 'TT 6.9,14 1,14 0.5,7.5 1.8,8.8~1.5 7.5,8.8~4 7.5,0~4.2 1.1,0~2.4 0,2.2',
  '6': 'TT 6.6,12.3 5.7,14~1.9 0,14~6.4 0,4.4; 0,0~4 0,8.6~4 7.6,8.6~4 7.6,0~4 z',
  '7': 'TT 0,14 7.4,14 2.4,0',
  '8': 'TT 0.5,7.5~3.2 0.5,14~3.2 7.1,14~3.2 7.1,7.5~3.2 z; 0,0~3.7 0,7.5~3.7 7.6,7.5~3.7 7.6,0~3.7 z',
  '9': 'TT 1,1.7 1.9,0~1.9 7.6,0~6.4 7.6,9.6; 0,5.4~4 0,14~4 7.6,14~4 7.6,5.4~4 z',

  '!': 'SS 0,14 0,4.8; 0,0',
  '"': 'SS 0,14 0,10.8; 3,14 3,10.8',
  '#': 'AA 3,13 1.6,1; 7.4,13 6,1; 0.4,9.2 9,9.2; 0,4.8 8.6,4.8',
  $: 'OO 8,11 6.8,13~2.8 0.3,13~3.4 0.3,7.4~3.2 8.5,6.6~3.2 8.5,1~3.4 1.4,1~2.8 0,3; 4.3,15.4 4.3,-1.4',
  '%': 'OO 0,8.4~2.6 0,14~2.6 4.4,14~2.6 4.4,8.4~2.6 z; 8,0~2.6 8,5.6~2.6 12.4,5.6~2.6 12.4,0~2.6 z; 9.8,14 2.6,0',
  '&': 'OA 9.2,0 1.4,9.2~1.6 1.4,14~2.8 6.5,14~2.8 6.5,8.9~2 0,7~3.4 0,0~3.4 6.8,0~4.6 9,5.6',
  "'": 'SS 0,14 0,10.8',
  '(': 'OA 2.8,15.4 0,12~5 0,0~5 2.8,-3.4',
  ')': 'AO 0,15.4 2.8,12~5 2.8,0~5 0,-3.4',
  '*': 'AA 3,14.2 3,8.2; 0.4,12.7 5.6,9.7; 0.4,9.7 5.6,12.7',
  '+': 'OO 0,6 7.6,6; 3.8,9.8 3.8,2.2',
  ',': 'SS 0.9,0.2 0,-2.6',
  '-': 'AA 0,5.4 4.4,5.4',
  '.': 'SS 0,0',
  '/': 'AA 0,-1.6 5.8,15.4',
  ':': 'SS 0,0.4; 0,8.4',
  ';': 'SS 0.9,0.2 0,-2.6; 0.7,8.4',
  '<': 'OO 7,10.2 0,6 7,1.8',
  '=': 'OO 0,8 7.6,8; 0,4 7.6,4',
  '>': 'OO 0,10.2 7,6 0,1.8',
  '?': 'OO 0,11.2 0,14~3.2 6.8,14~3.6 6.8,8.8~3 3.3,7.6~2 3.3,4.8; 3.3,0',
  '@': 'OO 10.6,-2.2 9,-3.4~2 0,-3.4~6.4 0,12~6.4 13.4,12~6.4 13.4,1.6~2.6 9.6,1.6~1.8 9.6,8; 3.6,1.6~3 3.6,7.8~3 9.6,7.8~3 9.6,1.6~3 z',
  '[': 'SA 2.8,15.4 0,15.4 0,-3.4 2.8,-3.4',
  '\\': 'AA 0,15.4 5.8,-1.6',
  ']': 'AS 0,15.4 2.8,15.4 2.8,-3.4 0,-3.4',
  '^': 'AA 0,9.6 3.3,14 6.6,9.6',
  _: 'AA 0,-2.4 8,-2.4',
  '`': 'AA 0,14.2 1.7,12',
  '{': 'AA 3.6,15.4 1.8,15.4~2 1.8,6~2 0,6 1.8,6~2 1.8,-3.4~2 3.6,-3.4',
  '|': 'SS 0,15.4 0,-3.4',
  '}': 'AA 0,15.4 1.8,15.4~2 1.8,6~2 3.6,6 1.8,6~2 1.8,-3.4~2 0,-3.4',
  '~': 'OO 0,4.8 0,7.2~2.2 3.9,7.2~2 3.9,4.8~2 7.8,4.8~2.2 7.8,7.2',
  '…': 'SS 0,0; 4,0; 8,0',
}

/** Units of the grid in one em: text of size 22 px has 1 px to the unit. */
export const EM = 22
/** Height of small letters without ascender, in units. */
export const X_HEIGHT = 10
/** Height of capitals and figures, in units. */
export const CAP_HEIGHT = 14
/** Diameter of the pen, in units. */
export const PEN = 2
/** What a glyph may reach above the baseline and below it, pen included, in units. */
export const ASCENT = 17
export const DESCENT = 5.5

/** One letter, ready to be drawn: lines through the centre of the pen, x from the origin of the letter. */
export type Glyph = {
  /** Distance to the origin of the next letter, in units. */
  advance: number
  /** Each stroke as x, y, x, y, …, in units; a dot has one point. */
  strokes: Float32Array[]
}

const BEARING: Record<string, number> = { S: 2.4, O: 1.9, A: 1.4 }
const FIGURE_ADVANCE = 11.4
const SPACE: Glyph = { advance: 5.6, strokes: [] }
/** A little squarer than a circle's 0.552, which keeps small bowls open. */
const ROUNDNESS = 0.59
const CORNER_STEPS = 10

const KERNING: Record<string, number> = {}
for (const [pairs, units] of [
  ['To Ta Te Tr Tu Ts Tc Ty Yo Ya Ye Va Ve Vo Wa We Wo', -1.2],
  ['AV VA AW WA AT TA AY YA LT LV LY Ly', -1.6],
  ['r. r, r… y. y, v. v, w. w, P. P, T. T, V. V, Y. Y, F. F,', -1],
] as const)
  for (const pair of pairs.split(' ')) KERNING[pair] = units

/** Typographer's marks, drawn as their plain sisters. */
const PLAIN: Record<string, string> = { '–': '-', '—': '-', '‘': "'", '’': "'", '“': '"', '”': '"' }

const parsed = new Map<string, Glyph>()

/** The glyph of one character; an accented letter falls back to its base letter, anything else unknown to `?`. */
export function glyph(character: string): Glyph {
  if (/\s/.test(character)) return SPACE
  const known = character in FONT ? character : (PLAIN[character] ?? character.normalize('NFKD')[0] ?? '?')
  const key = known in FONT ? known : '?'
  let found = parsed.get(key)
  if (found === undefined) {
    found = parseGlyph(FONT[key] ?? '')
    parsed.set(key, found)
  }
  return found
}

/** How far the second of two letters moves towards the first, in units, 0 or less. */
export function kerning(left: string, right: string): number {
  return KERNING[left + right] ?? 0
}

type Point = { x: number; y: number; round: number }

function parseGlyph(source: string): Glyph {
  const lines = source.slice(3).split('; ').map(parseStroke)
  const width = Math.max(...lines.flatMap((line) => line.filter((_, at) => at % 2 === 0)))
  const figure = source.startsWith('T')
  const left = figure ? (FIGURE_ADVANCE - width) / 2 : BEARING[source[0] ?? '']!
  const right = figure ? left : BEARING[source[1] ?? '']!
  return {
    advance: figure ? FIGURE_ADVANCE : left + width + right,
    strokes: lines.map((line) => Float32Array.from(line, (value, at) => (at % 2 === 0 ? value + left : value))),
  }
}

function parseStroke(source: string): number[] {
  const words = source.split(' ')
  const closed = words.at(-1) === 'z'
  const points = (closed ? words.slice(0, -1) : words).map((word): Point => {
    const [x, y, round = 0] = word.split(/[,~]/).map(Number)
    return { x: x!, y: y!, round }
  })
  const line: number[] = []
  for (const [at, point] of points.entries()) {
    const before = points.at(at - 1)!
    const after = points[(at + 1) % points.length]!
    if (point.round > 0) line.push(...corner(before, point, after))
    else line.push(point.x, point.y)
  }
  return closed ? [...line, line[0]!, line[1]!] : line
}

/** A cubic that leaves the edge `before`-`point` and joins `point`-`after`; where two roundings meet, they share the edge. */
function corner(before: Point, point: Point, after: Point): number[] {
  const towards = (other: Point) => {
    const length = Math.hypot(other.x - point.x, other.y - point.y)
    const share = Math.min(point.round, (length * point.round) / (point.round + other.round)) / length
    return { x: (other.x - point.x) * share, y: (other.y - point.y) * share }
  }
  const a = towards(before)
  const b = towards(after)
  const line: number[] = []
  for (let step = 0; step <= CORNER_STEPS; step++) {
    const t = step / CORNER_STEPS
    const inWeight = (1 - t) ** 3 + 3 * (1 - t) ** 2 * t * (1 - ROUNDNESS)
    const outWeight = t ** 3 + 3 * t ** 2 * (1 - t) * (1 - ROUNDNESS)
    line.push(point.x + a.x * inWeight + b.x * outWeight, point.y + a.y * inWeight + b.y * outWeight)
  }
  return line
}
