import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import Table from 'cli-table3';
import { Option, type Command } from 'commander';
import {
  driveRewind,
  takeOverRewind,
  type DriveOutcome,
  type RewindSteps,
} from '../../shared/checkpoint/drive-rewind.ts';
import { begunMs } from '../../shared/checkpoint/checkpoint-id.ts';
import type { Manifest } from '../../shared/checkpoint/manifest.ts';
import { findCheckpoint, openCheckpoint } from '../../shared/checkpoint/read-checkpoint.ts';
import { redoAll } from '../../shared/checkpoint/redo-letters.ts';
import type { ReplayGap } from '../../shared/checkpoint/replay.ts';
import type { RewindRefusal, ShardReplay } from '../../shared/checkpoint/rewind.ts';
import type { AboutFunction } from '../../shared/lambda/rewind-command.ts';
import { inParallel } from '../../shared/state/in-parallel.ts';
import type { Control, ReplayOutputs, RewindWork } from '../../shared/state/state-store.ts';
import { ageOf } from './checkpoints.ts';
import { confirmed } from './confirmation.ts';
import { CurrentState } from './current-state.ts';
import { ofPipeline, withAccess, type LocatedOptions } from './located.ts';
import { LambdaMappingSwitch } from './mapping-switch.ts';
import type { OperatorContext } from './operator-context.ts';
import { checkpointsOf, type PipelineAccess, type Whereabouts } from './pipeline-access.ts';
import { formatted } from './progress-display.ts';
import { askRemotely, Interrupted, remoteSteps, type AskForStep } from './remote-rewind.ts';
import { RewindProgress } from './rewind-progress.ts';
import { timeOf } from './time-argument.ts';
import { UsageError } from './usage-error.ts';

const OUTPUTS = ['same', 'again', 'suppress'] as const satisfies readonly ReplayOutputs[];

interface BeginOptions extends LocatedOptions {
  readonly to: string;
  readonly outputs?: ReplayOutputs;
  readonly allowGap?: boolean;
  readonly dropOperator?: readonly string[];
  readonly yes?: boolean;
}

interface RewindOptions extends Omit<BeginOptions, 'to'> {
  readonly to?: string;
  readonly resume?: boolean;
  readonly undo?: boolean;
}

/** Parts, segments and shards that are worked on side by side, each by an invocation. */
const PARALLEL = 4;
const ROWS_IN_FLIGHT = 16;

const CHECKPOINT_HELP =
  'a checkpoint: its id, the name of a savepoint, "latest", or a time (2026-11-25T09:00Z, or 90m, 12h, 7d ago): the newest that was finished then';

/** `tidemark rewind`: back to a checkpoint, and forward again with the code that is deployed now. */
export function rewindCommand(context: OperatorContext, command: Command): Command {
  return beginning(
    ofPipeline(
      command,
      'brings the state back to a checkpoint, and processes all records since then again with the code that is deployed now',
    ),
  )
    .option('--to <checkpoint>', CHECKPOINT_HELP)
    .addOption(
      new Option(
        '--outputs <choice>',
        'what becomes of the outputs of what is processed again; see below',
      ).choices(OUTPUTS),
    )
    .option('--allow-gap', 'go on without the records that the stream does not hold any more')
    .option('--resume', 'goes on with the rewind that is under way, wherever it was interrupted')
    .option('--undo', 'goes back to what was before the rewind that is under way')
    .addHelpText('after', () => `\n${OUTPUTS_EXPLAINED}`)
    .action(async (pipeline: string, options: RewindOptions) => {
      const { to, resume, undo } = options;
      const chosen = [to !== undefined, resume === true, undo === true].filter(Boolean);
      if (chosen.length !== 1) {
        throw new UsageError('Give one of --to CHECKPOINT, which begins a rewind, --resume and --undo.');
      }
      if (to !== undefined) {
        return withAccess(pipeline, options, (access) => begin(context, access, { ...options, to }, false));
      }
      const isOdd =
        options.outputs !== undefined || options.allowGap === true || options.dropOperator !== undefined;
      if (isOdd) {
        throw new UsageError('--outputs, --allow-gap and --drop-operator are chosen when a rewind begins.');
      }
      return withAccess(pipeline, options, (access) => goOn(context, access, options, undo === true));
    });
}

