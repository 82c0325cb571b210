/**
 * Runs before the tests: finds the system programs that they need, installs missing ones with apt if permitted (root on
 * Debian or Ubuntu), and otherwise exits with one line that names what is missing and how to get it.
 */
import { spawnSync } from 'node:child_process'
import { findChromium, findFfmpeg, findFfprobe, findFirefox, onPath } from './binaries.ts'

type Need = {
  what: string
  variable: string
  aptPackages: string[]
  find: () => string | undefined
  /** If it is not available, its tests are skipped. */
  optional?: boolean
}

const NEEDS: Need[] = [
  { what: 'ffmpeg', variable: 'FFMPEG_PATH', aptPackages: ['ffmpeg'], find: findFfmpeg },
  { what: 'ffprobe', variable: 'FFMPEG_PATH', aptPackages: ['ffmpeg'], find: findFfprobe },
  // Ubuntu's `chromium` only refers to a snap, so it is tested by running it and not by its name. The venv module and
  // the frame ring's atomics are separate Debian packages.
  { what: 'Python', variable: 'PATH', aptPackages: ['python3-venv', 'libatomic1'], find: findPython },
  { what: 'Chromium', variable: 'CHROMIUM_PATH', aptPackages: ['chromium'], find: findChromium },
  // Ubuntu lacks this package, and its `firefox` refers to a snap.
  { what: 'Firefox', variable: 'FIREFOX_PATH', aptPackages: ['firefox-esr'], find: findFirefox, optional: true },
  {
    what: 'GStreamer with its RTSP server',
    variable: 'PATH',
    aptPackages: [
      ...['gir1.2-gst-rtsp-server-1.0', 'python3-gi', 'gstreamer1.0-plugins-base', 'glib-networking'],
      ...['gstreamer1.0-plugins-good', 'gstreamer1.0-plugins-bad'],
    ],
    find: findGstreamer,
    optional: true,
  },
  { what: 'coturn', variable: 'PATH', aptPackages: ['coturn'], find: () => onPath('turnserver'), optional: true },
]

function findPython(): string | undefined {
  const python = onPath('python3')
  const probe =
    'import ensurepip, venv, sys, ctypes; ctypes.CDLL("libatomic.so.1"); sys.exit(sys.version_info < (3, 10))'
  const works = python && spawnSync(python, ['-c', probe], { stdio: 'ignore', timeout: 60_000 }).status === 0
  return works ? python : undefined
}

/** The Python of Debian's packages. */
function findGstreamer(): string | undefined {
  const python = '/usr/bin/python3'
  const probe = 'import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer'
  const works = spawnSync(python, ['-c', probe], { stdio: 'ignore', timeout: 60_000 }).status === 0
  return works ? python : undefined
}

const UPDATE_LIMIT_MS = 180_000
const INSTALL_LIMIT_MS = 900_000

function missing(optional = false): Need[] {
  return NEEDS.filter((need) => (need.optional ?? false) === optional).filter((need) => {
    const file = need.find()
    return !file || !starts(file, need.what.startsWith('ff') ? '-version' : '--version')
  })
}

function starts(file: string, flag: string): boolean {
  return spawnSync(file, [flag], { stdio: 'ignore', timeout: 60_000 }).status === 0
}

function mayInstall(): boolean {
  return process.platform === 'linux' && process.getuid?.() === 0 && onPath('apt-get') !== undefined
}

/** apt's output if it failed. */
function apt(args: string[], limitMs: number): string | undefined {
  const run = spawnSync('apt-get', args, {
    encoding: 'utf8',
    timeout: limitMs,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  if (run.status === 0) return undefined
  return run.error?.message ?? run.stderr.trim().split('\n').at(-1) ?? `exit code ${run.status}`
}

function install(needs: Need[]): string | undefined {
  const packages = [...new Set(needs.flatMap((need) => need.aptPackages))]
  console.log(`installing ${packages.join(' and ')} with apt-get, needed by the tests`)
  const stale = apt(['update', '-qq'], UPDATE_LIMIT_MS)
  const failed = apt(['install', '-y', '-qq', '--no-install-recommends', ...packages], INSTALL_LIMIT_MS)
  return failed && [failed, stale].filter(Boolean).join('; apt-get update: ')
}

function mend(needs: Need[]): string {
  const packages = [...new Set(needs.flatMap((need) => need.aptPackages))].join(' ')
  const variables = [...new Set(needs.map((need) => need.variable))].join(' and ')
  const command =
    process.platform === 'darwin'
      ? `brew install ${packages}`
      : `apt-get install ${packages} (as root), or your system's like`
  return `install with: ${command}; or set ${variables} to where they are`
}

let absent = missing()
let aptSaid: string | undefined
if (absent.length > 0 && mayInstall()) {
  aptSaid = install(absent)
  absent = missing()
}
if (absent.length > 0) {
  const names = absent.map((need) => need.what).join(' and ')
  const why = aptSaid ? ` (apt-get failed: ${aptSaid})` : ''
  console.error(`the tests need ${names}, not found on this machine${why}; ${mend(absent)}`)
  process.exit(1)
}
const wished = missing(true)
if (wished.length > 0 && mayInstall()) install(wished)
