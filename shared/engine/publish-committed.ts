import { comparePositions, type Position } from '../source/position.ts';
import { shardOfLane } from '../source/lane.ts';
import { inParallel } from '../state/in-parallel.ts';
import { deadLetterName } from '../output/dead-letter-name.ts';
import type { DeadLetter } from '../output/dead-letter-store.ts';
import { outputId } from '../output/output-id.ts';
import { publishTo, type Published } from '../output/publish.ts';
import type { Delivery } from '../output/sink-port.ts';
import type { DeadLetterEntry, OutboxEntry, OutputEntry, StateItem } from '../state/state-item.ts';
import type { SourceRecord } from '../source/record.ts';
import { carriedRevision } from '../state/revision.ts';
import type { Control } from '../state/state-store.ts';
import { firstUncommitted, lower, recordAt, type BatchRun } from './batch-run.ts';
import type { Runtime } from './runtime.ts';

/** Dead letters that are being stored at a time. */
const LETTERS_IN_FLIGHT = 16;

interface Letter {
  readonly entry: DeadLetterEntry;
  readonly key: string | undefined;
  readonly pk: string;
}

/** Deliveries by the name of their sink. */
export type Deliveries = Map<string, Delivery[]>;

/**
 * Step 7: publishes from the outboxes of all items of the run, those included whose commit failed and those where
 * nothing ran (I4), what belongs to the run's own records and lies below the first position that is not committed; of
 * the front of a repartition, what its records become.
 * @returns the first position of which something is not published or not stored.
 */
export async function publishCommitted(run: BatchRun): Promise<Position | undefined> {
  const { runtime, scope } = run;
  const bound = firstUncommitted(run);
  const deliveries: Deliveries = new Map();
  const letters: Letter[] = [];
  const standing = { generation: run.opened.generation, ...run.opened.progress };
  for (const { item, key, pk } of run.works) {
    for (const entry of item?.outbox ?? []) {
      if (shardOfLane(entry.lane) !== run.batch.shard) continue;
      // Letters without a key have no order, and may take the room that those of the first record that is not done need.
      const isOrdered = key !== undefined || entry.kind === 'output';
      if (isOrdered && bound !== undefined && comparePositions(entry.position, bound) >= 0) continue;
      if (!isInHand(run, entry)) continue;
      if (scope.published.has(entry)) continue;
      if (entry.kind === 'deadLetter') letters.push({ entry, key, pk });
      else addDelivery(deliveries, runtime.program.definition.name, item as StateItem, entry, standing);
    }
  }
  for (const delivery of run.relayed) {
    const { entry } = delivery;
    if (bound !== undefined && comparePositions(entry.position, bound) >= 0) break;
    if (!scope.published.has(entry)) append(deliveries, delivery);
  }

  let failed: Position | undefined;
  const published = deliver(runtime, deliveries, run.blocked, run.keepGoing).then((result) => {
    for (const { entry } of result.confirmed) scope.published.add(entry);
    run.report.published += result.confirmed.length;
    failed = lower(failed, result.firstFailed);
  });
  const stored = inParallel(letters, LETTERS_IN_FLIGHT, async (letter) => {
    if (run.keepGoing() && (await store(run, letter))) scope.published.add(letter.entry);
    else failed = lower(failed, letter.entry.position);
  });
  await Promise.all([published, stored]);
  return failed;
}

/**
 * Publishes committed outputs, each sink's beside the others'. Those for a sink that this code does not have are
 * dropped.
 * @param blockedKeys by sink: destination keys for which an earlier delivery failed; those that fail now are added.
 */
