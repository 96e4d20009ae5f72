import { comparePositions, type Position } from '../source/position.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { Delivery, SinkPort } from './sink-port.ts';

/** How often a delivery is tried in one invocation before it is left to the next. */
const DELIVERY_TRIES = 4;
const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 400;
/** A delivery of at most this need not be measured where so many of it fit into a request as it takes at all. */
const SMALL_BYTES = 4_096;
/** Requests of one sink that are under way at a time. */
export const REQUESTS_IN_FLIGHT = 8;

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

/**
 * Position, then element, then index: the order in which outputs of one destination key are published (I4). Timers that one
 * record carries are in the order in which they were due.
 */
export function compareDeliveries({ entry: a }: Delivery, { entry: b }: Delivery): number {
  return (
    comparePositions(a.position, b.position) ||
    a.element - b.element ||
    (a.origin === undefined || b.origin === undefined
      ? 0
      : comparePositions(a.origin.position, b.origin.position)) ||
    a.index - b.index
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
  const confirmed: Delivery[] = [];
  const tries = new Map<string, number>();
  // Order counts only between outputs of one destination key.
  let rest = haveOwnKeys(deliveries) ? deliveries : deliveries.toSorted(compareDeliveries);
  let backoffMs = FIRST_BACKOFF_MS;
  while (keepGoing()) {
    // The next of each destination key; what stands behind it waits for it.
    const inWave = new Set<string>();
    const wave: Delivery[] = [];
    const later: Delivery[] = [];
    for (const delivery of rest) {
      const { destinationKey } = delivery;
      if (blocked.has(destinationKey)) continue;
      if (inWave.has(destinationKey)) {
        later.push(delivery);
      } else {
        inWave.add(destinationKey);
        wave.push(delivery);
      }
    }
    if (wave.length === 0) break;
    const failed: Delivery[] = [];
    await inParallel(requestsOf(wave, port), REQUESTS_IN_FLIGHT, async (request) => {
      const results = keepGoing() ? await deliver(request) : [];
      for (const [place, delivery] of request.entries()) {
        if (results[place] === true) confirmed.push(delivery);
        else failed.push(delivery);
      }
    });
    rest = failed.length === 0 ? later : [...failed, ...later].sort(compareDeliveries);
    if (failed.length === 0) {
      backoffMs = FIRST_BACKOFF_MS;
      continue;
    }
    for (const { destinationKey } of failed) {
      const count = (tries.get(destinationKey) ?? 0) + 1;
      tries.set(destinationKey, count);
      if (count >= DELIVERY_TRIES) blocked.add(destinationKey);
    }
    if (rest.every(({ destinationKey }) => blocked.has(destinationKey))) break;
    if (!keepGoing()) break;
    await wait(backoffMs);
    backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
  }
  if (confirmed.length === deliveries.length) return { confirmed, firstFailed: undefined };
  const done = new Set(confirmed);
  const failed = deliveries.filter((delivery) => !done.has(delivery)).sort(compareDeliveries);
  for (const { destinationKey } of failed) blocked.add(destinationKey);
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

function haveOwnKeys(deliveries: readonly Delivery[]): boolean {
  const keys = new Set<string>();
  for (const { destinationKey } of deliveries) keys.add(destinationKey);
  return keys.size === deliveries.length;
}

function requestsOf(wave: readonly Delivery[], port: SinkPort): Delivery[][] {
  const requests: Delivery[][] = [];
  let request: Delivery[] = [];
  let bytes = 0;
  const isRoomy = port.maximumBytes >= port.maximumDeliveries * SMALL_BYTES;
  for (const delivery of wave) {
    const size = isRoomy && isSmall(delivery) ? SMALL_BYTES : bytesOf(delivery);
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

/** A character is at most three bytes of UTF-8, and as JSON text six: the key stands in both forms. */
function isSmall({ json, destinationKey }: Delivery): boolean {
  return 3 * json.length + 9 * destinationKey.length <= SMALL_BYTES;
}

/** A value and its destination key, which stands beside it as it is and, in an envelope, as JSON text. */
function bytesOf({ json, destinationKey }: Delivery): number {
  const asJson = Buffer.byteLength(JSON.stringify(destinationKey));
  return Buffer.byteLength(json) + Buffer.byteLength(destinationKey) + asJson;
}
