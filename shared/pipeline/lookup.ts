import type { Lookup, LookupStage, Row } from './definition.ts';
import { secondsOf, type Duration } from './duration.ts';
import { requireName } from './name.ts';
import { requireSynchronous } from './synchronous.ts';

/** A DynamoDB table to look rows of type `R` up in. */
export interface LookupTable<R> {
  readonly table: string;
  readonly partitionKey: string;
  /** Only for the compiler: what a row is. */
  readonly row?: R;
}

/**
 * A table by its logical name; infra decides which one it is. A row comes as the plain object that its item is: numbers as
 * numbers, sets as arrays. Of a table that a `dynamodb` sink writes, the output is in `row.value`.
 * @param options.partitionKey the attribute that is its key, a string; `pk` unless given. It has no sort key.
 * @throws TypeError where a name cannot be used.
 */
export function lookupTable<R extends Row = Row>(
  table: string,
  { partitionKey = 'pk' }: { readonly partitionKey?: string } = {},
): LookupTable<R> {
  requireName('table', table);
  if (typeof partitionKey !== 'string' || partitionKey === '') {
    throw new TypeError(
      `Table '${table}': 'partitionKey' is ${JSON.stringify(partitionKey)}; it is the attribute's name.`,
    );
  }
  return Object.freeze({ table, partitionKey });
}

export interface LookupOptions {
  /** For how long a container takes a row for what it was when it was read; a minute unless given. */
  readonly staleness?: Duration;
}

export function lookupStage(
  { table, partitionKey }: LookupTable<Row>,
  of: ((value: unknown, key: string) => string | undefined) | undefined,
  apply: LookupStage['apply'],
  { staleness = { minutes: 1 } }: LookupOptions,
): LookupStage {
  const what = `${of === undefined ? 'broadcast' : 'lookup'} of table '${table}'`;
  const lookup: Lookup = Object.freeze({
    table,
    partitionKey,
    stalenessMs: secondsOf(`'staleness' of the ${what}`, staleness) * 1_000,
  });
  return {
    kind: 'lookup',
    lookup,
    ...(of && { of: (value, key) => requireSynchronous(of(value, key), `the key of the ${what}`) }),
    apply: (value, found, key) => requireSynchronous(apply(value, found, key), what),
  };
}
