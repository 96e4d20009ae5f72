import type { Command } from 'commander';
import Table from 'cli-table3';
import type { ManifestShard } from '../../shared/checkpoint/manifest.ts';
import { openCheckpoint } from '../../shared/checkpoint/read-checkpoint.ts';
import { shardPositions } from '../../shared/checkpoint/shard-positions.ts';
import { KinesisStreamShards } from '../../shared/source/kinesis-stream-shards.ts';
import { inParallel } from '../../shared/state/in-parallel.ts';
import { reachedMs } from '../../shared/time/lane-time.ts';
import { CurrentState } from './current-state.ts';
import { ofPipeline, withAccess, type LocatedOptions } from './located.ts';
import type { OperatorContext } from './operator-context.ts';
import { checkpointsOf, type PipelineAccess } from './pipeline-access.ts';
import { wholeNumber } from './parse-command.ts';
import { formatted } from './progress-display.ts';
import { ageText, behindText, recordsBehind, type RecordsBehind } from './records-behind.ts';

interface PositionsOptions extends LocatedOptions {
  readonly count: number;
  readonly at?: string;
}

/** How far a pipeline is in a shard. */
export interface ShardPosition extends ManifestShard {
  /** What waits in it; absent where that was not asked for, or Kinesis does not tell. */
  readonly behind?: RecordsBehind;
}

/** Kinesis gives each shard five reads a second, which the pipeline needs too. */
const SHARDS_IN_FLIGHT = 4;
/** One read of each shard. */
const COUNTED = 1_000;
const MOST_COUNTED = 1_000_000;

/** `tidemark positions`: how far a pipeline is in each shard. */
export function positionsCommand(context: OperatorContext, command: Command): Command {
  return counting(
    ofPipeline(command, 'how far it is in each shard: position, arrival, and what waits behind it'),
  )
    .option('--at <checkpoint>', 'where a checkpoint goes on: its id, the name of a savepoint, or "latest"')
    .action(async (pipeline: string, options: PositionsOptions) =>
      withAccess(pipeline, options, (access) => show(context, access, options)),
    );
}

async function show(
  { out, people, nowMs }: OperatorContext,
  access: PipelineAccess,
  { at, count, json }: PositionsOptions,
): Promise<void> {
  const shards =
    at === undefined ? await currentPositions(access, nowMs, count) : await positionsAt(access, at);
  if (json === true) {
    for (const shard of shards) out(JSON.stringify(shard));
    return;
  }
  if (shards.length === 0) return people('The streams have no shard.');
  out(positionsTable(shards, at === undefined));
}

/** @param isNow whether they are those of now, behind which something may wait. */
export function positionsTable(shards: readonly ShardPosition[], isNow: boolean): string {
  const hasTime = shards.some(({ time, liftedMs }) => time !== undefined || liftedMs !== undefined);
  const table = new Table({
    head: [
      'stream',
      'shard',
      'sequence number',
      'arrived',
      ...(hasTime ? ['event time'] : []),
      'records',
      ...(isNow ? ['waiting', 'oldest waits'] : []),
    ],
    style: { head: [], border: [] },
  });
  for (const shard of shards) {
    const { stream, shardId, sequenceNumber = 'none yet', arrivalMs, records, behind } = shard;
    const arrived = arrivalMs === undefined ? '' : new Date(arrivalMs).toISOString();
    table.push([
      stream,
      shardId,
      sequenceNumber,
      arrived,
      ...(hasTime ? [eventTimeOf(shard)] : []),
      formatted(records),
      ...(isNow ? [behindText(behind, formatted), ageText(behind)] : []),
    ]);
  }
  return table.toString();
}

/** How far event time has come in a shard. */
function eventTimeOf({ time, liftedMs }: ManifestShard): string {
  const ms = reachedMs(time, liftedMs);
  return Number.isFinite(ms) ? new Date(ms).toISOString() : '';
}

async function positionsAt(access: PipelineAccess, at: string): Promise<ShardPosition[]> {
  return [...(await openCheckpoint(checkpointsOf(access), at)).shards];
}

/**
 * Of every shard of all streams that the pipeline reads.
 * @param most records that are read of each shard, to count those that wait; none unless given.
 */
export async function currentPositions(
  access: PipelineAccess,
  nowMs: () => number,
  most = 0,
): Promise<ShardPosition[]> {
  const state = new CurrentState(access);
  const generation = (await state.control())?.generation ?? 1;
  const streamShards = new KinesisStreamShards(access.kinesis);
  const shards = await shardPositions(state.store, streamShards, generation, access.streams);
  if (most === 0) return shards;
  return inParallel(shards, SHARDS_IN_FLIGHT, async (shard) => {
    const behind = await recordsBehind(access.kinesis, shard, most, nowMs);
    return { ...shard, ...(behind !== undefined && { behind }) };
  });
}

/** Gives a command the option that bounds how much is read to count what waits. */
export function counting(command: Command): Command {
  return command.option(
    '--count <n>',
    'records to read of each shard at most, to count those that wait: Kinesis counts none, and the reads are taken from ' +
      'the two megabytes and five reads a second that the pipeline has too',
    wholeNumber({ lowest: 1, highest: MOST_COUNTED }),
    COUNTED,
  );
}
