import { Stack, Validations } from 'aws-cdk-lib';
import { PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { LogGroup } from 'aws-cdk-lib/aws-logs';
import { CfnBucket, type Bucket } from 'aws-cdk-lib/aws-s3';
import { checkpointPrefix } from '../../shared/checkpoint/checkpoint-store.ts';
import { closedLetterPrefix, deadLetterPrefix } from '../../shared/output/s3-dead-letters.ts';
import type { TimeDomain } from '../../shared/pipeline/definition.ts';
import { DUE_INDEXES } from '../../shared/state/due-buckets.ts';
import { spilledPrefix } from '../../shared/state/spilled-states.ts';
import type { AnyTable } from './keyed-table.ts';
import type { SinkDestinations } from './sink-destinations.ts';

/**
 * What the engine does with its state table: loads, conditional writes by PartiQL, progress rows by UpdateItem, and
 * the transactions that make and change progress rows (a transaction needs the permissions of its parts). A checkpoint
 * scans it, and so does a rewind, to verify what it has restored by inserts; and BatchWriteItem removes the rows of
 * generations that were left.
 */
const STATE_ACTIONS = [
  'dynamodb:BatchGetItem',
  'dynamodb:BatchWriteItem',
  'dynamodb:ConditionCheckItem',
  'dynamodb:GetItem',
  'dynamodb:PartiQLInsert',
  'dynamodb:PartiQLUpdate',
  'dynamodb:PutItem',
  'dynamodb:Scan',
  'dynamodb:UpdateItem',
];

/**
 * A batch puts its dead letters; a redrive reads them and removes those that are done, which the bucket's versions keep
 * for some weeks. Listing its own folder tells it a letter that is gone from one that it may not see.
 */
const DEAD_LETTER_ACTIONS = ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'];
const SINK_TABLE_ACTIONS = ['dynamodb:PutItem'];

/**
 * Amazon DynamoDB, "Authorizing use of your customer managed key": what a writer needs of a table's key. Its wildcards
 * (`ReEncrypt*`, `GenerateDataKey*`) are written out.
 */
const TABLE_KEY_ACTIONS = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:GenerateDataKeyWithoutPlaintext',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** AWS Lambda, "Giving Lambda functions access to resources in an Amazon VPC": of the execution role; EC2 knows no resources there. */
const NETWORK_INTERFACE_ACTIONS = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
];

/** Amazon S3, "Using server-side encryption with AWS KMS keys": what reads and puts of objects need of a bucket's key. */
const BUCKET_KEY_ACTIONS = ['kms:Decrypt', 'kms:GenerateDataKey'];

/** What a pipeline's function touches. */
export interface PipelineResources {
  readonly pipelineName: string;
  readonly stream: IStream;
  readonly repartitionStream: IStream | undefined;
  readonly stateTable: AnyTable;
  /** By which times its items wait: the table has an index of what is due by each. */
  readonly waitsFor: readonly TimeDomain[];
  readonly bucket: Bucket;
  readonly sinks: SinkDestinations;
  /** Tables in which rows are looked up; of some all rows are read. */
  readonly lookups: readonly { readonly table: AnyTable; readonly isWhole: boolean }[];
  readonly logGroup: LogGroup;
  /** Of what was made for the pipeline: its tables, its bucket, its streams. */
  readonly encryptionKey: IKey | undefined;
  /** Whether Lambda makes network interfaces in the name of the role. */
  readonly isInVpc: boolean;
}

