import {
  DescribeStreamSummaryCommand,
  type KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  type Shard,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis';
import { chance } from './lambda/seeded-chaos.ts';
import { untilActive } from './provision/until-active.ts';

/** One change of a stream's shards. */
export interface ReshardStep {
  readonly kind: 'split' | 'merge';
  /** Whether shards that came of a change before are taken, where there are any. */
  readonly ofChildren: boolean;
  /** Chooses among the shards, from 0 up to and without 1. */
  readonly choice: number;
}

/** A step, and when and where it is taken. */
export interface PlannedReshard extends ReshardStep {
  /** How much of the input was sent then, 0 to 1. */
  readonly share: number;
  /** Chooses among the streams of pipelines that feed each other, from 0 up to and without 1. */
  readonly streamChoice: number;
}

/** Each kind of change, so that every plan has them all: the first leaves children for the others. */
const FIRST = { kind: 'split', ofChildren: false } as const;
const OTHERS = [
  { kind: 'split', ofChildren: true },
  { kind: 'merge', ofChildren: false },
  { kind: 'merge', ofChildren: true },
] as const;
const MOST_FURTHER_STEPS = 2;
const EARLIEST_SHARE = 0.1;
const LATEST_SHARE = 0.95;

/** Splits and merges at several points of the input, of shards as they were made and of their children, by a seed. */
export function reshardPlan(seed: number): PlannedReshard[] {
  const draw = (...coordinates: (string | number)[]) => chance(seed, 'reshard', ...coordinates);
  const further = Math.floor(draw('further') * (MOST_FURTHER_STEPS + 1));
  const others = [
    ...OTHERS,
    ...Array.from({ length: further }, (_, index) => OTHERS[Math.floor(draw('kind', index) * OTHERS.length)]),
  ].flatMap((step, index) => (step === undefined ? [] : [{ step, order: draw('order', index) }]));
  const kinds = [FIRST, ...others.sort((a, b) => a.order - b.order).map(({ step }) => step)];
  const shares = kinds
    .map((_, index) => EARLIEST_SHARE + draw('share', index) * (LATEST_SHARE - EARLIEST_SHARE))
    .sort((a, b) => a - b);
  return kinds.map((step, index) => ({
    ...step,
    share: shares[index] ?? LATEST_SHARE,
    choice: draw('choice', index),
    streamChoice: draw('stream', index),
  }));
}

interface OpenShard {
  readonly id: string;
  readonly isChild: boolean;
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * Splits an open shard in the middle of its hash range, or merges two that lie beside each other, and waits until what
 * comes of it takes records.
 * @returns what was done, for people; undefined where no open shard can be split, or no two can be merged.
 */
export async function reshard(
  client: KinesisClient,
  StreamName: string,
  step: ReshardStep,
): Promise<string | undefined> {
  const shards = (await openShards(client, StreamName)).sort((a, b) => (a.from < b.from ? -1 : 1));
  const groups =
    step.kind === 'split'
      ? shards.filter(({ from, to }) => to - from > 1n).map((shard) => [shard])
      : shards.flatMap((shard, index) => {
          const next = shards[index + 1];
          return next !== undefined && shard.to + 1n === next.from ? [[shard, next]] : [];
        });
  const ofChildren = groups.filter((group) => group.every(({ isChild }) => isChild));
  const candidates = step.ofChildren && ofChildren.length > 0 ? ofChildren : groups;
  const chosen = candidates[Math.floor(step.choice * candidates.length)];
  const [first, second] = chosen ?? [];
  if (first === undefined) return undefined;
  if (second === undefined) {
    const NewStartingHashKey = String((first.from + first.to) / 2n + 1n);
    await client.send(new SplitShardCommand({ StreamName, ShardToSplit: first.id, NewStartingHashKey }));
  } else {
    const AdjacentShardToMerge = second.id;
    await client.send(new MergeShardsCommand({ StreamName, ShardToMerge: first.id, AdjacentShardToMerge }));
  }
  await untilActive(
    `Stream ${StreamName}`,
    async () =>
      (await client.send(new DescribeStreamSummaryCommand({ StreamName }))).StreamDescriptionSummary
        ?.StreamStatus,
  );
  return second === undefined ? `${first.id} is split` : `${first.id} and ${second.id} are merged`;
}

async function openShards(client: KinesisClient, StreamName: string): Promise<OpenShard[]> {
  const shards: Shard[] = [];
  let NextToken: string | undefined;
  do {
    const page = await client.send(
      new ListShardsCommand(NextToken === undefined ? { StreamName } : { NextToken }),
    );
    shards.push(...(page.Shards ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return shards.flatMap(({ ShardId, HashKeyRange, SequenceNumberRange, ParentShardId }) =>
    ShardId === undefined || SequenceNumberRange?.EndingSequenceNumber !== undefined
      ? []
      : [
          {
            id: ShardId,
            isChild: ParentShardId !== undefined,
            from: BigInt(HashKeyRange?.StartingHashKey ?? 0),
            to: BigInt(HashKeyRange?.EndingHashKey ?? 0),
          },
        ],
  );
}
