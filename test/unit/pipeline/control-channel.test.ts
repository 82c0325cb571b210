import { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { ControlChannel } from '../../../src/pipeline/control-channel.ts'

class Peer extends Duplex {
  readonly written: string[] = []
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk.toString())
    done()
  }
}

function open(maxLineBytes?: number) {
  const peer = new Peer()
  const messages: unknown[] = []
  const broken: string[] = []
  const channel = new ControlChannel(
    peer,
    { onMessage: (message) => messages.push(message), onBroken: ({ message }) => broken.push(message) },
    maxLineBytes ? { maxLineBytes } : {},
  )
  const give = (...chunks: (string | Buffer)[]) => {
    for (const chunk of chunks) peer.emit('data', Buffer.from(chunk))
  }
  return { channel, peer, messages, broken, give }
}

describe('control channel', () => {
  test('a message is one line of JSON, however its bytes are split', () => {
    const all = Buffer.from('{"a":"ä\\n"}\n[1,2]\n"x"\n')
    for (let cut = 1; cut < all.length; cut++) {
      const { messages, broken, give } = open()
      give(all.subarray(0, cut), all.subarray(cut))
      expect(messages).toEqual([{ a: 'ä\n' }, [1, 2], 'x'])
      expect(broken).toEqual([])
    }
  })

  test.each(['x', '{"loss": NaN}', '', '{"a":1}{"b":2}', '\u0000'])(
    '%j breaks it, and nothing is read after that',
    (line) => {
      const { messages, broken, give } = open()
      give(`{"first":1}\n${line}\n{"second":2}\n`)
      give('{"third":3}\n')
      expect(messages).toEqual([{ first: 1 }])
      expect(broken).toHaveLength(1)
      expect(broken[0]).toContain('descriptor 3')
    },
  )

  test('a line may be as long as the limit and no byte longer, in one chunk or many', () => {
    const line = JSON.stringify('x'.repeat(98))
    expect(open(100)).toMatchObject({ broken: [] })
    const fits = open(100)
    fits.give(`${line}\n`)
    expect(fits.messages).toHaveLength(1)
    const over = open(100)
    for (const char of 'x'.repeat(101)) over.give(char)
    expect(over.broken).toEqual([expect.stringContaining('more than 100 bytes')])
  })

  test('a sent message is one line, and the sender is notified when it has left', async () => {
    const { channel, peer } = open()
    const send = (message: unknown) => new Promise<void>((resolve) => channel.send(message, resolve))
    await send({ text: 'a\nb' })
    expect(peer.written).toEqual(['{"text":"a\\nb"}\n'])
    peer.destroy()
    await send({ more: true })
  })
})
