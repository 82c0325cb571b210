import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

/** Names under which systems install a Chromium that playwright-core can drive, best first. */
const CHROMIUM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

/** Places outside PATH where installers put one. */
const CHROMIUM_PLACES = [
  '/usr/lib/chromium/chromium',
  '/snap/bin/chromium',
  '/opt/google/chrome/chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/** The first of `names` that PATH holds, as an absolute path. */
export function onPath(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable)
}

/** `FFMPEG_PATH`, else the one on PATH. */
export function findFfmpeg(): string | undefined {
  const named = process.env.FFMPEG_PATH
  return named && isExecutable(named) ? named : onPath('ffmpeg')
}

/** The neighbour of `FFMPEG_PATH`, else the one on PATH. */
export function findFfprobe(): string | undefined {
  const named = process.env.FFMPEG_PATH
  const neighbour = named && join(dirname(named), 'ffprobe')
  return neighbour && isExecutable(neighbour) ? neighbour : onPath('ffprobe')
}

/** `CHROMIUM_PATH`, else a usual name on PATH, else a usual place. */
export function findChromium(): string | undefined {
  const named = process.env.CHROMIUM_PATH
  if (named && isExecutable(named)) return named
  return onPath(...CHROMIUM_NAMES) ?? CHROMIUM_PLACES.find(isExecutable)
}

function need(found: string | undefined, what: string): string {
  if (!found) throw new Error(`${what} is not on this machine; run: node test/helpers/prepare-machine.ts`)
  return found
}

export const ffmpegPath = (): string => need(findFfmpeg(), 'ffmpeg')
export const ffprobePath = (): string => need(findFfprobe(), 'ffprobe')
export const chromiumPath = (): string => need(findChromium(), 'Chromium')
