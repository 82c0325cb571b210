import type { ParamsAnswer, PlayerState, Publisher, Stream, StreamState } from 'millrace/client'
import { type RefObject, useCallback, useEffect, useState } from 'react'

/** Plays a stream into a video while the component is mounted. */
export function usePlayer(stream: Stream, video: RefObject<HTMLVideoElement | null>): PlayerState {
  const [state, setState] = useState<PlayerState>('connecting')
  useEffect(() => {
    if (!video.current) return
    const player = stream.play(video.current)
    player.on('state', (change) => setState(change.state))
    return () => player.close()
  }, [stream, video])
  return state
}

/** The stream's state, from its events; undefined while there is no stream. */
export function useStreamState(stream: Stream): StreamState | undefined {
  const [state, setState] = useState<StreamState>()
  useEffect(() => {
    const leaving = new AbortController()
    const { signal } = leaving
    const follow = async () => {
      // Read once, because an unchanged state sends no event.
      setState((await stream.status()).state)
      for await (const event of stream.events({ past: true, signal })) {
        if (event.type === 'state') setState(event.state)
      }
    }
    const look = async () => {
      while (!signal.aborted) {
        await follow().catch(() => {})
        if (!signal.aborted) setState(undefined)
        // The stream does not exist until somebody publishes.
        await new Promise((resolve) => setTimeout(resolve, 2000))
      }
    }
    void look()
    return () => leaving.abort()
  }, [stream])
  return state
}

/** Publishes a camera until the component is unmounted or `stop` is called. */
export function useCamera(stream: Stream) {
  const [publisher, setPublisher] = useState<Publisher>()
  const [error, setError] = useState<Error>()
  useEffect(() => () => publisher?.close(), [publisher])
  const publish = useCallback(
    async (pipeline: string) => {
      setError(undefined)
      try {
        const camera = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 }, audio: true })
        const opened = await stream.publish(camera, { pipeline })
        opened.on('ended', (end) => {
          setPublisher(undefined)
          setError(end.error)
        })
        setPublisher(opened)
      } catch (thrown) {
        setError(thrown as Error)
      }
    },
    [stream],
  )
  return { publishing: publisher !== undefined, publish, stop: () => publisher?.close(), error }
}

/** Changes params; `refused` says why the last change was not applied. */
export function useParams(stream: Stream) {
  const [answer, setAnswer] = useState<ParamsAnswer>()
  const [refused, setRefused] = useState<Error>()
  const change = useCallback(
    async (changes: Record<string, unknown>) => {
      try {
        setAnswer(await stream.mergeParams(changes))
        setRefused(undefined)
      } catch (thrown) {
        setRefused(thrown as Error)
      }
    },
    [stream],
  )
  return { params: answer?.params, change, refused }
}
