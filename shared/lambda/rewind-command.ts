import { redoClosedLetters, type RedoReport } from '../checkpoint/redo-letters.ts';
import { linesThatCount, type Manifest } from '../checkpoint/manifest.ts';
import type { ReplayReport } from '../checkpoint/replay.ts';
import type { RestoredPart, VerifiedSegment } from '../checkpoint/restore.ts';
import { judgeFork } from '../checkpoint/rewind-objections.ts';
import * as steps from '../checkpoint/rewind.ts';
import type {
  RewindAnswer,
  Rewinder,
  RewindRefusal,
  RewindRequest,
  ShardReplay,
} from '../checkpoint/rewind.ts';
import { DEADLINE_MARGIN_MS } from '../engine/limits.ts';
import { sinksOf } from '../pipeline/definition.ts';
import type { Control } from '../state/state-store.ts';
import type { CommandContext } from './commands.ts';
import { generationsOf } from './generations.ts';
import { kinesisReplaySource } from './kinesis-ports.ts';
import { replayOptions } from './replay-options.ts';
import { s3Checkpoints } from './s3-ports.ts';

/** The event that asks a pipeline's function for a step of a rewind: each is bounded, and safe to ask for again. */
export type RewindEvent = { readonly tidemark: 'rewind' } & RewindStepRequest;

export type RewindStepRequest =
  | { readonly step: 'about' | 'control' | 'replays' }
  /** @param manifest of another pipeline's checkpoint; it may be without its parts. */
  | { readonly step: 'judge'; readonly manifest: Manifest; readonly request: ForkRequest }
  | { readonly step: 'begin'; readonly request: RewindRequest }
  | { readonly step: 'parts'; readonly checkpoint: string }
  | { readonly step: 'takeOver'; readonly holder: string }
  | { readonly step: 'seal' | 'release' | 'undo' | 'finish'; readonly version: number }
  | {
      readonly step: 'restore';
      readonly version: number;
      readonly part: number;
      /** Lines of the part that are done. */
      readonly skipped: number;
    }
  | {
      readonly step: 'verify';
      readonly version: number;
      readonly segment: { readonly segment: number; readonly segments: number; readonly after?: string };
    }
  | {
      readonly step: 'switch';
      readonly version: number;
      readonly counted: Pick<VerifiedSegment, 'items' | 'digest'>;
    }
  | { readonly step: 'replay'; readonly version: number; readonly shard: string }
  /** @param after where the call before ended, empty at the beginning. */
  | { readonly step: 'redo'; readonly version: number; readonly after: string };

type ForkRequest = Parameters<typeof judgeFork>[2];

/** What the function that is deployed says of itself. */
export interface AboutFunction {
  readonly pipeline: string;
  /** Hash of its code. */
  readonly code?: string;
  /** Names of its sinks. */
  readonly sinks: readonly string[];
}

/** The answer by step. */
export interface RewindAnswers {
  readonly about: AboutFunction;
  /** Nothing where the fork can begin. */
  readonly judge: RewindRefusal | null;
  readonly begin: RewindAnswer;
  readonly control: Control;
  readonly parts: readonly { readonly lines: number }[];
  readonly takeOver: RewindAnswer;
  readonly seal: RewindAnswer;
  readonly restore: RestoredPart | RewindRefusal;
  readonly verify: VerifiedSegment | RewindRefusal;
  readonly switch: RewindAnswer;
  readonly replays: readonly ShardReplay[];
  readonly replay: ReplayReport | RewindRefusal;
  readonly redo: RedoReport | { readonly kind: 'superseded' };
  readonly release: RewindAnswer;
  readonly undo: RewindAnswer;
  readonly finish: RewindAnswer;
}

export type RewindCommandAnswer = RewindAnswers[keyof RewindAnswers];

/**
 * What a step goes on for at most: whoever drives wants to hear from it, and to be able to stop. The function's own
 * deadline bounds it too.
 */
const STEP_MS = 15_000;

/** What the fields of an event hold, by step. */
const FIELDS: Readonly<
  Record<keyof RewindAnswers, Readonly<Record<string, 'string' | 'number' | 'object'>>>
