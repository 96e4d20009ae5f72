import { createHash } from 'node:crypto';
import type { Identify, ResolvedResource } from '../template/resource-identity.ts';
import { physicalName } from './physical-name.ts';
import { Properties } from './properties.ts';

export interface IdentityOptions {
  readonly stackName: string;
  readonly region: string;
  readonly account: string;
  /** `http://127.0.0.1:<port>`; a queue's `Ref` is its URL. */
  readonly sqsEndpoint: string;
}

/** The longest names that each service takes (its API reference, under the name's pattern). */
const LONGEST = { stream: 128, table: 255, bucket: 63, queue: 80, function: 64, rule: 64 } as const;

/** The resource types that have a meaning on this machine, with what `Ref` and `Fn::GetAtt` give for each. */
export function localIdentities(options: IdentityOptions): ReadonlyMap<string, Identify> {
  const { stackName, region, account, sqsEndpoint } = options;
  const arn = (service: string, resource: string) => `arn:aws:${service}:${region}:${account}:${resource}`;
  const nameOf = (resource: ResolvedResource, property: string, longest: number, lowerCase = false) =>
    Properties.of(resource).text(property) ??
    physicalName(stackName, resource.logicalId, { longest, lowerCase });

  const table: Identify = (resource) => {
    const name = nameOf(resource, 'TableName', LONGEST.table);
    const tableArn = arn('dynamodb', `table/${name}`);
    return {
      ref: name,
      attributes: { Arn: tableArn, TableId: uuidOf(tableArn), StreamArn: `${tableArn}/stream/local` },
    };
  };

  return new Map<string, Identify>([
    [
      'AWS::Kinesis::Stream',
      (resource) => {
        const name = nameOf(resource, 'Name', LONGEST.stream);
        return { ref: name, attributes: { Arn: arn('kinesis', `stream/${name}`) } };
      },
    ],
    ['AWS::DynamoDB::Table', table],
    ['AWS::DynamoDB::GlobalTable', table],
    [
      'AWS::S3::Bucket',
      (resource) => {
        const name = nameOf(resource, 'BucketName', LONGEST.bucket, true);
        return {
          ref: name,
          attributes: {
            Arn: `arn:aws:s3:::${name}`,
            DomainName: `${name}.s3.amazonaws.com`,
            DualStackDomainName: `${name}.s3.dualstack.${region}.amazonaws.com`,
            RegionalDomainName: `${name}.s3.${region}.amazonaws.com`,
          },
        };
      },
    ],
    [
      'AWS::SQS::Queue',
      (resource) => {
        const suffix = Properties.of(resource).boolean('FifoQueue') === true ? '.fifo' : '';
        const own = Properties.of(resource).text('QueueName');
        const longest = LONGEST.queue - suffix.length;
        const name = own ?? physicalName(stackName, resource.logicalId, { longest }) + suffix;
        const url = `${sqsEndpoint}/${account}/${name}`;
        return { ref: url, attributes: { Arn: arn('sqs', name), QueueName: name, QueueUrl: url } };
      },
    ],
    [
      'AWS::Lambda::Function',
      (resource) => {
        const name = nameOf(resource, 'FunctionName', LONGEST.function);
        return { ref: name, attributes: { Arn: arn('lambda', `function:${name}`) } };
      },
    ],
    [
      'AWS::Lambda::EventSourceMapping',
      ({ logicalId }) => {
        const id = uuidOf(`${stackName}/${logicalId}`);
        return {
          ref: id,
          attributes: { Id: id, EventSourceMappingArn: arn('lambda', `event-source-mapping:${id}`) },
        };
      },
    ],
    [
      'AWS::Events::Rule',
      (resource) => {
        const name = nameOf(resource, 'Name', LONGEST.rule);
        return { ref: name, attributes: { Arn: arn('events', `rule/${name}`) } };
      },
    ],
    [
      'AWS::Scheduler::Schedule',
      (resource) => {
        const name = nameOf(resource, 'Name', LONGEST.rule);
        return { ref: name, attributes: { Arn: arn('scheduler', `schedule/default/${name}`) } };
      },
    ],
  ]);
}

/** An identifier in a UUID's form that is the same for the same text. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}
