import { CLOCK_SLACK_MS, DEADLINE_MARGIN_MS } from '../engine/limits.ts';
import type { EngineLog } from '../engine/runtime.ts';
import type { StreamShards } from '../source/stream-shards.ts';
import type { GenerationStore } from '../state/generation-store.ts';
import type { CheckpointLease, Control, StateStore } from '../state/state-store.ts';
import { without } from '../state/without.ts';
import type { Clock } from '../time/clock.ts';
import { CheckpointError } from './checkpoint-error.ts';
import { begunMs, checkpointId } from './checkpoint-id.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { NO_WORK, readWork, totalsOf, type CheckpointWork } from './checkpoint-work.ts';
import { findBase, linesOf, type DeltaBase, type DeltaOptions } from './delta-base.ts';
import { readKeptLines, type KeptLines } from './kept-lines.ts';
import {
  CHECKPOINT_FORMAT,
  DELTA_FORMAT,
  type Manifest,
  type ManifestOperator,
  type ManifestPart,
} from './manifest.ts';
import { findCheckpoint, newestCheckpoint } from './read-checkpoint.ts';
import type { Retention } from './checkpoint-defaults.ts';
import { applyRetention } from './retention.ts';
import { scanSegments } from './scan-segments.ts';
import { reachedShards, shardPositions } from './shard-positions.ts';

/** What taking a checkpoint works with. */
export interface CheckpointTaker {
  readonly pipeline: string;
  readonly checkpoints: CheckpointStore;
  readonly generations: Pick<GenerationStore, 'scan' | 'shards' | 'replaceControl' | 'costs'>;
  /** Gives items with their states, wherever they are stored. */
  readonly store: Pick<StateStore, 'load' | 'readControl' | 'readProgress'>;
  readonly streamShards: StreamShards;
  /** Physical names of all streams that the pipeline reads. */
  readonly streams: readonly string[];
  readonly operators: readonly ManifestOperator[];
  /** The time within which a record can come again, seconds. */
  readonly horizonSeconds: number;
  /** Whether the mapping's ParallelizationFactor is above 1. */
  readonly isByPartition: boolean;
  /** Hash of the code. */
  readonly code?: string;
  readonly retention: Retention;
  /** How deltas are taken; absent where every checkpoint is full. */
  readonly deltas?: DeltaOptions;
  /** Parts of the table that are scanned side by side. */
  readonly segments: number;
  /** Lines of a part, bytes before packing; `PART_BYTES` unless a test has it smaller. */
  readonly partBytes?: number;
  /** Read units a second that the scan may use, about. */
  readonly readUnitsPerSecond: number;
  readonly clock: Clock;
  readonly wait: (ms: number) => Promise<void>;
  /** Lower-case letters and digits, never the same twice. */
  readonly random: () => string;
  readonly log: EngineLog;
  /** When the process ends that does it, milliseconds since the epoch. */
  readonly deadlineMs: number;
}

export interface CheckpointRequest {
  /** What a person calls it: it is then kept for ever. */
  readonly savepoint?: string;
  /** Begin one only where the newest is this old. One that is unfinished is gone on with in any case. */
  readonly ifOlderThanMs?: number;
  /** No delta. A savepoint never is one. */
  readonly isFull?: boolean;
}

/**
 * - `taken`: it exists.
 * - `unfinished`: time did not suffice; the next call goes on with it.
 * - `busy`: somebody takes one now, or a rewind is under way.
 * - `notDue`: the newest is young enough.
 * - `nameTaken`: there is a savepoint of this name.
 * - `abandoned`: a rewind came in between, it was left for another, or was damaged; it is no checkpoint and never will be one.
 */
export type CheckpointOutcome = 'taken' | 'unfinished' | 'busy' | 'notDue' | 'nameTaken' | 'abandoned';

