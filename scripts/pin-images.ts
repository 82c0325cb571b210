/**
 * `node scripts/pin-images.ts` appends the digest to the tag of every third-party image in the Dockerfiles and
 * `compose.yaml`, such as `node:24@sha256:…`, so that builds are reproducible. Asks `docker buildx` for the digests,
 * also of images that are already pinned.
 */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const FILES = ['docker/Dockerfile*', 'docker/examples/*/Dockerfile', 'compose.yaml']
/** `FROM image:tag` and `image: name/image:tag`; without a tag it is a stage or built here. */
const IMAGE = /^(FROM |\s*image: )([\w./-]+:[\w.-]+)(@sha256:[0-9a-f]{64})?/gm

/** The text with each image's digest after its tag. */
export function pinned(text: string, digestOf: (image: string) => string): string {
  return text.replace(IMAGE, (_, before: string, image: string) => `${before}${image}@${digestOf(image)}`)
}

/** The digest of the multi-architecture index, so that each machine gets its own image. */
function askDocker(image: string): string {
  const args = ['buildx', 'imagetools', 'inspect', image, '--format', '{{.Manifest.Digest}}']
  const digest = execFileSync('docker', args, { encoding: 'utf8' }).trim()
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`docker says "${digest}" for ${image}, which is no digest`)
  return digest
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const known = new Map<string, string>()
  const digestOf = (image: string) => {
    const digest = known.get(image) ?? askDocker(image)
    known.set(image, digest)
    return digest
  }
  for (const file of globSync(FILES)) writeFileSync(file, pinned(readFileSync(file, 'utf8'), digestOf))
  for (const [image, digest] of known) console.log(`${image} is ${digest}`)
}
