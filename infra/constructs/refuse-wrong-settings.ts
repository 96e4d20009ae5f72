import { StreamMode } from 'aws-cdk-lib/aws-kinesis';
import { StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { DEADLINE_MARGIN_MS } from '../../shared/engine/limits.ts';
import { sinkVariable } from '../../shared/lambda/environment.ts';
import { lookupTablesOf, outerSourceOf, sinksOf, type Sink } from '../../shared/pipeline/definition.ts';
import { DEFAULTS } from './defaults.ts';
import { placeProblems } from './other-account.ts';
import type { StatefulPipelineProps } from './stateful-pipeline-props.ts';

/**
 * Stack, metric dimension and S3 prefix carry the name. Of what a pipeline may be called, a stack's name does not take
 * underscores.
 */
const NAME_PATTERN = /^[a-zA-Z][a-zA-Z0-9-]*$/;
/** Leaves room for `Tidemark-` in the name of the stack, which AWS limits to 128 characters. */
const NAME_MAX_LENGTH = 63;

const DEADLINE_MARGIN_SECONDS = Math.ceil(DEADLINE_MARGIN_MS / 1_000);
/** The least time for work before that margin: a cold start and one batch with its retries. */
const LEAST_WORK_SECONDS = 10;
const TIMEOUT_SECONDS: Range = [DEADLINE_MARGIN_SECONDS + LEAST_WORK_SECONDS, 900];

type Range = readonly [lowest: number, highest: number];
/** AWS Lambda, event source mapping parameters for Kinesis. */
const BATCH_SIZE: Range = [1, 10_000];
const BATCHING_WINDOW_SECONDS: Range = [0, 300];
const PARALLELIZATION_FACTOR: Range = [1, 10];
/** AWS Lambda quotas: function memory, MiB. */
const MEMORY_SIZE: Range = [128, 10_240];
/** What an account may be given; its own quota is not known here. */
const MOST_CONCURRENCY = 100_000;
/** Amazon Kinesis quotas: one to 365 days. */
const RETENTION_HOURS: Range = [24, 8760];
/** What S3 lists with one request. */
const KEPT_CHECKPOINTS: Range = [1, 1_000];
/** A page of a scan takes 256; DynamoDB gives 12,000 to a new table, and more on request. */
const READ_UNITS: Range = [100, 1_000_000];
/** From what a sweep takes at least to the finest rate of a schedule. */
const SWEEP_SECONDS: Range = [5, 60];
/** Longer, and a damaged part would spoil weeks. */
const CHAIN: Range = [1, 100];
/** Amazon Kinesis, CreateStream: the shards that one stream can be given. */
const SHARD_COUNT: Range = [1, 10_000];

/**
 * Says what is wrong with a pipeline's settings, all of it at once.
 * @param own account and region of its stack, tokens where they are not known.
 * @throws Error that lists for each wrong setting its value, what is allowed and what to do.
 */
export function refuseWrongSettings(
  props: StatefulPipelineProps,
  own: { readonly account: string; readonly region: string },
): void {
  const problems = [
    ...nameProblems(props),
    ...sinkProblems(props),
    ...streamProblems(props),
    ...mappingProblems(props),
    ...forkProblems(props),
    ...functionProblems(props),
    ...alarmProblems(props),
    ...checkpointProblems(props),
    ...timerProblems(props),
    ...placeProblems(props, own),
  ];
  refuse(props.pipeline.definition.name, problems);
}

/** @throws Error that lists the problems, where there are any. */
export function refuse(pipelineName: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const name = JSON.stringify(pipelineName);
  throw new Error(
    `Pipeline ${name} cannot be deployed:\n${problems.map((problem) => `- ${problem}`).join('\n')}`,
  );
}

function* nameProblems({ pipeline }: StatefulPipelineProps): Generator<string> {
  const { name } = pipeline.definition;
  if (name.length > NAME_MAX_LENGTH) {
    yield `The pipeline's name has ${name.length} characters; at most ${NAME_MAX_LENGTH} are allowed: shorten it.`;
  }
  if (!NAME_PATTERN.test(name)) {
    yield (
      `The pipeline's name is ${JSON.stringify(name)}; it must be letters, digits and hyphens, ` +
      'beginning with a letter, because a stack carries it, such as "airport-delays": rename it.'
    );
  }
}

function* sinkProblems(props: StatefulPipelineProps): Generator<string> {
  const source = outerSourceOf(props.pipeline.definition);
  const sinks = sinksOf(props.pipeline.definition);
  const names = new Set<string>();
  for (const { name } of sinks) {
    if (name === '') yield 'A sink has an empty name: give each sink a name, since output ids contain it.';
    if (names.has(name)) {
      yield `Two sinks are named ${JSON.stringify(name)}; output ids contain the name: rename one of them.`;
    }
    names.add(name);
  }

  const variables = new Map<string, string>();
  for (const { name, kind } of sinks) {
    if (kind === 'forEach') continue;
    const variable = sinkVariable(name);
    const other = variables.get(variable);
    if (other !== undefined && other !== name) {
      yield (
        `Sinks ${JSON.stringify(other)} and ${JSON.stringify(name)} would share the environment variable ` +
        `${variable}: rename one so that they differ in more than case and punctuation.`
      );
    }
    variables.set(variable, name);
  }

  for (const sink of sinks) {
    if (sink.kind !== 'kinesis') continue;
    const existing = props.sinkStreams?.[sink.name];
    if (
      sink.stream === source.stream ||
      (existing !== undefined && existing.streamArn === props.stream?.streamArn)
    ) {
      yield (
        `Sink ${JSON.stringify(sink.name)} writes to ${JSON.stringify(sink.stream)}, the stream that the ` +
        'pipeline reads: every output would come back as input, without end. Give the sink another stream.'
      );
    }
  }

  yield* givenProblems('sinkStreams', 'Kinesis', sinks, 'kinesis', Object.keys(props.sinkStreams ?? {}));
  const keeping = Object.entries(props.sinkRetentionHours ?? {});
  yield* givenProblems(
    'sinkRetentionHours',
    'Kinesis',
    sinks,
    'kinesis',
    keeping.map(([name]) => name),
  );
  for (const [name, hours] of keeping) {
    yield* rangeProblems(`sinkRetentionHours of ${JSON.stringify(name)}`, hours, RETENTION_HOURS, 'hours');
  }
  yield* givenProblems('sinkTables', 'DynamoDB', sinks, 'dynamodb', Object.keys(props.sinkTables ?? {}));
  yield* sharedProblems(sinks, props);
  yield* lookupProblems(props);
}

function* givenProblems(
  setting: string,
  service: string,
  sinks: readonly Sink[],
  kind: Sink['kind'],
  given: readonly string[],
): Generator<string> {
  const known = sinks.filter((sink) => sink.kind === kind).map((sink) => sink.name);
  for (const name of given) {
    if (known.includes(name)) continue;
    yield (
      `${setting} names ${JSON.stringify(name)}, which is no ${service} sink of the pipeline; its ${service} ` +
      `sinks are ${JSON.stringify(known)}: use one of these names or remove the entry.`
    );
  }
}

function* lookupProblems({ pipeline, lookupTables = {} }: StatefulPipelineProps): Generator<string> {
  const tables = lookupTablesOf(pipeline.definition);
  for (const table of tables) {
    if (lookupTables[table] !== undefined) continue;
    yield (
      `The pipeline looks rows up in table ${JSON.stringify(table)}, and lookupTables does not say which that is: give ` +
      'an existing one, or what another pipeline of the app writes, such as `other.sinks.tables.get(…)`.'
    );
  }
  for (const name of Object.keys(lookupTables)) {
    if (tables.includes(name)) continue;
    yield (
      `lookupTables names ${JSON.stringify(name)}, in which the pipeline looks nothing up; it does in ` +
      `${JSON.stringify(tables)}: use one of these names or remove the entry.`
    );
  }
}

/** Sinks with one logical destination have one physical destination: either all of them are told which, or none. */
function* sharedProblems(sinks: readonly Sink[], props: StatefulPipelineProps): Generator<string> {
  const first = new Map<string, { readonly sink: string; readonly arn: string | undefined }>();
  for (const sink of sinks) {
    if (sink.kind === 'forEach') continue;
    const destination = sink.kind === 'kinesis' ? `stream ${sink.stream}` : `table ${sink.table}`;
    const arn =
      sink.kind === 'kinesis'
        ? props.sinkStreams?.[sink.name]?.streamArn
        : props.sinkTables?.[sink.name]?.tableArn;
    const other = first.get(destination);
    if (other === undefined) first.set(destination, { sink: sink.name, arn });
    else if (other.arn !== arn) {
      yield (
        `Sinks ${JSON.stringify(other.sink)} and ${JSON.stringify(sink.name)} both write to ${destination}, ` +
        'but are given different ones: give both the same existing one, or name two destinations in the pipeline.'
      );
    }
  }
}

function* streamProblems(props: StatefulPipelineProps): Generator<string> {
  const { repartition, source: inner } = props.pipeline.definition;
  const source = outerSourceOf(props.pipeline.definition);
  yield* rangeProblems('The source\'s "retentionHours"', source.retentionHours, RETENTION_HOURS, 'hours');
  if (repartition !== undefined) {
    yield* rangeProblems(
      'The repartition\'s "retentionHours"',
      inner.retentionHours,
      RETENTION_HOURS,
      'hours',
    );
  }
  yield* rangeProblems('repartitionShardCount', props.repartitionShardCount, SHARD_COUNT, 'shards');
  if (repartition === undefined && props.repartitionShardCount !== undefined) {
    yield `repartitionShardCount is ${props.repartitionShardCount}, but the pipeline has no repartition: remove it.`;
  }
  if (props.stream !== undefined) {
    for (const setting of ['shardCount', 'streamMode'] as const) {
      if (props[setting] === undefined) continue;
      yield (
        `${setting} is ${JSON.stringify(props[setting])}, but the source stream exists already: remove ` +
        `${setting}, or remove "stream" to have one created.`
      );
    }
  } else if (props.streamMode === StreamMode.ON_DEMAND && props.shardCount !== undefined) {
    yield (
      `shardCount is ${props.shardCount}, but the stream is on demand, where Kinesis chooses the shards: remove ` +
      'shardCount, or set streamMode to PROVISIONED.'
    );
  } else if (props.streamMode === StreamMode.PROVISIONED && props.shardCount === undefined) {
    yield 'streamMode is "PROVISIONED", but shardCount is not given: give it, or set streamMode to ON_DEMAND.';
  }
  yield* rangeProblems('shardCount', props.shardCount, SHARD_COUNT, 'shards');
  yield* rangeProblems('sinkShardCount', props.sinkShardCount, SHARD_COUNT, 'shards');
  if (props.sinkShardCount !== undefined) {
    const created = sinksOf(props.pipeline.definition).some(
      (sink) => sink.kind === 'kinesis' && props.sinkStreams?.[sink.name] === undefined,
    );
    if (!created) {
      yield `sinkShardCount is ${props.sinkShardCount}, but no sink stream is created: remove sinkShardCount.`;
    }
  }
}

function* mappingProblems(props: StatefulPipelineProps): Generator<string> {
  yield* rangeProblems('batchSize', props.batchSize, BATCH_SIZE, 'records');
  yield* rangeProblems(
    'maximumBatchingWindow',
    props.maximumBatchingWindow?.toSeconds({ integral: false }),
    BATCHING_WINDOW_SECONDS,
    'seconds',
  );
  yield* rangeProblems(
    'parallelizationFactor',
    props.parallelizationFactor,
    PARALLELIZATION_FACTOR,
    'batches',
  );
  const factor = props.parallelizationFactor ?? DEFAULTS.parallelizationFactor;
  if (props.pipeline.definition.time !== undefined && factor > 1) {
    yield (
      `parallelizationFactor is ${factor}, but the pipeline has an event time; only 1 is allowed, because above it the ` +
      'records of a shard are processed side by side, and which of them are late would depend on how Lambda deals them ' +
      'out. Remove parallelizationFactor, and give the stream more shards where one batch at a time is too slow.'
    );
  }
  if (props.maximumRetryAttempts !== undefined && props.maximumRetryAttempts !== -1) {
    yield (
      `maximumRetryAttempts is ${props.maximumRetryAttempts}; only -1, endless, is allowed, because Lambda ` +
      'discards the records on which it gives up and their effect on state would be lost. Remove it: records that ' +
      'user code rejects become dead letters, and a record that kills the process is found and set aside.'
    );
  }
  if (props.maximumRecordAge !== undefined) {
    yield (
      `maximumRecordAge is ${props.maximumRecordAge.toSeconds({ integral: false })} seconds; only endless is ` +
      "allowed, because Lambda discards older records and their effect on state would be lost. Remove it; the source's " +
      'retentionHours say how long records are kept.'
    );
  }
  const atTimestamp = props.startingPosition === StartingPosition.AT_TIMESTAMP;
  const timestamp = props.startingPositionTimestamp;
  if (atTimestamp && (timestamp === undefined || !Number.isSafeInteger(timestamp) || timestamp < 0)) {
    yield (
      `startingPosition is AT_TIMESTAMP and startingPositionTimestamp is ${String(timestamp)}; it must be whole ` +
      'seconds since the epoch, such as 1767225600: give it.'
    );
  }
  if (!atTimestamp && timestamp !== undefined) {
    yield (
      `startingPositionTimestamp is ${timestamp}, but startingPosition is ` +
      `${props.startingPosition ?? 'TRIM_HORIZON'}: set startingPosition to AT_TIMESTAMP or remove the timestamp.`
    );
  }
}

function* forkProblems({ pipeline, forkOf, startingPosition }: StatefulPipelineProps): Generator<string> {
  if (forkOf === undefined) return;
  const { name, repartition } = pipeline.definition;
  if (forkOf.definition.name === name) {
    yield `forkOf is the pipeline itself; it must be another one: name this one otherwise, or remove forkOf.`;
  }
  if (repartition !== undefined || forkOf.definition.repartition !== undefined) {
    yield (
      'forkOf is set, and this pipeline or that one has a repartition, whose internal stream is in no checkpoint: ' +
      'remove forkOf, and let this pipeline build its state from the stream.'
    );
  }
  if (startingPosition !== undefined && startingPosition !== StartingPosition.TRIM_HORIZON) {
    yield (
      `startingPosition is ${startingPosition}, and with forkOf only TRIM_HORIZON is allowed: records between the ` +
      'checkpoint and there would be missing. Remove startingPosition; what the checkpoint has is skipped.'
    );
  }
  const [own, other] = [outerSourceOf(pipeline.definition), outerSourceOf(forkOf.definition)];
  if (own.stream !== other.stream) {
    yield (
      `It reads ${JSON.stringify(own.stream)}, and ${JSON.stringify(forkOf.definition.name)}, of which it is a fork, reads ` +
      `${JSON.stringify(other.stream)}: positions of one stream mean nothing in another. Read the same stream.`
    );
  }
}

function* functionProblems(props: StatefulPipelineProps): Generator<string> {
  const timeout = props.timeout?.toSeconds({ integral: false });
  for (const problem of rangeProblems('timeout', timeout, TIMEOUT_SECONDS, 'seconds')) {
    yield (
      `${problem} The engine stops ${DEADLINE_MARGIN_SECONDS} seconds before the deadline and needs at least ` +
      `${LEAST_WORK_SECONDS} for work; Lambda ends an invocation after ${TIMEOUT_SECONDS[1]}.`
    );
  }
  yield* rangeProblems(
    'reservedConcurrency',
    props.reservedConcurrency,
    [leastConcurrency(props), MOST_CONCURRENCY],
    'invocations',
  );
  yield* networkProblems(props);
  yield* rangeProblems('memorySize', props.memorySize, MEMORY_SIZE, 'MiB');
  for (const variable of Object.keys(props.environment ?? {})) {
    if (/^(TIDEMARK_|POWERTOOLS_)|^NODE_OPTIONS$/.test(variable)) {
      yield `environment sets ${variable}, which the construct sets itself: choose another name.`;
    }
  }
}

/**
 * One for each shard and batch at a time, where the shards are known, one for commands, and one that is always taken where
 * timers are swept more than once a minute.
 */
function leastConcurrency({
  pipeline,
  shardCount,
  repartitionShardCount,
  parallelizationFactor = 1,
  timers,
}: StatefulPipelineProps): number {
  const sweepSeconds = timers?.interval?.toSeconds({ integral: false }) ?? Infinity;
  const isFront = pipeline.definition.repartition !== undefined;
  const read = (shardCount ?? 1) * (isFront ? 1 : parallelizationFactor);
  const sweeps = Number(sweepSeconds < SWEEP_SECONDS[1]);
  return 1 + sweeps + read + (isFront ? (repartitionShardCount ?? 1) * parallelizationFactor : 0);
}

function* networkProblems({ vpc, vpcSubnets, securityGroups }: StatefulPipelineProps): Generator<string> {
  if (vpc === undefined) {
    for (const [setting, value] of Object.entries({ vpcSubnets, securityGroups })) {
      if (value !== undefined)
        yield `${setting} is given, but no vpc: give the vpc too, or remove ${setting}.`;
    }
  } else if (securityGroups === undefined || securityGroups.length === 0) {
    yield (
      'vpc is given, but securityGroups are not; at least one is needed, with a rule for outgoing connections to port ' +
      '443: give it, since one that is made here would be open to whatever the network reaches.'
    );
  }
}

function* alarmProblems(props: StatefulPipelineProps): Generator<string> {
  const seconds = props.alarms?.iteratorAge?.toSeconds({ integral: false });
  if (seconds === undefined) return;
  const highest = (leastRetentionHours(props) * 3600) / 2;
  if (!(seconds > 0 && seconds <= highest)) {
    yield (
      `alarms.iteratorAge is ${seconds} seconds; it must be above 0 and at most ${highest}, half of the source's ` +
      'retention, since records are lost after that: lower it.'
    );
  }
}

function* checkpointProblems(props: StatefulPipelineProps): Generator<string> {
  if (props.checkpoints === false || props.checkpoints === undefined) return;
  const { interval, keepLast, keepDaily, readUnitsPerSecond, fullEvery } = props.checkpoints;
  yield* rangeProblems('checkpoints.keepLast', keepLast, KEPT_CHECKPOINTS, 'checkpoints');
  yield* rangeProblems('checkpoints.keepDaily', keepDaily, KEPT_CHECKPOINTS, 'days');
  yield* rangeProblems('checkpoints.readUnitsPerSecond', readUnitsPerSecond, READ_UNITS, 'units');
  yield* rangeProblems('checkpoints.fullEvery', fullEvery, CHAIN, 'checkpoints');
  const minutes = interval?.toMinutes({ integral: false });
  const highest = leastRetentionHours(props) * 30;
  if (minutes !== undefined && !(Number.isInteger(minutes) && minutes >= 1 && minutes <= highest)) {
    yield (
      `checkpoints.interval is ${minutes} minutes; it must be whole minutes from 1 to ${highest}, half of the least ` +
      'retention of the streams: a checkpoint that the stream no longer reaches back to cannot be replayed from.'
    );
  }
}

function* timerProblems({
  pipeline,
  timers,
  timeout = DEFAULTS.timeout,
}: StatefulPipelineProps): Generator<string> {
  if (timers === undefined) return;
  if (pipeline.definition.time === undefined) {
    yield 'timers is given, and the pipeline has no time for which anything waits: remove it, or give the pipeline a time.';
  }
  const seconds = timers.interval?.toSeconds({ integral: false });
  yield* rangeProblems('timers.interval', seconds, SWEEP_SECONDS, 'seconds');
  const timeoutSeconds = timeout.toSeconds({ integral: false });
  if (seconds !== undefined && seconds < SWEEP_SECONDS[1] && timeoutSeconds < SWEEP_SECONDS[1]) {
    yield (
      `timers.interval is ${seconds} seconds and timeout ${timeoutSeconds}: an invocation sweeps for a minute, and Lambda ` +
      `would end it before. Let timeout be at least ${SWEEP_SECONDS[1]} seconds, or timers.interval a minute.`
    );
  }
}

function leastRetentionHours({ pipeline: { definition } }: StatefulPipelineProps): number {
  return Math.min(definition.source.retentionHours, outerSourceOf(definition).retentionHours);
}

function* rangeProblems(
  setting: string,
  value: number | undefined,
  [lowest, highest]: Range,
  unit: string,
): Generator<string> {
  if (value === undefined || (Number.isInteger(value) && value >= lowest && value <= highest)) return;
  yield `${setting} is ${value}; it must be a whole number from ${lowest} to ${highest} ${unit}.`;
}
