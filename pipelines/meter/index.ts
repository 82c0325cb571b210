import { BaseParams, definePipeline, z } from 'millrace/pipeline'
import { LevelMeter } from './levels.ts'

const Params = BaseParams.extend({
  interval_ms: z
    .int()
    .min(20)
    .max(5000)
    .multipleOf(20)
    .default(100)
    .describe('Interval between level messages in milliseconds; each covers the time since the previous one'),
  quiet_db: z.number().min(-120).max(0).default(-50).describe('Level below which audio is reported as quiet, in dBFS'),
})

export const Meter = definePipeline({
  description: 'Measures the level of the audio; video and audio pass unchanged',
  params: Params,
  video: false,
  audio: { mode: 'listen' },
  load: () => {
    const meter = new LevelMeter()
    return {
      audio: (frame, { interval_ms, quiet_db }) => {
        const levels = meter.add(frame, interval_ms)
        if (!levels) return undefined
        const loudest = Math.max(...levels.map(({ rmsDb }) => rmsDb))
        return { data: { levels, quiet: loudest < quiet_db } }
      },
    }
  },
})
