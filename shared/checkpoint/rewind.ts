import { giveNotice } from '../engine/leave-out-rejected.ts';
import type { Runtime } from '../engine/runtime.ts';
import { comparePositions, type Position } from '../source/position.ts';
import type { GenerationStore, ProgressChange } from '../state/generation-store.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { Control, ReplayOutputs, RewindStep, RewindWork } from '../state/state-store.ts';
import { without } from '../state/without.ts';
import type { LaneTime } from '../time/lane-time.ts';
import { carryRelayed } from './carry-relayed.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { Manifest } from './manifest.ts';
import { replayShard, type ReplayGap, type ReplayReport } from './replay.ts';
import type { ReplaySource, SourceShard } from './replay-source.ts';
import { objectionTo, refused } from './rewind-objections.ts';
import { insertRows } from './rewound-rows.ts';
import { restorePart, verifySegment, type RestoredPart, type VerifiedSegment } from './restore.ts';

/** Progress rows that are changed side by side. */
const ROWS_IN_FLIGHT = 16;

/** What the steps of a rewind work with. */
export interface Rewinder {
  readonly runtime: Runtime;
  readonly generations: GenerationStore;
  readonly checkpoints: CheckpointStore;
  readonly source: ReplaySource;
}

/** Why a step was not done. Nothing of it was, or all that was does no harm. */
export type RewindRefusal =
  /** Somebody else has taken over, or the rewind is at another step. */
  | { readonly kind: 'superseded' }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] }
  | { readonly kind: 'gaps'; readonly gaps: readonly ReplayGap[] };

export type RewindAnswer = { readonly kind: 'at'; readonly control: Control } | RewindRefusal;

const NO_NOTICE = refused('the notice that there may be letters without a key was not written: try again');
const NOT_CARRIED = refused('the letters of what is only passed on were not all written: try again');
const SUPERSEDED = { kind: 'superseded' } as const;

export interface RewindRequest {
  /** Tells this rewind from every other. */
  readonly id: string;
  /** Tells its driver from every other. */
  readonly holder: string;
  /** Of the checkpoint. */
  readonly checkpoint: string;
  readonly outputs: ReplayOutputs;
  /** Event source mappings that are enabled, by their ids: those are enabled again at the end. */
  readonly mappings?: readonly string[];
  readonly allowsGap?: boolean;
  /** The state goes back, and the stream goes on from where it is. */
  readonly skipsReplay?: boolean;
  /** Operators whose state the code does not have and is not wanted. */
  readonly dropped?: readonly string[];
  /**
   * The first step of a fork: into a pipeline that has begun nothing (`new`), or also into one that processes records
   * already, whose state is left (`replace`).
   */
  readonly forks?: 'new' | 'replace';
}

/**
 * Begins a rewind: from here on no progress row comes to the generation that is left. Everything that can be found out
 * beforehand is, and then nothing is written.
 */
export async function beginRewind(rewinder: Rewinder, request: RewindRequest): Promise<RewindAnswer> {
  const { runtime, generations, checkpoints } = rewinder;
  const { store, clock } = runtime;
  let control = await store.readControl();
  if (control.rewind?.id === request.id) return { kind: 'at', control };
  const manifest = await checkpoints.getManifest(request.checkpoint);
  if (manifest === undefined) return refused(`there is no checkpoint ${request.checkpoint}`);
  const objection = await objectionTo(rewinder, control, manifest, request);
  if (objection !== undefined) return objection;
  // Its marks are of such lanes, also those of shards that were opened behind its positions.
  if (manifest.forkedFrom !== undefined && manifest.isByPartition) {
    const { version } = control;
    control = await store.readControl(true);
    if (control.version !== version) return SUPERSEDED;
  }
  const { generation, nextGeneration, epoch } = control;
  const rewind: RewindWork = {
    id: request.id,
    holder: request.holder,
    checkpoint: manifest.id,
    from: generation,
    to: nextGeneration,
    step: 'seal',
    outputs: request.outputs,
    startedMs: clock.nowMs(),
    ...(request.mappings !== undefined && { mappings: request.mappings }),
    ...(epoch !== undefined && { epochBefore: epoch }),
    ...(request.allowsGap === true && { allowsGap: true }),
    ...(request.skipsReplay === true && { skipsReplay: true }),
    ...(control.phase === 'awaitsFork' && { awaitedFork: true }),
  };
  // Whoever takes a checkpoint now loses the row, and gives up.
  const begun = await generations.replaceControl(control, {
    ...without(control, 'checkpoint'),
    phase: 'replay',
    nextGeneration: nextGeneration + 1,
    rewind,
  });
  if (begun !== undefined) return { kind: 'at', control: begun };
  // Somebody else wrote the row, or this call's own first try did.
  const current = await store.readControl();
  return current.rewind?.id === request.id ? { kind: 'at', control: current } : SUPERSEDED;
}

