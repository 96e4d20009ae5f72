import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  CloudFormationClient,
  DescribeStacksCommand,
  type DescribeStacksCommandOutput,
} from '@aws-sdk/client-cloudformation';
import { DeleteObjectsCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { RemovalPolicy } from 'aws-cdk-lib';
import { synthesize } from '../../infra/app.ts';
import { chainTo, nameOf } from '../../infra/chain.ts';
import { bootstrap, deploy, destroy, type CdkCommandOptions } from '../../infra/deploy/cdk-command.ts';
import { PIPELINES } from '../../infra/pipelines.ts';
import { OUTPUTS, stackIdOf } from '../../infra/stack-names.ts';
import type { SynthesisOptions } from '../../infra/synthesis.ts';
import type { Ability, Cloud } from './cloud.ts';

export interface DeployedCloudOptions {
  readonly name: string;
  readonly cannot: Readonly<Partial<Record<Ability, string>>>;
  /** By which the stacks of this run are told from all others in the account. */
  readonly environment: string;
  /** What says where AWS is, over what this process has. */
  readonly variables: Readonly<Record<string, string>>;
  /** Settings without which the cloud cannot do what it is asked for, over those of the suite. */
  readonly overrides?: NonNullable<SynthesisOptions['overrides']>;
  /** `aws://<account>/<region>`, to be bootstrapped first; an account of people's is bootstrapped by them. */
  readonly bootstrap?: string;
}

/** A cloud to which the app is deployed as a person does it: by CDK, through CloudFormation, with its assets. */
export function deployedCloud(options: DeployedCloudOptions): Cloud {
  const { name, cannot, environment, variables } = options;
  const assemblyDirectory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-deployed-'));
  const cdk: CdkCommandOptions = { assemblyDirectory, environment: variables, onLine: () => undefined };
  const before = new Map(Object.keys(variables).map((key) => [key, process.env[key]]));
  let stackNames: string[] = [];
  return {
    name,
    cannot,
    where: { env: environment },
    up: async (app) => {
      // What clients in this process, the operator's command among them, read by themselves.
      Object.assign(process.env, variables);
      const { overrides, pipelines = [] } = app;
      stackNames = [...new Set(pipelines.flatMap((each) => chainTo(PIPELINES, each).map(nameOf)))].map(
        (each) => stackIdOf(each, environment),
      );
      synthesize({
        pipelines,
        environment,
        outdir: assemblyDirectory,
        // Nothing of a test is kept.
        overrides: { ...overrides, ...options.overrides, removalPolicy: RemovalPolicy.DESTROY },
      });
      if (options.bootstrap !== undefined) await bootstrap(options.bootstrap, cdk);
      await deploy(cdk);
    },
    down: async () => {
      try {
        for (const stackName of stackNames) await emptyBucketOf(stackName);
        await destroy(cdk);
      } finally {
        rmSync(assemblyDirectory, { recursive: true, force: true });
        for (const [key, value] of before) {
          if (value === undefined) delete process.env[key];
          else process.env[key] = value;
        }
      }
    },
  };
}

/** CloudFormation deletes no bucket that holds something, be it an earlier version. */
async function emptyBucketOf(StackName: string): Promise<void> {
  const cloudFormation = new CloudFormationClient({});
  const client = new S3Client({});
  try {
    const found = await cloudFormation
      .send(new DescribeStacksCommand({ StackName }))
      // It never came to be.
      .catch((): Partial<DescribeStacksCommandOutput> => ({}));
    const outputs = found.Stacks?.[0]?.Outputs ?? [];
    const Bucket = outputs.find(({ OutputKey }) => OutputKey === OUTPUTS.bucket)?.OutputValue;
    if (Bucket === undefined) return;
    for (;;) {
      const { Versions = [], DeleteMarkers = [] } = await client.send(
        new ListObjectVersionsCommand({ Bucket }),
      );
      const Objects = [...Versions, ...DeleteMarkers].flatMap(({ Key, VersionId }) =>
        Key === undefined ? [] : [{ Key, VersionId }],
      );
      if (Objects.length === 0) return;
      await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    }
  } finally {
    cloudFormation.destroy();
    client.destroy();
  }
}
