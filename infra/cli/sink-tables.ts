import { writeFileSync } from 'node:fs';
import { paginateScan, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { sinkVariable } from '../../shared/lambda/environment.ts';
import { sinksOf, type DynamoDbSink, type PipelineDefinition } from '../../shared/pipeline/definition.ts';
import { decodeDocument } from '../../shared/state/document-codec.ts';
import type { LocalPipeline } from '../local/local-cloud.ts';
import { stateLine, type KeyState } from './state-lines.ts';

/** What a pipeline has put into a table for others to read. */
export interface SinkTable {
  /** Its logical name. */
  readonly name: string;
  /** Partition key and value of each item, in the order of the keys' UTF-16 code units. */
  readonly rows: readonly KeyState[];
}

/** Reads the tables that a pipeline's sinks fill, each once. */
export async function readSinkTables(
  client: DynamoDBClient,
  { stack, resources }: LocalPipeline,
  definition: PipelineDefinition,
): Promise<SinkTable[]> {
  const environment = stack.functions.find(({ name }) => name === resources.functionName)?.environment ?? {};
  const names = new Map<string, string>();
  for (const sink of sinksOf(definition)) {
    if (!isTable(sink)) continue;
    const physicalName = environment[sinkVariable(sink.name)];
    if (physicalName !== undefined) names.set(physicalName, sink.table);
  }
  return Promise.all([...names].map(async ([table, name]) => ({ name, rows: await rowsOf(client, table) })));
}

function isTable(sink: { readonly kind: string }): sink is DynamoDbSink {
  return sink.kind === 'dynamodb';
}

/** Reads one of them, by its physical name. */
export async function rowsOf(client: DynamoDBClient, table: string): Promise<KeyState[]> {
  const rows: KeyState[] = [];
  for await (const { Items = [] } of paginateScan({ client }, { TableName: table, ConsistentRead: true })) {
    for (const { pk, value } of Items) {
      if (value !== undefined) rows.push({ key: pk?.S ?? '', state: decodeDocument(value) });
    }
  }
  return rows.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Writes one `{"table","key","value"}` a line. */
export function dumpTables(file: string, tables: readonly SinkTable[]): void {
  const lines = tables.flatMap(({ name, rows }) =>
    rows.map((row) => {
      const { key, state } = JSON.parse(stateLine(row)) as { readonly key: string; readonly state: unknown };
      return `${JSON.stringify({ table: name, key, value: state })}\n`;
    }),
  );
  writeFileSync(file, lines.join(''));
}