export interface CheckpointReport {
  readonly status: CheckpointOutcome;
  /** Of the checkpoint that the status is about. */
  readonly id?: string;
  readonly savepoint?: string;
  /** Whether this call has begun it; one that was unfinished comes first, whatever was asked for. */
  readonly isNew?: boolean;
  /** So far. */
  readonly items?: number;
  /** Of these, items whose lines earlier checkpoints have stored, so far. */
  readonly kept?: number;
  /** Packed, so far, without what is kept. */
  readonly bytes?: number;
  readonly parts?: number;
  /** Of `busy`: when somebody else may go on at the latest, milliseconds since the epoch. */
  readonly untilMs?: number;
  /** Of `busy`: the rewind that is under way. */
  readonly rewind?: string;
  /** Ids that are no longer kept. */
  readonly removed?: readonly string[];
}

/** Time before the deadline at which no page is read any more: what has been read is to be packed and stored. */
const TAKING_MARGIN_MS = 10_000;

/** Of an invocation that is shorter than that allows. */
const TAKING_MARGIN_SHARE = 0.25;

/** No invocation is alive for longer: Lambda's limit. */
const PROCESS_LIFETIME_MS = 15 * 60_000;

/** How often the control row is written against others who write it too. */
const CONTROL_TRIES = 10;

/**
 * Takes a checkpoint, or goes on with one that is unfinished, until it is there or time runs short.
 *
 * - Progress is read and stored before the first item is scanned: whatever an item holds beyond it, the item's marks
 *   tell a replay (I8). The scan is consistent for each item, and nothing else is needed.
 * - A part counts only once the work file names it, and the work file is written only by who has written or read its
 *   newest version. Names of parts say who wrote them. So one who sleeps, loses its lease and wakes can neither change
 *   what another has stored nor add to it.
 * - A delta names its base in the work file, looks then whether the base is still a checkpoint, and only then goes by
 *   it: whoever removes one hides it first, and spares then what is named. See `removeUnneeded`.
 * - The manifest comes last, where there is none, and only if the generation that was scanned is still the current one:
 *   one that is being cleaned up has holes.
 * - Whoever dies leaves a lease that runs out, and a folder that is no checkpoint.
 * - What is damaged of that costs work, and no checkpoint: without what a delta has found again it goes on as a full one,
 *   without the work file another one is begun.
 * @throws when a request fails; the next call goes on.
 */
export async function takeCheckpoint(
  taker: CheckpointTaker,
  request: CheckpointRequest = {},
): Promise<CheckpointReport> {
  const begun = await begin(taker, request);
  if (!('holder' in begun)) return begun;
  const { holder, isNew } = begun;
  const startMs = taker.clock.nowMs();
  const marginMs = Math.max(
    DEADLINE_MARGIN_MS,
    Math.min(TAKING_MARGIN_MS, (taker.deadlineMs - startMs) * TAKING_MARGIN_SHARE),
  );
  const held = { work: begun.work, version: begun.version, holder };
  const end = await orGivingBack(taker, begun.work.id, () =>
    scanSegments(taker, held, taker.deadlineMs - marginMs),
  );
  const { work } = end;
  const report = { ...identityOf(work), isNew, ...figuresOf(totalsOf(work)) };
  if (end.kind === 'overtaken') {
    return { status: 'busy', ...report };
  }
  if (end.kind === 'unfinished') {
    await giveBack(taker, work.id, 'unfinished');
    return { status: 'unfinished', ...report };
  }
  // Behind the scan: what is in the items of the checkpoint is not beyond it.
  const reached = await reachedShards(taker.store, taker.generations, work.generation);
  const control = await taker.store.readControl();
  if (control.generation !== work.generation || control.checkpoint?.id !== work.id) {
    // Somebody else may have gone on with it and made it a checkpoint: nothing is removed here.
    const isTaken = await taker.checkpoints.hasManifest(work.id);
    if (!isTaken) await giveBack(taker, work.id, 'over');
    return { status: isTaken ? 'taken' : 'abandoned', ...report };
  }
  // Where there is one, it is of somebody who went on with the same work: as good as this, unless what it keeps is damaged.
  const isByPartition = control.isByPartition === true;
  const manifest = manifestOf(taker, { ...work, isByPartition }, reached, end.kept);
  const isMine = (await taker.checkpoints.putManifest(manifest)) === 'stored';
  const isSpoilt = await orGivingBack(taker, work.id, async () => {
    const there = isMine ? manifest : await taker.checkpoints.getManifest(work.id);
    return there !== undefined && hideSpoilt(taker, there);
  });
  if (isSpoilt) {
    await giveBack(taker, work.id, 'over');
    return { status: 'abandoned', ...report };
  }
  return { ...report, ...(await settle(taker, work.id)) };
}