> = {
  about: {},
  judge: { manifest: 'object', request: 'object' },
  begin: { request: 'object' },
  control: {},
  parts: { checkpoint: 'string' },
  takeOver: { holder: 'string' },
  seal: { version: 'number' },
  restore: { version: 'number', part: 'number', skipped: 'number' },
  verify: { version: 'number', segment: 'object' },
  switch: { version: 'number', counted: 'object' },
  replays: {},
  replay: { version: 'number', shard: 'string' },
  redo: { version: 'number', after: 'string' },
  release: { version: 'number' },
  undo: { version: 'number' },
  finish: { version: 'number' },
};

/**
 * Does one step of a rewind. Who drives it, and which comes next, is for the caller (`driveRewind`); where that one is
 * not the one that the control row names, nothing harmful is done.
 * @throws TypeError when the event is not a `RewindEvent`.
 */
export async function rewindCommand(event: object, context: CommandContext): Promise<RewindCommandAnswer> {
  const asked = stepRequest(event);
  const { runtime, services, deadlineMs, requestId: session } = context;
  const { definition } = runtime.program;
  if (asked.step === 'about') {
    const { code } = services.settings;
    const sinks = sinksOf(definition).map(({ name }) => name);
    return { pipeline: definition.name, ...(code !== undefined && { code }), sinks };
  }
  const rewinder = rewinderOf(context);
  const untilMs = Math.min(deadlineMs - DEADLINE_MARGIN_MS, runtime.clock.nowMs() + STEP_MS);
  const keepGoing = (): boolean => runtime.clock.nowMs() < untilMs;
  switch (asked.step) {
    case 'judge':
      return (await judgeFork(rewinder, asked.manifest, asked.request)) ?? null;
    case 'begin': {
      const answer = await steps.beginRewind(rewinder, asked.request);
      runtime.log.warn(`A rewind was asked for: ${answer.kind}`, { checkpoint: asked.request.checkpoint });
      return answer;
    }
    case 'control':
      return runtime.store.readControl();
    case 'parts':
      return (
        (await rewinder.checkpoints.getManifest(asked.checkpoint))?.parts.map((part) => ({
          lines: linesThatCount(part),
        })) ?? []
      );
    case 'takeOver':
      return steps.takeOver(rewinder, asked.holder);
    case 'seal':
      return steps.seal(rewinder, asked.version);
    case 'restore':
      return steps.restore(rewinder, asked.version, asked.part, asked.skipped, keepGoing);
    case 'verify':
      return steps.verify(rewinder, asked.version, asked.segment, keepGoing);
    case 'switch':
      return steps.switchGeneration(rewinder, asked.version, asked.counted);
    case 'replays':
      return steps.replays(rewinder, await runtime.store.readControl());
    case 'replay':
      return steps.replay(rewinder, asked.version, asked.shard, deadlineMs, keepGoing);
    case 'redo':
      return redoClosedLetters(rewinder, { version: asked.version, after: asked.after, session, deadlineMs });
    case 'release':
      return steps.release(rewinder, asked.version);
    case 'undo':
      return steps.undo(rewinder, asked.version);
    case 'finish':
      return steps.finish(rewinder, asked.version);
  }
}

function stepRequest(event: object): RewindStepRequest {
  const { step } = event as { step?: unknown };
  if (typeof step !== 'string' || !Object.hasOwn(FIELDS, step)) {
    throw new TypeError(
      `The event asks for the step ${JSON.stringify(step)} of a rewind; there are: ${Object.keys(FIELDS).join(', ')}.`,
    );
  }
  for (const [name, type] of Object.entries(FIELDS[step as keyof RewindAnswers])) {
    const value: unknown = Reflect.get(event, name);
    if (typeof value === type && value !== null) continue;
    throw new TypeError(
      `The event asks for the step '${step}' of a rewind with '${name}' ${JSON.stringify(value)}; it is ${type === 'object' ? 'an' : 'a'} ${type}.`,
    );
  }
  return event as RewindStepRequest;
}

function rewinderOf(context: CommandContext): Rewinder {
  const { runtime, services } = context;
  const { settings, trace } = services;
  const { definition } = runtime.program;
  const options = replayOptions(definition, settings, 'cannot rewind', runtime.wait);
  return {
    runtime,
    generations: generationsOf(context),
    checkpoints: s3Checkpoints(settings.bucket, definition.name, trace),
    source: kinesisReplaySource(options, trace),
  };
}
