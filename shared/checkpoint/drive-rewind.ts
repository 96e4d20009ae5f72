import { inParallel } from '../state/in-parallel.ts';
import type { Control } from '../state/state-store.ts';
import { LineDigest } from './line-digest.ts';
import type { ReplayReport } from './replay.ts';
import type { RestoredPart, VerifiedSegment } from './restore.ts';
import type { RewindAnswer, RewindRefusal, ShardReplay } from './rewind.ts';

/** The steps of a rewind as its driver asks for them, wherever they are done: each bounded, each safe to ask for again. */
export interface RewindSteps {
  control(): Promise<Control>;
  /** Parts of the checkpoint. */
  parts(checkpoint: string): Promise<readonly { readonly lines: number }[]>;
  takeOver(holder: string): Promise<RewindAnswer>;
  seal(version: number): Promise<RewindAnswer>;
  restore(version: number, part: number, skipped: number): Promise<RestoredPart | RewindRefusal>;
  verify(
    version: number,
    segment: { readonly segment: number; readonly segments: number; readonly after?: string },
  ): Promise<VerifiedSegment | RewindRefusal>;
  switchGeneration(
    version: number,
    counted: Pick<VerifiedSegment, 'items' | 'digest'>,
  ): Promise<RewindAnswer>;
  replays(): Promise<readonly ShardReplay[]>;
  replay(version: number, shard: string): Promise<ReplayReport | RewindRefusal>;
  release(version: number): Promise<RewindAnswer>;
  undo(version: number): Promise<RewindAnswer>;
  finish(version: number): Promise<RewindAnswer>;
}

/** The event source mappings of the pipeline. */
export interface MappingSwitch {
  /** Returns when no further event comes. */
  disable(): Promise<void>;
  enable(): Promise<void>;
}

/** What a driver tells while it works. */
export type RewindNews =
  | { readonly kind: 'step'; readonly control: Control }
  | { readonly kind: 'restored'; readonly lines: number; readonly of: number }
  | { readonly kind: 'verified'; readonly items: number }
  | { readonly kind: 'replayed'; readonly shard: string; readonly report: ReplayReport };

export interface DriveOptions {
  readonly steps: RewindSteps;
  readonly mapping: MappingSwitch;
  /** Of the rewind: another that has come in its place is not touched. */
  readonly id: string;
  readonly holder: string;
  readonly wait: (ms: number) => Promise<void>;
  /** Go back to what was before. */
  readonly undoes?: boolean;
  /** Once the new generation is live, before the mapping is enabled; done again where it was interrupted. */
  readonly whenLive?: (control: Control) => Promise<void>;
  readonly onNews?: (news: RewindNews) => void;
  /** Segments of the table that are verified side by side, and parts and shards that are worked on. */
  readonly parallel: number;
}

/**
 * - `finished`: nothing of it is left to do, whoever did it.
 * - `superseded`: somebody else has taken over.
 * - `stuck`: a shard's next record cannot be finished, or is in the stream no more.
 * - what refused a step.
 */
export type DriveOutcome =
  | { readonly kind: 'finished' }
  | { readonly kind: 'superseded'; readonly holder: string }
  | { readonly kind: 'stuck'; readonly shard: string; readonly outcome: ReplayReport['outcome'] }
  | Exclude<RewindRefusal, { kind: 'superseded' }>;

/** How often a shard is tried that does not get on, with pauses that double. */
const HELD_TRIES = 8;
const FIRST_PAUSE_MS = 500;

const GO_ON = undefined;

/**
 * Drives a rewind to its end from wherever it is. It keeps nothing itself: each turn reads the control row and does what
 * comes next, so that it may die anywhere and another may go on; the row's holder says whose turn it is.
 */
export async function driveRewind(options: DriveOptions): Promise<DriveOutcome> {
  const { steps, id, holder, onNews } = options;
  for (;;) {
    const control = await steps.control();
    const { rewind } = control;
    if (rewind?.id !== id) return { kind: 'finished' };
    if (rewind.holder !== holder) return { kind: 'superseded', holder: rewind.holder };
    onNews?.({ kind: 'step', control });
    const ending = await turn(options, control);
    if (ending !== GO_ON) return ending;
  }
}

