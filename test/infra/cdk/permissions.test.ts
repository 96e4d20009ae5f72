import { processStage } from '../../../shared/time/process-operator.ts';
import { AttributeType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Stream } from 'aws-cdk-lib/aws-kinesis';
import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { kinesis, lookupTable, pipeline } from '../../../shared/index.ts';
import { LATEST, MAIL, ordersPipeline, TOTALS } from './fixtures/orders-pipeline.ts';
import { ordersStack } from './fixtures/orders-stack.ts';

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

/** Everything that the roles of a template are allowed, one line for each action on each resource. */
function allowed(template: Template): string[] {
  return Object.values(template.findResources('AWS::IAM::Policy'))
    .flatMap(
      (policy) =>
        (policy as { Properties: { PolicyDocument: { Statement: Statement[] } } }).Properties.PolicyDocument
          .Statement,
    )
    .flatMap((statement) => {
      expect(statement.Effect).toBe('Allow');
      const actions = [statement.Action].flat();
      const resources = Array.isArray(statement.Resource) ? statement.Resource : [statement.Resource];
      const condition = conditionOf(statement);
      return actions.flatMap((action) =>
        resources.map((resource) => `${action} ${nameOf(resource)}${condition}`),
      );
    })
    .sort();
}

function conditionOf({ Condition }: Statement): string {
  const prefix = (Condition as { StringLike?: { 's3:prefix'?: string } } | undefined)?.StringLike?.[
    's3:prefix'
  ];
  if (Condition === undefined) return '';
  expect(Condition).toEqual({ StringLike: { 's3:prefix': prefix } });
  return ` if s3:prefix is like ${prefix ?? ''}`;
}

/** A resource as text: `<State>` for the ARN of the construct with that id, its hash left out. */
function nameOf(resource: unknown): string {
  if (typeof resource === 'string') return resource;
  const { 'Fn::GetAtt': attribute, 'Fn::Join': join } = resource as {
    'Fn::GetAtt'?: [string, string];
    'Fn::Join'?: [string, unknown[]];
  };
  if (attribute !== undefined) {
    expect(attribute[1]).toBe('Arn');
    return `<${attribute[0].replace(/^Pipeline/, '').slice(0, -8)}>`;
  }
  if (join !== undefined) return join[1].map(nameOf).join(join[0]);
  return JSON.stringify(resource);
}

const ALWAYS = [
  'dynamodb:BatchGetItem <State>',
  'dynamodb:BatchWriteItem <State>',
  'dynamodb:ConditionCheckItem <State>',
  'dynamodb:GetItem <State>',
  'dynamodb:PartiQLInsert <State>',
  'dynamodb:PartiQLUpdate <State>',
  'dynamodb:PutItem <State>',
  'dynamodb:Scan <State>',
  'dynamodb:UpdateItem <State>',
  'kinesis:DescribeStream <Source>',
  'kinesis:DescribeStreamConsumer <Source>',
  'kinesis:DescribeStreamSummary <Source>',
  'kinesis:GetRecords <Source>',
  'kinesis:GetShardIterator <Source>',
  'kinesis:ListShards <Source>',
  'kinesis:ListStreams <Source>',
  'kinesis:SubscribeToShard <Source>',
  'logs:CreateLogStream <Logs>',
  'logs:PutLogEvents <Logs>',
  's3:DeleteObject <Bucket>/checkpoints/orders/*',
  's3:DeleteObject <Bucket>/dead-letters/orders/*',
  's3:DeleteObject <Bucket>/spilled/orders/*',
  's3:GetObject <Bucket>/checkpoints/orders/*',
  's3:GetObject <Bucket>/closed-letters/orders/*',
  's3:GetObject <Bucket>/dead-letters/orders/*',
  's3:GetObject <Bucket>/spilled/orders/*',
  's3:ListBucket <Bucket> if s3:prefix is like checkpoints/orders/*',
  's3:ListBucket <Bucket> if s3:prefix is like closed-letters/orders/*',
  's3:ListBucket <Bucket> if s3:prefix is like dead-letters/orders/*',
  's3:ListBucket <Bucket> if s3:prefix is like spilled/orders/*',
  's3:PutObject <Bucket>/checkpoints/orders/*',
  's3:PutObject <Bucket>/closed-letters/orders/*',
  's3:PutObject <Bucket>/dead-letters/orders/*',
  's3:PutObject <Bucket>/spilled/orders/*',
  'xray:PutTelemetryRecords *',
  'xray:PutTraceSegments *',
];

