import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KinesisSinkPort } from '../../../shared/output/kinesis-sink.ts';
import { compareDeliveries, publishTo, type PublishOptions } from '../../../shared/output/publish.ts';
import type { Delivery, SinkPort } from '../../../shared/output/sink-port.ts';
import { delivery } from './deliveries.ts';

const OPTIONS: PublishOptions = {
  keepGoing: () => true,
  wait: async () => undefined,
  onFailure: () => undefined,
};

class RecordingPort implements SinkPort {
  readonly maximumDeliveries: number;
  readonly maximumBytes: number;
  readonly requests: (readonly Delivery[])[] = [];
  readonly #accepts: (delivery: Delivery, request: number) => boolean;

  constructor(
    accepts: (delivery: Delivery, request: number) => boolean = () => true,
    maximumDeliveries = 3,
    maximumBytes = 1_000,
  ) {
    this.#accepts = accepts;
    this.maximumDeliveries = maximumDeliveries;
    this.maximumBytes = maximumBytes;
  }

  async deliver(deliveries: readonly Delivery[]): Promise<readonly boolean[]> {
    this.requests.push(deliveries);
    return deliveries.map((each) => this.#accepts(each, this.requests.length));
  }
}

function at(sequence: number, destinationKey: string, json = '1'): Delivery {
  return delivery(
    { id: `${sequence}`, destinationKey, json },
    { position: { sequence: String(sequence), sub: 0 } },
  );
}

describe('publishing', () => {
  it('keeps the order per destination key, never two of one in a request, and stops for it after a failure', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 99 }), fc.constantFrom('a', 'b', 'c', '__proto__')), {
          maxLength: 25,
        }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
        async (outputs, luck) => {
          const deliveries = outputs.map(([sequence, key], place) =>
            delivery(
              { id: `${place}`, destinationKey: key },
              { position: { sequence: String(sequence), sub: 0 }, index: place },
            ),
          );
          let turn = 0;
          const port = new RecordingPort(() => luck[turn++ % luck.length] ?? true);
          const blocked = new Set<string>();
          const { confirmed, firstFailed } = await publishTo('out', port, deliveries, blocked, OPTIONS);
          for (const request of port.requests) {
            expect(new Set(request.map(({ destinationKey }) => destinationKey)).size).toBe(request.length);
            expect(request.length).toBeLessThanOrEqual(3);
          }
          for (const key of new Set(outputs.map(([, each]) => each))) {
            const wanted = deliveries
              .filter((each) => each.destinationKey === key)
              .toSorted(compareDeliveries);
            const got = confirmed.filter((each) => each.destinationKey === key);
            expect(got).toEqual(wanted.slice(0, got.length));
            expect(blocked.has(key)).toBe(got.length < wanted.length);
          }
          const missing = deliveries.filter((each) => !confirmed.includes(each)).toSorted(compareDeliveries);
          expect(firstFailed).toEqual(missing[0]?.entry.position);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('tries a delivery four times, and waits longer each time', async () => {
    const waits: number[] = [];
    const port = new RecordingPort(() => false);
    const result = await publishTo('out', port, [at(1, 'a')], new Set(), {
      ...OPTIONS,
      wait: async (ms) => void waits.push(ms),
    });
    expect(port.requests).toHaveLength(4);
    expect(waits).toEqual([50, 100, 200]);
    expect(result).toEqual({ confirmed: [], firstFailed: { sequence: '1', sub: 0 } });
  });

  it('delivers nothing more for a destination key that failed before', async () => {
    const port = new RecordingPort();
    const { confirmed, firstFailed } = await publishTo(
      'out',
      port,
      [at(1, 'a'), at(2, 'b')],
      new Set(['a']),
      OPTIONS,
    );
    expect(confirmed.map(({ destinationKey }) => destinationKey)).toEqual(['b']);
    expect(firstFailed).toEqual({ sequence: '1', sub: 0 });
  });

  it('tells what a request threw, and takes each of its deliveries for failed', async () => {
    const errors: unknown[] = [];
    const port: SinkPort = {
      maximumDeliveries: 2,
      maximumBytes: 10,
      deliver: async () => Promise.reject(new Error('down')),
    };
    const { confirmed } = await publishTo('out', port, [at(1, 'a'), at(2, 'b')], new Set(), {
      ...OPTIONS,
      onFailure: (sink, error) => void errors.push([sink, String(error)]),
    });
    expect(confirmed).toEqual([]);
    expect(errors).toEqual(Array(4).fill(['out', 'Error: down']));
  });

  it('starts no request once time is short', async () => {
    let looks = 0;
    const port = new RecordingPort(() => true, 1);
    const { confirmed, firstFailed } = await publishTo(
      'out',
      port,
      [at(1, 'a'), at(2, 'a'), at(3, 'a')],
      new Set(),
      { ...OPTIONS, keepGoing: () => looks++ < 3 },
    );
    expect(confirmed).toHaveLength(1);
    expect(firstFailed).toEqual({ sequence: '2', sub: 0 });
  });

  it('fills requests up to their bytes, keys counted as they are written, and sends what alone is larger', async () => {
    const port = new RecordingPort(() => true, 500, 100);
    const control = '\u0001'.repeat(10);
    await publishTo(
      'out',
      port,
      [at(1, `${control}a`), at(2, `${control}b`), at(3, 'c', 'x'.repeat(200)), at(4, 'd')],
      new Set(),
      OPTIONS,
    );
    expect(port.requests.map((request) => request.map(({ id }) => id))).toEqual([['1'], ['2'], ['3'], ['4']]);
  });

  it('never asks Kinesis for more than 500 records or 5 MiB in one request', async () => {
    const sizes: { records: number; bytes: number }[] = [];
    const client = {
      send: async ({ input }: { input: { Records: { PartitionKey: string; Data: Uint8Array }[] } }) => {
        const bytes = input.Records.reduce(
          (sum, { PartitionKey, Data }) => sum + Buffer.byteLength(PartitionKey) + Data.length,
          0,
        );
        sizes.push({ records: input.Records.length, bytes });
        return { Records: input.Records.map(() => ({ SequenceNumber: '1' })) };
      },
    };
    const port = new KinesisSinkPort(
      client as unknown as ConstructorParameters<typeof KinesisSinkPort>[0],
      's',
      'p'.repeat(63),
    );
    const small = Array.from({ length: 1_200 }, (_, n) => at(n, `k${n}`));
    const controls = Array.from({ length: 1_200 }, (_, n) =>
      at(n, `${n}${'\u0001'.repeat(1_990)}`, `"${'x'.repeat(900)}"`),
    );
    const wide = Array.from({ length: 1_200 }, (_, n) =>
      at(n, `${n}`.padEnd(256, 'ü'), `"${'x'.repeat(8_000)}"`),
    );
    for (const deliveries of [small, controls, wide]) {
      const { confirmed } = await publishTo('out', port, deliveries, new Set(), OPTIONS);
      expect(confirmed).toHaveLength(1_200);
    }
    expect(Math.max(...sizes.map(({ records }) => records))).toBe(500);
    expect(Math.max(...sizes.map(({ bytes }) => bytes))).toBeLessThanOrEqual(5 * 1024 * 1024);
  });
});
