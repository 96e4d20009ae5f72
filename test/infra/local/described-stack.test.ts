import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readCloudAssembly } from '../../../infra/local/provision/cloud-assembly.ts';
import { describeStack, type ProvisionOptions } from '../../../infra/local/provision/local-stack.ts';
import { physicalName } from '../../../infra/local/provision/physical-name.ts';
import { functionNameOf, streamNameOf } from '../../../infra/local/provision/resource-name.ts';
import { ORDERS_TEMPLATE, writeAssembly } from './fixtures/assembly.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

function assemblyOf(stacks: Readonly<Record<string, object>>) {
  const directory = writeAssembly(stacks);
  directories.push(directory);
  return readCloudAssembly(directory);
}

const sqs = 'http://127.0.0.1:4100';
const endpoints = { kinesis: 'http://k', dynamodb: 'http://d', s3: 'http://s', sqs };

function described(
  template: object = ORDERS_TEMPLATE,
  options: Partial<Pick<ProvisionOptions, 'shardCounts' | 'parameters'>> = {},
) {
  const notices: string[] = [];
  const assembly = assemblyOf({ Orders: template });
  const stack = describeStack({
    assembly,
    engines: { endpoints },
    onNotice: (text) => notices.push(text),
    ...options,
  });
  return { stack, notices, assembly };
}

function withResources(resources: object) {
  return described({ Resources: resources });
}