describe('the permissions of a pipeline', () => {
  it('are these and no others without sinks of AWS', () => {
    const { template } = ordersStack({ pipeline: ordersPipeline({ sinks: [MAIL] }) });

    expect(allowed(template)).toEqual(ALWAYS);
  });

  it('are one more for an event time: to ask the index of what is due', () => {
    const { template } = ordersStack({
      pipeline: ordersPipeline({ sinks: [MAIL], time: { at: 0, latenessMs: 0 } }),
    });

    expect(allowed(template)).toEqual([...ALWAYS, 'dynamodb:Query <State>/index/due'].sort());
  });

  it('are another one for timers that go by the clock', () => {
    const { template } = ordersStack({
      pipeline: ordersPipeline({
        time: { at: 0, latenessMs: 0 },
        keyedStages: [
          processStage('p', 1, { onRecord: () => undefined, onProcessingTimer: () => undefined }),
        ],
      }),
    });

    const indexes = ['due', 'processing-due'].map((name) => `dynamodb:Query <State>/index/${name}`);
    expect(allowed(template)).toEqual([...ALWAYS, ...indexes].sort());
  });

  it('are one more for a stream and two more for a table, which it never reads', () => {
    const { template } = ordersStack({ pipeline: ordersPipeline({ sinks: [TOTALS, LATEST] }) });

    expect(allowed(template)).toEqual(
      [
        ...ALWAYS,
        'kinesis:PutRecords <SinkStreamordertotals>',
        'dynamodb:PutItem <SinkTablelatestorders>',
      ].sort(),
    );
  });

  it('include no policy that AWS manages, and only Lambda may take the role', () => {
    const { template } = ordersStack();

    const roles = Object.values(template.findResources('AWS::IAM::Role'));
    expect(roles).toHaveLength(1);
    expect(roles[0]).toHaveProperty('Properties', {
      Description: 'Runs the pipeline orders',
      AssumeRolePolicyDocument: {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'lambda.amazonaws.com' } },
        ],
      },
    });
  });

  it('cover existing streams by their ARNs', () => {
    const source = 'arn:aws:kinesis:eu-west-1:111122223333:stream/all-orders';
    const sink = 'arn:aws:kinesis:eu-west-1:111122223333:stream/all-totals';
    const { template } = ordersStack((stack) => ({
      pipeline: ordersPipeline({ sinks: [TOTALS] }),
      stream: Stream.fromStreamArn(stack, 'AllOrders', source),
      sinkStreams: { totals: Stream.fromStreamArn(stack, 'AllTotals', sink) },
    }));

    expect(allowed(template)).toEqual(
      [...ALWAYS.map((line) => line.replace('<Source>', source)), `kinesis:PutRecords ${sink}`].sort(),
    );
  });

  it('cover the customer keys of existing streams and tables: decrypt the source, encrypt the sinks', () => {
    const { template } = ordersStack((stack) => ({
      pipeline: ordersPipeline({ sinks: [TOTALS, LATEST] }),
      stream: new Stream(stack, 'AllOrders', { encryptionKey: new Key(stack, 'SourceKey') }),
      sinkStreams: { totals: new Stream(stack, 'AllTotals', { encryptionKey: new Key(stack, 'SinkKey') }) },
      sinkTables: {
        latest: new Table(stack, 'AllLatest', {
          partitionKey: { name: 'pk', type: AttributeType.STRING },
          encryptionKey: new Key(stack, 'TableKey'),
        }),
      },
    }));

    expect(allowed(template).filter((line) => line.startsWith('kms:'))).toEqual([
      'kms:Decrypt <SourceKey>',
      'kms:Decrypt <TableKey>',
      'kms:DescribeKey <TableKey>',
      'kms:Encrypt <TableKey>',
      'kms:GenerateDataKey <SinkKey>',
      'kms:GenerateDataKey <TableKey>',
      'kms:GenerateDataKeyWithoutPlaintext <TableKey>',
      'kms:ReEncryptFrom <TableKey>',
      'kms:ReEncryptTo <TableKey>',
    ]);
  });

  it('name a stream once that two sinks share', () => {
    const { template, pipeline } = ordersStack({
      pipeline: ordersPipeline({ sinks: [TOTALS, { ...TOTALS, name: 'large-totals' }] }),
    });

    expect(allowed(template).filter((line) => line.startsWith('kinesis:PutRecords'))).toEqual([
      'kinesis:PutRecords <SinkStreamordertotals>',
    ]);
    expect(pipeline.sinks.streams.get('totals')).toBe(pipeline.sinks.streams.get('large-totals'));
  });

  it('lets it read the tables in which rows are looked up, and nothing more', () => {
    const { template } = ordersStack((stack) => ({
      pipeline: pipeline('looking')
        .from(kinesis('all-orders', { codec: 'text' }))
        .keyBy((order) => order)
        .lookup(
          lookupTable('prices'),
          (order) => order,
          (order) => order,
        )
        .broadcast(lookupTable('rules'), (order) => order),
      lookupTables: {
        prices: new Table(stack, 'Prices', { partitionKey: { name: 'pk', type: AttributeType.STRING } }),
        rules: new Table(stack, 'Rules', {
          partitionKey: { name: 'pk', type: AttributeType.STRING },
          encryptionKey: new Key(stack, 'RulesKey'),
        }),
      },
    }));
    const lines = allowed(template).filter((line) => /<(?:Prices|Rules|RulesKey)>/.test(line));
    expect(lines).toEqual([
      'dynamodb:BatchGetItem <Prices>',
      'dynamodb:Scan <Rules>',
      'kms:Decrypt <RulesKey>',
      'kms:DescribeKey <RulesKey>',
    ]);
    const functions = Object.values(template.findResources('AWS::Lambda::Function')) as {
      Properties: { Environment?: { Variables?: Record<string, unknown> } };
    }[];
    const named = functions.flatMap(({ Properties }) => Object.keys(Properties.Environment?.Variables ?? {}));
    expect(named.filter((name) => name.startsWith('TIDEMARK_LOOKUP_'))).toEqual([
      'TIDEMARK_LOOKUP_PRICES',
      'TIDEMARK_LOOKUP_RULES',
    ]);
  });
});
