import type { AudioCost } from './audio.ts'
import type { Measured, OfFrames, Size } from './measure.ts'

const MEBIBYTE = 2 ** 20

/** A table for people. */
export function tableOf(measured: Measured): string {
  const { pipeline, loadMs, memoryBytes, gpuMemoryBytes, audio } = measured
  const { frames, atFps } = measured
  const rows: [string, string][] = [['pipeline', pipeline]]
  const isOfFrames = frames !== undefined && atFps !== undefined
  if (isOfFrames) rows.push(['frames', `${frames} of ${sizeOf(measured as OfFrames)}, ${measured.format}`])
  rows.push(['load time', `${(loadMs / 1000).toFixed(1)} s`])
  if (isOfFrames) rows.push(...costs(measured as OfFrames))
  if (memoryBytes !== undefined) rows.push(['memory', `${Math.round(memoryBytes / MEBIBYTE)} MiB`])
  if (gpuMemoryBytes !== undefined) rows.push(['GPU memory', `${Math.round(gpuMemoryBytes / MEBIBYTE)} MiB`])
  if (isOfFrames) rows.push(...verdict(measured as OfFrames))
  if (audio) rows.push(...ofAudio(audio))
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

function costs({ frameMs, fps, cpuMs, cpus, atFps }: OfFrames): [string, string][] {
  const rows: [string, string][] = [
    ['one frame', times(frameMs)],
    ['throughput', `${fps.toFixed(1)} fps`],
  ]
  if (cpuMs !== undefined && cpus !== undefined)
    rows.push(['CPU', `${milliseconds(cpuMs)} a frame, ${cpus.toFixed(2)} cores at ${atFps} fps`])
  return rows
}

function verdict({ keepsUp, atFps, largest }: OfFrames): [string, string][] {
  const budget = milliseconds(1000 / atFps)
  const does = keepsUp ? `keeps up, p95 within ${budget}` : `does not keep up, p95 over ${budget}`
  const rows: [string, string][] = [[`live at ${atFps} fps`, does]]
  if (largest !== undefined)
    rows.push(['largest size', largest ? sizeOf(largest) : 'none of the tested sizes keeps up'])
  return rows
}

function ofAudio({ frames, lengthMs, channels, frameMs, cpuMs, cpus, keepsUp }: AudioCost): [string, string][] {
  const rows: [string, string][] = [
    ['audio', `${frames} frames of ${lengthMs} ms, ${channels === 1 ? 'mono' : 'stereo'}`],
    ['time per frame', times(frameMs)],
  ]
  if (cpuMs !== undefined && cpus !== undefined)
    rows.push(['audio CPU', `${milliseconds(cpuMs)} a frame, ${cpus.toFixed(2)} cores`])
  return [...rows, ['live audio', keepsUp ? 'keeps up' : 'does not keep up']]
}

function times({ p50, p95, max }: AudioCost['frameMs']): string {
  return `p50 ${milliseconds(p50)}, p95 ${milliseconds(p95)}, max ${milliseconds(max)}`
}

function sizeOf({ width, height }: Size): string {
  return `${width}x${height}`
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`
}
