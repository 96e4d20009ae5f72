import { describe, expect, it } from 'vitest';
import { dataTemplates } from '../../../infra/deploy/localstack-ground.ts';
import { readCloudAssembly } from '../../../infra/local/provision/cloud-assembly.ts';
import { synthesizePipelines } from '../../../infra/synthesis.ts';
import { ordersPipeline, SMALL_HANDLER_FILE } from '../cdk/fixtures/orders-pipeline.ts';
import { temporaryFolder } from '../cdk/fixtures/orders-stack.ts';

describe('what LocalStack makes where functions run beside it', () => {
  const outdir = (): string => {
    const folder = temporaryFolder();
    const orders = { pipeline: ordersPipeline(), handlerFile: SMALL_HANDLER_FILE };
    synthesizePipelines([orders], { outdir: folder, checkSchemas: false });
    return folder;
  };

  it('is what holds data, and nothing that is to be resolved', () => {
    const [template] = dataTemplates(readCloudAssembly(outdir()), 'http://127.0.0.1:4566');

    expect(template?.stackName).toBe('Tidemark-orders');
    const types = new Set(Object.values(template?.Resources ?? {}).map(({ Type }) => Type));
    expect([...types].sort()).toEqual([
      'AWS::DynamoDB::GlobalTable',
      'AWS::Kinesis::Stream',
      'AWS::S3::Bucket',
    ]);
    expect(JSON.stringify(template)).not.toMatch(/"(Ref|Fn::\w+)":/);
  });

  it('is named, so that it is found', () => {
    const [template] = dataTemplates(readCloudAssembly(outdir()), 'http://127.0.0.1:4566');

    for (const { Properties = {} } of Object.values(template?.Resources ?? {})) {
      const names = ['Name', 'TableName', 'BucketName'].flatMap((name) => Properties[name] ?? []);
      expect(names).toEqual([expect.stringMatching(/^tidemark-orders-/i)]);
    }
  });
});