describe('a described stack', () => {
  it('has every function with its code, settings and resolved variables', () => {
    const { stack, assembly } = described();

    expect(stack.functions).toEqual([
      {
        logicalId: 'Handler',
        name: 'Orders-Handler',
        arn: 'arn:aws:lambda:us-east-1:000000000000:function:Orders-Handler',
        codeDirectory: path.join(assembly.directory, 'asset.code'),
        handler: 'index.handler',
        runtime: 'nodejs24.x',
        timeoutSeconds: 60,
        memoryMb: 512,
        environment: {
          TABLE: 'Orders-State',
          BUCKET: expect.stringMatching(/^orders-bucket-[0-9a-f]{8}$/) as string,
          SINK: 'Orders-Sink',
          QUEUE: `${sqs}/000000000000/Orders-Letters`,
          COUNT: '3',
        },
      },
    ]);
  });

  it('has every mapping with its resolved properties', () => {
    const { stack } = described();
    const streamArn = 'arn:aws:kinesis:us-east-1:000000000000:stream/Orders-Source';

    expect(stack.mappings).toEqual([
      {
        logicalId: 'Mapping',
        id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) as string,
        streamName: 'Orders-Source',
        streamArn,
        functionName: 'Orders-Handler',
        isEnabled: true,
        properties: {
          EventSourceArn: streamArn,
          FunctionName: 'Orders-Handler',
          BatchSize: 100,
          StartingPosition: 'TRIM_HORIZON',
          DestinationConfig: {
            OnFailure: { Destination: 'arn:aws:sqs:us-east-1:000000000000:Orders-Letters' },
          },
        },
      },
    ]);
  });

  it('has schedules, outputs and what does nothing here', () => {
    const { stack, notices } = described();

    expect(stack.schedules).toEqual([
      {
        logicalId: 'Sweep',
        name: 'Orders-Sweep',
        functionName: 'Orders-Handler',
        expression: 'rate(1 minute)',
        isEnabled: true,
        input: '{"sweep":true}',
      },
    ]);
    expect(stack.outputs).toEqual({ StateTable: 'Orders-State' });
    expect(stack.ignored.map(({ type }) => type)).toEqual(['AWS::IAM::Role']);
    expect(notices).toEqual([]);
  });

  it('names everything alike every time, in whatever order the template stands', () => {
    const { Resources } = ORDERS_TEMPLATE;
    const backwards = {
      ...ORDERS_TEMPLATE,
      Resources: Object.fromEntries(Object.entries(Resources).reverse()),
    };
    const namesOf = ({ stack }: ReturnType<typeof described>) =>
      Object.fromEntries(
        [...stack.streams, ...stack.tables, ...stack.buckets, ...stack.queues, ...stack.functions].map(
          ({ logicalId, name }) => [String(logicalId), name] as const,
        ),
      );

    expect(namesOf(described(backwards))).toEqual(namesOf(described()));
  });

  it('gives an on-demand stream four shards', () => {
    expect(described().stack.streams.map(({ name, shardCount }) => [name, shardCount])).toEqual([
      ['Orders-Source', 2],
      ['Orders-Sink', 4],
    ]);
  });

  it.each([
    ['a logical id', { Source: 7 }, 7, 4],
    ['a physical name', { 'Orders-Sink': 7 }, 2, 7],
    ['all others', { '*': 7, Sink: 1 }, 7, 1],
  ])('takes shard counts by %s', (_name, shardCounts, source, sink) => {
    const { stack } = described(ORDERS_TEMPLATE, { shardCounts });

    expect(stack.streams.map(({ shardCount }) => shardCount)).toEqual([source, sink]);
  });

  it('takes parameters', () => {
    const { stack } = described(ORDERS_TEMPLATE, { parameters: { Shards: '9' } });

    expect(stack.streams[0]?.shardCount).toBe(9);
  });

  it('adds the stream of another stack that a mapping reads, and says so', () => {
    const EventSourceArn = 'arn:aws:kinesis:eu-west-1:123456789012:stream/shared/consumer/fast:1';
    const { stack, notices } = withResources({
      Mapping: { Type: 'AWS::Lambda::EventSourceMapping', Properties: { EventSourceArn, FunctionName: 'f' } },
    });

    expect(stack.streams).toEqual([
      {
        logicalId: undefined,
        name: 'shared',
        arn: 'arn:aws:kinesis:eu-west-1:123456789012:stream/shared',
        shardCount: 4,
        retentionHours: 24,
      },
    ]);
    expect(notices).toEqual([
      expect.stringContaining('Stream shared, which Mapping reads, is not in the template'),
    ]);
  });

  it('says of each thing that it cannot run why not', () => {
    const code = { Code: { ZipFile: 'exports.handler = 1' }, Handler: 'index.handler' };
    const { stack, notices } = withResources({
      Inline: { Type: 'AWS::Lambda::Function', Properties: { ...code, Runtime: 'nodejs24.x' } },
      Python: { Type: 'AWS::Lambda::Function', Properties: { ...code, Runtime: 'python3.13' } },
      Image: { Type: 'AWS::Lambda::Function', Properties: { Code: { ImageUri: 'x' }, PackageType: 'Image' } },
      FromQueue: {
        Type: 'AWS::Lambda::EventSourceMapping',
        Properties: { EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: 'f' },
      },
      OnEvent: { Type: 'AWS::Events::Rule', Properties: { EventPattern: { source: ['aws.s3'] } } },
      Nightly: {
        Type: 'AWS::Scheduler::Schedule',
        Properties: {
          ScheduleExpression: 'rate(1 day)',
          Target: { Arn: 'arn:aws:sqs:us-east-1:000000000000:q' },
        },
      },
      Topic: { Type: 'AWS::SNS::Topic' },
    });

    expect([...stack.functions, ...stack.mappings, ...stack.schedules]).toEqual([]);
    expect(notices).toEqual([
      expect.stringContaining('AWS::SNS::Topic (1 in Orders) does nothing on this machine'),
      expect.stringContaining('FromQueue feeds f from arn:aws:sqs:us-east-1:000000000000:q'),
      expect.stringContaining('Orders-Inline has its code in the template'),
      expect.stringContaining('Orders-Python runs on python3.13'),
      expect.stringContaining('Orders-Image runs on a container image'),
      expect.stringContaining('Orders-OnEvent waits for events'),
      expect.stringContaining('Orders-Nightly has the target arn:aws:sqs'),
    ]);
  });

  it('is refused with code that no asset manifest names', () => {
    const Properties = { Code: { S3Key: 'gone.zip' }, Handler: 'index.handler', Runtime: 'nodejs24.x' };

    expect(() => withResources({ F: { Type: 'AWS::Lambda::Function', Properties } })).toThrow(
      'Function Orders-F (F) has the code gone.zip, and no asset manifest',
    );
  });

  it('is refused with a property of the wrong form', () => {
    const Properties = { ShardCount: 'many' };

    expect(() => withResources({ S: { Type: 'AWS::Kinesis::Stream', Properties } })).toThrow(
      'S (AWS::Kinesis::Stream): ShardCount is "many"; it should be a number.',
    );
  });
});

