import { OpenAPIHono } from '@hono/zod-openapi'
import { AppError } from '../core/errors.ts'
import { issuesOf } from './status.ts'

/** Routes that are described by the schemas that check their requests; what does not fit is answered as a problem. */
export function describedRoutes(): OpenAPIHono {
  return new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return
      throw new AppError('invalid-request', 'the request does not have the expected form', {
        issues: issuesOf(result.error),
      })
    },
  })
}
