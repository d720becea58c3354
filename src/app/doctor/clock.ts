import { monotonicMs } from '../../core/timing.ts';
import type { Session } from '../../db/session.ts';
import type { Examination } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** A server's clock against ours: its time minus ours, give or take `errorMs`. */
export interface ClockReading {
  readonly node: string;
  readonly offsetMs: number;
  readonly errorMs: number;
}

/** Server clocks against the home node's, corrected by the round trip. */
export const clockCheck: Check = {
  name: 'clock',
  fine: 'Its clock agrees with the others.',
  run: async ({ app, nodes, routes }: Examination) => {
    const readings: ClockReading[] = [];
    for (const { session } of nodes.values()) readings.push(await readClock(session));
    const reference = readings.find(({ node }) => node === app.config.home) ?? readings[0];
    if (reference === undefined) return [];
    const twoWay = routes.some((route) => route.twoWay !== null);
    return judgeClocks(reference, readings, { maxSkewMs: app.config.replayer.maxClockSkewMs, twoWay });
  },
};

/** Compares clocks with one of them; what may be the measurement's own error counts for nothing. */
export function judgeClocks(
  reference: ClockReading,
  readings: readonly ClockReading[],
  { maxSkewMs, twoWay }: { maxSkewMs: number; twoWay: boolean },
): readonly Found[] {
  return readings.flatMap(({ node, offsetMs, errorMs }): readonly Found[] => {
    const difference = offsetMs - reference.offsetMs;
    const certain = Math.abs(difference) - errorMs - reference.errorMs;
    if (node === reference.node || certain <= noticeableMs) return [];
    const stops = twoWay && certain > maxSkewMs;
    const consequence = stops
      ? `That is more than replayer.maxClockSkewMs (${maxSkewMs}), so two-way links stop.`
      : 'Of two concurrent changes the one with the later time wins, whoever was first.';
    return [
      {
        level: stops ? 'error' : 'warning',
        node,
        table: null,
        message: `The clock of ${node} is ${(Math.abs(difference) / 1000).toFixed(1)} s ${difference > 0 ? 'ahead of' : 'behind'} that of ${reference.node}. ${consequence}`,
        advice: `Have the servers' clocks set by NTP: on each, chronyc tracking or timedatectl timesync-status.`,
      },
    ];
  });
}

// Below this, who was first is as good as chance for people, and NTP keeps servers far closer.
const noticeableMs = 1_000;

async function readClock(session: Session): Promise<ClockReading> {
  let best: ClockReading = { node: session.node, offsetMs: 0, errorMs: Infinity };
  for (let sample = 0; sample < samples; sample += 1) {
    const sent = monotonicMs();
    const { rows } = await session.query(
      'select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::text as ms',
    );
    const received = monotonicMs();
    // The server read its clock somewhere between: the middle is off by half the round trip at most.
    const errorMs = (received - sent) / 2;
    if (errorMs < best.errorMs)
      best = { node: session.node, offsetMs: Number(rows[0]?.['ms']) - sent - errorMs, errorMs };
  }
  return best;
}

// The quickest of a few: one may meet a pause.
const samples = 5;