/** Allows the function exactly what its pipeline's description needs, and says why for each wildcard. */
export function grantPipeline(role: Role, resources: PipelineResources): void {
  const { tableArn } = resources.stateTable;
  allow(role, STATE_ACTIONS, tableArn);
  resources.encryptionKey?.grant(role, ...TABLE_KEY_ACTIONS);
  resources.bucket.encryptionKey?.grant(role, ...BUCKET_KEY_ACTIONS);
  // The sweep asks the indexes alone; the items themselves are loaded like any other.
  for (const domain of resources.waitsFor)
    allow(role, ['dynamodb:Query'], `${tableArn}/index/${DUE_INDEXES[domain].name}`);

  const ownLetters = `${deadLetterPrefix(resources.pipelineName)}*`;
  allow(role, DEAD_LETTER_ACTIONS, resources.bucket.arnForObjects(ownLetters));
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['s3:ListBucket'],
      resources: [resources.bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': ownLetters } },
    }),
  );

  const closedLetters = `${closedLetterPrefix(resources.pipelineName)}*`;
  allow(role, ['s3:GetObject', 's3:PutObject'], resources.bucket.arnForObjects(closedLetters));
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['s3:ListBucket'],
      resources: [resources.bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': closedLetters } },
    }),
  );

  const spilled = `${spilledPrefix(resources.pipelineName)}*`;
  allow(role, ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'], resources.bucket.arnForObjects(spilled));
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['s3:ListBucket'],
      resources: [resources.bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': spilled } },
    }),
  );

  const checkpoints = `${checkpointPrefix(resources.pipelineName)}*`;
  allow(
    role,
    ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'],
    resources.bucket.arnForObjects(checkpoints),
  );
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['s3:ListBucket'],
      resources: [resources.bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': checkpoints } },
    }),
  );

  // Covers the customer's key of an encrypted stream; Lambda polls in the name of this role.
  resources.stream.grantRead(role);

  const { repartitionStream } = resources;
  repartitionStream?.grantRead(role);

  const written = [...resources.sinks.streams.values(), ...(repartitionStream ? [repartitionStream] : [])];
  for (const stream of new Set(written)) {
    allow(role, ['kinesis:PutRecords'], stream.streamArn);
    stream.encryptionKey?.grant(role, 'kms:GenerateDataKey');
  }
  for (const table of new Set(resources.sinks.tables.values())) {
    allow(role, SINK_TABLE_ACTIONS, table.tableArn);
    table.encryptionKey?.grant(role, ...TABLE_KEY_ACTIONS);
  }

  for (const { table, isWhole } of resources.lookups) {
    allow(role, [isWhole ? 'dynamodb:Scan' : 'dynamodb:BatchGetItem'], table.tableArn);
    table.encryptionKey?.grant(role, 'kms:Decrypt', 'kms:DescribeKey');
  }

  resources.logGroup.grantWrite(role);
  if (resources.isInVpc) allow(role, NETWORK_INTERFACE_ACTIONS, '*');

  acknowledgeWildcards(role, resources.bucket, resources.pipelineName);
}

function allow(role: Role, actions: string[], resource: string): void {
  role.addToPrincipalPolicy(new PolicyStatement({ actions, resources: [resource] }));
}

function acknowledgeWildcards(role: Role, bucket: Bucket, pipelineName: string): void {
  const resource = bucket.node.defaultChild;
  if (!(resource instanceof CfnBucket)) {
    throw new Error(`${bucket.node.path} has no AWS::S3::Bucket to allow writing to.`);
  }
  const bucketId = Stack.of(bucket).getLogicalId(resource);
  Validations.of(role).acknowledge(
    {
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'xray:PutTraceSegments and xray:PutTelemetryRecords know no resources: AWS accepts them for every resource ' +
        'or for none. In a VPC the same holds for the network interfaces that Lambda makes for the function.',
    },
    {
      id: `AwsSolutions-IAM5[Resource::<${bucketId}.Arn>/${deadLetterPrefix(pipelineName)}*]`,
      reason:
        "A dead letter's object key holds generation, shard, position and key, which are not known before it is " +
        'written; the wildcard ends inside the folder of this pipeline.',
    },
    {
      id: `AwsSolutions-IAM5[Resource::<${bucketId}.Arn>/${closedLetterPrefix(pipelineName)}*]`,
      reason:
        'A closed letter keeps the name of the dead letter that it was; the wildcard ends inside the folder of this ' +
        'pipeline.',
    },
    {
      id: `AwsSolutions-IAM5[Resource::<${bucketId}.Arn>/${checkpointPrefix(pipelineName)}*]`,
      reason:
        "A checkpoint's objects lie in a folder whose name holds the time at which it was begun; the wildcard ends " +
        'inside the folder of this pipeline.',
    },
    {
      id: `AwsSolutions-IAM5[Resource::<${bucketId}.Arn>/${spilledPrefix(pipelineName)}*]`,
      reason:
        "The key of an object with spilled states holds generation, revision and hashes of the item's key and of the " +
        'states, which are not known before it is written; the wildcard ends inside the folder of this pipeline.',
    },
  );
}
