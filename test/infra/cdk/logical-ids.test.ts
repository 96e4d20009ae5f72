import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PIPELINES } from '../../../infra/pipelines.ts';
import { stackIdOf } from '../../../infra/stack-names.ts';
import { synthesizePipelines } from '../../../infra/synthesis.ts';
import { temporaryFolder } from './fixtures/orders-stack.ts';

/** Logical ids of what holds data, by stack, with their types. */
type StatefulIds = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A resource of one of these under another id is another resource, and an empty one. */
const STATEFUL_TYPES = new Set([
  'AWS::DynamoDB::GlobalTable',
  'AWS::DynamoDB::Table',
  'AWS::Kinesis::Stream',
  'AWS::KMS::Key',
  'AWS::S3::Bucket',
  'AWS::SNS::Topic',
  'AWS::SQS::Queue',
  // Holds how far the stream was read: a new one begins anew.
  'AWS::Lambda::EventSourceMapping',
]);

const FILE = new URL('fixtures/logical-ids.json', import.meta.url);

function synthesizedIds(): StatefulIds {
  const { stacks } = synthesizePipelines(PIPELINES, { outdir: temporaryFolder(), checkSchemas: false });
  return Object.fromEntries(
    stacks.map(({ id, template }) => {
      const { Resources } = template as { Resources: Record<string, { Type: string }> };
      const stateful = Object.entries(Resources)
        .filter(([, { Type }]) => STATEFUL_TYPES.has(Type))
        .sort(([a], [b]) => (a < b ? -1 : 1));
      return [id, Object.fromEntries(stateful.map(([logicalId, { Type }]) => [logicalId, Type]))];
    }),
  );
}

/** What a deployment would do to data, one sentence each. */
function changes(known: StatefulIds, found: StatefulIds): string[] {
  return [...new Set([...Object.keys(known), ...Object.keys(found)])].flatMap((stack) => {
    const before = known[stack] ?? {};
    const after = found[stack] ?? {};
    const gone = Object.keys(before).filter((id) => after[id] !== before[id]);
    const come = Object.keys(after).filter((id) => after[id] !== before[id]);
    return [
      ...gone.map(
        (id) =>
          `${stack}: ${before[id]} ${id} is gone. A deployment would leave it and its data behind, and go on with ` +
          'another that is empty: give the construct its former id and scope back.',
      ),
      ...come.map(
        (id) =>
          `${stack}: ${after[id]} ${id} is new. Where nothing is gone beside it, add it to fixtures/logical-ids.json: ` +
          'from then on it keeps its id.',
      ),
    ];
  });
}

describe('the logical ids of what holds data', () => {
  it('are those with which the pipelines were deployed before', () => {
    const known = JSON.parse(readFileSync(FILE, 'utf8')) as StatefulIds;

    expect(changes(known, synthesizedIds())).toEqual([]);
    expect(Object.keys(known).sort()).toEqual(
      PIPELINES.map(({ pipeline }) => stackIdOf(pipeline.definition.name)).sort(),
    );
  });

  it('are told when one changes, with what that would do', () => {
    const known = { A: { Table1: 'AWS::DynamoDB::GlobalTable', Bucket1: 'AWS::S3::Bucket' } };
    const found = { A: { Table2: 'AWS::DynamoDB::GlobalTable', Bucket1: 'AWS::S3::Bucket' } };

    expect(changes(known, known)).toEqual([]);
    expect(changes(known, found)).toEqual([
      expect.stringMatching(
        /^A: AWS::DynamoDB::GlobalTable Table1 is gone\. .* give the construct its former id/,
      ),
      expect.stringMatching(/^A: AWS::DynamoDB::GlobalTable Table2 is new\./),
    ]);
    expect(changes(known, {})).toHaveLength(2);
  });
});
