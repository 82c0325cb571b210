/** The browser client: `millrace/client` with a bundler, `/client/index.js` of any server without one. */
export { Millrace } from './millrace.js'
export { Player } from './player.js'
export { Publisher } from './publisher.js'
export { ApiError, UnreachableError } from './requests.js'
export { Stream } from './stream.js'

/** @typedef {import('./types.js').DataMessage} DataMessage */
/** @typedef {import('./types.js').EventsOptions} EventsOptions */
/** @typedef {import('./types.js').MillraceOptions} MillraceOptions */
/** @typedef {import('./types.js').Params} Params */
/** @typedef {import('./types.js').ParamsAnswer} ParamsAnswer */
/** @typedef {import('./types.js').PipelineDetails} PipelineDetails */
/** @typedef {import('./types.js').PipelineSummary} PipelineSummary */
/** @typedef {import('./types.js').PlayerState} PlayerState */
/** @typedef {import('./types.js').PlayerStats} PlayerStats */
/** @typedef {import('./types.js').PlayOptions} PlayOptions */
/** @typedef {import('./types.js').PublisherState} PublisherState */
/** @typedef {import('./types.js').PublisherStats} PublisherStats */
/** @typedef {import('./types.js').PublishOptions} PublishOptions */
/** @typedef {import('./types.js').RecordedFile} RecordedFile */
/** @typedef {import('./types.js').Recording} Recording */
/** @typedef {import('./types.js').StartOptions} StartOptions */
/** @typedef {import('./types.js').StreamEvent} StreamEvent */
/** @typedef {import('./types.js').StreamHistory} StreamHistory */
/** @typedef {import('./types.js').StreamState} StreamState */
/** @typedef {import('./types.js').StreamStatus} StreamStatus */
/** @typedef {import('./types.js').View} View */
