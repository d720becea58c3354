import { bulkLoop } from '../contenders/bulk-loop.ts';
import { dblink } from '../contenders/dblink.ts';
import { native } from '../contenders/native.ts';
import { none } from '../contenders/none.ts';
import { pgrep, pgrepCopy, pgrepTwoWay } from '../contenders/pgrep.ts';
import type { Workload } from '../trial.ts';
import { bulkInsert, bulkRows, bulkUpdate } from './bulk-statement.ts';
import { indexCopy } from './index-copy.ts';
import { latency } from './latency.ts';
import { mixed, mixedRows } from './mixed.ts';
import { singleInserts } from './single-inserts.ts';
import { targetDown } from './target-down.ts';

const postgres = { target: 'postgres', preloadRows: () => 0, preloadTarget: true } as const;
const elasticsearch = { target: 'elasticsearch', preloadRows: () => 0, preloadTarget: false } as const;
const everyone = [none, native, dblink, pgrep, pgrepTwoWay];
const followers = [native, dblink, pgrep, pgrepTwoWay];

/** Every workload, in the order in which they are tried and shown. */
export const workloads: readonly Workload[] = [
  {
    ...postgres,
    name: 'W1',
    title: '20,000 single-row inserts, 4 connections',
    contenders: everyone,
    measure: singleInserts,
  },
  { ...postgres, name: 'W2', title: 'one insert of 200,000 rows', contenders: everyone, measure: bulkInsert },
  {
    ...postgres,
    name: 'W3',
    title: 'one update of 200,000 rows',
    contenders: everyone,
    preloadRows: (contender) => bulkRows * contender.bulkShare,
    measure: bulkUpdate,
  },
  {
    ...postgres,
    name: 'W4',
    title: '70/20/10 insert/update/delete for 20 s, 4 connections',
    contenders: everyone,
    preloadRows: () => mixedRows,
    measure: mixed,
  },
  {
    ...postgres,
    name: 'W5',
    title: '200 inserts 50 ms apart, commit to visible',
    contenders: followers,
    measure: latency,
  },
  {
    ...postgres,
    name: 'W6',
    title: '5,000 inserts while the target is down',
    contenders: followers,
    measure: targetDown,
  },
  {
    ...elasticsearch,
    name: 'ES-copy',
    title: 'copy of 200,000 rows to Elasticsearch',
    contenders: [bulkLoop(), pgrepCopy],
    preloadRows: () => bulkRows,
    measure: indexCopy,
  },
  {
    ...elasticsearch,
    name: 'ES-W1',
    title: '20,000 single-row inserts, to Elasticsearch',
    contenders: [none, pgrep],
    measure: singleInserts,
  },
  {
    ...elasticsearch,
    name: 'ES-W5',
    title: '200 inserts 50 ms apart, commit to read by id',
    contenders: [pgrep],
    measure: latency,
  },
];