/** `tidemark restore`: back to a checkpoint, and no record again. */
export function restoreCommand(context: OperatorContext, command: Command): Command {
  return beginning(
    ofPipeline(
      command,
      'brings the state back to a checkpoint and goes on with new records: what came in between is not processed again, and its effects on the state are LOST; its outputs stay published',
    ),
  )
    .requiredOption('--to <checkpoint>', CHECKPOINT_HELP)
    .addHelpText(
      'after',
      '\nTo process what came in between again, use "rewind". What is interrupted is gone on with by "rewind --resume", or taken back by "rewind --undo".',
    )
    .action(async (pipeline: string, options: BeginOptions) =>
      withAccess(pipeline, options, (access) =>
        begin(context, access, { ...options, outputs: 'same' }, true),
      ),
    );
}

function beginning(command: Command): Command {
  return droppable(command).option('--yes', 'do not ask');
}

/** Gives a command the option that lets a checkpoint's state go unused. */
export function droppable(command: Command): Command {
  return command.option(
    '--drop-operator <name>',
    'of an operator that the code does not have any more, whose state is not wanted; may be given several times',
    (name: string, before: readonly string[] = []) => [...before, name],
  );
}

const OUTPUTS_EXPLAINED = `Outputs of records that are processed again (--outputs):
  same      published again under their ids. A sink that knows an id keeps what it had: right where the code gives
            what it gave. A next pipeline skips what it has seen, also where it was wrong; a table takes what is newer.
  again     published in a lineage of their own. The next pipeline counts them anew, beside what it got before:
            rewind it too, to a checkpoint from before the fault, or build it anew.
  suppress  not published. Sinks keep what they have; what follows is published as usual.`;

/** Begins, where nothing speaks against it, and drives it to its end. */
async function begin(
  context: OperatorContext,
  access: PipelineAccess,
  options: BeginOptions,
  skipsReplay: boolean,
): Promise<void> {
  const { people, fail, nowMs } = context;
  const ground = groundOf(context, access);
  const control = await new CurrentState(access).control();
  if (control === undefined) {
    people(`${access.pipeline} has not processed anything yet: there is nothing to rewind.`);
    return fail();
  }
  if (control.rewind !== undefined) {
    people(`${underWay(control.rewind)} ${howToGoOn(access.pipeline, options)}`);
    return fail();
  }
  const manifest = await chosenCheckpoint(access, options.to, nowMs());
  const about = await ground.ask({ step: 'about' });
  const outputs = options.outputs ?? 'same';
  if (options.outputs === undefined && about.sinks.length > 0)
    throw new UsageError(whyChoose(about, manifest));
  if (
    options.yes !== true &&
    !(await confirmed(context, question(context, access, manifest, options, about, skipsReplay)))
  ) {
    people('Nothing was begun.');
    return fail();
  }
  const id = randomUUID();
  const mappings = await ground.mapping.enabled();
  const begun = await ground.ask({
    step: 'begin',
    request: {
      id,
      holder: ground.holder,
      checkpoint: manifest.id,
      outputs,
      mappings,
      ...(options.allowGap === true && { allowsGap: true }),
      ...(skipsReplay && { skipsReplay: true }),
      ...(options.dropOperator !== undefined && { dropped: options.dropOperator }),
    },
  });
  if (begun.kind !== 'at') {
    sayRefusal(context, begun, manifest, options.json === true);
    return fail();
  }
  await drive(context, access, options, ground, begun.control, false);
}

