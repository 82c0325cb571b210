export type Size = { name: string; width: number; height: number; kbps: number }

const SIZES: Size[] = [
  { name: '256x144', width: 256, height: 144, kbps: 300 },
  { name: '512x512', width: 512, height: 512, kbps: 1200 },
  { name: '720p', width: 1280, height: 720, kbps: 2500 },
  { name: '1080p', width: 1920, height: 1080, kbps: 5000 },
]

/** Sizes by name. Throws for an unknown name. */
export function sizesNamed(names: readonly string[]): Size[] {
  return names.map((name) => {
    const size = SIZES.find((one) => one.name === name)
    if (!size) throw new Error(`there is no size "${name}"; there are ${SIZES.map((one) => one.name).join(', ')}`)
    return size
  })
}

export const HD = sizesNamed(['720p'])[0]!
