import type { Pipeline, PipelineDefinition, Row } from '../pipeline/definition.ts';
import type { LookupPort } from './lookup-port.ts';

/** Rows by table and key. */
export type LookupTables = Readonly<Record<string, Readonly<Record<string, Row>>>>;

/** The pipeline with tables in which its tests look rows up. */
export function withTables({ definition }: Pipeline, tables: LookupTables): Pipeline {
  const keyedStages = definition.keyedStages.map((stage) => {
    if (stage.kind !== 'lookup') return stage;
    const rows = tables[stage.lookup.table];
    return rows === undefined ? stage : { ...stage, rows };
  });
  return { definition: { ...definition, keyedStages } };
}

/** What `withTables` has put into it. */
export function tablesIn({ keyedStages }: PipelineDefinition): LookupTables {
  return Object.fromEntries(
    keyedStages.flatMap((stage) =>
      stage.kind === 'lookup' && stage.rows !== undefined ? [[stage.lookup.table, stage.rows]] : [],
    ),
  );
}

/** Tables in memory, for tests. */
export class MemoryLookup implements LookupPort {
  readonly #tables: LookupTables;

  constructor(tables: LookupTables) {
    this.#tables = tables;
  }

  async get(table: string, _: string, keys: readonly string[]): Promise<ReadonlyMap<string, Row>> {
    const rows = this.#rowsOf(table);
    return new Map(keys.flatMap((key) => (Object.hasOwn(rows, key) ? [[key, rows[key] as Row]] : [])));
  }

  async all(table: string): Promise<ReadonlyMap<string, Row>> {
    return new Map(Object.entries(this.#rowsOf(table)));
  }

  #rowsOf(table: string): Readonly<Record<string, Row>> {
    const rows = this.#tables[table];
    if (rows === undefined) {
      const known = Object.keys(this.#tables).map((name) => `'${name}'`);
      throw new Error(
        `There is no table '${table}' to look up; there is ${known.join(', ') || 'none'}. A test gives its rows with ` +
          '`testPipeline(pipeline, { tables })`.',
      );
    }
    return rows;
  }
}
