import { Pipeline, type PipelineContext, type Reload, type VideoFrame, VideoOutput } from 'millrace/pipeline'
import { applyTable, loadTable, makeTable } from './look-table.ts'
import { FilmLookParams, LOOKS } from './params.ts'

/** Written as a class to show every method; for one frame in and one out, `definePipeline` is shorter. */
export class FilmLook extends Pipeline<typeof FilmLookParams> {
  static override Params = FilmLookParams
  static override input = { format: 'rgb24' } as const
  static override description = 'Gives the frame the colours of film'
  #context!: PipelineContext
  #params!: FilmLookParams
  #table!: Uint8Array

  /** Called by `millrace prepare`, for work that takes minutes or needs a network. */
  static override async prepareModels({ modelDir, log }: PipelineContext): Promise<void> {
    for (const look of LOOKS) {
      await makeTable(modelDir, look)
      log.info({ look }, 'table made')
    }
  }

  override async initialize(params: FilmLookParams, context: PipelineContext): Promise<void> {
    this.#context = context
    this.#table = await loadTable(context.modelDir, params.look)
    this.#params = params
    // The name distinguishes variants whose params are the same.
    context.log.info({ name: context.name, look: params.look }, 'film loaded')
  }

  override async putVideoFrame(frame: VideoFrame, requestId: string): Promise<void> {
    const data = applyTable(frame.data, this.#table, this.#params.strength)
    // The output keeps the time stamp of its input frame.
    this.outputs.put(new VideoOutput({ ...frame, data }, requestId))
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: as declared by Pipeline
  override async updateParams(params: FilmLookParams): Promise<Reload | void> {
    if (params.look === this.#params.look) {
      this.#params = params
      return
    }
    // Everything that can fail comes before any change, so that a refused update leaves the old look in effect.
    const table = await loadTable(this.#context.modelDir, params.look)
    return this.reload(async () => {
      this.#table = table
      this.#params = params
    })
  }

  override async stop(): Promise<void> {
    this.#table = new Uint8Array()
  }
}
