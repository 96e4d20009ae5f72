import { GetRecordsCommand, GetShardIteratorCommand, type KinesisClient } from '@aws-sdk/client-kinesis';
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
import { formatted } from './progress-display.ts';

interface PositionsOptions extends LocatedOptions {
  readonly at?: string;
}

/** How far a pipeline is in a shard. */
export interface ShardPosition extends ManifestShard {
  /** How much older the next record is than now, milliseconds; 0 where there is none. Kinesis counts no records. */
  readonly behindMs?: number;
}

/** Kinesis gives each shard five reads a second, which the pipeline needs too. */
const SHARDS_IN_FLIGHT = 4;

/** `tidemark positions`: how far a pipeline is in each shard. */
export function positionsCommand(context: OperatorContext, command: Command): Command {
  return ofPipeline(command, 'how far it is in each shard: position, arrival, and how far behind')
    .option('--at <checkpoint>', 'where a checkpoint goes on: its id, the name of a savepoint, or "latest"')
    .action(async (pipeline: string, options: PositionsOptions) =>
      withAccess(pipeline, options, (access) => show(context, access, options)),
    );
}

async function show(
  { out, people }: OperatorContext,
  access: PipelineAccess,
  { at, json }: PositionsOptions,
): Promise<void> {
  const shards = at === undefined ? await currentPositions(access) : await positionsAt(access, at);
  if (json === true) {
    for (const shard of shards) out(JSON.stringify(shard));
    return;
  }
  if (shards.length === 0) return people('The streams have no shard.');
  out(positionsTable(shards));
}

export function positionsTable(shards: readonly ShardPosition[]): string {
  const hasBehind = shards.some(({ behindMs }) => behindMs !== undefined);
  const hasTime = shards.some(({ time, liftedMs }) => time !== undefined || liftedMs !== undefined);
  const table = new Table({
    head: [
      'stream',
      'shard',
      'sequence number',
      'arrived',
      ...(hasTime ? ['event time'] : []),
      'records',
      ...(hasBehind ? ['behind'] : []),
    ],
    style: { head: [], border: [] },
  });
  for (const shard of shards) {
    const { stream, shardId, sequenceNumber = 'none yet', arrivalMs, records, behindMs } = shard;
    const arrived = arrivalMs === undefined ? '' : new Date(arrivalMs).toISOString();
    const behind = behindMs === undefined ? '' : `${(behindMs / 1_000).toFixed(1)} s`;
    table.push([
      stream,
      shardId,
      sequenceNumber,
      arrived,
      ...(hasTime ? [eventTimeOf(shard)] : []),
      formatted(records),
      ...(hasBehind ? [behind] : []),
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

/** Of every shard of all streams that the pipeline reads. */
export async function currentPositions(access: PipelineAccess): Promise<ShardPosition[]> {
  const state = new CurrentState(access);
  const generation = (await state.control())?.generation ?? 1;
  const streamShards = new KinesisStreamShards(access.kinesis);
  const shards = await shardPositions(state.store, streamShards, generation, access.streams);
  return inParallel(shards, SHARDS_IN_FLIGHT, async (shard) => {
    const behindMs = await behind(access.kinesis, shard);
    return { ...shard, ...(behindMs !== undefined && { behindMs }) };
  });
}

/** @returns `undefined` where Kinesis no longer has the position, or is asked too often. */
async function behind(
  kinesis: KinesisClient,
  { stream, shardId, sequenceNumber }: ManifestShard,
): Promise<number | undefined> {
  try {
    const { ShardIterator } = await kinesis.send(
      new GetShardIteratorCommand({
        StreamName: stream,
        ShardId: shardId,
        ...(sequenceNumber === undefined
          ? { ShardIteratorType: 'TRIM_HORIZON' }
          : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: sequenceNumber }),
      }),
    );
    const { MillisBehindLatest, Records = [] } = await kinesis.send(
      new GetRecordsCommand({ ShardIterator, Limit: 1 }),
    );
    return Records.length === 0 && (MillisBehindLatest ?? 0) < 1_000 ? 0 : MillisBehindLatest;
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    if (['InvalidArgumentException', 'ProvisionedThroughputExceededException'].includes(name))
      return undefined;
    throw error;
  }
}
