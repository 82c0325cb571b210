import { sharedModelTests } from './support/shared-streams.ts'

sharedModelTests('shared')
