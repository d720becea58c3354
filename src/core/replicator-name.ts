/**
 * The application_name of every session of pgrep. Capture triggers skip sessions of exactly this name,
 * so that a replicated change is not captured as a new one.
 */
export const replicatorName = 'pgrep-replayer';
