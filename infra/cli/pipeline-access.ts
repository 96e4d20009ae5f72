import {
  CloudFormationClient,
  DescribeStacksCommand,
  paginateDescribeStacks,
} from '@aws-sdk/client-cloudformation';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { S3CheckpointStore } from '../../shared/checkpoint/s3-checkpoint-store.ts';
import { askByArn } from '../../shared/source/ask-by-arn.ts';
import { LOCAL_CREDENTIALS, LOCAL_REGION } from '../local/engines/local-account.ts';
import { runningClouds } from '../local/running-cloud-file.ts';
import { OUTPUTS, stackIdOf } from '../stack-names.ts';
import { UsageError } from './usage-error.ts';

/** Which account a command talks to. */
export interface Whereabouts {
  /** The local cloud of `npm start`, which runs in another process. */
  readonly local?: boolean;
  readonly profile?: string;
  readonly region?: string;
  /** The environment that its stack was deployed for with `-c env=…`. */
  readonly env?: string;
}

export interface SinkKind {
  readonly kind: 'stream' | 'table';
  readonly outputs: 'event' | 'change';
}

/** A deployed pipeline, as an operator's command sees it. */
export interface PipelineAccess {
  readonly pipeline: string;
  readonly bucket: string;
  readonly functionName: string;
  readonly stateTable: string;
  /** Of all streams that it reads. */
  readonly streams: readonly string[];
  /** Physical names of the streams and tables of its sinks, by sink name. */
  readonly sinks: ReadonlyMap<string, string>;
  /** Of the same sinks: what they are, and what they take. */
  readonly sinkKinds: ReadonlyMap<string, SinkKind>;
  readonly s3: S3Client;
  readonly dynamodb: DynamoDBClient;
  readonly kinesis: KinesisClient;
  readonly lambda: LambdaClient;
  close(): void;
}

/** The checkpoints of a pipeline. */
export function checkpointsOf({
  s3,
  bucket,
  pipeline,
}: Pick<PipelineAccess, 's3' | 'bucket' | 'pipeline'>): S3CheckpointStore {
  return new S3CheckpointStore(s3, bucket, pipeline);
}

/** The longest that Lambda lets a function run. */
const INVOCATION_LIMIT_MS = 900_000;

/** @throws UsageError where the pipeline is not to be found; Error where AWS does not tell. */
export async function accessPipeline(pipeline: string, where: Whereabouts): Promise<PipelineAccess> {
  if (where.local === true) return localAccess(pipeline);
  // What the SDK reads by itself, in every client.
  if (where.profile !== undefined) process.env['AWS_PROFILE'] = where.profile;
  if (where.region !== undefined) process.env['AWS_REGION'] = where.region;
  return access(pipeline, await deployedOutputs(stackIdOf(pipeline, where.env)), {}, {}, {}, {});
}

function localAccess(pipeline: string): PipelineAccess {
  const stackId = stackIdOf(pipeline);
  const clouds = runningClouds();
  const cloud = clouds.find(({ stacks }) => stacks[stackId] !== undefined);
  if (cloud === undefined) {
    const running = clouds.flatMap(({ stacks }) => Object.keys(stacks));
    throw new UsageError(
      `No local cloud of this user runs the pipeline '${pipeline}'` +
        `${running.length > 0 ? `; there are the stacks ${running.join(', ')}` : ''}. Start one with ` +
        `'npm start -- --pipeline ${pipeline}' and leave it up.`,
    );
  }
  const common = { region: LOCAL_REGION, credentials: LOCAL_CREDENTIALS };
  return access(
    pipeline,
    cloud.stacks[stackId] ?? {},
    { ...common, endpoint: cloud.endpoints.s3, forcePathStyle: true },
    { ...common, endpoint: cloud.endpoints.lambda },
    { ...common, endpoint: cloud.endpoints.dynamodb },
    { ...common, endpoint: cloud.endpoints.kinesis },
  );
}