/** Takes a rewind over: whoever had it fails at the next thing that could do harm. */
export async function takeOver({ runtime, generations }: Rewinder, holder: string): Promise<RewindAnswer> {
  const control = await runtime.store.readControl();
  if (control.rewind === undefined) return refused('no rewind is under way');
  if (control.rewind.holder === holder) return { kind: 'at', control };
  return goOn(generations, control, { ...control, rewind: { ...control.rewind, holder } });
}

/** Seals every progress row of the generation that is left: what is in flight is not acknowledged any more (I7). */
export async function seal(rewinder: Rewinder, version: number): Promise<RewindAnswer> {
  const control = await expected(rewinder, version, ['seal']);
  if (control === undefined) return SUPERSEDED;
  const { rewind } = control;
  if (!(await changeAll(rewinder, rewind.from, { kind: 'seal' }, version))) return SUPERSEDED;
  return goOn(rewinder.generations, control, { ...control, rewind: { ...rewind, step: 'restore' } });
}

/** Writes the items of one part of the checkpoint: see `restorePart`. */
export async function restore(
  rewinder: Rewinder,
  version: number,
  part: number,
  skipped: number,
  keepGoing: () => boolean,
): Promise<RestoredPart | RewindRefusal> {
  const control = await expected(rewinder, version, ['restore']);
  if (control === undefined) return SUPERSEDED;
  const manifest = await manifestOf(rewinder, control);
  const one = manifest.parts[part];
  if (one === undefined) throw new RangeError(`Checkpoint ${manifest.id} has no part number ${part}.`);
  return restorePart(rewinder, manifest, one, control.rewind.to, skipped, keepGoing);
}

/** Counts and digests a segment of what was restored. */
export async function verify(
  rewinder: Rewinder,
  version: number,
  segment: { readonly segment: number; readonly segments: number; readonly after?: string },
  keepGoing: () => boolean,
): Promise<VerifiedSegment | RewindRefusal> {
  const control = await expected(rewinder, version, ['restore']);
  if (control === undefined) return SUPERSEDED;
  const manifest = await manifestOf(rewinder, control);
  const { runtime, generations } = rewinder;
  const generation = { generation: control.rewind.to, from: manifest.generation };
  return verifySegment({ generations, store: runtime.store }, generation, segment, keepGoing);
}

/**
 * Makes the new generation the current one, in phase `replay`, where what was counted of it is what the manifest says.
 * Its progress rows are made before: a shard is replayed from the checkpoint's position, one that the checkpoint does
 * not know from its first record, and one that is only passed on goes on from its seal. Event time goes with the position:
 * what is late is late again.
 */
export async function switchGeneration(
  rewinder: Rewinder,
  version: number,
  counted: Pick<VerifiedSegment, 'items' | 'digest'>,
): Promise<RewindAnswer> {
  const control = await expected(rewinder, version, ['restore']);
  if (control === undefined) return SUPERSEDED;
  const manifest = await manifestOf(rewinder, control);
  const { items, digest } = manifest;
  if (counted.items !== items || counted.digest !== digest) {
    return refused(
      `the restored generation ${control.rewind.to} holds ${counted.items} items (${counted.digest.slice(0, 12)}), and ` +
        `checkpoint ${manifest.id} ${items} (${digest.slice(0, 12)}): restore its parts again, or undo`,
    );
  }
  if (!(await insertRows(rewinder, control, manifest, version))) return SUPERSEDED;
  const { to, outputs } = control.rewind;
  return goOn(rewinder.generations, control, {
    // Revisions of a new generation lie above all ranks that were ever published.
    ...without(control, 'rank'),
    generation: to,
    ...(outputs === 'again' && { epoch: to }),
    rewind: { ...control.rewind, step: 'replay' },
  });
}

/** How far one shard is from its end. */
export interface ShardReplay {
  /** Its parents here are all from which it came, not the nearest alone: one that never had a record has no row. */
  readonly shard: SourceShard;
  readonly position?: Position;
  readonly until?: Position;
  /** How far event time had come there. */
  readonly untilTime?: LaneTime;
  readonly isDone: boolean;
}

/** Every shard of the streams that is to be replayed, parents before children. */
export async function replays(rewinder: Rewinder, control: Control): Promise<readonly ShardReplay[]> {
  const { rewind } = control;
  const { generations, source, runtime } = rewinder;
  if (rewind === undefined || rewind.skipsReplay === true) return [];
  const listed = new Map((await source.shards()).map((shard) => [shard.shard, shard]));
  const shards = (await generations.shards(rewind.to)).filter((shard) => !source.isRelayed(shard));
  const tasks = await inParallel(shards, ROWS_IN_FLIGHT, async (shard): Promise<ShardReplay> => {
    const { position: until, time } = (await runtime.store.readProgress(rewind.from, shard)) ?? {};
    const position = (await runtime.store.readProgress(rewind.to, shard))?.position;
    const isDone = until === undefined || (position !== undefined && comparePositions(position, until) >= 0);
    return {
      shard: withAncestors(listed.get(shard) ?? goneShard(shard), listed),
      ...(position !== undefined && { position }),
      ...(until !== undefined && { until }),
      ...(time !== undefined && { untilTime: time }),
      isDone,
    };
  });
  return inOrder(tasks);
}