/** Goes on with the rewind that is under way, or takes it back; whoever drives it stops. */
async function goOn(
  context: OperatorContext,
  access: PipelineAccess,
  options: RewindOptions,
  undoes: boolean,
): Promise<void> {
  const { people, fail } = context;
  const ground = groundOf(context, access);
  const before = await new CurrentState(access).control();
  if (before?.rewind === undefined) {
    people(`No rewind of ${access.pipeline} is under way.`);
    return fail();
  }
  if (undoes && before.rewind.step === 'release') {
    people(
      'The new generation takes live events already, and what they did would be lost: --resume ends this rewind; ' +
        'another one goes back further.',
    );
    return fail();
  }
  if (!undoes && before.rewind.step === 'undo') people('It is being undone, and that is gone on with.');
  if (undoes && options.yes !== true) {
    const what = `${underWay(before.rewind)} Undo it, and go back to generation ${before.rewind.from}?`;
    if (!(await confirmed(context, what))) return fail();
  }
  const taken = await takeOverRewind(ground.steps, ground.holder);
  const control = await ground.steps.control();
  if (taken === undefined || control.rewind === undefined) {
    people('Somebody else has just ended it.');
    return fail();
  }
  await drive(context, access, options, ground, control, undoes);
}

/** What a rewind is driven with. */
export interface Ground {
  readonly ask: AskForStep;
  readonly steps: RewindSteps;
  readonly holder: string;
  readonly mapping: LambdaMappingSwitch;
  readonly wait: (ms: number) => Promise<void>;
  /** The control row as the driver has read it last. */
  control: Control | undefined;
}

export function groundOf(
  { people, interruption }: OperatorContext,
  { lambda, functionName }: PipelineAccess,
): Ground {
  const { signal } = interruption;
  const pause = async (ms: number): Promise<void> => {
    try {
      await wait(ms, undefined, { signal });
    } catch (error) {
      throw signal.aborted ? new Interrupted('Interrupted.') : error;
    }
  };
  const ask = askRemotely({
    lambda,
    functionName,
    wait: pause,
    isInterrupted: () => signal.aborted,
    say: people,
  });
  const ground: Ground = {
    ask,
    steps: remoteSteps(ask),
    holder: randomUUID(),
    wait: pause,
    control: undefined,
    mapping: new LambdaMappingSwitch({
      lambda,
      functionName,
      wait: pause,
      say: people,
      remembered: () => ground.control?.rewind?.mappings,
    }),
  };
  return ground;
}

export async function drive(
  context: OperatorContext,
  access: PipelineAccess,
  options: LocatedOptions,
  ground: Ground,
  { rewind: begun }: Control,
  undoes: boolean,
): Promise<void> {
  const { out, people, fail, nowMs } = context;
  const { json } = options;
  const rewind = begun as RewindWork;
  const startMs = nowMs();
  const manifest = await checkpointsOf(access).getManifest(rewind.checkpoint);
  const progress = new RewindProgress(context, {
    checkpoint: rewind.checkpoint,
    items: manifest?.items ?? 0,
    recordsOf: (shards) => recordsLeft(access, rewind, shards),
  });
  const { steps, mapping, holder } = ground;
  let outcome: DriveOutcome;
  try {
    outcome = await driveRewind({
      steps: {
        ...steps,
        replays: async () => {
          const shards = await steps.replays();
          await progress.hearShards(shards);
          return shards;
        },
      },
      mapping,
      id: rewind.id,
      holder,
      wait: ground.wait,
      undoes,
      whenLive: (at) => redoLetters(context, ground, at.version ?? 0),
      parallel: PARALLEL,
      onNews: (news) => {
        if (news.kind === 'step') ground.control = news.control;
        progress.hear(news);
      },
    });
  } catch (error) {
    progress.stop();
    people(
      `${error instanceof Interrupted ? 'Interrupted' : 'It was interrupted by an error'}. ${howToGoOn(access.pipeline, options)}`,
    );
    if (!(error instanceof Interrupted)) throw error;
    if (json === true)
      out(JSON.stringify({ pipeline: access.pipeline, rewind: rewind.id, outcome: 'interrupted' }));
    return fail();
  }
  progress.stop();
  const { kind } = outcome;
  if (kind === 'finished') {
    // Somebody else may have ended it, in the other way.
    const wasUndone = (await new CurrentState(access).control())?.generation === rewind.from;
    const generation = wasUndone ? rewind.from : rewind.to;
    const { items, records } = progress.counts;
    const seconds = Math.round((nowMs() - startMs) / 100) / 10;
    if (json === true) {
      return out(
        JSON.stringify({
          pipeline: access.pipeline,
          rewind: rewind.id,
          outcome: wasUndone ? 'undone' : 'done',
          checkpoint: rewind.checkpoint,
          generation,
          items,
          records,
          seconds,
        }),
      );
    }
    return out(
      wasUndone
        ? `${access.pipeline} is back at generation ${generation}, as it was before the rewind.`
        : `${access.pipeline} is at generation ${generation}: back at ${rewind.checkpoint}, and ` +
            `${formatted(records)} records were handed in again since this command began, in ${seconds} s.`,
    );
  }
  fail();
  if (kind === 'superseded') {
    people(`Somebody else drives it now (${outcome.holder}).`);
    if (json === true) out(JSON.stringify({ pipeline: access.pipeline, rewind: rewind.id, outcome: kind }));
    return;
  }
  if (kind === 'stuck') {
    people(whyStuck(outcome, manifest));
    if (json === true) {
      out(
        JSON.stringify({
          pipeline: access.pipeline,
          rewind: rewind.id,
          outcome: kind,
          shard: outcome.shard,
          reason: outcome.outcome,
        }),
      );
    }
  } else sayRefusal(context, outcome, manifest, json === true);
  people(howToGoOn(access.pipeline, options));
}

