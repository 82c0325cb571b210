import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A contender and its measurements, one per round. */
export type Measured<Sample> = { label: string; all: Sample[] }

/**
 * Measures each contender once per round, so that changes of the machine's speed affect all. `measure` gets a folder for
 * models, which is removed at the end.
 */
export async function inTurns<Contender extends { label: string }, Sample>(
  contenders: readonly Contender[],
  rounds: number,
  measure: (contender: Contender, modelDir: string) => Promise<Sample>,
): Promise<Measured<Sample>[]> {
  const modelDir = await mkdtemp(join(tmpdir(), 'mr-bench-models-'))
  const measured = contenders.map(({ label }) => ({ label, all: [] as Sample[] }))
  try {
    for (let round = 0; round < rounds; round++)
      for (const [at, contender] of contenders.entries()) measured[at]!.all.push(await measure(contender, modelDir))
  } finally {
    await rm(modelDir, { recursive: true, force: true })
  }
  return measured
}
