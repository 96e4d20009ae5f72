import { comparePositions, type Position } from '../source/position.ts';
import { inParallel } from './in-parallel.ts';
import type { Delivery, SinkPort } from './sink-port.ts';

/** How often a delivery is tried in one invocation before it is left to the next. */
const DELIVERY_TRIES = 4;
const FIRST_BACKOFF_MS = 50;
/** Requests of one sink that are under way at a time. */
const REQUESTS_IN_FLIGHT = 8;

export interface PublishOptions {
  /** Asked before each request: whether there is time to start one. */
  readonly keepGoing: () => boolean;
  readonly wait: (ms: number) => Promise<void>;
  readonly onFailure: (sink: string, error: unknown) => void;
}

/** What became of deliveries. */
export interface Published {
  readonly confirmed: readonly Delivery[];
  /** The first position of which an output is not confirmed. */
  readonly firstFailed: Position | undefined;
}

/** Position, then element, then index: the order in which outputs of one destination key are published (I4). */
export function compareDeliveries(a: Delivery, b: Delivery): number {
  return (
    comparePositions(a.entry.position, b.entry.position) ||
    a.entry.element - b.entry.element ||
    a.entry.index - b.entry.index
  );
}

/**
 * Publishes to one sink: in position order per destination key, never two of one destination key in one request
 * (PutRecords keeps no order), and after a failure nothing more for that destination key.
 * @param blocked destination keys for which an earlier delivery failed; those that fail now are added.
 */
export async function publishTo(
  name: string,
  port: SinkPort,
  deliveries: readonly Delivery[],
  blocked: Set<string>,
  { keepGoing, wait, onFailure }: PublishOptions,
): Promise<Published> {
  const queues = new Map<string, Delivery[]>();
  for (const delivery of deliveries) {
    const queue = queues.get(delivery.destinationKey);
    if (queue === undefined) queues.set(delivery.destinationKey, [delivery]);
    else queue.push(delivery);
  }
  for (const queue of queues.values()) if (queue.length > 1) queue.sort(compareDeliveries);
  const confirmed: Delivery[] = [];
  const heads = new Map([...queues].map(([key, queue]) => [key, { queue, at: 0, tries: 0 }]));
  for (const key of blocked) heads.delete(key);

  let backoffMs = FIRST_BACKOFF_MS;
  while (heads.size > 0 && keepGoing()) {
    const wave = [...heads.values()].map(({ queue, at }) => queue[at] as Delivery);
    let failures = 0;
    await inParallel(requestsOf(wave, port), REQUESTS_IN_FLIGHT, async (request) => {
      const results = keepGoing() ? await deliver(request) : undefined;
      if (results === undefined) return;
      for (const [place, delivery] of request.entries()) {
        const head = heads.get(delivery.destinationKey);
        if (head === undefined) continue;
        if (results[place] === true) {
          confirmed.push(delivery);
          head.at += 1;
          head.tries = 0;
          if (head.at === head.queue.length) heads.delete(delivery.destinationKey);
        } else {
          failures += 1;
          head.tries += 1;
          if (head.tries >= DELIVERY_TRIES) {
            heads.delete(delivery.destinationKey);
            blocked.add(delivery.destinationKey);
          }
        }
      }
    });
    if (failures > 0 && heads.size > 0) {
      await wait(backoffMs);
      backoffMs *= 2;
    }
  }
  for (const key of heads.keys()) blocked.add(key);
  if (confirmed.length === deliveries.length) return { confirmed, firstFailed: undefined };
  const done = new Set(confirmed);
  const failed = deliveries.filter((delivery) => !done.has(delivery)).toSorted(compareDeliveries);
  return { confirmed, firstFailed: failed[0]?.entry.position };

  async function deliver(request: readonly Delivery[]): Promise<readonly boolean[]> {
    try {
      return await port.deliver(request);
    } catch (error) {
      onFailure(name, error);
      return [];
    }
  }
}

function requestsOf(wave: readonly Delivery[], port: SinkPort): Delivery[][] {
  const requests: Delivery[][] = [];
  let request: Delivery[] = [];
  let bytes = 0;
  for (const delivery of wave) {
    const size = Buffer.byteLength(delivery.json) + Buffer.byteLength(delivery.destinationKey);
    if (
      request.length > 0 &&
      (request.length === port.maximumDeliveries || bytes + size > port.maximumBytes)
    ) {
      requests.push(request);
      request = [];
      bytes = 0;
    }
    request.push(delivery);
    bytes += size;
  }
  if (request.length > 0) requests.push(request);
  return requests;
}
