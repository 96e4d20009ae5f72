import { encodePosition, type Position } from '../source/position.ts';
import type { RecordBatch, SourceRecord } from '../source/record.ts';
import type { Control, Progress } from '../state/state-store.ts';
import { LaneClock } from '../time/lane-clock.ts';
import { firstLaneTime, othersReachedMs } from './lane-times.ts';
import { DEATHS_BEFORE_SUSPICION } from './limits.ts';
import type { Runtime } from './runtime.ts';
import { isKiller } from './turn.ts';

/**
 * What hands a batch in. `live`: the mapping. `begun`: what was handed in by shard is ended so, see `partLanes`. `replay`: a rewind, for the generation that it makes and for no other: where
 * that is left again, its positions say nothing of another one's.
 */
export type BatchOrigin =
  | { readonly kind: 'live' }
  | { readonly kind: 'begun'; readonly generation: number; readonly until: Position }
  | { readonly kind: 'replay'; readonly generation: number; readonly until: Position };

/** A batch that may be processed. */
export interface Opened {
  readonly kind: 'opened';
  readonly generation: number;
  readonly progress: Progress;
  /** Whether lanes are by partition key, now or since the shard was read so. */
  readonly isByPartition: boolean;
  /** Attempts at this batch have died, again and again: take its records one at a time. */
  readonly isSuspicious: boolean;
  /** Turns in which a record killed the process, again and again. */
  readonly killers: ReadonlySet<string>;
  /** In a pipeline that has a time. */
  readonly clock: LaneClock | undefined;
  /** Up to where event time is over in all other lanes, milliseconds since the epoch. */
  readonly othersOverMs: number;
}

/** Its lanes are to be by partition key from now on, and are still by shard. The attempt is counted. */
export interface AwaitsLanes {
  readonly kind: 'awaitsLanes';
  readonly generation: number;
}

/** Live events are not processed now; the batch comes again. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: string;
}

/** How often the rows are read anew where they change under our eyes. */
const OPEN_TRIES = 5;

/**
 * Step 1: counts the attempt in the shard's progress row and reads it, with one write. The control row is read only
 * where this container knows no generation, or where the progress row is missing, sealed or in a replay.
 */
export async function open(
  runtime: Runtime,
  batch: RecordBatch,
  first: Position,
  origin: BatchOrigin,
): Promise<Opened | AwaitsLanes | Refused> {
  const { store } = runtime;
  const last = (batch.records.at(-1) as SourceRecord).position;
  for (let tries = 0; tries < OPEN_TRIES; tries++) {
    const generation =
      origin.kind !== 'live'
        ? origin.generation
        : (runtime.generation ?? (await readControl(runtime)).generation);
    const isByPartition = origin.kind === 'live' && runtime.isByPartition === true;
    const handedIn = isByPartition ? undefined : last;
    const begun = await store.beginAttempt(generation, batch.shard, first, handedIn);
    if (begun.kind === 'open') {
      const { progress } = begun;
      if (progress.phase !== (origin.kind === 'replay' ? 'replay' : 'live')) {
        // Batches that wait for the end of a replay must not be taken for killers.
        await endAttempt(runtime, generation, batch.shard, first);
        // A rewind that was undone has left its generation for ever.
        if (origin.kind === 'live' && (await readControl(runtime)).generation !== generation) continue;
        return refused(`the shard is in phase '${progress.phase}'`);
      }
      if (isByPartition && !progress.isByPartition) return { kind: 'awaitsLanes', generation };
      const times = await timesOf(runtime, generation, batch.shard, progress).catch(
        async (error: unknown) => {
          await endAttempt(runtime, generation, batch.shard, first);
          throw error;
        },
      );
      if (times === 'unknown') {
        await endAttempt(runtime, generation, batch.shard, first);
        return refused('the listing of shards does not have its shard yet, nor tells what it comes from');
      }
      return {
        kind: 'opened',
        generation,
        progress,
        isByPartition: progress.isByPartition,
        isSuspicious: (progress.attempts.get(encodePosition(first)) ?? 0) > suspiciousAbove(runtime, origin),
        killers: killersOf(progress, runtime.clock.nowMs()),
        ...times,
      };
    }
    if (origin.kind === 'begun') return refused(`its progress row is ${begun.kind}: a rewind has begun`);
    if (origin.kind === 'replay') return refused(`its progress row is ${begun.kind}: the rewind is undone`);
    const control = await readControl(runtime);
    if (control.generation !== generation) continue;
    if (begun.kind === 'sealed') return refused('the shard is sealed: a rewind is under way');
    if (control.phase === 'awaitsFork') return refused('the pipeline awaits its fork (tidemark fork)');
    if (control.phase !== 'live') return refused(`the pipeline is in phase '${control.phase}'`);
    const { rank, epoch } = control;
    await store.createProgress(generation, batch.shard, {
      first,
      ...(isByPartition && { isByPartition }),
      ...(rank !== undefined && { rank }),
      ...(epoch !== undefined && { epoch }),
    });
  }
  return refused('its progress row cannot be made, or changes all the time');
}

