/** How well Millrace is supported on a system. */
export type SystemSupport = { state: 'tested' | 'untested' | 'unsupported'; sentence: string }

/** `platform` is a `process.platform` value. */
export function systemSupport(platform: NodeJS.Platform = process.platform): SystemSupport {
  switch (platform) {
    case 'linux':
      return { state: 'tested', sentence: 'Linux' }
    case 'darwin':
      return {
        state: 'untested',
        sentence: 'This is macOS, which Millrace supports but is not tested on: Linux is, and Docker has that.',
      }
    case 'win32':
      return {
        state: 'unsupported',
        sentence: 'Millrace does not run on Windows itself: start it in WSL2, or with docker compose up.',
      }
    default:
      return {
        state: 'untested',
        sentence: `This is ${platform}, which Millrace is neither made for nor tested on: Linux is, and Docker has that.`,
      }
  }
}
