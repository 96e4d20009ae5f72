import type { Engines } from '../engines/engines.ts';
import { LOCAL_ACCOUNT, LOCAL_REGION } from '../engines/local-account.ts';
import { type IdentifiedResource, resolveTemplate } from '../template/resolved-template.ts';
import type { CloudAssembly } from './cloud-assembly.ts';
import { createBucket, describeBucket, type LocalBucket } from './local-bucket.ts';
import { describeFunction, type LocalFunction } from './local-function.ts';
import { localIdentities } from './local-identities.ts';
import { describeMapping, type LocalMapping } from './local-mapping.ts';
import { createQueue, describeQueue, type LocalQueue } from './local-queue.ts';
import { describeSchedules, type LocalSchedule } from './local-schedule.ts';
import {
  createStream,
  describeStream,
  FIRST_RETENTION_HOURS,
  type LocalStream,
  ON_DEMAND_SHARD_COUNT,
} from './local-stream.ts';
import { createTable, describeTable, type LocalTable } from './local-table.ts';

export interface ProvisionOptions {
  readonly assembly: CloudAssembly;
  /** Which stack of the assembly; may be left out where there is one. */
  readonly stackName?: string;
  /** What other stacks export, by the exports' names. */
  readonly imports?: ReadonlyMap<string, unknown>;
  /** Names of the streams that other stacks make. */
  readonly otherStreams?: ReadonlySet<string>;
  readonly engines: Pick<Engines, 'endpoints' | 'clients' | 'dynamoKind'>;
  /** Values of template parameters, in place of their defaults. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Shard counts in place of the template's, by logical id or physical name of the stream; `*` is for all others. */
  readonly shardCounts?: Readonly<Record<string, number>>;
  /** Told, in sentences for a person, what of the template does nothing here. */
  readonly onNotice: (text: string) => void;
}

/** A stack of the template as it stands on this machine: what is there already, and what is to be run. */
export interface LocalStack {
  readonly stackName: string;
  readonly streams: readonly LocalStream[];
  readonly tables: readonly LocalTable[];
  readonly buckets: readonly LocalBucket[];
  readonly queues: readonly LocalQueue[];
  readonly functions: readonly LocalFunction[];
  readonly mappings: readonly LocalMapping[];
  readonly schedules: readonly LocalSchedule[];
  readonly outputs: Readonly<Record<string, unknown>>;
  /** What other stacks may import, by the export's name. */
  readonly exports: ReadonlyMap<string, unknown>;
  /** How many resources do nothing here, by type, and why. */
  readonly ignored: readonly { readonly type: string; readonly count: number; readonly reason: string }[];
}

/**
 * Makes the streams, tables, buckets and queues of a stack and waits until they can be used. What is there already, from
 * a kept run or from this one, stays as it is, so that doing it twice is doing it once.
 * @throws Error when the template cannot be resolved or an engine refuses a resource.
 */
export async function provisionStack(options: ProvisionOptions): Promise<LocalStack> {
  const { engines, onNotice } = options;
  const stack = describeStack(options);
  const clients = engines.clients();
  await Promise.all([
    ...stack.streams.map((stream) => createStream(clients.kinesis, stream)),
    ...stack.tables.map((table) => createTable(clients.dynamodb, table, engines.dynamoKind, onNotice)),
    ...stack.buckets.map((bucket) => createBucket(clients.s3, bucket)),
    ...stack.queues.map((queue) => createQueue(clients.sqs, queue)),
  ]);
  return stack;
}

/**
 * Makes every stack of an assembly, each behind those that it depends on and with what these export.
 * @throws as `provisionStack`.
 */
export async function provisionStacks(
  options: Omit<ProvisionOptions, 'stackName' | 'imports' | 'otherStreams'>,
): Promise<LocalStack[]> {
  const stacks: LocalStack[] = [];
  const imports = new Map<string, unknown>();
  const otherStreams = new Set<string>();
  for (const { stackName } of options.assembly.stacks) {
    const stack = await provisionStack({ ...options, stackName, imports, otherStreams });
    for (const [name, value] of stack.exports) imports.set(name, value);
    for (const { name } of stack.streams) otherStreams.add(name);
    stacks.push(stack);
  }
  return stacks;
}

/** What `provisionStack` makes and returns, without making it. */
export function describeStack(
  options: Omit<ProvisionOptions, 'engines'> & {
    readonly engines: Pick<Engines, 'endpoints'>;
  },
): LocalStack {
  const { assembly, engines, onNotice, parameters, imports, otherStreams, shardCounts = {} } = options;
  const { stackName, template } = chooseStack(assembly, options.stackName);
  const place = { stackName, region: LOCAL_REGION, account: LOCAL_ACCOUNT };
  const resolved = resolveTemplate(template, {
    ...place,
    ...(parameters && { parameters }),
    ...(imports && { imports }),
    identify: localIdentities({ ...place, sqsEndpoint: engines.endpoints.sqs }),
  });
  resolved.notices.forEach(onNotice);

  const of = <Result>(types: readonly string[], describe: (resource: IdentifiedResource) => Result) =>
    resolved.resources.filter(({ type }) => types.includes(type)).map(describe);
  const unlessTold = <Result extends object>(results: readonly (Result | string)[]) =>
    results.flatMap((result): Result[] => {
      if (typeof result !== 'string') return [result];
      onNotice(result);
      return [];
    });

  const streams: LocalStream[] = of(['AWS::Kinesis::Stream'], (resource) =>
    describeStream(
      resource,
      shardCounts[resource.logicalId] ?? shardCounts[resource.ref] ?? shardCounts['*'],
    ),
  );
  const mappings = unlessTold(of(['AWS::Lambda::EventSourceMapping'], describeMapping));
  for (const { streamName: name, streamArn: arn, logicalId } of mappings) {
    if (otherStreams?.has(name) === true || streams.some((stream) => stream.name === name)) continue;
    const shardCount = shardCounts[name] ?? shardCounts['*'] ?? ON_DEMAND_SHARD_COUNT;
    onNotice(
      `Stream ${name}, which ${logicalId} reads, is not in the template of ${stackName}: unless it is there ` +
        `already, it is made here with ${shardCount} shards.`,
    );
    streams.push({ logicalId: undefined, name, arn, shardCount, retentionHours: FIRST_RETENTION_HOURS });
  }
  return {
    stackName,
    streams,
    tables: of(['AWS::DynamoDB::Table', 'AWS::DynamoDB::GlobalTable'], describeTable),
    buckets: of(['AWS::S3::Bucket'], describeBucket),
    queues: of(['AWS::SQS::Queue'], describeQueue),
    functions: unlessTold(of(['AWS::Lambda::Function'], (resource) => describeFunction(resource, assembly))),
    mappings,
    schedules: unlessTold(of(['AWS::Events::Rule', 'AWS::Scheduler::Schedule'], describeSchedules).flat()),
    outputs: resolved.outputs,
    exports: resolved.exports,
    ignored: resolved.ignored,
  };
}

function chooseStack({ directory, stacks }: CloudAssembly, stackName: string | undefined) {
  const names = stacks.map((stack) => stack.stackName);
  const [first, ...others] = stacks.filter(
    (stack) => stackName === undefined || stack.stackName === stackName,
  );
  if (first !== undefined && others.length === 0) return first;
  throw new Error(
    stackName === undefined
      ? `${directory} holds ${names.length} stacks (${names.join(', ')}); say which one.`
      : `${directory} holds no stack ${stackName}; it holds ${names.join(', ') || 'none'}.`,
  );
}
