import type { Runtime } from '../engine/runtime.ts';
import { comparePositions, decodePosition } from '../source/position.ts';
import { inParallel } from '../state/in-parallel.ts';
import { MAX_GENERATION } from '../state/revision.ts';
import type { Control } from '../state/state-store.ts';
import { incompatibilities } from './compatibility.ts';
import { forkProblems } from './fork.ts';
import type { Manifest } from './manifest.ts';
import { findGaps } from './replay.ts';
import type { Rewinder, RewindRefusal, RewindRequest } from './rewind.ts';

/** Progress rows that are read side by side. */
const ROWS_IN_FLIGHT = 16;

/** What is pending has the lane under which it was made. */
const OTHER_LANES =
  'this pipeline has lanes by partition key (ParallelizationFactor above 1), and of the checkpoint, which an earlier ' +
  'version has taken, nothing tells what was handed in by shard: take another one';
/** What speaks against a rewind. Nothing is written to find it out. */
export async function objectionTo(
  rewinder: Rewinder,
  control: Control,
  manifest: Manifest,
  request: Omit<RewindRequest, 'id' | 'holder' | 'checkpoint'>,
): Promise<RewindRefusal | undefined> {
  const { runtime, source } = rewinder;
  const { store, program } = runtime;
  const isFork = manifest.forkedFrom !== undefined;
  if (control.rewind !== undefined) {
    return refused(`rewind ${control.rewind.id} is under way: resume or undo it`);
  }
  if (control.phase !== 'live' && !(control.phase === 'awaitsFork' && isFork)) {
    return refused(`the pipeline is in phase '${control.phase}'`);
  }
  const reasons = incompatibilities(manifest, program, new Set(request.dropped));
  if (isFork) {
    reasons.push(...forkProblems(manifest, program, await source.shards()));
    const isByPartition = control.isByPartition === true || runtime.parallelizationFactor > 1;
    const isLive = control.phase === 'live';
    if (isLive && request.forks === 'replace')
      reasons.push(...(await replaceProblems(runtime, control, manifest)));
    if (!isLive && isByPartition && !manifest.isByPartition && manifest.reached === undefined)
      reasons.push(OTHER_LANES);
  }
  if (request.forks === 'new' && control.phase === 'live') {
    reasons.push(
      'this pipeline was not deployed to await a fork, and processes records by itself: whoever wants its state ' +
        'to be left for that of the checkpoint says --replace',
    );
  }
  if (control.nextGeneration + 2 > MAX_GENERATION) {
    reasons.push(`generation ${control.nextGeneration} is the last one; fork into a new pipeline`);
  }
  if (request.outputs === 'suppress' && (control.isByPartition === true || manifest.isByPartition)) {
    reasons.push(
      'with a ParallelizationFactor above 1 the seals do not tell what was published, and what is suppressed might ' +
        'never be: choose other outputs',
    );
  }
  if (reasons.length > 0) return { kind: 'refused', reasons };
  if (request.allowsGap === true || request.skipsReplay === true) return undefined;
  const gaps = await findGaps({ ...rewinder, store }, manifest, control.generation);
  return gaps.length > 0 ? { kind: 'gaps', gaps } : undefined;
}

/**
 * Why a pipeline that publishes already cannot take over another's state: what the other has published, this one must have
 * published too, for nobody will. In lanes by shard that is so where it has come as far. Else nothing proves it.
 */
async function replaceProblems(
  { store, program, parallelizationFactor }: Runtime,
  { generation, isByPartition }: Control,
  manifest: Manifest,
): Promise<string[]> {
  const unproven: string[] = [];
  if (isByPartition === true || parallelizationFactor > 1 || manifest.isByPartition)
    unproven.push('with a ParallelizationFactor above 1 positions do not tell it');
  if (program.definition.time !== undefined) unproven.push('positions do not tell which timers have fired');
  if (manifest.reached === undefined)
    unproven.push('an earlier version has taken the checkpoint: another one tells it');
  if (unproven.length > 0) {
    return [
      `nothing proves that this pipeline has published what the other one has (${unproven.join('; ')}), and nobody else ` +
        'would: rewind it to the checkpoint that the other one began from',
    ];
  }
  const reached = Object.entries(manifest.reached ?? {});
  const behind = await inParallel(reached, ROWS_IN_FLIGHT, async ([shard, { position }]) => {
    if (position === undefined) return [];
    const own = (await store.readProgress(generation, shard))?.position;
    return own === undefined || comparePositions(own, decodePosition(position)) < 0 ? [shard] : [];
  });
  return behind
    .flat()
    .map(
      (shard) =>
        `this pipeline has not come as far in shard ${shard} as the other one had at the end of the checkpoint, and nobody ` +
        'would publish what lies between: wait until it has, and fork again',
    );
}

/**
 * Whether this pipeline can go on from another's checkpoint, asked before anything of that is copied.
 * @param manifest the other pipeline's; its parts are not looked at.
 * @returns nothing where nothing speaks against it.
 */
export async function judgeFork(
  rewinder: Rewinder,
  manifest: Manifest,
  request: Pick<RewindRequest, 'outputs' | 'allowsGap' | 'dropped' | 'forks'>,
): Promise<RewindRefusal | undefined> {
  const { store, program } = rewinder.runtime;
  const { name: pipeline } = program.definition;
  if (manifest.pipeline === pipeline) return refused('a pipeline is not forked into itself: rewind it');
  const own = { ...manifest, pipeline, forkedFrom: manifest.pipeline };
  return objectionTo(rewinder, await store.readControl(), own, request);
}

export function refused(...reasons: string[]): RewindRefusal {
  return { kind: 'refused', reasons };
}
