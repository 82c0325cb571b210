import puppeteer, { type Browser } from 'puppeteer-core'
import { firefoxPath } from '../binaries.ts'

/** Firefox over WebDriver BiDi, quiet and offline. It has no H.264, because its OpenH264 plugin, a download, is off. */
export function launchFirefox(): Promise<Browser> {
  return puppeteer.launch({
    browser: 'firefox',
    executablePath: firefoxPath(),
    headless: true,
    timeout: 60_000,
    extraPrefsFirefox: {
      'media.gmp-gmpopenh264.enabled': false,
      'media.gmp-manager.updateEnabled': false,
      'media.autoplay.default': 0,
      // A camera and microphone that need no permission.
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      // Peers on loopback: mDNS names instead of addresses would not resolve.
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.peerconnection.ice.loopback': true,
    },
  })
}
