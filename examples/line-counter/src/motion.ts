/** Side of a cell of the motion grid, in pixels. */
export const CELL = 8
/** Seconds until the background adapts, without and with motion. */
const [STILL_S, MOVING_S] = [2, 30]

export type Box = { x: number; y: number; width: number; height: number }

/** Finds what differs from the usual background. One instance serves one frame size. */
export class Motion {
  readonly #columns: number
  readonly #rows: number
  readonly #usual: Float32Array
  readonly #moves: Uint8Array
  #seenAt: number | undefined

  constructor(width: number, height: number) {
    this.#columns = Math.ceil(width / CELL)
    this.#rows = Math.ceil(height / CELL)
    this.#usual = new Float32Array(this.#columns * this.#rows)
    this.#moves = new Uint8Array(this.#usual.length)
  }

  /**
   * Boxes around moving things, in pixels: at least `minCells` neighbouring cells whose brightness differs by more than
   * `sensitivity` from the background. `luma` is a frame's luma plane, `seconds` its time.
   */
  find(luma: Uint8Array, width: number, height: number, seconds: number, sensitivity: number, minCells: number): Box[] {
    const passed = this.#seenAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, seconds - this.#seenAt)
    this.#seenAt = seconds
    const [still, moving] = [Math.min(1, passed / STILL_S), Math.min(1, passed / MOVING_S)]
    for (let row = 0, at = 0; row < this.#rows; row++) {
      for (let column = 0; column < this.#columns; column++, at++) {
        const level = cellLevel(luma, width, height, column, row)
        const moves = Math.abs(level - this.#usual[at]!) > sensitivity
        // The first frame becomes the background.
        this.#moves[at] = moves && passed !== Number.POSITIVE_INFINITY ? 1 : 0
        this.#usual[at]! += (level - this.#usual[at]!) * (moves ? moving : still)
      }
    }
    return this.#groups(minCells).map((box) => clip(box, width, height))
  }

  /** Removes groups of neighbouring cells from the motion map, and returns their boxes. */
  #groups(minCells: number): Box[] {
    const boxes: Box[] = []
    const open: number[] = []
    for (let start = 0; start < this.#moves.length; start++) {
      if (!this.#moves[start]) continue
      let [cells, left, right, top, bottom] = [0, this.#columns, 0, this.#rows, 0]
      this.#moves[start] = 0
      open.push(start)
      for (let at = open.pop(); at !== undefined; at = open.pop()) {
        const [column, row] = [at % this.#columns, Math.floor(at / this.#columns)]
        cells++
        left = Math.min(left, column)
        right = Math.max(right, column)
        top = Math.min(top, row)
        bottom = Math.max(bottom, row)
        for (let y = Math.max(0, row - 1); y <= Math.min(this.#rows - 1, row + 1); y++) {
          for (let x = Math.max(0, column - 1); x <= Math.min(this.#columns - 1, column + 1); x++) {
            const next = y * this.#columns + x
            if (!this.#moves[next]) continue
            this.#moves[next] = 0
            open.push(next)
          }
        }
      }
      if (cells < minCells) continue
      boxes.push({
        x: left * CELL,
        y: top * CELL,
        width: (right - left + 1) * CELL,
        height: (bottom - top + 1) * CELL,
      })
    }
    return boxes
  }
}

/** Mean over every second pixel of every second row: equally good for a quarter of the work. */
function cellLevel(luma: Uint8Array, width: number, height: number, column: number, row: number): number {
  const [right, bottom] = [Math.min(width, (column + 1) * CELL), Math.min(height, (row + 1) * CELL)]
  let [sum, count] = [0, 0]
  for (let y = row * CELL; y < bottom; y += 2) {
    for (let x = column * CELL; x < right; x += 2) {
      sum += luma[y * width + x]!
      count++
    }
  }
  return sum / count
}

function clip(box: Box, width: number, height: number): Box {
  return { ...box, width: Math.min(box.width, width - box.x), height: Math.min(box.height, height - box.y) }
}
