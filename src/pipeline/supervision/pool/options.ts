import type { AudioFrame } from '../../../core/media/audio.ts'
import type { Colour } from '../../../core/media/colour.ts'
import type { VideoFrame } from '../../../core/media/frame.ts'
import type { Catalog } from '../../catalog/catalog.ts'
import type { Description, Values } from '../../protocol.ts'
import type { Thresholds } from '../lease/health.ts'
import type { Lease } from '../lease/lease.ts'

export type PoolOptions = {
  catalog: Catalog
  /** For streams that name none; may be a chain, as in `redact,effects`. */
  defaultPipeline: string
  /** Override those of its manifest. */
  defaultParams: Values
  /** Loaded runners kept ready for the default pipeline; for each stage if it is a chain. */
  warm: number
  modelDir: string
  /** Where descriptions of Python pipelines are kept between servers; default: not kept. */
  descriptionDir?: string
  /** Limit of runners at once, including warm ones; streams have priority. */
  maxRunners?: number
  /** Bytes of private memory that one runner may use; default: three quarters of the machine's memory. */
  memoryLimit?: number
  thresholds?: Partial<Thresholds>
}

export type LeaseOptions = {
  /** Name of a pipeline or a chain. */
  pipeline?: string
  /** For a chain, an object per stage that gets any. */
  params?: Values
  requestId: string
  /** Called with outputs in order of increasing `pts`. */
  onFrame(frame: VideoFrame, lease: Lease): void
  /** Called with the pipeline's audio, in order. */
  onAudio?(frame: AudioFrame, lease: Lease): void
  /** Allocates memory for an output; default: new memory. */
  allocate?: (bytes: number) => Uint8Array
  /** Colours of the frame with this time, for stages that need a conversion; default: BT.601. */
  colourAt?: (pts: number) => Colour
}

export type PipelineDescription = {
  name: string
  /** One line, from its class or else its package. */
  description: string
  /** JSON Schema of the params. */
  params: Values
  /** The params in effect when a stream sets none. */
  defaults: Values
  /** The frames it wants. */
  input: Description['input']
  /** False if it processes audio only. */
  video: boolean
  /** Number of streams that share one process and its model; for a chain, the smallest of its stages. */
  streams: number
  /** How it processes audio; absent if audio bypasses it. */
  audio?: Description['audio']
}
