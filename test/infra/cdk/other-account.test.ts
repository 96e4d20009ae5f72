import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Stream } from 'aws-cdk-lib/aws-kinesis';
import { describe, expect, it } from 'vitest';
import { StatefulPipeline } from '../../../infra/constructs/stateful-pipeline.ts';
import { ordersPipeline, SMALL_HANDLER_FILE } from './fixtures/orders-pipeline.ts';
import { temporaryFolder } from './fixtures/orders-stack.ts';

const [OWN, OTHER] = ['111111111111', '222222222222'];
const REGION = 'eu-west-1';

function arn(account: string, region = REGION): string {
  return `arn:aws:kinesis:${region}:${account}:stream/orders`;
}

interface Made {
  readonly stack: Stack;
  readonly template: Template;
}

function synthesize(
  settings: (stack: Stack) => object,
  env?: { readonly account: string; readonly region: string },
): Made {
  const app = new App({ outdir: temporaryFolder(), builtinCloudFormationValidation: false });
  const stack = new Stack(app, 'Test', env === undefined ? {} : { env });
  new StatefulPipeline(stack, 'Pipeline', {
    pipeline: ordersPipeline(),
    handlerFile: SMALL_HANDLER_FILE,
    ...settings(stack),
  });
  return { stack, template: Template.fromStack(stack) };
}

function reading(streamArn: string, env?: { readonly account: string; readonly region: string }): Made {
  return synthesize((stack) => ({ stream: Stream.fromStreamArn(stack, 'Read', streamArn) }), env);
}

function notes({ stack }: Made): string[] {
  return Annotations.fromStack(stack)
    .findInfo('*', Match.stringLikeRegexp('resource policy'))
    .map(({ entry }) => entry.data as string);
}

interface Statement {
  readonly Effect?: string;
  readonly Principal?: unknown;
  readonly Action: readonly string[];
  readonly Resource: unknown;
}

function statementOf(note: string): Statement {
  const policy = JSON.parse(note.slice(note.indexOf('{'))) as { Statement: [Statement] };
  return policy.Statement[0];
}

describe('a source stream of another account', () => {
  it('comes with a note of the resource policy that its owner has to set: what the function may read, and no more', () => {
    const made = reading(arn(OTHER), { account: OWN, region: REGION });
    const [note = '', ...more] = notes(made);
    expect(more).toEqual([]);
    expect(note).toContain(
      `The source stream orders is of account ${OTHER}. Its owner has to set this resource policy on it before`,
    );
    const statement = statementOf(note);
    expect(statement).toMatchObject({
      Effect: 'Allow',
      Principal: { AWS: `arn:aws:iam::${OWN}:root` },
      Resource: arn(OTHER),
    });
    // Both sides must allow it: the function's role has the same of the same stream.
    const [role] = Object.values(made.template.findResources('AWS::IAM::Policy')) as {
      readonly Properties: { readonly PolicyDocument: { readonly Statement: readonly Statement[] } };
    }[];
    const allowed = role?.Properties.PolicyDocument.Statement.filter(
      ({ Resource }) => Resource === arn(OTHER),
    );
    expect(allowed).toHaveLength(1);
    expect(statement.Action).toContain('kinesis:GetRecords');
    expect(allowed?.[0]?.Action).toEqual(expect.arrayContaining([...statement.Action]));
  });

  it('may be one where the own account is not known', () => {
    const [note = ''] = notes(reading(arn(OTHER)));
    expect(note).toContain('unless the pipeline is deployed there');
    expect(statementOf(note).Principal).toEqual({ AWS: 'arn:aws:iam::<account of the pipeline>:root' });
  });

  it('is none where it is of this account, or made here', () => {
    expect(notes(reading(arn(OWN), { account: OWN, region: REGION }))).toEqual([]);
    expect(notes(synthesize(() => ({})))).toEqual([]);
  });

  it('is refused in another region, which Lambda does not read from', () => {
    expect(() => reading(arn(OTHER, 'us-east-1'), { account: OWN, region: REGION })).toThrow(
      'The source stream is in region us-east-1, and the stack in eu-west-1',
    );
    // Nobody knows yet.
    expect(() => reading(arn(OTHER, 'us-east-1'))).not.toThrow();
  });
});

describe('a sink of another account', () => {
  const env = { account: OWN, region: REGION };
  const writing = (account: string) =>
    synthesize(
      (stack) => ({ sinkStreams: { totals: Stream.fromStreamArn(stack, 'Written', arn(account)) } }),
      env,
    );

  it('is refused: outputs are put by name', () => {
    expect(() => writing(OTHER)).toThrow(
      `The stream of sink "totals" is in account ${OTHER}, and the stack in ${OWN}: outputs are put by the stream's name`,
    );
    expect(() => writing(OWN)).not.toThrow();
  });

  it('is refused of a table too', () => {
    const tableArn = `arn:aws:dynamodb:${REGION}:${OTHER}:table/latest`;
    expect(() =>
      synthesize((stack) => ({ sinkTables: { latest: TableV2.fromTableArn(stack, 'Rows', tableArn) } }), env),
    ).toThrow(`The table of sink "latest" is in account ${OTHER}`);
  });
});
