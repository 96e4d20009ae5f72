import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@aws-lambda-powertools/logger';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { ItemCache } from '../engine/item-cache.ts';
import { DynamoDbLookup } from '../lookup/dynamodb-lookup.ts';
import { programOf, relayProgramOf } from '../engine/program.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { DeadLetterStore } from '../output/dead-letter-store.ts';
import { DynamoDbSinkPort } from '../output/dynamodb-sink.ts';
import { ForEachSinkPort } from '../output/for-each-sink.ts';
import type { SinkPort } from '../output/sink-port.ts';
import { sinksOf, type KinesisSink, type PipelineDefinition, type Sink } from '../pipeline/definition.ts';
import type { ShardRanges } from '../source/shard-ranges.ts';
import type { ShardRecords } from '../source/shard-records.ts';
import type { BlobStore } from '../state/blob-store.ts';
import { DynamoDbStateStore } from '../state/dynamodb-state-store.ts';
import { SpillingStateStore } from '../state/spilling-state-store.ts';
import type { StateStore } from '../state/state-store.ts';
import type { Clock } from '../time/clock.ts';
import type { SourceLanes } from '../time/source-lanes.ts';
import { replayOptions } from './replay-options.ts';
import { REQUEST_LIMITS } from './request-limits.ts';
import { readSettings, type Settings } from './settings.ts';
import { noTrace, type Trace } from './trace.ts';

/** What a container makes once and keeps warm. */
export interface Container {
  /** Of the pipeline; with a repartition of its back half. */
  readonly runtime: Runtime;
  /** What a sweep of spilled states works on: items as they are stored, and the objects that they point to. */
  readonly spilled: { readonly store: StateStore; readonly blobs: BlobStore };
  /** For the records of a stream, by its physical name: a repartition's internal stream is read by its back half. */
  readonly runtimeFor: (stream: string) => Runtime;
  readonly trace: Trace;
  /** Of what commands make their own ports. */
  readonly services: {
    readonly settings: Settings;
    readonly dynamodb: DynamoDBClient;
    readonly trace: Trace;
  };
}

/**
 * Makes the ports of a deployed pipeline. Clients take region, credentials and endpoints from the environment.
 * @throws ConfigurationError where the environment is incomplete.
 */
export async function makeContainer(
  definition: PipelineDefinition,
  environment: Readonly<Record<string, string | undefined>>,
  clock: Clock,
  logger: Logger,
): Promise<Container> {
  const settings = readSettings(definition, environment);
  const trace =
    environment['POWERTOOLS_TRACE_ENABLED'] === 'true'
      ? (await import('./powertools-trace.ts')).powertoolsTrace()
      : noTrace;
  const dynamodb = trace.client(new DynamoDBClient({ requestHandler: REQUEST_LIMITS }));
  const items = new DynamoDbStateStore({
    client: dynamodb,
    table: settings.stateTable,
    writes: settings.writes,
    awaitsFork: settings.awaitsFork,
    delay: (ms) => wait(ms),
    onFailure: (error) =>
      logger.warn('A write of state is in doubt; its item is read again', { error: String(error) }),
  });
  const blobs = spilledStates(settings.bucket, definition.name, trace);
  const store = new SpillingStateStore({
    store: items,
    blobs,
    onFailure: (error) =>
      logger.warn('An object with spilled states was not written or not removed', { error: String(error) }),
  });
  const runtime: Runtime = {
    program: programOf(definition),
    store,
    sinks: await sinkPorts(sinksOf(definition), definition.name, settings, dynamodb, trace),
    deadLetters: lettersIn(settings.bucket, definition.name, 'open', trace),
    closedLetters: lettersIn(settings.bucket, definition.name, 'closed', trace),
    shardRanges: shardRanges(trace),
    shardRecords: shardRecords(settings, trace),
    ...(settings.lookups.size > 0 && {
      lookups: new DynamoDbLookup(
        dynamodb,
        (table) => settings.lookups.get(table) ?? '',
        (ms) => wait(ms),
      ),
    }),
    clock,
    wait: (ms) => wait(ms),
    log: {
      info: (message, details) => logger.info(message, details),
      warn: (message, details) => logger.warn(message, details),
      error: (message, details) => logger.error(message, details),
    },
    cache: new ItemCache(),
    ...(definition.time !== undefined && { lanes: sourceLanes(definition, settings, trace, clock) }),
    parallelizationFactor: settings.parallelizationFactor,
    generation: undefined,
  };
  const spilled = { store: items, blobs };
  const services = { settings, dynamodb, trace };
  const relay = relayProgramOf(definition);
  if (relay === undefined) return { runtime, runtimeFor: () => runtime, spilled, services, trace };
  const { name } = relay.relay as KinesisSink;
  const front: Runtime = {
    ...runtime,
    program: relay,
    sinks: await sinkPorts([...relay.sinks.values()], definition.name, settings, dynamodb, trace),
    cache: new ItemCache(),
    // Lanes by partition key would each leave a mark behind the relay.
    parallelizationFactor: 1,
  };
  const runtimeFor = (stream: string): Runtime => (stream === settings.sinks.get(name) ? runtime : front);
  return { runtime: { ...runtime, runtimeFor }, runtimeFor, spilled, services, trace };
}

