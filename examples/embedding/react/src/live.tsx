import type { Millrace } from 'millrace/client'
import { useMemo, useRef } from 'react'
import { useCamera, useParams, usePlayer, useStreamState } from './hooks.ts'

const EFFECTS = ['none', 'grayscale', 'invert', 'edges', 'pixelate', 'tint']

/** A stream with its state, a button that publishes the camera, and a param. */
export function Live({ millrace, name }: { millrace: Millrace; name: string }) {
  const stream = useMemo(() => millrace.stream(name), [millrace, name])
  const video = useRef<HTMLVideoElement>(null)
  const playing = usePlayer(stream, video)
  const state = useStreamState(stream)
  const camera = useCamera(stream)
  const { change, refused } = useParams(stream)
  const problem = camera.error ?? refused
  return (
    <main>
      <h1>{name}</h1>
      <video ref={video} autoPlay muted playsInline style={{ width: '100%', maxWidth: 960, background: '#000' }} />
      <p role="status">
        {playing}, {state ?? 'nobody publishes'}
      </p>
      <button type="button" onClick={() => (camera.publishing ? camera.stop() : camera.publish('effects'))}>
        {camera.publishing ? 'Stop publishing' : 'Publish the camera'}
      </button>{' '}
      <label>
        Effect{' '}
        <select onChange={({ target }) => change({ effect: target.value })}>
          {EFFECTS.map((effect) => (
            <option key={effect}>{effect}</option>
          ))}
        </select>
      </label>
      {problem && <p role="alert">{problem.message}</p>}
    </main>
  )
}
