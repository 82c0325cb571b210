import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Look } from './params.ts'

/** Bits per colour in a table: it is indexed by the top five bits of red, green and blue. */
const BITS = 5
const LEVELS = 2 ** BITS
const BYTES = LEVELS ** 3 * 3

/** File of a look's table, written by `makeTable` and read by `loadTable`. */
const fileOf = (modelDir: string, look: Look) => join(modelDir, 'film-look', `${look}.table`)

/** The expensive part, done once and kept. A model would be downloaded here: see `download` in millrace/pipeline. */
export async function makeTable(modelDir: string, look: Look): Promise<void> {
  const table = new Uint8Array(BYTES)
  for (let at = 0; at < LEVELS ** 3; at++) {
    const [r, g, b] = [at >> (2 * BITS), (at >> BITS) & (LEVELS - 1), at & (LEVELS - 1)].map(
      (level) => (level + 0.5) / LEVELS,
    )
    table.set(
      develop(look, r!, g!, b!).map((value) => Math.round(Math.min(1, Math.max(0, value)) * 255)),
      at * 3,
    )
  }
  const file = fileOf(modelDir, look)
  await mkdir(join(modelDir, 'film-look'), { recursive: true })
  // Written under another name first, so that an interrupted run leaves no partial table.
  await writeFile(`${file}.part`, table)
  await rename(`${file}.part`, file)
}

/** Throws an error that says what to do if the table was never made. */
export async function loadTable(modelDir: string, look: Look): Promise<Uint8Array> {
  const file = fileOf(modelDir, look)
  const table = await readFile(file).catch(() => {
    throw new Error(`${file} is missing: run "millrace prepare film-look"`)
  })
  if (table.length !== BYTES) throw new Error(`${file} has ${table.length} bytes, not ${BYTES}: delete and prepare it`)
  return table
}

/** A new rgb24 frame, blended towards the look by `strength`. */
export function applyTable(data: Uint8Array, table: Uint8Array, strength: number): Uint8Array {
  const out = new Uint8Array(data.length)
  const weight = Math.round(strength * 256)
  const shift = 8 - BITS
  for (let i = 0; i < data.length; i += 3) {
    const [r, g, b] = [data[i]!, data[i + 1]!, data[i + 2]!]
    const at = (((r >> shift) << (2 * BITS)) | ((g >> shift) << BITS) | (b >> shift)) * 3
    out[i] = r + (((table[at]! - r) * weight) >> 8)
    out[i + 1] = g + (((table[at + 1]! - g) * weight) >> 8)
    out[i + 2] = b + (((table[at + 2]! - b) * weight) >> 8)
  }
  return out
}

/** A film's rendering of a colour; values from 0 to 1, or slightly beyond. */
function develop(look: Look, r: number, g: number, b: number): [number, number, number] {
  const contrast = (value: number) => value + 0.35 * (value - 0.5) * (1 - Math.abs(2 * value - 1))
  const light = 0.299 * r + 0.587 * g + 0.114 * b
  switch (look) {
    case 'warm':
      return [contrast(r) + 0.06, contrast(g) + 0.02, contrast(b) - 0.08]
    case 'cold':
      return [contrast(r) - 0.07, contrast(g), contrast(b) + 0.08]
    case 'noir':
      return [contrast(contrast(light)), contrast(contrast(light)), contrast(contrast(light))]
  }
}