/** Replays some of one shard: see `replayShard`. */
export async function replay(
  rewinder: Rewinder,
  version: number,
  shard: string,
  deadlineMs: number,
  keepGoing: () => boolean,
): Promise<ReplayReport | RewindRefusal> {
  const control = await expected(rewinder, version, ['replay']);
  if (control === undefined) return SUPERSEDED;
  const tasks = await replays(rewinder, control);
  const task = tasks.find((each) => each.shard.shard === shard);
  if (task?.until === undefined || task.isDone) return { outcome: 'done', records: 0 };
  const parent = task.shard.parents.find((each) =>
    tasks.some((other) => other.shard.shard === each && !other.isDone),
  );
  if (parent !== undefined) return refused(`its parent ${parent} comes first`);
  const { runtime, source } = rewinder;
  const { to, outputs, allowsGap } = control.rewind;
  if (!(await isNoticeGiven(runtime, control))) return NO_NOTICE;
  return replayShard(
    outputs === 'suppress' ? { ...runtime, sinks: silenced(runtime.sinks) } : runtime,
    source,
    {
      generation: to,
      shard: task.shard,
      until: task.until,
      ...(task.untilTime !== undefined && { untilTime: task.untilTime }),
      allowsGap: allowsGap === true,
    },
    deadlineMs,
    keepGoing,
  );
}

/**
 * Opens the new generation to live events, where every shard has come to its end. From its first write on it cannot be
 * undone: what is acknowledged in the new generation is not in the old one.
 */
export async function release(rewinder: Rewinder, version: number): Promise<RewindAnswer> {
  const control = await expected(rewinder, version, ['replay', 'release']);
  if (control === undefined) return SUPERSEDED;
  const { runtime } = rewinder;
  const { rewind } = control;
  let current = control;
  if (rewind.step === 'replay') {
    const left = (await replays(rewinder, control)).filter(({ isDone }) => !isDone);
    if (left.length > 0) {
      return refused(`shards are not replayed: ${left.map(({ shard }) => shard.shard).join(', ')}`);
    }
    if (!(await isNoticeGiven(runtime, control))) return NO_NOTICE;
    if (!(await carryRelayed(rewinder, rewind))) return NOT_CARRIED;
    const began = await goOn(rewinder.generations, control, {
      ...control,
      rewind: { ...rewind, step: 'release' },
    });
    if (began.kind !== 'at') return began;
    current = began.control as typeof current;
  }
  if (current.phase === 'live') return { kind: 'at', control: current };
  if (runtime.program.definition.time !== undefined) await liftAsBefore(rewinder, rewind);
  const change = { kind: 'release' } as const;
  if (!(await changeAll(rewinder, rewind.to, change, current.version ?? 0))) return SUPERSEDED;
  return goOn(rewinder.generations, current, { ...current, phase: 'live' });
}

/**
 * Goes back to the generation that was left. What the other one has published stays published: where it had begun to,
 * the old one's revisions are told as those of a generation behind both.
 */
export async function undo(rewinder: Rewinder, version: number): Promise<RewindAnswer> {
  const control = await expected(rewinder, version, ['seal', 'restore', 'replay', 'release', 'undo']);
  if (control === undefined) return SUPERSEDED;
  const { rewind } = control;
  if (rewind.step === 'release') {
    return refused('the new generation takes live events already: rewind again instead');
  }
  let current = control;
  if (rewind.step !== 'undo') {
    const { epochBefore, from, to } = rewind;
    const hasPublished = rewind.step === 'replay';
    const rank = to + 1;
    const began = await goOn(rewinder.generations, control, {
      ...without(control, 'epoch'),
      ...(epochBefore !== undefined && { epoch: epochBefore }),
      generation: from,
      ...(hasPublished && { rank, nextGeneration: Math.max(control.nextGeneration, rank + 1) }),
      rewind: { ...rewind, step: 'undo' },
    });
    if (began.kind !== 'at') return began;
    current = began.control as typeof current;
  }
  if (current.phase !== 'replay') return { kind: 'at', control: current };
  const { rank } = current;
  const change = { kind: 'unseal', ...(rank !== undefined && { rank }) } as const;
  if (!(await changeAll(rewinder, rewind.from, change, current.version ?? 0))) return SUPERSEDED;
  const phase = rewind.awaitedFork === true ? 'awaitsFork' : 'live';
  return goOn(rewinder.generations, current, { ...current, phase });
}