/** What was handed in by shard is ended by all lanes that are at work at once: their attempts begin at the same record. */
function suspiciousAbove({ parallelizationFactor }: Runtime, { kind }: BatchOrigin): number {
  return DEATHS_BEFORE_SUSPICION + (kind === 'begun' ? parallelizationFactor - 1 : 0);
}

/** It ends without anything done, but it ends: it must not be taken for one that died. */
export async function endAttempt(
  { store, log }: Runtime,
  generation: number,
  shard: string,
  first: Position,
  endedTurns: readonly string[] = [],
): Promise<void> {
  try {
    await store.advance(generation, shard, { first, records: 0, endedTurns });
  } catch (error) {
    log.warn('The end of an attempt could not be noted', { error: String(error) });
  }
}

/**
 * Up to where all records of the shard's own lane are done. Where lanes are by partition key, none comes in it any more:
 * what was applied by shard was ended when they became so. A replay goes through that again.
 */
export function doneInShardLane({
  isByPartition,
  phase,
  position,
  byShardUntil,
}: Progress): Position | undefined {
  if (!isByPartition) return position;
  return phase === 'live' ? byShardUntil : undefined;
}

async function readControl(runtime: Runtime): Promise<Control> {
  const control = await runtime.store.readControl(runtime.parallelizationFactor > 1);
  runtime.generation = control.generation;
  // The factor is that of a repartition's back half. What a relay puts is known by its lane, which must stay the same.
  runtime.isByPartition = control.isByPartition === true && runtime.program.relay === undefined;
  return control;
}

async function timesOf(
  runtime: Runtime,
  generation: number,
  shard: string,
  { position, time: known, liftedMs }: Progress,
): Promise<Pick<Opened, 'clock' | 'othersOverMs'> | 'unknown'> {
  const { time } = runtime.program.definition;
  if (time === undefined || runtime.program.relay !== undefined) return NO_TIMES;
  const begin = position === undefined ? await firstLaneTime(runtime, generation, shard) : known;
  if (begin === 'unknown') return begin;
  const othersMs = await othersReachedMs(runtime, generation, shard);
  return { clock: new LaneClock(time, begin, liftedMs), othersOverMs: othersMs - time.latenessMs };
}

const NO_TIMES = { clock: undefined, othersOverMs: -Infinity } as const;

function killersOf({ suspects }: Progress, nowMs: number): ReadonlySet<string> {
  const killers = new Set<string>();
  for (const [turn, deadlinesMs] of suspects) if (isKiller(deadlinesMs, nowMs)) killers.add(turn);
  return killers;
}

export function refused(reason: string): Refused {
  return { kind: 'refused', reason };
}
