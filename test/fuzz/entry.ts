/** Entry point for jazzer.js: the target named by `FUZZ_TARGET`. */
import { attack } from './targets.ts'

export const fuzz = (data: Buffer): void => attack(process.env.FUZZ_TARGET as string, data)
