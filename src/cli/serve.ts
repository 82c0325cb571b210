import type { Command } from 'commander'
import { readConfig, type SettingName } from '../config.ts'
import { autoInstall } from './packages/install.ts'
import { prepare } from './prepare/command.ts'
import { environment, forgetSecrets } from './surroundings.ts'

/** Flags and the settings they set. */
const FLAGS: [flag: string, setting: SettingName, help: string][] = [
  ['--port <port>', 'PORT', 'HTTP port'],
  ['--host <address>', 'HOST', 'HTTP address'],
  ['--pipeline <name>', 'PIPELINE', 'default pipeline of streams'],
  ['--params <json>', 'PIPELINE_PARAMS', 'its initial params'],
  ['--pipeline-dir <folder>', 'PIPELINE_DIR', 'folder of installed pipelines'],
  ['--max-streams <count>', 'MAX_STREAMS', 'streams at once'],
  ['--public-ip <address>', 'PUBLIC_IP', 'address that WebRTC clients can reach'],
  ['--udp-port <port>', 'UDP_PORT', 'UDP and TCP port of all WebRTC sessions'],
  ['--udp-ports <range>', 'UDP_PORTS', 'range with one port per WebRTC session instead'],
  ['--ffmpeg <file>', 'FFMPEG_PATH', 'ffmpeg to use'],
  ['--log-level <level>', 'LOG_LEVEL', 'trace, debug, info, warn, error'],
]

/** `millrace serve`, the default command. */
export function addServe(program: Command): void {
  const command = program.command('serve', { isDefault: true }).description('run the server (the default)')
  for (const [flag, setting, help] of FLAGS) command.option(flag, `${help} (${setting})`)
  command.action(async (options: Record<string, string>) => {
    const given = { ...environment, ...settingsOf(options) }
    const config = readConfig(given)
    if (config.prepareModels) return prepare(given.PIPELINE || given.MODEL_ID ? config.pipeline : undefined)
    forgetSecrets()
    await autoInstall(config)
    const { serve } = await import('../main.ts')
    await serve(config)
  })
}

function settingsOf(options: Record<string, string>): Record<string, string> {
  const entries = FLAGS.map(([flag, setting]) => {
    const name = flag.slice(2, flag.indexOf(' ')).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
    return [setting, options[name]] as const
  })
  return Object.fromEntries(entries.filter((entry): entry is readonly [SettingName, string] => entry[1] !== undefined))
}
