import { Annotations, Arn, ArnFormat, Stack, Token } from 'aws-cdk-lib';
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import { sinksOf } from '../../shared/pipeline/definition.ts';
import type { StatefulPipelineProps } from './stateful-pipeline-props.ts';
import type { Construct } from 'constructs';

/** Where a stack or a resource is, where that is known when templates are made. */
interface Place {
  readonly account: string;
  readonly region: string;
}

/** Of what `grantRead` gives the function what is needed without enhanced fan-out: Lambda polls in the name of its role, and so do checkpoints and rewinds. */
const READ_ACTIONS = [
  'kinesis:DescribeStream',
  'kinesis:DescribeStreamSummary',
  'kinesis:GetRecords',
  'kinesis:GetShardIterator',
  'kinesis:ListShards',
];

/**
 * Amazon Kinesis and AWS Lambda: an event source mapping reads streams of its own region. Outputs are put by the name of
 * the stream or the table, which is looked for in the function's own account.
 * @param own as far as it is known: a stack without an environment finds out when it is deployed.
 */
export function* placeProblems({ pipeline, ...props }: StatefulPipelineProps, own: Place): Generator<string> {
  const region = known(props.stream?.env.region);
  if (region !== undefined && isOther(region, own.region)) {
    yield (
      `The source stream is in region ${region}, and the stack in ${own.region}: Lambda reads streams of its own region. ` +
      'Deploy the pipeline there.'
    );
  }
  for (const { name, kind } of sinksOf(pipeline.definition)) {
    const [what, env] =
      kind === 'kinesis'
        ? (['stream', props.sinkStreams?.[name]?.env] as const)
        : (['table', props.sinkTables?.[name]?.env] as const);
    for (const part of ['account', 'region'] as const) {
      const other = known(env?.[part]);
      if (other === undefined || !isOther(other, own[part])) continue;
      yield (
        `The ${what} of sink ${JSON.stringify(name)} is in ${part} ${other}, and the stack in ${own[part]}: outputs are put ` +
        `by the ${what}'s name, which is looked for in the function's own account and region. Give a ${what} of the ` +
        "pipeline's own, and let who wants the outputs elsewhere read it."
      );
    }
  }
}

/**
 * Notes the resource policy that the owner of the source stream has to set where that is of another account, before the
 * first deployment: without it the mapping cannot be made. It names the account of the pipeline and not the function's role,
 * which is not there yet, and in which account the role alone is allowed to read it. A note, since the command line shows it
 * at synthesis; an output would come with a deployment that has to fail first.
 */
export function notePolicyForOwner(scope: Construct, stream: IStream): void {
  const account = known(stream.env.account);
  const own = known(Stack.of(scope).account);
  if (account === undefined || account === own) return;
  // Of a stack in the same app it is known when that is deployed.
  const arn = known(stream.streamArn);
  const { partition = 'aws', resourceName = '' } =
    arn === undefined ? {} : Arn.split(arn, ArnFormat.SLASH_RESOURCE_NAME);
  const policy = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { AWS: `arn:${partition}:iam::${own ?? '<account of the pipeline>'}:root` },
        Action: READ_ACTIONS,
        Resource: arn ?? '<ARN of the stream>',
      },
    ],
  };
  const unless = own === undefined ? ', unless the pipeline is deployed there,' : '';
  Annotations.of(scope).addInfo(
    `The source stream ${resourceName} is of account ${account}. Its owner has to set this resource policy on it${unless} ` +
      `before the first deployment (aws kinesis put-resource-policy): ${JSON.stringify(policy)}`,
  );
}

function known(value: string | undefined): string | undefined {
  return value === undefined || Token.isUnresolved(value) ? undefined : value;
}

function isOther(value: string, own: string): boolean {
  return !Token.isUnresolved(own) && value !== own;
}
