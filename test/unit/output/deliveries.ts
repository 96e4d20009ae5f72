import type { Delivery } from '../../../shared/output/sink-port.ts';
import type { OutputEntry } from '../../../shared/state/state-item.ts';

/** An output like any other, but for these changes. */
export function delivery(
  changes: Partial<Omit<Delivery, 'entry'>> = {},
  entry: Partial<OutputEntry> = {},
): Delivery {
  const { destinationKey = 'k', json = '1' } = changes;
  return {
    id: 'p/x/0/100/0/0/out/0',
    destinationKey,
    json,
    pk: '1/s/k',
    revision: entry.revision ?? 5,
    ...changes,
    entry: {
      kind: 'output',
      lane: 'stream/0',
      position: { sequence: '100', sub: 0 },
      element: 0,
      index: 0,
      sink: 'out',
      destinationKey,
      revision: 5,
      isChange: false,
      arrivalMs: 1_800_000_000_000,
      value: { json },
      ...entry,
    },
  };
}