/** The mapping is enabled: nothing is left to do. */
export async function finish(rewinder: Rewinder, version: number): Promise<RewindAnswer> {
  const control = await expected(rewinder, version, ['release', 'undo']);
  if (control === undefined) return SUPERSEDED;
  if (control.phase === 'replay') return refused(`the pipeline is in phase '${control.phase}'`);
  const { rewind, left = [] } = control;
  const generation = rewind.step === 'undo' ? rewind.to : rewind.from;
  return goOn(rewinder.generations, control, {
    ...without(control, 'rewind'),
    left: [...left, { generation, atMs: rewinder.runtime.clock.nowMs() }],
  });
}

/**
 * Lifts idle shards as they were where they were sealed. No record tells of a lift, so that no replay does it again; but
 * what comes behind the seal is to be judged as it would have been. A row that is at another position is left as it is.
 */
async function liftAsBefore({ runtime, generations }: Rewinder, { from, to }: RewindWork): Promise<void> {
  const { store } = runtime;
  await inParallel(await generations.shards(to), ROWS_IN_FLIGHT, async (shard) => {
    const sealed = await store.readProgress(from, shard);
    if (sealed?.liftedMs !== undefined) await store.liftTime(to, shard, sealed.position, sealed.liftedMs);
  });
}

export type RewindingControl = Control & { readonly rewind: RewindWork };

/** The control row, where it still has the version and the rewind is at one of these steps. */
async function expected(
  { runtime }: Rewinder,
  version: number,
  steps: readonly RewindStep[],
): Promise<RewindingControl | undefined> {
  const control = await runtime.store.readControl();
  const { rewind } = control;
  if (control.version !== version || rewind === undefined || !steps.includes(rewind.step)) return undefined;
  return { ...control, rewind };
}

async function goOn(generations: GenerationStore, before: Control, after: Control): Promise<RewindAnswer> {
  const control = await generations.replaceControl(before, after);
  return control === undefined ? SUPERSEDED : { kind: 'at', control };
}

async function manifestOf({ checkpoints }: Rewinder, { rewind }: RewindingControl): Promise<Manifest> {
  const manifest = await checkpoints.getManifest(rewind.checkpoint);
  if (manifest === undefined) throw new Error(`Checkpoint ${rewind.checkpoint} is gone: undo the rewind.`);
  return manifest;
}

/** Changes every progress row of a generation. @returns false where somebody else has taken over. */
async function changeAll(
  { generations }: Rewinder,
  generation: number,
  change: ProgressChange,
  version: number,
): Promise<boolean> {
  const shards = await generations.shards(generation);
  const results = await inParallel(shards, ROWS_IN_FLIGHT, (shard) =>
    generations.changeProgress(generation, shard, change, version),
  );
  return !results.includes('superseded');
}

/**
 * Where an item of any lane may list letters, a notice tells; the checkpoint's scan may have come to its row before it was
 * written. Only when the items are counted: it would be one too many.
 */
async function isNoticeGiven(
  runtime: Runtime,
  { rewind, isByPartition }: RewindingControl,
): Promise<boolean> {
  const isChained = runtime.program.definition.source.chained !== undefined;
  return (!isChained && isByPartition !== true) || giveNotice(runtime, rewind.to);
}

/** Sinks that take everything and send nothing. */
function silenced(sinks: Runtime['sinks']): Runtime['sinks'] {
  return new Map(
    [...sinks].map(([name, { maximumDeliveries, maximumBytes }]) => [
      name,
      {
        maximumDeliveries,
        maximumBytes,
        deliver: async (deliveries) => deliveries.map(() => true),
      },
    ]),
  );
}

function withAncestors(shard: SourceShard, listed: ReadonlyMap<string, SourceShard>): SourceShard {
  const ancestors = new Set(shard.parents);
  for (const ancestor of ancestors)
    for (const each of listed.get(ancestor)?.parents ?? []) ancestors.add(each);
  return { ...shard, parents: [...ancestors] };
}

/** A shard that no listing has any more: a reader of it finds it gone. */
function goneShard(shard: string): SourceShard {
  return { stream: '', streamArn: '', shardId: '', shard, parents: [] };
}

function inOrder(tasks: readonly ShardReplay[]): ShardReplay[] {
  const left = new Map(tasks.map((task) => [task.shard.shard, task]));
  const ordered: ShardReplay[] = [];
  while (left.size > 0) {
    const ready = [...left.values()].filter(({ shard }) => !shard.parents.some((parent) => left.has(parent)));
    // A listing without an end is none; it goes as it stands then.
    for (const task of ready.length > 0 ? ready : left.values()) {
      ordered.push(task);
      left.delete(task.shard.shard);
    }
  }
  return ordered;
}
