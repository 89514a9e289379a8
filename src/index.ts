/** Public names of `resilient-session-store`. */
export {
  type DownReason,
  isRedisDownError,
  isSessionConflictError,
  isSessionKeyUnknownError,
  isSessionRevokedError,
  RedisDownError,
  RedisFailure,
  SessionConflictError,
  SessionKeyUnknownError,
  SessionRevokedError,
  SessionStoreError,
  type SessionStoreErrorCode,
  StoreClosedError,
} from './errors.js'
export type { Health, LaneHealth, MasterHealth } from './health.js'
export { type HealthHandlerOptions, healthHandler } from './health-handler.js'
export type { LaneBreaker, LaneName, LaneState } from './lanes.js'
export { type LiveSessionOptions, requireLiveSession } from './live-session.js'
export type { NearHealth } from './near-cache.js'
export type {
  BreakerOptions,
  CacheOptions,
  Concurrency,
  NearOptions,
  OnRedisDown,
  OnSessionLoadError,
  QueueOptions,
  RedisClusterOptions,
  ResilientStoreOptions,
} from './options.js'
export type {
  Degradation,
  DegradationPreset,
  DegradationWord,
  DestroyPolicy,
  Operation,
  ReadPolicy,
  SavePolicy,
} from './policy.js'
export type { SessionSource } from './provenance.js'
export { requestContext } from './request-context.js'
export type { Serializer, SerializerContext, StoredSession } from './serializers/contract.js'
export { encrypted } from './serializers/encrypted.js'
export type { EncryptionKey, EncryptionOptions } from './serializers/encryption-options.js'
export type { SerializerName } from './serializers/index.js'
export { type SessionStatus, saveSession, sessionStatus } from './session-status.js'
export { type CloseReport, ResilientStore } from './store.js'
export {
  type ConflictRecord,
  type DownRecord,
  type DroppedRecord,
  OUTCOME_CHANNEL,
  type OutcomeRecord,
  type QueuedRecord,
  type QueueLoss,
  type ReplayedRecord,
  type RestoredRecord,
  type RevokedRecord,
  type StoreEvents,
  type UpRecord,
} from './telemetry.js'
export { OPERATION_CHANNEL, type OperationOutcome, type OperationRecord } from './tracing.js'
export type { TrackingObstacle } from './tracking.js'
export type { ScannedSession } from './walks.js'
