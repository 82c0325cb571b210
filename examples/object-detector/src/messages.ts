/** To the worker: an image of `SIDE` × `SIDE` pixels, rgb24. */
export type Picture = { pixels: Uint8Array }
/** From the worker, once it has loaded, and then for each image. */
export type Answer = { ready: true } | { found: Found[] } | { error: string }
/** Edges from 0 to 1 of the image; `label` is an index into LABELS. */
export type Found = { left: number; top: number; right: number; bottom: number; confidence: number; label: number }

/** The model's input size. */
export const SIDE = 512
