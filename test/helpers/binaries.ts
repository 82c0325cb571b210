import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

/** Names of Chromium builds that playwright-core can drive, best first. */
const CHROMIUM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

/** Install locations outside PATH. */
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

/** The absolute path of the first of `names` on PATH. */
export function onPath(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable)
}

/** `FFMPEG_PATH`, else the one on PATH. */
export function findFfmpeg(): string | undefined {
  const named = process.env.FFMPEG_PATH
  return named && isExecutable(named) ? named : onPath('ffmpeg')
}

/** Beside `FFMPEG_PATH`, else the one on PATH. */
export function findFfprobe(): string | undefined {
  const named = process.env.FFMPEG_PATH
  const neighbour = named && join(dirname(named), 'ffprobe')
  return neighbour && isExecutable(neighbour) ? neighbour : onPath('ffprobe')
}

/** `CHROMIUM_PATH`, else a known name on PATH, else a known location. */
export function findChromium(): string | undefined {
  const named = process.env.CHROMIUM_PATH
  if (named && isExecutable(named)) return named
  return onPath(...CHROMIUM_NAMES) ?? CHROMIUM_PLACES.find(isExecutable)
}

/** `FIREFOX_PATH`, else a known name on PATH. */
export function findFirefox(): string | undefined {
  const named = process.env.FIREFOX_PATH
  return named && isExecutable(named) ? named : onPath('firefox-esr', 'firefox')
}

function need(found: string | undefined, what: string): string {
  if (!found) throw new Error(`${what} is not on this machine; run: node test/helpers/prepare-machine.ts`)
  return found
}

export const ffmpegPath = (): string => need(findFfmpeg(), 'ffmpeg')
export const ffprobePath = (): string => need(findFfprobe(), 'ffprobe')
export const firefoxPath = (): string => need(findFirefox(), 'Firefox')
export const chromiumPath = (): string => need(findChromium(), 'Chromium')
