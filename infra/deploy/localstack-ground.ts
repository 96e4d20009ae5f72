import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  AlreadyExistsException,
  CloudFormationClient,
  CreateStackCommand,
  DeleteStackCommand,
  waitUntilStackCreateComplete,
  waitUntilStackDeleteComplete,
} from '@aws-sdk/client-cloudformation';
import { createEngineClients, destroyEngineClients } from '../local/engines/engine-clients.ts';
import type { Engines } from '../local/engines/engines.ts';
import { LOCAL_ACCOUNT, LOCAL_CREDENTIALS, LOCAL_REGION } from '../local/engines/local-account.ts';
import type { LocalGround } from '../local/local-ground.ts';
import { type CloudAssembly, readCloudAssembly } from '../local/provision/cloud-assembly.ts';
import { localIdentities } from '../local/provision/local-identities.ts';
import { removeStacks } from '../local/provision/remove-stacks.ts';
import { resolveTemplate } from '../local/template/resolved-template.ts';
import type { TemplateResource } from '../local/template/template.ts';
import { synthesize } from '../app.ts';
import type { SynthesisOptions } from '../synthesis.ts';

/** What LocalStack is to make, with the property that names it: all that holds data. */
const NAME_PROPERTY: ReadonlyMap<string, string> = new Map([
  ['AWS::Kinesis::Stream', 'Name'],
  ['AWS::DynamoDB::Table', 'TableName'],
  ['AWS::DynamoDB::GlobalTable', 'TableName'],
  ['AWS::S3::Bucket', 'BucketName'],
  ['AWS::SQS::Queue', 'QueueName'],
]);

/** Longer than a machine with other things to do takes for a dozen resources. */
const STACK_LIMIT_SECONDS = 300;

/** A template with nothing left to resolve. */
export interface DataTemplate {
  readonly stackName: string;
  readonly Resources: Readonly<Record<string, TemplateResource>>;
}

/**
 * The ground of a cloud whose functions and mappings run in this process, on the streams, tables and buckets that
 * LocalStack's CloudFormation makes of the synthesized templates: for a LocalStack without Docker, which cannot run
 * functions.
 * @throws Error when the app cannot be synthesized or CloudFormation fails; what was made until then is removed.
 */
export async function startLocalStackGround(
  endpoint: string,
  options: Pick<SynthesisOptions, 'pipelines' | 'overrides'>,
): Promise<LocalGround> {
  const assemblyDirectory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-localstack-'));
  const client = new CloudFormationClient({
    endpoint,
    region: LOCAL_REGION,
    credentials: LOCAL_CREDENTIALS,
  });
  const engines = enginesAt(endpoint);
  const created: string[] = [];
  const release: LocalGround['release'] = async (stacks) => {
    // What the templates keep when their stack goes.
    await removeStacks(engines.clients(), stacks);
    for (const stackName of created.toReversed()) await deleteStack(client, stackName);
    client.destroy();
    await engines.stop();
    rmSync(assemblyDirectory, { recursive: true, force: true });
  };
  try {
    synthesize({ ...options, checkSchemas: false, outdir: assemblyDirectory });
    for (const { stackName, Resources } of dataTemplates(readCloudAssembly(assemblyDirectory), endpoint)) {
      await createStack(client, stackName, JSON.stringify({ Resources }));
      created.push(stackName);
      await waitUntilStackCreateComplete(
        { client, minDelay: 1, maxDelay: 2, maxWaitTime: STACK_LIMIT_SECONDS },
        { StackName: stackName },
      );
    }
  } catch (error) {
    await release([]);
    throw error;
  }
  return { engines, assemblyDirectory, release };
}

/**
 * Of each stack what holds data, resolved and named as the local cloud names it, which then finds it there: each stack
 * behind those whose exports it reads.
 */
export function dataTemplates(assembly: CloudAssembly, endpoint: string): DataTemplate[] {
  const imports = new Map<string, unknown>();
  return assembly.stacks.map(({ stackName, template }) => {
    const place = { stackName, region: LOCAL_REGION, account: LOCAL_ACCOUNT };
    const identify = localIdentities({ ...place, sqsEndpoint: endpoint });
    const { resources, exports } = resolveTemplate(template, { ...place, imports, identify });
    for (const [name, value] of exports) imports.set(name, value);
    const held = resources.flatMap(({ logicalId, type, ref, properties }) => {
      const nameProperty = NAME_PROPERTY.get(type);
      if (nameProperty === undefined) return [];
      return [[logicalId, { Type: type, Properties: { ...properties, [nameProperty]: ref } }] as const];
    });
    return { stackName, Resources: Object.fromEntries(held) };
  });
}

/** @throws Error where somebody has deployed it there: their data is not ours to test with, and to remove. */
async function createStack(
  client: CloudFormationClient,
  StackName: string,
  TemplateBody: string,
): Promise<void> {
  try {
    await client.send(new CreateStackCommand({ StackName, TemplateBody }));
  } catch (error) {
    if (!(error instanceof AlreadyExistsException)) throw error;
    throw new Error(
      `LocalStack has a stack ${StackName} already. Delete it first, or use another LocalStack.`,
      { cause: error },
    );
  }
}

async function deleteStack(client: CloudFormationClient, StackName: string): Promise<void> {
  await client.send(new DeleteStackCommand({ StackName }));
  await waitUntilStackDeleteComplete(
    { client, minDelay: 1, maxDelay: 2, maxWaitTime: STACK_LIMIT_SECONDS },
    { StackName },
  );
}

/** LocalStack in the place of the embedded engines: all services behind one endpoint. */
function enginesAt(endpoint: string): Engines {
  const endpoints = { kinesis: endpoint, dynamodb: endpoint, s3: endpoint, sqs: endpoint };
  const clients = createEngineClients(endpoints);
  return {
    endpoints,
    // What LocalStack has behind its DynamoDB.
    dynamoKind: 'dynamodb-local',
    supportsPartiql: true,
    processIds: [],
    clients: () => clients,
    stop: async () => destroyEngineClients(clients),
  };
}
