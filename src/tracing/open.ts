import { AppError } from '../core/errors.ts'
import { type Context, deadline } from '../core/resource.ts'
import type { StreamRegistry } from '../stream/registry.ts'
import { RequestSpans } from './requests.ts'
import { traceStreams } from './streams.ts'

export type TracingOptions = {
  /** URL of an OTLP collector, without a trailing slash; `/v1/traces` is appended. */
  endpoint: string
  /** Sent with each export, for example for authorization. */
  headers: Record<string, string>
  version: string
  registry: StreamRegistry
}

export type Tracing = { requests: RequestSpans } & AsyncDisposable

const BATCH_MS = 1000
/** Time limit for exporting the last spans. */
const FLUSH_MS = 3000

/**
 * Exports spans of streams, and of requests that change something, to an OTLP collector as JSON over HTTP. Only this
 * module loads the packages for it.
 */
export async function openTracing(
  { endpoint, headers, version, registry }: TracingOptions,
  { log }: Context,
): Promise<Tracing> {
  const [api, sdk, resources, { OTLPTraceExporter }, { AsyncLocalStorageContextManager }, core] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/core'),
  ])
  const complain = (message: string, ...more: unknown[]) => log.warn({ told: [message, ...more] }, 'tracing')
  const quiet = () => {}
  api.diag.setLogger(
    { error: complain, warn: complain, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
  const { envDetector, hostDetector, osDetector, processDetector, serviceInstanceIdDetector } = resources
  const own = resources.resourceFromAttributes({ 'service.name': 'millrace', 'service.version': version })
  const detectors = [hostDetector, osDetector, processDetector, serviceInstanceIdDetector, envDetector]
  // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
  const resource = resources.defaultResource().merge(own).merge(resources.detectResources({ detectors }))
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, headers })
  const batches = new sdk.BatchSpanProcessor({ exporter, scheduledDelayMillis: BATCH_MS })
  const provider = new sdk.TracerProvider({ resource, spanProcessors: [batches] })
  const contexts = new AsyncLocalStorageContextManager().enable()
  api.context.setGlobalContextManager(contexts)
  const tracer = provider.getTracer('millrace', version)
  const untold = traceStreams(registry, tracer, api)
  return {
    requests: new RequestSpans(tracer, new core.W3CTraceContextPropagator(), api),
    async [Symbol.asyncDispose]() {
      untold()
      await deadline(provider.shutdown(), FLUSH_MS, 'sending the last spans').catch((thrown) => {
        log.warn({ err: AppError.from(thrown) }, 'spans dropped')
      })
      api.context.disable()
      api.diag.disable()
    },
  }
}