async function turn(options: DriveOptions, control: Control): Promise<DriveOutcome | undefined> {
  const { steps, mapping, undoes = false, whenLive } = options;
  const version = control.version ?? 0;
  const step = control.rewind?.step;
  if (control.phase !== 'replay') {
    if (step === 'release') await whenLive?.(control);
    await mapping.enable();
    return endingOf(await steps.finish(version));
  }
  await mapping.disable();
  if (step === 'undo' || (undoes && step !== 'release')) return endingOf(await steps.undo(version));
  switch (step) {
    case 'seal':
      return endingOf(await steps.seal(version));
    case 'restore':
      return restoreAll(options, control, version);
    case 'replay':
      return (await replayAll(options, version)) ?? endingOf(await steps.release(version));
    default:
      return endingOf(await steps.release(version));
  }
}

/** Superseded is nobody's last word: the next look at the control row tells by whom, or that it was this driver itself. */
function endingOf(answer: RewindAnswer): DriveOutcome | undefined {
  return answer.kind === 'at' || answer.kind === 'superseded' ? GO_ON : answer;
}

type Refused = RewindRefusal | undefined;

async function restoreAll(
  { steps, onNews, parallel }: DriveOptions,
  { rewind }: Control,
  version: number,
): Promise<DriveOutcome | undefined> {
  const parts = await steps.parts(rewind?.checkpoint ?? '');
  const of = parts.reduce((sum, { lines }) => sum + lines, 0);
  let lines = 0;
  const refusals: Refused[] = await inParallel([...parts.keys()], parallel, async (part) => {
    for (let skipped = 0; ;) {
      const answer = await steps.restore(version, part, skipped);
      if ('kind' in answer) return answer;
      lines += answer.lines - skipped;
      skipped = answer.lines;
      onNews?.({ kind: 'restored', lines, of });
      if (answer.isDone) return undefined;
    }
  });
  const digest = new LineDigest();
  let items = 0;
  const segments = Array.from({ length: parallel }, (_, segment) => segment);
  if (refusals.filter((refusal) => refusal !== undefined).length === 0) {
    refusals.push(
      ...(await inParallel(segments, parallel, async (segment) => {
        for (let after: string | undefined; ;) {
          const answer = await steps.verify(version, {
            segment,
            segments: parallel,
            ...(after !== undefined && { after }),
          });
          if ('kind' in answer) return answer;
          items += answer.items;
          digest.merge(new LineDigest(answer.digest));
          onNews?.({ kind: 'verified', items });
          after = answer.after;
          if (after === undefined) return undefined;
        }
      })),
    );
  }
  const [refusal] = refusals.filter((each) => each !== undefined);
  return endingOf(refusal ?? (await steps.switchGeneration(version, { items, digest: String(digest) })));
}

/** Every shard to its end: those whose parents are done, side by side. */
async function replayAll(
  { steps, onNews, parallel, wait }: DriveOptions,
  version: number,
): Promise<DriveOutcome | undefined> {
  const held = new Map<string, number>();
  for (;;) {
    const left = (await steps.replays()).filter(({ isDone }) => !isDone);
    const names = new Set(left.map(({ shard }) => shard.shard));
    if (names.size === 0) return undefined;
    const ready = left.filter(({ shard }) => !shard.parents.some((parent) => names.has(parent)));
    const reports = await inParallel(ready, parallel, async ({ shard: { shard } }) => {
      const answer = await steps.replay(version, shard);
      if ('kind' in answer) return answer;
      onNews?.({ kind: 'replayed', shard, report: answer });
      const { outcome } = answer;
      if (outcome === 'gap') return { kind: 'stuck' as const, shard, outcome };
      const tries = outcome === 'held' || outcome === 'refused' ? (held.get(shard) ?? 0) + 1 : 0;
      held.set(shard, tries);
      return tries === HELD_TRIES ? { kind: 'stuck' as const, shard, outcome } : undefined;
    });
    const [ending] = reports.filter((report) => report !== undefined);
    if (ending !== undefined) return ending.kind === 'superseded' ? GO_ON : ending;
    const tries = Math.max(0, ...held.values());
    if (tries > 0) await wait(FIRST_PAUSE_MS * 2 ** tries);
  }
}

/** The first that drives a rewind again takes it over; nothing where none is under way. */
export async function takeOverRewind(
  steps: Pick<RewindSteps, 'control' | 'takeOver'>,
  holder: string,
): Promise<string | undefined> {
  for (;;) {
    const answer = await steps.takeOver(holder);
    if (answer.kind === 'at') return answer.control.rewind?.id;
    if (answer.kind !== 'superseded') return undefined;
  }
}