/** Of a stack with these outputs. */
export function access(
  pipeline: string,
  outputs: Readonly<Record<string, string>>,
  s3Options: object,
  lambdaOptions: object,
  dynamodbOptions: object,
  kinesisOptions: object,
): PipelineAccess {
  const output = (name: string): string => {
    const value = outputs[name];
    if (value !== undefined) return value;
    throw new Error(`Stack ${stackIdOf(pipeline)} has no output ${name}; deploy it with this version.`);
  };
  const s3 = new S3Client(s3Options);
  const lambda = new LambdaClient({
    ...lambdaOptions,
    requestHandler: new NodeHttpHandler({ requestTimeout: INVOCATION_LIMIT_MS }),
  });
  const dynamodb = new DynamoDBClient(dynamodbOptions);
  // HTTP/1.1: not every endpoint speaks HTTP/2.
  const kinesis = new KinesisClient({ ...kinesisOptions, requestHandler: new NodeHttpHandler() });
  // Of a stack that an earlier version deployed nothing tells them; its streams are asked for by name.
  askByArn(kinesis, outputs[OUTPUTS.streamArns]?.split(',') ?? []);
  return {
    pipeline,
    bucket: output(OUTPUTS.bucket),
    functionName: output(OUTPUTS.function),
    get stateTable() {
      return output(OUTPUTS.stateTable);
    },
    get streams() {
      return output(OUTPUTS.streams).split(',');
    },
    get sinks() {
      return pairsOf(outputs[OUTPUTS.sinks]);
    },
    get sinkKinds() {
      const kinds = pairsOf(outputs[OUTPUTS.sinks] === undefined ? undefined : output(OUTPUTS.sinkKinds));
      return new Map(
        [...kinds].map(([sink, text]): [string, SinkKind] => {
          const [kind, made] = text.split('/', 2) as [SinkKind['kind'], SinkKind['outputs']];
          return [sink, { kind, outputs: made }];
        }),
      );
    },
    s3,
    lambda,
    dynamodb,
    kinesis,
    close: () => {
      dynamodb.destroy();
      kinesis.destroy();
      s3.destroy();
      lambda.destroy();
    },
  };
}

function pairsOf(text = ''): Map<string, string> {
  const pairs = text.split(',').filter((each) => each !== '');
  return new Map(pairs.map((each) => each.split('=', 2) as [string, string]));
}

async function deployedOutputs(stackName: string): Promise<Record<string, string>> {
  const client = new CloudFormationClient({});
  try {
    const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName: stackName }));
    const outputs = Stacks[0]?.Outputs ?? [];
    return Object.fromEntries(
      outputs.map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]),
    );
  } catch (error) {
    if (error instanceof Error && error.name === 'ValidationError' && /does not exist/.test(error.message)) {
      throw new UsageError(
        `There is no stack ${stackName} in this account and region. Is the pipeline's name right, and --profile, --region ` +
          'and --env? --local asks the local cloud.',
      );
    }
    throw error;
  } finally {
    client.destroy();
  }
}

/** The names of the pipelines that are there. @throws Error where AWS does not tell. */
export async function pipelineNames(where: Whereabouts): Promise<string[]> {
  const prefix = stackIdOf('');
  const names = new Set<string>();
  if (where.local === true) {
    for (const { stacks } of runningClouds()) {
      for (const stackId of Object.keys(stacks)) {
        if (stackId.startsWith(prefix)) names.add(stackId.slice(prefix.length));
      }
    }
    return [...names].sort();
  }
  if (where.profile !== undefined) process.env['AWS_PROFILE'] = where.profile;
  if (where.region !== undefined) process.env['AWS_REGION'] = where.region;
  const client = new CloudFormationClient({});
  try {
    for await (const { Stacks = [] } of paginateDescribeStacks({ client }, {})) {
      for (const { Tags = [] } of Stacks) {
        const tag = (key: string) => Tags.find(({ Key }) => Key === key)?.Value;
        const name = tag('tidemark:pipeline');
        if (name !== undefined && tag('tidemark:environment') === where.env) names.add(name);
      }
    }
    return [...names].sort();
  } finally {
    client.destroy();
  }
}
