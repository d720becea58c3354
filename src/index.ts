/** The library: all that the commands do, returning data instead of printing. */

export { addTable } from './app/add-table.ts';
export { findConflict, listConflicts } from './app/conflicts.ts';
export type * from './app/conflicts.ts';
export { copyTable } from './app/copy.ts';
export { runDoctor } from './app/doctor/doctor.ts';
export type { DoctorResult } from './app/doctor/doctor.ts';
export type { Finding, FindingLevel } from './app/doctor/finding.ts';
export { discardErrors, listErrors, showError } from './app/errors.ts';
export { forgetNode } from './app/forget-node.ts';
export { initNodes } from './app/init.ts';
export { openApp } from './app/open.ts';
export type { App } from './app/open.ts';
export { removeTable } from './app/remove-table.ts';
export { restoreConflict } from './app/restore-conflict.ts';
export type { ConflictSideName, RestoreOptions, RestoreResult } from './app/restore-conflict.ts';
export { retryErrors } from './app/retry-errors.ts';
export { runDaemon } from './app/run.ts';
export { interleaveSequences } from './app/sequences.ts';
export type { InterleavedSequence, InterleaveOptions, InterleaveResult } from './app/sequences.ts';
export { status } from './app/status.ts';
export { twoWayGroups } from './app/two-way-groups.ts';
export type { GroupMember, TableGroup } from './app/two-way-groups.ts';
export { uninstall } from './app/uninstall.ts';
export { waitForTargets } from './app/wait.ts';
export type * from './app/results.ts';

export { loadConfig, parseConfig, secretTexts } from './config/config.ts';
export type { Config, ElasticsearchNode, Env, NodeConfig, PostgresNode, ReplayerConfig } from './config/config.ts';
export { Secret } from './config/secret.ts';

export type { AppliedBatch, OnBatch } from './core/applied-batch.ts';
export { PgrepError, errorCodes } from './core/error.ts';
export type { ErrorCode } from './core/error.ts';
export { silentLogger } from './core/logger.ts';
export type { LogFields, Logger } from './core/logger.ts';
export { showLink, showTable } from './core/route.ts';
export type {
  ConflictPolicy,
  Link,
  NodeName,
  Route,
  RouteColumn,
  RouteState,
  TableName,
  TwoWay,
} from './core/route.ts';

export { createLogger } from './observe/logger.ts';
export type { LogLevel, LoggerOptions } from './observe/logger.ts';
export { openMetricsServer } from './observe/metrics-server.ts';
export type { Health, MetricsServer, MetricsServerOptions, Page } from './observe/metrics-server.ts';
export { createMetrics } from './observe/metrics.ts';
export type { LinkSample, Metrics } from './observe/metrics.ts';
