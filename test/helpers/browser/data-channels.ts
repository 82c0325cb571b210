import type { Browser, Page } from 'playwright-core'
import { waitFor } from '../wait.ts'

/** An answer to a message on `params`. */
export type ParamsAnswer = {
  status: number
  code?: string
  detail?: string
  revision?: number
  params?: Record<string, unknown>
}

export type JoinOptions = {
  token?: string
  /** Adds to `peer` what is sent or received; default: it receives video. */
  add?: string
}

/** For `add` of a publisher: a canvas of 320x180 in which something moves, 20 times a second. */
export const PUBLISH_CANVAS = `
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 })
  setInterval(() => canvas.getContext('2d').fillRect(Math.random() * 200, 0, 50, 50), 50)
  peer.addTransceiver(canvas.captureStream(20).getVideoTracks()[0], { direction: 'sendonly' })`

/**
 * A page of the server with a session of its own at `path`. It opens data channels `labels` (`name`, or `name:protocol`),
 * and `messagesOf` tells what comes over them.
 */
export async function joinWithChannels(
  browser: Browser,
  url: string,
  path: string,
  labels: string[],
  { token = '', add = '' }: JoinOptions = {},
): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(`${url}/docs`)
  await page.evaluate(`(async () => {
    const peer = (window.peer = new RTCPeerConnection())
    window.channels = {}
    window.got = {}
    const follow = (window.follow = (channel) => {
      channels[channel.label] = channel
      got[channel.label] = []
      channel.onmessage = ({ data }) => got[channel.label].push(JSON.parse(data))
    })
    peer.ondatachannel = ({ channel }) => follow(channel)
    for (const label of ${JSON.stringify(labels)}) {
      const [name, protocol = ''] = label.split(':')
      follow(peer.createDataChannel(name, { protocol }))
    }
    ${add || "peer.addTransceiver('video', { direction: 'recvonly' })"}
    await peer.setLocalDescription()
    const headers = { 'content-type': 'application/sdp', ${token && `authorization: 'Bearer ${token}'`} }
    const answer = await fetch(${JSON.stringify(path)}, { method: 'POST', headers, body: peer.localDescription.sdp })
    const sdp = await answer.text()
    if (!answer.ok) throw new Error(sdp)
    await peer.setRemoteDescription({ type: 'answer', sdp })
  })()`)
  return page
}

export const messagesOf = <T>(page: Page, label: string) => page.evaluate<T[]>(`got['${label}'] ?? []`)

/** Sends messages over `params`, and waits for as many answers. */
export async function askParams(page: Page, ...messages: string[]): Promise<ParamsAnswer[]> {
  await waitFor('the channel', () => page.evaluate<boolean>("channels.params.readyState === 'open'"))
  const before = (await messagesOf(page, 'params')).length
  await page.evaluate(`for (const one of ${JSON.stringify(messages)}) channels.params.send(one)`)
  const answers = () => messagesOf<ParamsAnswer>(page, 'params')
  await waitFor('the answers', async () => (await answers()).length === before + messages.length)
  return (await answers()).slice(before)
}
