import type { Span, TextMapPropagator, Tracer } from '@opentelemetry/api'

type Api = typeof import('@opentelemetry/api')

/** Spans of requests, named by the conventions for HTTP servers; they continue a client's `traceparent`. */
export class RequestSpans {
  readonly #tracer: Tracer
  readonly #propagator: TextMapPropagator
  readonly #api: Api

  constructor(tracer: Tracer, propagator: TextMapPropagator, api: Api) {
    this.#tracer = tracer
    this.#propagator = propagator
    this.#api = api
  }

  /** Spans that start within `act` belong to the request. The span ends when `answered` gives route and status. */
  async within(
    request: { method: string; path: string; headers: Headers },
    answered: (end: (route: string, status: number) => void) => void,
    act: () => Promise<void>,
  ): Promise<void> {
    const { context, trace, ROOT_CONTEXT, SpanKind } = this.#api
    const { method, path, headers } = request
    const getter = { get: (carrier: Headers, key: string) => carrier.get(key) ?? undefined, keys: () => [] }
    const parent = this.#propagator.extract(ROOT_CONTEXT, headers, getter)
    const attributes = { 'http.request.method': method, 'url.path': path }
    const span = this.#tracer.startSpan(method, { kind: SpanKind.SERVER, attributes }, parent)
    answered((route, status) => this.#end(span, method, route, status))
    await context.with(trace.setSpan(parent, span), act)
  }

  #end(span: Span, method: string, route: string, status: number): void {
    span.updateName(`${method} ${route}`)
    span.setAttributes({ 'http.route': route, 'http.response.status_code': status })
    // A refusal is a client error, not a server failure.
    if (status >= 500) span.setStatus({ code: this.#api.SpanStatusCode.ERROR })
    span.end()
  }
}
