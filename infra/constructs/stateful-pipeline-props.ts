import type { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type { IAlarmAction } from 'aws-cdk-lib/aws-cloudwatch';
import type { ISecurityGroup, IVpc, SubnetSelection, Vpc } from 'aws-cdk-lib/aws-ec2';
import type { IStream, StreamMode } from 'aws-cdk-lib/aws-kinesis';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { StartingPosition } from 'aws-cdk-lib/aws-lambda';
import type { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import type { AnyTable } from './keyed-table.ts';

/** When a pipeline's alarms go off and whom they tell. */
export interface AlarmSettings {
  /**
   * How old the newest record of a batch may be, for three minutes, before someone is told. At most half of the
   * source's retention, where a second alarm says that records are about to be lost. Default: 5 minutes.
   */
  readonly iteratorAge?: Duration;
  /** What every alarm does, when it goes off and when it is over. Default: nothing; alarms only show their state. */
  readonly actions?: readonly IAlarmAction[];
}

/** How a pipeline's checkpoints are taken, and how long they are kept. */
export interface CheckpointSettings {
  /** How often one is begun, whole minutes, at most half of the least retention of the streams. Default: 1 hour. */
  readonly interval?: Duration;
  /** How many of the newest are kept, from 1. Default: 24. */
  readonly keepLast?: number;
  /** Of how many days the newest is kept, from 1. Default: 7. */
  readonly keepDaily?: number;
  /**
   * Read units a second that taking one may use. Default: 3,000, a quarter of what a new table on demand gives.
   */
  readonly readUnitsPerSecond?: number;
  /**
   * Every so many checkpoints one is full, from 1, which makes all of them so. The others store what has changed since,
   * and keep the rest where it lies. Default: 8.
   */
  readonly fullEvery?: number;
}

export interface TimerSettings {
  /**
   * How often a sweep fires what no record fires, above all timers of processing time: whole seconds from 5 to 60. Below a
   * minute an invocation of the function waits between its sweeps, for all of each minute but the last interval, and is
   * paid for; it takes one place of `reservedConcurrency`, and `timeout` must be a minute at least. Default: 1 minute.
   */
  readonly interval?: Duration;
}

/** What a pipeline's description does not say. Streams, tables and permissions follow from the description. */
export interface StatefulPipelineProps {
  readonly pipeline: Pipeline;
  /** Absolute path of the module that exports `handler`. */
  readonly handlerFile: string;

  /**
   * An existing source stream. Its retention must not exceed the source's `retentionHours`, since marks are kept
   * only that long; that cannot be checked without an account. Default: a stream is created.
   *
   * One of another account is read where its owner has set the resource policy that synthesis notes, and, where a
   * customer's key encrypts it, that key's policy allows this function's role `kms:Decrypt`: no stack of this account can
   * set either. It must be of this region, and be given by `Stream.fromStreamAttributes` with its key.
   */
  readonly stream?: IStream;
  /** Of the created source stream. Default: provisioned where `shardCount` is given, else on demand. */
  readonly streamMode?: StreamMode;
  /** Shards of the created source stream, when it is provisioned. */
  readonly shardCount?: number;

  /**
   * The pipeline goes on from a checkpoint of this one, and reads the same stream. It processes nothing until
   * `tidemark fork` has given it a checkpoint; afterwards this changes nothing more.
   */
  readonly forkOf?: Pipeline;

  /** Existing streams, by the name of the Kinesis sink. Default: created. */
  readonly sinkStreams?: Readonly<Record<string, IStream>>;
  /**
   * Existing tables, by the name of the DynamoDB sink; their key must be a string partition key `pk` alone.
   * Default: created.
   */
  readonly sinkTables?: Readonly<Record<string, AnyTable>>;
  /**
   * The tables in which the pipeline looks rows up, by their logical names; their key must be a string partition key
   * alone. The function may read them and nothing more.
   */
  readonly lookupTables?: Readonly<Record<string, AnyTable>>;
  /** Shards of each created sink stream. Default: on demand. */
  readonly sinkShardCount?: number;
  /**
   * Hours that created sink streams keep records, 24 to 8760, by the name of the Kinesis sink. Default: what the chained
   * pipeline says that reads the stream, else 24.
   */
  readonly sinkRetentionHours?: Readonly<Record<string, number>>;

  /** Shards of the internal stream of a repartition. Default: on demand. */
  readonly repartitionShardCount?: number;

  /** Records to a batch, 1 to 10,000. Default: 500. */
  readonly batchSize?: number;
  /**
   * How long Lambda gathers records, whole seconds, 0 to 300. Default: 1 second.
   * Lambda's reference asks for at least 1 second above 10 records, yet Kinesis mappings run with AWS's own
   * defaults of 100 records and 0 seconds, so that 0 is not refused.
   */
  readonly maximumBatchingWindow?: Duration;
  /**
   * Batches of one shard at a time, 1 to 10. Default: 1, which alone keeps a shard's order. With a repartition: of its
   * internal stream; what stands before it always takes one. A pipeline with an event time takes one only.
   */
  readonly parallelizationFactor?: number;
  /** Whether Lambda halves a batch whose invocation failed. Default: true. */
  readonly bisectOnError?: boolean;
  /** Where a new mapping begins. Default: TRIM_HORIZON. */
  readonly startingPosition?: StartingPosition;
  /** With AT_TIMESTAMP: whole seconds since the epoch. */
  readonly startingPositionTimestamp?: number;
  /** Only -1, endless, is accepted: a mapping that gives up discards records. Default: -1. */
  readonly maximumRetryAttempts?: number;
  /** Not accepted: a mapping that skips old records discards them. Records live as long as the stream keeps them. */
  readonly maximumRecordAge?: Duration;

  /** Whole seconds, 12 to 900. Default: 60 seconds. */
  readonly timeout?: Duration;
  /** MiB, 128 to 10,240; processor time grows with it. Default: 1024. */
  readonly memorySize?: number;
  /**
   * How many invocations may run at a time: kept for this function, and no more than that. At least one for each shard
   * and batch at a time, and one for commands, or shards wait for one another; that cannot be checked where shards are
   * Kinesis' to choose. Default: none is kept, so that the account's concurrency is shared, and a fuse against others
   * is the alarm on throttles.
   */
  readonly reservedConcurrency?: number;
  /** Whether X-Ray traces the function: the first invocation of each second, and of the others one in twenty. Default: true. */
  readonly tracing?: boolean;
  /**
   * Where the function runs, for a `forEach` sink that reaches into a network. It reaches AWS, its
   * logs excepted, only by what the network has: gateway endpoints for DynamoDB and S3, interface endpoints for Kinesis
   * (and X-Ray, KMS), or a NAT gateway. None is made here: they belong to the network, and one is enough for all. Without
   * them each batch times out. Default: no VPC, which is faster to start and costs nothing.
   */
  readonly vpc?: IVpc | Vpc;
  /** Default: private subnets with a way out. A public subnet gives a function no way to AWS. */
  readonly vpcSubnets?: SubnetSelection;
  /** At least one, with `vpc`. It needs no rule for incoming connections, and one for outgoing ones to port 443. */
  readonly securityGroups?: readonly ISecurityGroup[];
  /** Variables for the user's own code; names that begin with TIDEMARK_ or POWERTOOLS_ are taken. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: one month. Logs never hold the content of records. */
  readonly logRetention?: RetentionDays;

  /**
   * Encrypts tables, bucket and streams that are made here; the function is allowed what it needs of it, the operator is
   * not. Logs, alarms and metrics hold no records and keep their own encryption; a topic is the user's. A key of another
   * account must allow this account in its policy, and one that is imported is not changed. Default: keys that AWS manages.
   * Tables and streams that exist are encrypted anew when this changes, objects when they are written next: the former
   * key must stay until no checkpoint of its time is needed.
   */
  readonly encryptionKey?: IKey;
  readonly alarms?: AlarmSettings;
  /** `false`: none is taken by itself; an operator still can. Default: one an hour. */
  readonly checkpoints?: CheckpointSettings | false;
  /** Of a pipeline with a time. */
  readonly timers?: TimerSettings;
  /** Receives the bucket's server access logs. Default: none are written. */
  readonly accessLogsBucket?: IBucket;
  /**
   * What becomes of streams, tables and bucket when the stack is deleted. Default: RETAIN, with deletion protection
   * on the tables. DESTROY is for stacks whose data may go.
   */
  readonly removalPolicy?: RemovalPolicy.RETAIN | RemovalPolicy.DESTROY;
}
