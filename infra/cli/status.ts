import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import Table from 'cli-table3';
import { newestCheckpoint } from '../../shared/checkpoint/read-checkpoint.ts';
import type { Control, RewindWork } from '../../shared/state/state-store.ts';
import { ageOf } from './checkpoints.ts';
import { CurrentState } from './current-state.ts';
import { located, withAccess, type LocatedOptions } from './located.ts';
import type { OperatorContext } from './operator-context.ts';
import { checkpointsOf, pipelineNames, type PipelineAccess, type Whereabouts } from './pipeline-access.ts';
import { wholeNumber } from './parse-command.ts';
import { counting, currentPositions, positionsTable, type ShardPosition } from './positions.ts';
import { formatted } from './progress-display.ts';
import { ageText, behindText, sumBehind, type RecordsBehind } from './records-behind.ts';
import { howToGoOn } from './rewind.ts';
import { countDeadLetters } from './state-scan.ts';
import { throughputBetween, type Reading, type Throughput } from './throughput.ts';

interface PipelineStatus {
  readonly pipeline: string;
  /** Absent before its first batch. */
  readonly generation?: number;
  readonly phase?: Control['phase'];
  /** Records acknowledged, all shards together. */
  readonly records: number;
  /** What waits in all shards together; absent where of one it is not known. */
  readonly behind?: RecordsBehind;
  /** By two readings; absent where they do not belong together, or one was wanted. */
  readonly throughput?: Throughput;
  readonly lastCheckpoint?: string;
  readonly deadLetters: number;
  /** What is under way: a checkpoint, a rewind. */
  readonly running: readonly string[];
  readonly rewind?: RewindWork;
  readonly shards: readonly ShardPosition[];
}

interface StatusOptions extends LocatedOptions {
  readonly count: number;
  readonly over: number;
}

/** Seconds between two readings: two batches, where one waits for a second. */
const MEASURED_SECONDS = 2;

/** `tidemark pipelines`: which there are. */
export function pipelinesCommand({ out, people }: OperatorContext, command: Command): Command {
  return located(command.description('the pipelines that are deployed')).action(
    async (options: LocatedOptions) => {
      const names = await pipelineNames(options);
      if (names.length === 0) return people('No pipeline is deployed.');
      for (const pipeline of names) out(options.json === true ? JSON.stringify({ pipeline }) : pipeline);
    },
  );
}

/** `tidemark status`: how a pipeline is, or all are. */
export function statusCommand(context: OperatorContext, command: Command): Command {
  located(
    command
      .description(
        'how it is: progress, throughput, what waits, generation, last checkpoint, dead letters, what is running',
      )
      .argument('[pipeline]', 'its name; all of them unless given'),
  );
  return counting(command)
    .option(
      '--over <seconds>',
      'over which the throughput is measured, between two readings; 0 for none',
      wholeNumber({ lowest: 0, highest: 3_600 }),
      MEASURED_SECONDS,
    )
    .action(async (pipeline: string | undefined, options: StatusOptions) => {
      const names = pipeline === undefined ? await pipelineNames(options) : [pipeline];
      if (names.length === 0) return context.people('No pipeline is deployed.');
      // Side by side: each takes as long as its throughput is measured.
      const all = await Promise.all(
        names.map((name) => withAccess(name, options, (access) => statusOf(context, access, options))),
      );
      if (options.json === true) return all.forEach((status) => context.out(JSON.stringify(status)));
      if (pipeline === undefined) return context.out(overview(all, context.nowMs()));
      for (const status of all) detail(context, status, options);
    });
}