/**
 * Redoes what was done with dead letters since the checkpoint. What is left after some rounds stays open, which is no
 * reason to keep the pipeline standing.
 */
async function redoLetters(
  { people }: OperatorContext,
  { ask, wait: pause }: Ground,
  version: number,
): Promise<void> {
  const redone = await redoAll((after) => ask({ step: 'redo', version, after: after ?? '' }), pause);
  const { redriven, dropped, countedAgain, rejected, left } = redone;
  if (redriven + dropped + rejected + left === 0) return;
  people(
    `Dead letters since the checkpoint: ${formatted(redriven)} redriven again, ${formatted(dropped)} dropped again` +
      `${rejected + left === 0 ? '' : `; ${formatted(rejected + left)} stay open, see "deadletters list"`}` +
      `${countedAgain === 0 ? '' : `; outputs of ${formatted(countedAgain)} are counted again by the next pipeline`}.`,
  );
}

/** About how many records are to be processed again: as the batches told, when they were acknowledged. */
async function recordsLeft(
  access: PipelineAccess,
  { from, to }: RewindWork,
  shards: readonly ShardReplay[],
): Promise<number> {
  const { store } = new CurrentState(access);
  const counts = await inParallel(shards, ROWS_IN_FLIGHT, async ({ shard: { shard } }) => {
    const sealed = await store.readProgress(from, shard);
    const own = await store.readProgress(to, shard);
    return Math.max(0, (sealed?.records ?? 0) - (own?.records ?? 0));
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * What `--to` names. Of a time, the newest that was finished then: one that was being taken still may hold what came
 * later.
 */
async function chosenCheckpoint(access: PipelineAccess, to: string, nowMs: number): Promise<Manifest> {
  const store = checkpointsOf(access);
  // A savepoint may be called like a time.
  const named = await findCheckpoint(store, to);
  if (named !== undefined) return named;
  const untilMs = timeOf(to, nowMs);
  if (untilMs === undefined) return openCheckpoint(store, to);
  for (const id of (await store.folders()).reverse()) {
    if (begunMs(id) > untilMs) continue;
    const manifest = await store.getManifest(id);
    if (manifest !== undefined && manifest.endedMs <= untilMs) return manifest;
  }
  throw new UsageError(
    `No checkpoint of ${access.pipeline} was finished by ${new Date(untilMs).toISOString()}.`,
  );
}

function question(
  { nowMs }: OperatorContext,
  { pipeline }: PipelineAccess,
  { id, savepoint, items }: Manifest,
  { outputs, allowGap }: BeginOptions,
  { sinks }: AboutFunction,
  skipsReplay: boolean,
): string {
  const called = savepoint === undefined ? id : `${savepoint} (${id})`;
  const what =
    `${skipsReplay ? 'Restore' : 'Rewind'} ${pipeline} to ${called}, ${ageOf(id, nowMs())} old, with ` +
    `${formatted(items)} items? Its event source mapping is disabled meanwhile.`;
  if (skipsReplay) return `${what} What came since then is NOT processed again, and its effects are lost.`;
  const published = sinks.length > 0 ? ` Outputs: ${outputs ?? 'same'}.` : '';
  return `${what}${published}${allowGap === true ? ' Records that the stream does not hold any more are left out.' : ''}`;
}

/** Why a choice of outputs is asked for, and what there is. */
function whyChoose({ code, sinks }: AboutFunction, manifest: Manifest): string {
  const isSame = code !== undefined && code === manifest.code;
  const since = isSame
    ? 'The code that is deployed is the one that took the checkpoint, but what ran in between may have been another'
    : 'The code that is deployed is not the one that took the checkpoint';
  return (
    `${since}: what the records give when they are processed again may differ from what was published of them to ` +
    `${sinks.join(', ')}. Choose with --outputs what becomes of it.\n\n${OUTPUTS_EXPLAINED}\n`
  );
}

export function sayRefusal(
  { out, people }: OperatorContext,
  refusal: RewindRefusal,
  manifest: Manifest | undefined,
  json: boolean,
): void {
  if (json) out(JSON.stringify({ outcome: refusal.kind, ...refusal }));
  switch (refusal.kind) {
    case 'superseded':
      people('Somebody else has begun something at the same moment; nothing was done. Look at the status.');
      return;
    case 'refused':
      people('It cannot be done:');
      for (const reason of refusal.reasons) people(`- ${reason}`);
      return;
    case 'gaps':
      people(
        'Nothing was done: the stream does not hold all records since the checkpoint any more. --allow-gap goes on ' +
          'without those that are missing; a younger checkpoint needs fewer.',
      );
      people(gapsTable(refusal.gaps, manifest));
      return;
  }
}

function gapsTable(gaps: readonly ReplayGap[], manifest: Manifest | undefined): string {
  const table = new Table({
    head: ['shard', 'missing from', 'arrived', 'up to', 'arrived', 'records at most'],
    style: { head: [], border: [] },
  });
  for (const { shard, from, fromMs, oldest, oldestMs, records } of gaps) {
    table.push([
      shardName(shard, manifest),
      from?.sequence ?? 'its first record',
      timeText(fromMs),
      oldest ?? 'all of it',
      timeText(oldestMs),
      formatted(records),
    ]);
  }
  return table.toString();
}

function timeText(atMs: number | undefined): string {
  return atMs === undefined ? '' : new Date(atMs).toISOString();
}

/** For people: a progress row's name holds a hash of the stream's. */
function shardName(shard: string, manifest: Manifest | undefined): string {
  const known = manifest?.shards.find((each) => each.shard === shard);
  return known === undefined ? shard : `${known.stream} ${known.shardId}`;
}

function whyStuck(
  { shard, outcome }: Extract<DriveOutcome, { kind: 'stuck' }>,
  manifest: Manifest | undefined,
): string {
  const name = shardName(shard, manifest);
  if (outcome === 'gap') {
    return (
      `${name}: the stream does not hold the next record any more; it ran out of its retention while the rewind was ` +
      'under way. Undo it, and begin again with --allow-gap or a younger checkpoint.'
    );
  }
  return (
    `${name}: the next record cannot be finished, again and again; the function's log says why (a sink that is down, ` +
    'a table that is throttled, code that stops at bad records). Once that is mended, go on.'
  );
}

function underWay({ id, checkpoint, step, startedMs }: RewindWork): string {
  return `Rewind ${id} to ${checkpoint}, begun at ${new Date(startedMs).toISOString()}, is under way (${step}).`;
}

/** What ends a rewind that is under way. */
export function howToGoOn(pipeline: string, where: Whereabouts): string {
  const place = [
    ...(where.local === true ? ['--local'] : []),
    ...(where.profile === undefined ? [] : ['--profile', where.profile]),
    ...(where.region === undefined ? [] : ['--region', where.region]),
    ...(where.env === undefined ? [] : ['--env', where.env]),
  ];
  const command = (what: string): string =>
    ['npm run tidemark -- rewind', pipeline, what, ...place].join(' ');
  return `Go on: ${command('--resume')}   Or take it back: ${command('--undo')}`;
}
