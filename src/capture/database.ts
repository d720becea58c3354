/** What capture needs of a connection at the source: one session, so that `begin` … `commit` belong together. */
export interface CaptureDatabase {
  query(text: string, values?: readonly unknown[]): Promise<{ rows: readonly Readonly<Record<string, unknown>>[] }>;
}