type Begun =
  | {
      readonly holder: string;
      readonly work: CheckpointWork;
      readonly version: string;
      readonly isNew: boolean;
    }
  | CheckpointReport;

/** Takes the lease, and finds or makes the work. */
async function begin(taker: CheckpointTaker, request: CheckpointRequest): Promise<Begun> {
  for (let tries = 0; tries < CONTROL_TRIES; tries++) {
    const control = await taker.store.readControl(taker.isByPartition);
    const nowMs = taker.clock.nowMs();
    const { checkpoint: lease, rewind } = control;
    if (rewind !== undefined) return { status: 'busy', rewind: rewind.id };
    if (lease !== undefined && nowMs < lease.untilMs + CLOCK_SLACK_MS) {
      return { status: 'busy', id: lease.id, untilMs: lease.untilMs };
    }
    if (lease !== undefined) {
      const resumed = await resume(taker, control, lease, nowMs);
      if (resumed === 'contended') continue;
      if (resumed !== 'gone') return resumed;
    }
    if (request.ifOlderThanMs !== undefined) {
      const newest = await newestCheckpoint(taker.checkpoints);
      if (newest !== undefined && nowMs - begunMs(newest) < request.ifOlderThanMs) {
        return { status: 'notDue', id: newest };
      }
    }
    const { savepoint } = request;
    if (savepoint !== undefined) {
      const same = await findCheckpoint(taker.checkpoints, savepoint);
      if (same !== undefined) return { status: 'nameTaken', id: same.id, savepoint };
    }
    const id = checkpointId(nowMs, taker.random());
    const leased = await lend(taker, control, id);
    if (leased === undefined) continue;
    const made = await orGivingBack(taker, id, () => makeWork(taker, leased, id, nowMs, request));
    return made === 'overtaken' ? { status: 'busy', id } : { ...made, isNew: true };
  }
  return { status: 'busy' };
}

/**
 * Goes on with what somebody has left.
 * @returns `gone` where there is nothing to go on with, `contended` where somebody else has written the control row.
 */
async function resume(
  taker: CheckpointTaker,
  control: Control,
  { id }: CheckpointLease,
  nowMs: number,
): Promise<Begun | 'gone' | 'contended'> {
  const manifest = await readable(taker, id);
  if (manifest === 'unreadable') return 'gone';
  if (manifest !== undefined) {
    // It came as far as the manifest, and no further.
    if (await hideSpoilt(taker, manifest)) return 'gone';
    return {
      ...identityOf(manifest),
      isNew: false,
      ...figuresOf({ ...manifest, parts: manifest.parts.filter(({ from }) => from === undefined) }),
      ...(await settle(taker, id)),
    };
  }
  const kept = await taker.checkpoints.getWork(id);
  // What was hidden is removed by whoever comes to it.
  if (kept === undefined || (await taker.checkpoints.isHidden(id))) return 'gone';
  const before = readWork(kept.text);
  if (before === undefined) {
    taker.log.error('What was noted of an unfinished checkpoint cannot be read: another one is begun', {
      id,
    });
    return 'gone';
  }
  const isTooOld = nowMs - before.startedMs > resumableMs(taker);
  if (before.generation !== control.generation || isTooOld) return 'gone';
  if ((await lend(taker, control, id)) === undefined) return 'contended';
  const holder = taker.random();
  const work: CheckpointWork = {
    ...(before.isBaseSure === true ? before : without(before, 'base')),
    holder,
  };
  // From here on whoever held it can write no more.
  const version = await taker.checkpoints.putWork(id, JSON.stringify(work), kept.version);
  return version === undefined ? 'contended' : { holder, work, version, isNew: false };
}