export async function deliver(
  runtime: Runtime,
  deliveries: Deliveries,
  blockedKeys: Map<string, Set<string>>,
  keepGoing: () => boolean,
): Promise<Published> {
  const confirmed: Delivery[] = [];
  let firstFailed: Position | undefined;
  const options = {
    keepGoing,
    wait: runtime.wait,
    onFailure: (sink: string, error: unknown) =>
      runtime.log.warn('A sink did not take outputs; they are delivered again', {
        sink,
        error: String(error),
      }),
  };
  const sinks = [...deliveries].map(async ([name, list]) => {
    const port = runtime.sinks.get(name);
    if (port === undefined) {
      runtime.log.error('Outputs are committed for a sink that this code does not have; they are dropped', {
        sink: name,
        outputs: list.length,
      });
      return;
    }
    let blocked = blockedKeys.get(name);
    if (blocked === undefined) blockedKeys.set(name, (blocked = new Set()));
    const published = await publishTo(name, port, list, blocked, options);
    confirmed.push(...published.confirmed);
    firstFailed = lower(firstFailed, published.firstFailed);
  });
  await Promise.all(sinks);
  return { confirmed, firstFailed };
}

/** Whether the entry's record is one of the run's: without gaps in a shard's own lane, so that its ends tell. */
function isInHand({ records, batch }: BatchRun, { lane, position }: OutboxEntry): boolean {
  const first = records[0];
  const last = records.at(-1);
  if (first === undefined || last === undefined) return false;
  if (lane !== batch.shard || first.lane !== lane) return recordAt(records, position) !== undefined;
  return comparePositions(first.position, position) <= 0 && comparePositions(position, last.position) <= 0;
}

/** As what the outputs of a generation are published. */
export type Standing = Pick<Control, 'generation' | 'rank' | 'epoch'>;

/** Adds an output of the item to what is to be delivered. */
export function addDelivery(
  deliveries: Deliveries,
  pipeline: string,
  item: StateItem,
  entry: OutputEntry,
  { generation, rank, epoch }: Standing,
): void {
  const json =
    'json' in entry.value ? entry.value.json : JSON.stringify(item.states.get(entry.value.stateOf));
  const delivery = {
    id: outputId(pipeline, entry),
    destinationKey: entry.destinationKey,
    json,
    pk: item.pk,
    revision: rank === undefined ? entry.revision : carriedRevision(entry.revision, generation, rank),
    ...(epoch !== undefined && { epoch }),
    entry,
  };
  append(deliveries, delivery);
}

function append(deliveries: Map<string, Delivery[]>, delivery: Delivery): void {
  const list = deliveries.get(delivery.entry.sink);
  if (list === undefined) deliveries.set(delivery.entry.sink, [delivery]);
  else list.push(delivery);
}

async function store(
  { runtime, opened, batch, records }: BatchRun,
  { entry, key, pk }: Letter,
): Promise<boolean> {
  const record = recordAt(records, entry.position);
  if (record === undefined) return false;
  const { generation } = opened;
  const pipeline = runtime.program.definition.name;
  try {
    await runtime.deadLetters.put(
      deadLetterName(generation, key, entry),
      letterOf(entry, record, { pipeline, generation, stream: batch.stream, item: pk, key }),
    );
    return true;
  } catch (error) {
    runtime.log.warn('A dead letter could not be stored; its record comes again', { error: String(error) });
    return false;
  }
}

/** The letter of a committed entry, with the record in it. */
export function letterOf(
  entry: DeadLetterEntry,
  { partitionKey, arrivalMs, data }: SourceRecord,
  {
    key,
    ...where
  }: Pick<DeadLetter, 'pipeline' | 'generation' | 'stream' | 'item'> & {
    readonly key: string | undefined;
  },
): DeadLetter {
  const { lane, position } = entry.origin ?? entry;
  return {
    ...where,
    shard: shardOfLane(lane),
    lane,
    sequenceNumber: position.sequence,
    subSequenceNumber: position.sub,
    number: entry.number,
    element: entry.element,
    ...(entry.except !== undefined && { except: entry.except }),
    ...(key !== undefined && { key }),
    stage: entry.stage,
    reason: entry.stage === 'parked' ? PARKED_REASON : entry.reason,
    partitionKey,
    arrivalMs,
    data,
  };
}

const PARKED_REASON = 'an earlier record of its key was rejected, and it waits behind that one';
