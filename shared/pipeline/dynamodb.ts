import { requireName } from './name.ts';
import { requireSynchronous } from './synchronous.ts';
import type { DynamoDbSink } from './definition.ts';

/** A DynamoDB table to write values of type `T` to. */
export interface DynamoDbOutput<T> {
  readonly sink: DynamoDbSink;
  /** Only for the compiler: what the table takes. */
  readonly accepts?: (value: T) => void;
}

/**
 * A DynamoDB table by its logical name, partition key `pk`: one item per destination key (`upsertBy: 'key'`, the
 * default: the newest value wins, an older one never overwrites it) or one per output id (`upsertBy: 'id'`).
 * @throws TypeError where a name or an option cannot be used.
 */
export function dynamodb<T = unknown>(
  table: string,
  options: { upsertBy?: 'key' | 'id'; key?: (value: T, key: string) => string; name?: string } = {},
): DynamoDbOutput<T> {
  requireName('table', table);
  const { upsertBy = 'key', key, name = table } = options;
  requireName('sink', name);
  return Object.freeze({
    sink: Object.freeze({
      kind: 'dynamodb',
      name,
      table,
      upsertBy,
      ...(key && {
        key: (value: unknown, stateKey: string) =>
          requireSynchronous(key(value as T, stateKey), 'the key function'),
      }),
    }),
  });
}