/** The manifest of a checkpoint that somebody has left. One of a later version cannot be read either. */
async function readable(
  { checkpoints, log }: CheckpointTaker,
  id: string,
): Promise<Manifest | 'unreadable' | undefined> {
  try {
    return await checkpoints.getManifest(id);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    log.error('The manifest of a new checkpoint cannot be read: another one is begun', {
      id,
      error: String(error),
    });
    return 'unreadable';
  }
}

/**
 * Hides a checkpoint of which nobody can tell the lines that it keeps, before its taking is over. Asked behind the
 * manifest: who slept in front of it may have noted what was damaged since.
 * @returns whether it is hidden.
 */
async function hideSpoilt({ checkpoints, log }: CheckpointTaker, { id, delta }: Manifest): Promise<boolean> {
  if (delta === undefined) return false;
  try {
    await readKeptLines(checkpoints, id, delta.kept, delta.lines);
    return false;
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    await checkpoints.hide(id);
    log.error('What a new delta keeps cannot be read: it is no checkpoint', { id, error: String(error) });
    return true;
  }
}

/** @returns `overtaken` where somebody else has gone on with it while the base was asked. */
async function makeWork(
  taker: CheckpointTaker,
  control: Control,
  id: string,
  startedMs: number,
  { savepoint, isFull }: CheckpointRequest,
): Promise<
  { readonly holder: string; readonly work: CheckpointWork; readonly version: string } | 'overtaken'
> {
  const { checkpoints, deltas } = taker;
  const { generation, epoch } = control;
  const holder = taker.random();
  const shards = await shardPositions(taker.store, taker.streamShards, generation, taker.streams);
  const mayBeDelta = deltas !== undefined && savepoint === undefined && isFull !== true;
  const base = mayBeDelta ? await findBase(checkpoints, generation, deltas) : undefined;
  const full: CheckpointWork = {
    id,
    ...(savepoint !== undefined && { savepoint }),
    generation,
    ...(epoch !== undefined && { epoch }),
    startedMs,
    isByPartition: control.isByPartition === true,
    shards,
    segments: Array.from({ length: taker.segments }, () => NO_WORK),
    holder,
  };
  const first = base === undefined ? full : { ...full, base };
  const version = await checkpoints.putWork(id, JSON.stringify(first), undefined);
  if (version === undefined) throw new Error(`Somebody else has begun checkpoint ${id}: ids are not random.`);
  if (base === undefined) return { holder, work: full, version };
  const isBaseSure = await checkpoints.hasManifest(base.id);
  const work = isBaseSure ? { ...full, base, isBaseSure } : full;
  const next = await checkpoints.putWork(id, JSON.stringify(work), version);
  return next === undefined ? 'overtaken' : { holder, work, version: next };
}

/** Has the lease until this process ends. @returns `undefined` where somebody else wrote the control row. */
async function lend(taker: CheckpointTaker, control: Control, id: string): Promise<Control | undefined> {
  const overMs = begunMs(id) + resumableMs(taker) + PROCESS_LIFETIME_MS;
  const checkpoint: CheckpointLease = { id, untilMs: taker.deadlineMs, overMs };
  return taker.generations.replaceControl(control, { ...control, checkpoint });
}

/**
 * Ends the lease of a checkpoint, where it is still that one's.
 * @param as `unfinished`: others may go on at once. Until it is `over` the control row tells of it, also between the
 * invocations that take it: a redrive must not come between what a scan sees.
 */
async function giveBack(taker: CheckpointTaker, id: string, as: 'unfinished' | 'over'): Promise<void> {
  for (let tries = 0; tries < CONTROL_TRIES; tries++) {
    const control = await taker.store.readControl();
    // The version of the control row is a rewind's, once one has begun: the lease runs out.
    const { checkpoint, rewind } = control;
    if (checkpoint?.id !== id || rewind !== undefined) return;
    const rest = without(control, 'checkpoint');
    const after = as === 'over' ? rest : { ...rest, checkpoint: { ...checkpoint, untilMs: 0 } };
    if ((await taker.generations.replaceControl(control, after)) !== undefined) return;
  }
}

