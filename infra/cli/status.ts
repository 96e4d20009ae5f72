import type { Command } from 'commander';
import Table from 'cli-table3';
import { newestCheckpoint } from '../../shared/checkpoint/read-checkpoint.ts';
import type { Control, RewindWork } from '../../shared/state/state-store.ts';
import { ageOf } from './checkpoints.ts';
import { CurrentState } from './current-state.ts';
import { located, withAccess, type LocatedOptions } from './located.ts';
import type { OperatorContext } from './operator-context.ts';
import { checkpointsOf, pipelineNames, type PipelineAccess, type Whereabouts } from './pipeline-access.ts';
import { currentPositions, positionsTable, type ShardPosition } from './positions.ts';
import { formatted } from './progress-display.ts';
import { howToGoOn } from './rewind.ts';
import { countDeadLetters } from './state-scan.ts';

interface PipelineStatus {
  readonly pipeline: string;
  /** Absent before its first batch. */
  readonly generation?: number;
  readonly phase?: Control['phase'];
  /** Records acknowledged, all shards together. */
  readonly records: number;
  /** Of the shard that is furthest behind. */
  readonly behindMs?: number;
  readonly lastCheckpoint?: string;
  readonly deadLetters: number;
  /** What is under way: a checkpoint, a rewind. */
  readonly running: readonly string[];
  readonly rewind?: RewindWork;
  readonly shards: readonly ShardPosition[];
}

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
  return located(
    command
      .description(
        'how it is: progress, what waits, generation, last checkpoint, dead letters, what is running',
      )
      .argument('[pipeline]', 'its name; all of them unless given'),
  ).action(async (pipeline: string | undefined, options: LocatedOptions) => {
    const names = pipeline === undefined ? await pipelineNames(options) : [pipeline];
    if (names.length === 0) return context.people('No pipeline is deployed.');
    const all: PipelineStatus[] = [];
    for (const name of names) {
      await withAccess(
        name,
        options,
        async (access) => void all.push(await statusOf(access, context.nowMs())),
      );
    }
    if (options.json === true) return all.forEach((status) => context.out(JSON.stringify(status)));
    if (pipeline === undefined) return context.out(overview(all, context.nowMs()));
    for (const status of all) detail(context, status, options);
  });
}

async function statusOf(access: PipelineAccess, nowMs: number): Promise<PipelineStatus> {
  const control = await new CurrentState(access).control();
  const shards = await currentPositions(access);
  const lastCheckpoint = await newestCheckpoint(checkpointsOf(access));
  const behind = shards.map(({ behindMs }) => behindMs).filter((each) => each !== undefined);
  const { checkpoint, rewind } = control ?? {};
  const lease = checkpoint === undefined || checkpoint.untilMs < nowMs ? 'unfinished' : 'being taken';
  return {
    pipeline: access.pipeline,
    ...(control && { generation: control.generation, phase: control.phase }),
    records: shards.reduce((sum, { records }) => sum + records, 0),
    ...(behind.length > 0 && { behindMs: Math.max(...behind) }),
    ...(lastCheckpoint !== undefined && { lastCheckpoint }),
    deadLetters: await countDeadLetters(access.s3, access.bucket, access.pipeline),
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
    head: ['pipeline', 'behind', 'records', 'last checkpoint', 'dead letters', 'running'],
    style: { head: [], border: [] },
  });
  for (const each of all) {
    const { pipeline, records, deadLetters, running } = each;
    table.push([
      pipeline,
      behindOf(each),
      formatted(records),
      lastOf(each, nowMs),
      deadLetters,
      running.join(', '),
    ]);
  }
  return table.toString();
}

function detail({ out, people, nowMs }: OperatorContext, status: PipelineStatus, where: Whereabouts): void {
  const { generation, phase, records, deadLetters, running, shards } = status;
  for (const [name, value] of Object.entries({
    generation: generation === undefined ? 'none yet' : `${generation}, ${phase ?? ''}`,
    behind: behindOf(status),
    records: formatted(records),
    'last checkpoint': lastOf(status, nowMs()),
    'dead letters': formatted(deadLetters),
    running: running.join(', ') || 'nothing beside its batches',
  })) {
    out(`${name.padEnd(17)}${value}`);
  }
  out(positionsTable(shards));
  if (status.rewind !== undefined) people(howToGoOn(status.pipeline, where));
}

function behindOf({ behindMs }: PipelineStatus): string {
  return behindMs === undefined ? 'unknown' : `${(behindMs / 1_000).toFixed(1)} s`;
}

function lastOf({ lastCheckpoint }: PipelineStatus, nowMs: number): string {
  return lastCheckpoint === undefined ? 'none' : `${lastCheckpoint}, ${ageOf(lastCheckpoint, nowMs)} ago`;
}