async function sinkPorts(
  sinks: readonly Sink[],
  lineage: string,
  settings: Settings,
  dynamodb: DynamoDBClient,
  trace: Trace,
): Promise<Map<string, SinkPort>> {
  const ports = new Map<string, SinkPort>();
  for (const sink of sinks) {
    const physicalName = settings.sinks.get(sink.name) ?? '';
    switch (sink.kind) {
      case 'kinesis': {
        const { kinesisSinkPort } = await import('./kinesis-ports.ts');
        ports.set(sink.name, kinesisSinkPort(physicalName, lineage, trace));
        break;
      }
      case 'dynamodb':
        ports.set(sink.name, new DynamoDbSinkPort(dynamodb, physicalName, sink.upsertBy));
        break;
      case 'forEach':
        ports.set(sink.name, new ForEachSinkPort(sink.call));
        break;
    }
  }
  return ports;
}

function lettersIn(
  bucket: string,
  pipeline: string,
  which: 'open' | 'closed',
  trace: Trace,
): DeadLetterStore {
  let loading: Promise<DeadLetterStore> | undefined;
  const load = (): Promise<DeadLetterStore> =>
    (loading ??= import('./s3-ports.ts').then(({ s3DeadLetterStore }) =>
      s3DeadLetterStore(bucket, pipeline, which, trace),
    ));
  return {
    put: async (name, letter) => (await load()).put(name, letter),
    get: async (name) => (await load()).get(name),
    remove: async (name) => (await load()).remove(name),
    list: async function* (prefix) {
      yield* (await load()).list(prefix);
    },
  };
}

function shardRanges(trace: Trace): ShardRanges {
  let ranges: Promise<ShardRanges> | undefined;
  return {
    rangeOf: async (streamArn, shardId) => {
      ranges ??= import('./kinesis-ports.ts').then(({ kinesisShardRanges }) => kinesisShardRanges(trace));
      return (await ranges).rangeOf(streamArn, shardId);
    },
  };
}

function shardRecords({ streamArns }: Settings, trace: Trace): ShardRecords {
  let loading: Promise<ShardRecords> | undefined;
  const load = (): Promise<ShardRecords> =>
    (loading ??= Promise.all([
      import('./kinesis-ports.ts'),
      import('../checkpoint/replay-shard-records.ts'),
    ]).then(
      ([{ kinesisReplaySource }, { ReplayShardRecords }]) =>
        new ReplayShardRecords(kinesisReplaySource({ streamArns, wait: (ms) => wait(ms) }, trace)),
    ));
  return {
    from: async (...given) => (await load()).from(...given),
  };
}

/** @throws ConfigurationError where the environment names no streams: event time would stand still for ever. */
function sourceLanes(
  definition: PipelineDefinition,
  settings: Settings,
  trace: Trace,
  clock: Clock,
): SourceLanes {
  const options = replayOptions(definition, settings, 'has no event time', (ms) => wait(ms));
  let loading: Promise<SourceLanes> | undefined;
  const load = (): Promise<SourceLanes> =>
    (loading ??= Promise.all([
      import('./kinesis-ports.ts'),
      import('../checkpoint/replay-source-lanes.ts'),
    ]).then(
      ([{ kinesisReplaySource }, { ReplaySourceLanes }]) =>
        new ReplaySourceLanes(kinesisReplaySource(options, trace), clock),
    ));
  return {
    lanes: async () => (await load()).lanes(),
    behind: async (shard, position) => (await load()).behind(shard, position),
  };
}

function spilledStates(bucket: string, pipeline: string, trace: Trace): BlobStore {
  let loading: Promise<BlobStore> | undefined;
  const load = (): Promise<BlobStore> =>
    (loading ??= import('./s3-ports.ts').then(({ s3SpilledStates }) =>
      s3SpilledStates(bucket, pipeline, trace),
    ));
  return {
    put: async (name, bytes) => (await load()).put(name, bytes),
    get: async (name, firstBytes) => (await load()).get(name, firstBytes),
    remove: async (name) => (await load()).remove(name),
    list: async (after) => (await load()).list(after),
  };
}
