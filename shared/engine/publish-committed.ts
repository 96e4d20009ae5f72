import { comparePositions, type Position } from '../source/position.ts';
import { shardOfLane } from '../source/lane.ts';
import { inParallel } from '../state/in-parallel.ts';
import { deadLetterName, outputId } from '../output/output-id.ts';
import { publishTo } from '../output/publish.ts';
import type { Delivery } from '../output/sink-port.ts';
import type { DeadLetterEntry, OutboxEntry, OutputEntry, StateItem } from '../state/state-item.ts';
import { firstUncommitted, lower, recordAt, type BatchRun } from './batch-run.ts';

/** Dead letters that are being stored at a time. */
const LETTERS_IN_FLIGHT = 16;

interface Letter {
  readonly entry: DeadLetterEntry;
  readonly key: string | undefined;
}

/**
 * Step 7: publishes from the outboxes of all items of the run, those included whose commit failed and those where
 * nothing ran (I4), what belongs to the run's own records and lies below the first position that is not committed.
 * @returns the first position of which something is not published or not stored.
 */
export async function publishCommitted(run: BatchRun): Promise<Position | undefined> {
  const { runtime, scope } = run;
  const bound = firstUncommitted(run);
  const deliveries = new Map<string, Delivery[]>();
  const letters: Letter[] = [];
  for (const { item, key } of run.works) {
    for (const entry of item?.outbox ?? []) {
      if (shardOfLane(entry.lane) !== run.batch.shard) continue;
      if (bound !== undefined && comparePositions(entry.position, bound) >= 0) continue;
      if (!isInHand(run, entry)) continue;
      if (scope.published.has(entry)) continue;
      if (entry.kind === 'deadLetter') letters.push({ entry, key });
      else collect(deliveries, run, item as StateItem, entry);
    }
  }

  let failed: Position | undefined;
  const options = {
    keepGoing: run.keepGoing,
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
    let blocked = run.blocked.get(name);
    if (blocked === undefined) run.blocked.set(name, (blocked = new Set()));
    const { confirmed, firstFailed } = await publishTo(name, port, list, blocked, options);
    for (const { entry } of confirmed) scope.published.add(entry);
    run.report.published += confirmed.length;
    failed = lower(failed, firstFailed);
  });
  const stored = inParallel(letters, LETTERS_IN_FLIGHT, async (letter) => {
    if (run.keepGoing() && (await store(run, letter))) scope.published.add(letter.entry);
    else failed = lower(failed, letter.entry.position);
  });
  await Promise.all([...sinks, stored]);
  return failed;
}

/** Whether the entry's record is one of the run's: without gaps in a shard's own lane, so that its ends tell. */
function isInHand({ records, batch }: BatchRun, { lane, position }: OutboxEntry): boolean {
  const first = records[0];
  const last = records.at(-1);
  if (first === undefined || last === undefined) return false;
  if (lane !== batch.shard || first.lane !== lane) return recordAt(records, position) !== undefined;
  return comparePositions(first.position, position) <= 0 && comparePositions(position, last.position) <= 0;
}

function collect(
  deliveries: Map<string, Delivery[]>,
  run: BatchRun,
  item: StateItem,
  entry: OutputEntry,
): void {
  const { definition } = run.runtime.program;
  const json =
    'json' in entry.value ? entry.value.json : JSON.stringify(item.states.get(entry.value.stateOf));
  const delivery = {
    id: outputId(definition.name, entry),
    destinationKey: entry.destinationKey,
    json,
    pk: item.pk,
    entry,
  };
  const list = deliveries.get(entry.sink);
  if (list === undefined) deliveries.set(entry.sink, [delivery]);
  else list.push(delivery);
}

async function store(
  { runtime, opened, batch, records }: BatchRun,
  { entry, key }: Letter,
): Promise<boolean> {
  const record = recordAt(records, entry.position);
  if (record === undefined) return false;
  const { definition } = runtime.program;
  try {
    await runtime.deadLetters.put(deadLetterName(opened.generation, key, entry), {
      pipeline: definition.name,
      generation: opened.generation,
      stream: batch.stream,
      shard: batch.shard,
      lane: entry.lane,
      sequenceNumber: entry.position.sequence,
      subSequenceNumber: entry.position.sub,
      element: entry.element,
      ...(key !== undefined && { key }),
      stage: entry.stage,
      reason: entry.reason,
      partitionKey: record.partitionKey,
      arrivalMs: record.arrivalMs,
      data: record.data,
    });
    return true;
  } catch (error) {
    runtime.log.warn('A dead letter could not be stored; its record comes again', { error: String(error) });
    return false;
  }
}