async function statusOf(
  { nowMs, interruption: { signal } }: OperatorContext,
  access: PipelineAccess,
  { count, over }: StatusOptions,
): Promise<PipelineStatus> {
  const state = new CurrentState(access);
  const control = await state.control();
  const read = async (): Promise<Reading> => {
    const generation = (await state.control())?.generation ?? 1;
    const shards = await currentPositions(access, nowMs);
    return { generation, records: recordsOf(shards), atMs: nowMs() };
  };
  const first = over > 0 ? await read() : undefined;
  const shards = await currentPositions(access, nowMs, count);
  const lastCheckpoint = await newestCheckpoint(checkpointsOf(access));
  const deadLetters = await countDeadLetters(access.s3, access.bucket, access.pipeline);
  const behind = sumBehind(shards.map((shard) => shard.behind));
  const { checkpoint, rewind } = control ?? {};
  const lease = checkpoint === undefined || checkpoint.untilMs < nowMs() ? 'unfinished' : 'being taken';
  let throughput: Throughput | undefined;
  if (first !== undefined) {
    // Who does not want to wait any longer gets what there is.
    await wait(Math.max(0, first.atMs + over * 1_000 - nowMs()), undefined, { signal }).catch(
      () => undefined,
    );
    throughput = throughputBetween(first, await read());
  }
  return {
    pipeline: access.pipeline,
    ...(control && { generation: control.generation, phase: control.phase }),
    records: recordsOf(shards),
    ...(behind !== undefined && { behind }),
    ...(throughput !== undefined && { throughput }),
    ...(lastCheckpoint !== undefined && { lastCheckpoint }),
    deadLetters,
    running: [
      ...(checkpoint === undefined ? [] : [`checkpoint ${checkpoint.id} (${lease})`]),
      ...(rewind === undefined ? [] : [`rewind ${rewind.id} to ${rewind.checkpoint} (${rewind.step})`]),
    ],
    ...(rewind !== undefined && { rewind }),
    shards,
  };
}

function overview(all: readonly PipelineStatus[], nowMs: number): string {
  const table = new Table({
    head: [
      'pipeline',
      'waiting',
      'oldest waits',
      'records',
      'a second',
      'last checkpoint',
      'dead letters',
      'running',
    ],
    style: { head: [], border: [] },
  });
  for (const each of all) {
    const { pipeline, behind, records, deadLetters, running } = each;
    table.push([
      pipeline,
      behindText(behind, formatted),
      ageText(behind),
      formatted(records),
      rateOf(each),
      lastOf(each, nowMs),
      deadLetters,
      running.join(', '),
    ]);
  }
  return table.toString();
}

function detail({ out, people, nowMs }: OperatorContext, status: PipelineStatus, where: Whereabouts): void {
  const { generation, phase, behind, records, deadLetters, running, shards } = status;
  for (const [name, value] of Object.entries({
    generation: generation === undefined ? 'none yet' : `${generation}, ${phase ?? ''}`,
    waiting: behindText(behind, formatted),
    'oldest waits': ageText(behind),
    records: formatted(records),
    throughput: rateText(status),
    'last checkpoint': lastOf(status, nowMs()),
    'dead letters': formatted(deadLetters),
    running: running.join(', ') || 'nothing beside its batches',
  })) {
    out(`${name.padEnd(17)}${value}`);
  }
  out(positionsTable(shards, true));
  if (status.rewind !== undefined) people(howToGoOn(status.pipeline, where));
}

function recordsOf(shards: readonly ShardPosition[]): number {
  return shards.reduce((sum, { records }) => sum + records, 0);
}

function rateOf({ throughput }: PipelineStatus): string {
  return throughput === undefined ? '' : formatted(Math.round(throughput.recordsPerSecond));
}

function rateText(status: PipelineStatus): string {
  const { throughput } = status;
  if (throughput === undefined) return 'not measured';
  return `${rateOf(status)} records a second, over ${throughput.seconds.toFixed(1)} s`;
}

function lastOf({ lastCheckpoint }: PipelineStatus, nowMs: number): string {
  return lastCheckpoint === undefined ? 'none' : `${lastCheckpoint}, ${ageOf(lastCheckpoint, nowMs)} ago`;
}
