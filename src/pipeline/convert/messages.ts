import type { Image } from './pixels.ts'

/** Location of pixels: in shared memory, by its descriptor, or in the message itself. */
export type Place = { key: number; fd: number; bytes: number; offset: number; length: number } | { data: Uint8Array }

export type Form = Omit<Image, 'data'>

/** `matrix`: MatrixCoefficients (ITU-T H.273) of the YCbCr side. */
export type Job = { id: number; from: Form & { place: Place }; to: Form & { place: Place }; matrix: number }

export type Done = { id: number; failed?: string }
