import { hashOfKey } from '../output/output-id.ts';
import { isTimerLane, timerLane } from '../source/lane.ts';
import { inParallel } from '../state/in-parallel.ts';
import { keyOfItem } from '../state/row-key.ts';
import type { OutboxEntry, StateItem } from '../state/state-item.ts';
import { LookedUp, withRows } from './looked-up.ts';
import { bringForward } from './bring-forward.ts';
import { stamped } from './commit.ts';
import { fireTimers } from './fire-timers.ts';
import { ItemDraft, type ReachedTimes } from './item-draft.ts';
import { COMMIT_TRIES } from './limits.ts';
import { addDelivery, deliver, type Deliveries, type Standing } from './publish-committed.ts';
import type { Runtime } from './runtime.ts';
import { StepRun } from './step-run.ts';

/** What a sweep has done. */
export interface FireReport {
  /** Items that were looked at. */
  items: number;
  /** Items in which something has fired. */
  fired: number;
  /** Outputs that sinks confirmed. */
  published: number;
  /** Items of which something that is due is left, because it failed or time ran out. */
  left: number;
}

/** Items that are worked on at a time: no two of one key. */
const WORKERS = 8;

/**
 * Fires in all items what waits for a time that has come, publishes it, and takes it out of the outbox. Each timer
 * fires once, however many sweeps and batches come upon it: the write that fires it has the item's revision as its
 * condition, and leaves no timer behind. What was fired before and not published is published first.
 * @param reached up to where event time is over in all lanes, and what the clock shows.
 * @throws where the index cannot be read; what was fired by then is.
 */
export async function fireDue(
  runtime: Runtime,
  standing: Standing,
  reached: ReachedTimes,
  keepGoing: () => boolean,
): Promise<FireReport> {
  const report: FireReport = { items: 0, fired: 0, published: 0, left: 0 };
  const { store, program } = runtime;
  // What waits for no time, because it has fired and is not published, stands first in the index of event time.
  await fireFound(store.due(standing.generation, Math.max(0, reached.event)));
  if (program.clocked.length > 0 && reached.processing > -Infinity && keepGoing())
    await fireFound(store.due(standing.generation, reached.processing, 'processing'));
  return report;

  async function fireFound(pages: AsyncIterable<readonly string[]>): Promise<void> {
    for await (const pks of pages) {
      await inParallel(pks, WORKERS, async (pk) => {
        report.items += 1;
        if (!keepGoing() || !(await fireItem(runtime, standing, pk, reached, keepGoing, report)))
          report.left += 1;
      });
      if (!keepGoing()) break;
    }
  }
}

/** @returns whether nothing is left in the item that is due. */
async function fireItem(
  runtime: Runtime,
  standing: Standing,
  pk: string,
  reached: ReachedTimes,
  keepGoing: () => boolean,
  report: FireReport,
): Promise<boolean> {
  const { store, program, cache } = runtime;
  let lost = 0;
  while (lost < COMMIT_TRIES && keepGoing()) {
    const loaded = (await store.load([pk])).get(pk);
    if (loaded === undefined) return true;
    const item = bringForward(program, loaded);
    const published = await publishFired(runtime, standing, item, keepGoing, report);
    if (published === 'failed') return false;
    const rows = program.hasLookups ? new LookedUp(runtime) : undefined;
    const { written, spills, hasFired, problem } = await withRows(rows, () =>
      fired(runtime, item, published, reached, rows),
    );
    if (problem !== undefined) {
      runtime.log.error(`Timers of a key do not fire: ${problem}. They are tried again`, {
        key: hashOfKey(pk),
      });
    }
    if (written === undefined) return problem === undefined;
    const write = {
      item: stamped(runtime, written),
      expectedRevision: loaded.revision,
      loaded,
      spills,
    };
    const [result] = await store.commit([write]);
    cache.forget(pk);
    if (result !== 'committed') lost += 1;
    else if (hasFired) report.fired += 1;
  }
  return false;
}

/** Publishes what was fired without a record. @returns the entries that are published, for the next write to take out. */
async function publishFired(
  runtime: Runtime,
  standing: Standing,
  item: StateItem,
  keepGoing: () => boolean,
  report: FireReport,
): Promise<ReadonlySet<OutboxEntry> | 'failed'> {
  const deliveries: Deliveries = new Map();
  const own = item.outbox.filter(({ lane }) => isTimerLane(lane));
  for (const entry of own) {
    if (entry.kind === 'output')
      addDelivery(deliveries, runtime.program.definition.name, item, entry, standing);
  }
  if (deliveries.size === 0) return new Set(own);
  const { confirmed, firstFailed } = await deliver(runtime, deliveries, new Map(), keepGoing);
  report.published += confirmed.length;
  return firstFailed === undefined ? new Set(own) : 'failed';
}

/**
 * The item without what is published, and with what is due fired; `undefined` where neither changes it, and its time in
 * the index is right.
 */
function fired(
  { program, clock }: Runtime,
  item: StateItem,
  published: ReadonlySet<OutboxEntry>,
  reached: ReachedTimes,
  rows: LookedUp | undefined,
): {
  readonly written: StateItem | undefined;
  readonly spills: boolean;
  readonly hasFired: boolean;
  readonly problem: string | undefined;
} {
  const { pk } = item;
  const key = keyOfItem(pk);
  if (key === undefined) return { written: undefined, spills: false, hasFired: false, problem: undefined };
  const pending = item.outbox.filter((entry) => !published.has(entry));
  const draft = new ItemDraft(program, key, item, pending, true);
  const arrivalMs = clock.nowMs();
  const lane = timerLane(hashOfKey(key));
  const maker = {
    lane,
    position: { sequence: '0', sub: 0 },
    element: 0,
    arrivalMs,
    originArrivalMs: undefined,
  };
  let problem: string | undefined;
  let hasFired = false;
  let left = reached;
  let moments = 0;
  for (let next = draft.nextDue(left); !draft.isParked && next !== undefined; next = draft.nextDue(left)) {
    const { domain, dueMs } = next;
    // Timers that set timers for what is over already may go on for ever: time is looked at between two writes.
    if (++moments > MOMENTS_AT_ONCE) break;
    const run = new StepRun(program, key, draft, rows);
    const saved = draft.save();
    // One moment after the other: what has no room any more comes in another write.
    const failure = fireTimers(draft, run, key, { ...NOTHING_REACHED, [domain]: dueMs }, maker);
    const isTooMuch =
      draft.outboxBytes + run.entriesBytes > draft.room || draft.stateBytes > program.limits.stateBytes;
    if (failure !== undefined || isTooMuch) {
      draft.putBack(saved);
      problem ??= failure;
      if (isTooMuch && !hasFired && published.size === 0) problem ??= TOO_MUCH;
      if (isTooMuch) break;
      // What fails by one time does not hold back the other.
      left = { ...left, [domain]: -Infinity };
      continue;
    }
    draft.accept(arrivalMs, run.entries);
    hasFired = true;
  }
  const written = draft.swept(pk);
  const isIndexed = written.dueMs === item.dueMs && written.processingDueMs === item.processingDueMs;
  const isSame = !hasFired && published.size === 0 && isIndexed;
  return { written: isSame ? undefined : written, spills: draft.spills, hasFired, problem };
}

/** Moments at which something fires in one write. */
const MOMENTS_AT_ONCE = 1_000;

const NOTHING_REACHED: ReachedTimes = { event: -Infinity, processing: -Infinity };

const TOO_MUCH =
  'what they give at one time, or the state that they leave, is more than an item can hold beside what is not published ' +
  'yet; keep less under one key';
