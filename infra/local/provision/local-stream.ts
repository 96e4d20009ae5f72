import {
  CreateStreamCommand,
  DecreaseStreamRetentionPeriodCommand,
  DescribeStreamSummaryCommand,
  IncreaseStreamRetentionPeriodCommand,
  type KinesisClient,
  ResourceInUseException,
} from '@aws-sdk/client-kinesis';
import type { IdentifiedResource } from '../template/resolved-template.ts';
import { Properties } from './properties.ts';
import { untilActive } from './until-active.ts';

export interface LocalStream {
  /** Undefined for a stream that a mapping reads and the template does not make. */
  readonly logicalId: string | undefined;
  readonly name: string;
  readonly arn: string;
  /** The number of shards that it is made with; a kept stream keeps those that it has. */
  readonly shardCount: number;
  readonly retentionHours: number;
}

/** What AWS gives a new on-demand stream. */
export const ON_DEMAND_SHARD_COUNT = 4;
/** The retention that every stream begins with. */
export const FIRST_RETENTION_HOURS = 24;

export function describeStream(
  resource: IdentifiedResource,
  shardCountOverride: number | undefined,
): LocalStream {
  const properties = Properties.of(resource);
  const mode = properties.inner('StreamModeDetails')?.text('StreamMode');
  // AWS takes a stream with neither a mode nor a shard count for a provisioned one of one shard.
  const declared = mode === 'ON_DEMAND' ? ON_DEMAND_SHARD_COUNT : (properties.number('ShardCount') ?? 1);
  return {
    logicalId: resource.logicalId,
    name: resource.ref,
    arn: resource.attributes['Arn'] ?? '',
    shardCount: shardCountOverride ?? declared,
    retentionHours: properties.number('RetentionPeriodHours') ?? FIRST_RETENTION_HOURS,
  };
}

/**
 * Makes the stream unless it is there, and waits until it is active. On-demand streams too are made as provisioned
 * ones: they differ in price and in who splits the shards, and here nobody but the user does.
 */
export async function createStream(client: KinesisClient, stream: LocalStream): Promise<void> {
  const { name: StreamName, shardCount, retentionHours } = stream;
  try {
    await client.send(new CreateStreamCommand({ StreamName, ShardCount: shardCount }));
  } catch (error) {
    if (!(error instanceof ResourceInUseException)) throw error;
  }
  const describe = async () =>
    (await client.send(new DescribeStreamSummaryCommand({ StreamName }))).StreamDescriptionSummary;
  await untilActive(`Stream ${StreamName}`, async () => (await describe())?.StreamStatus);

  const hours = (await describe())?.RetentionPeriodHours ?? FIRST_RETENTION_HOURS;
  if (hours === retentionHours) return;
  const change = { StreamName, RetentionPeriodHours: retentionHours };
  await (retentionHours > hours
    ? client.send(new IncreaseStreamRetentionPeriodCommand(change))
    : client.send(new DecreaseStreamRetentionPeriodCommand(change)));
}
