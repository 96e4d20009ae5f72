import {
  type AttributeDefinition,
  CreateTableCommand,
  type CreateTableCommandInput,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  type DynamoDBClient,
  type KeySchemaElement,
  ResourceInUseException,
  type TableDescription,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import type { DynamoKind } from '../engines/engines.ts';
import type { IdentifiedResource } from '../template/resolved-template.ts';
import { Properties } from './properties.ts';
import { untilActive } from './until-active.ts';

export interface LocalTable {
  readonly logicalId: string;
  readonly name: string;
  readonly arn: string;
  readonly creation: CreateTableCommandInput;
  readonly timeToLiveAttribute: string | undefined;
}

/**
 * Reads a table of either resource type. Throughput, encryption, backups, replicas and tags are left out: nothing here
 * limits, encrypts, backs up or replicates.
 */
export function describeTable(resource: IdentifiedResource): LocalTable {
  const properties = Properties.of(resource);
  const timeToLive = properties.inner('TimeToLiveSpecification');
  const streamView = properties.inner('StreamSpecification')?.text('StreamViewType');
  const globalIndexes = readIndexes(properties, 'GlobalSecondaryIndexes');
  const localIndexes = readIndexes(properties, 'LocalSecondaryIndexes');
  return {
    logicalId: resource.logicalId,
    name: resource.ref,
    arn: resource.attributes['Arn'] ?? '',
    creation: {
      TableName: resource.ref,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: properties.list('AttributeDefinitions').map((definition) => ({
        AttributeName: definition.requiredText('AttributeName'),
        AttributeType: definition.requiredText('AttributeType') as AttributeDefinition['AttributeType'],
      })),
      KeySchema: readKeySchema(properties),
      ...(globalIndexes.length > 0 && { GlobalSecondaryIndexes: globalIndexes }),
      ...(localIndexes.length > 0 && { LocalSecondaryIndexes: localIndexes }),
      ...(streamView !== undefined && {
        StreamSpecification: {
          StreamEnabled: true,
          StreamViewType: streamView as 'KEYS_ONLY' | 'NEW_IMAGE' | 'OLD_IMAGE' | 'NEW_AND_OLD_IMAGES',
        },
      }),
    },
    timeToLiveAttribute:
      timeToLive?.boolean('Enabled') === false ? undefined : timeToLive?.text('AttributeName'),
  };
}

/**
 * Makes the table unless it is there, waits until it is active and switches its time to live on.
 * @throws Error when a kept table has other keys or indexes than the template.
 */
export async function createTable(
  client: DynamoDBClient,
  table: LocalTable,
  kind: DynamoKind,
  onNotice: (text: string) => void,
): Promise<void> {
  const TableName = table.name;
  const { StreamSpecification, ...withoutStream } = table.creation;
  if (StreamSpecification !== undefined && kind === 'dynalite') {
    onNotice(`Table ${TableName} has no stream here: dynalite knows none.`);
  }
  try {
    await client.send(new CreateTableCommand(kind === 'dynalite' ? withoutStream : table.creation));
  } catch (error) {
    if (!(error instanceof ResourceInUseException)) throw error;
  }
  const describe = async () => (await client.send(new DescribeTableCommand({ TableName }))).Table;
  await untilActive(`Table ${TableName}`, async () => (await describe())?.TableStatus);
  refuseOtherShape(table, await describe());

  if (table.timeToLiveAttribute === undefined) return;
  if (kind === 'dynalite') {
    onNotice(`Items of table ${TableName} do not expire here: dynalite knows no time to live.`);
    return;
  }
  const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
  // DynamoDB refuses to switch on what is on already.
  if (TimeToLiveDescription?.TimeToLiveStatus?.startsWith('ENABL') === true) return;
  await client.send(
    new UpdateTimeToLiveCommand({
      TableName,
      TimeToLiveSpecification: { AttributeName: table.timeToLiveAttribute, Enabled: true },
    }),
  );
}

function readKeySchema(properties: Properties): KeySchemaElement[] {
  return properties.list('KeySchema').map((element) => ({
    AttributeName: element.requiredText('AttributeName'),
    KeyType: element.requiredText('KeyType') as KeySchemaElement['KeyType'],
  }));
}

function readIndexes(properties: Properties, name: string) {
  return properties.list(name).map((index) => ({
    IndexName: index.requiredText('IndexName'),
    KeySchema: readKeySchema(index),
    Projection: index.raw('Projection') ?? { ProjectionType: 'ALL' },
  }));
}

interface Shape {
  readonly KeySchema?: readonly KeySchemaElement[] | undefined;
  readonly GlobalSecondaryIndexes?: readonly Index[] | undefined;
  readonly LocalSecondaryIndexes?: readonly Index[] | undefined;
}

interface Index {
  readonly IndexName?: string | undefined;
  readonly KeySchema?: readonly KeySchemaElement[] | undefined;
}

/** The keys of a table and its indexes as one text: `pk | due: bucket, dueAt`. */
function shapeOf(table: Shape): string {
  const keys = (schema: Index['KeySchema']) =>
    (schema ?? [])
      .toSorted((a, b) => (a.KeyType === b.KeyType ? 0 : a.KeyType === 'HASH' ? -1 : 1))
      .map(({ AttributeName }) => AttributeName)
      .join(', ');
  const indexes = [...(table.GlobalSecondaryIndexes ?? []), ...(table.LocalSecondaryIndexes ?? [])]
    .map(({ IndexName, KeySchema }) => `${IndexName}: ${keys(KeySchema)}`)
    .sort();
  return [keys(table.KeySchema), ...indexes].join(' | ');
}

function refuseOtherShape(table: LocalTable, kept: TableDescription | undefined): void {
  const wanted = shapeOf(table.creation);
  const found = shapeOf(kept ?? {});
  if (wanted === found) return;
  throw new Error(
    `Table ${table.name} is kept from an earlier run with the keys "${found}", and the template wants "${wanted}". ` +
      'Start without the kept data, or remove its folder.',
  );
}