describe('a cloud assembly', () => {
  it('is refused where a folder holds none', () => {
    expect(() => readCloudAssembly(path.join('no', 'such', 'folder'))).toThrow(
      'There is no cloud assembly in no/such/folder: manifest.json is missing. Run cdk synth first.',
    );
  });

  it('with several stacks wants one named', () => {
    const assembly = assemblyOf({ One: { Resources: {} }, Two: { Resources: {} } });
    const describe = (stackName?: string) =>
      describeStack({
        assembly,
        engines: { endpoints },
        onNotice: () => undefined,
        ...(stackName !== undefined && { stackName }),
      }).stackName;

    expect(describe('Two')).toBe('Two');
    expect(() => describe()).toThrow('holds 2 stacks (One, Two); say which one.');
    expect(() => describe('Three')).toThrow('holds no stack Three; it holds One, Two.');
  });
});

describe('stacks that depend on each other', () => {
  const reader = {
    Resources: {
      Mapping: {
        Type: 'AWS::Lambda::EventSourceMapping',
        Properties: {
          EventSourceArn: { 'Fn::ImportValue': 'Writer:stream' },
          FunctionName: 'function',
          StartingPosition: 'TRIM_HORIZON',
        },
      },
    },
  };
  const writer = {
    Resources: { Stream: { Type: 'AWS::Kinesis::Stream', Properties: { Name: 'between' } } },
    Outputs: {
      Arn: { Value: { 'Fn::GetAtt': ['Stream', 'Arn'] }, Export: { Name: 'Writer:stream' } },
    },
  };

  it('stand in the order in which they are deployed', () => {
    const directory = writeAssembly(
      { Reader: reader, Writer: writer },
      { Reader: ['Reader.assets', 'Writer'] },
    );
    directories.push(directory);

    expect(readCloudAssembly(directory).stacks.map(({ stackName }) => stackName)).toEqual([
      'Writer',
      'Reader',
    ]);
  });

  it('share a stream that one makes and the other reads', () => {
    const assembly = assemblyOf({ Writer: writer, Reader: reader });
    const notices: string[] = [];
    const common = { assembly, engines: { endpoints }, onNotice: (text: string) => void notices.push(text) };
    const made = describeStack({ ...common, stackName: 'Writer' });
    const read = describeStack({
      ...common,
      stackName: 'Reader',
      imports: made.exports,
      otherStreams: new Set(made.streams.map(({ name }) => name)),
    });

    expect(read.mappings).toMatchObject([{ streamName: 'between' }]);
    expect(read.streams).toEqual([]);
    expect(notices).toEqual([]);
  });
});

describe('a physical name', () => {
  it('is plain where that fits', () => {
    expect(physicalName('stack', 'Thing', { longest: 11 })).toBe('stack-Thing');
  });

  it('is cut and made unique where it would be too long', () => {
    const first = physicalName('stack', 'LongThing1', { longest: 15 });
    const second = physicalName('stack', 'LongThing2', { longest: 15 });

    expect(first).toMatch(/^stack--[0-9a-f]{8}$/);
    expect(second).toHaveLength(15);
    expect(first).not.toBe(second);
  });

  it('stays unique in lower case', () => {
    const lower = { longest: 63, lowerCase: true };

    expect(physicalName('s', 'Ab', lower)).not.toBe(physicalName('s', 'aB', lower));
  });
});

it.each([
  ['arn:aws:lambda:us-east-1:000000000000:function:name', 'name'],
  ['arn:aws:lambda:us-east-1:000000000000:function:name:alias', 'name'],
  ['name', 'name'],
  ['name:1', 'name'],
])('reads the function of %s', (reference, name) => {
  expect(functionNameOf(reference)).toBe(name);
});

it('reads no stream from what is no ARN of one', () => {
  expect(() => streamNameOf('arn:aws:sqs:us-east-1:000000000000:q')).toThrow(
    'is not the ARN of a Kinesis stream',
  );
});