/** Has others go on at once where this throws; where that does not succeed either, the lease runs out. */
async function orGivingBack<T>(taker: CheckpointTaker, id: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    await giveBack(taker, id, 'unfinished').catch(() => undefined);
    throw error;
  }
}

/** What is to be done once the manifest is there. The checkpoint exists, so that nothing of it fails the call. */
async function settle(
  taker: CheckpointTaker,
  id: string,
): Promise<Pick<CheckpointReport, 'status' | 'removed'>> {
  let removed: string[] = [];
  try {
    await taker.checkpoints.removeWork(id);
    await giveBack(taker, id, 'over');
    const { checkpoint, rewind } = await taker.store.readControl();
    const inUse = [id, checkpoint?.id, rewind?.checkpoint].filter((each) => each !== undefined);
    removed = await applyRetention({
      checkpoints: taker.checkpoints,
      retention: taker.retention,
      nowMs: taker.clock.nowMs(),
      resumableMs: resumableMs(taker),
      inUse: new Set(inUse),
    });
  } catch (error) {
    taker.log.error('A checkpoint is taken, and what was to be done behind it is not', {
      id,
      error: String(error),
    });
  }
  return { status: 'taken', removed };
}

/** Beyond the horizon no stream reaches back to its positions. */
function resumableMs({ horizonSeconds }: CheckpointTaker): number {
  return horizonSeconds * 1_000;
}

function manifestOf(
  taker: CheckpointTaker,
  work: CheckpointWork,
  reached: NonNullable<Manifest['reached']>,
  kept: KeptLines | undefined,
): Manifest {
  const { id, savepoint, generation, epoch, startedMs, isByPartition, shards, base } = work;
  const { parts, items, digest } = totalsOf(work);
  const under = base === undefined || kept === undefined ? [] : partsUnder(base, kept);
  const isDelta = base !== undefined && under.length > 0;
  return {
    format: isDelta ? DELTA_FORMAT : CHECKPOINT_FORMAT,
    id,
    pipeline: taker.pipeline,
    ...(savepoint !== undefined && { savepoint }),
    generation,
    ...(epoch !== undefined && { epoch }),
    startedMs,
    endedMs: taker.clock.nowMs(),
    ...(taker.code !== undefined && { code: taker.code }),
    isByPartition,
    horizonSeconds: taker.horizonSeconds,
    operators: taker.operators,
    shards,
    reached,
    parts: [...under, ...parts],
    items,
    digest,
    ...(isDelta && {
      delta: {
        base: base.id,
        depth: base.depth,
        lines: linesOf(base),
        kept: work.segments.map((segment) => segment.kept).filter((object) => object !== undefined),
      },
    }),
  };
}

/** The parts of a delta's base that it keeps lines of. */
function partsUnder({ parts }: DeltaBase, kept: KeptLines): ManifestPart[] {
  const under: ManifestPart[] = [];
  let first = 0;
  for (const part of parts) {
    const lines = kept.countOf(first, part.lines);
    if (lines > 0) under.push({ ...part, kept: { first, lines } });
    first += part.lines;
  }
  return under;
}

function identityOf({
  id,
  savepoint,
}: Pick<CheckpointWork, 'id' | 'savepoint'>): Pick<CheckpointReport, 'id' | 'savepoint'> {
  return { id, ...(savepoint !== undefined && { savepoint }) };
}

/** @param parts its own. */
function figuresOf({ items, parts }: Pick<Manifest, 'items' | 'parts'>): Pick<
  CheckpointReport,
  'items' | 'bytes' | 'kept'
> & {
  readonly parts: number;
} {
  const kept = items - linesOf({ parts });
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  return { items, ...(kept > 0 && { kept }), bytes, parts: parts.length };
}
