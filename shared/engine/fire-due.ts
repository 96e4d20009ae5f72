import { hashOfKey } from '../output/output-id.ts';
import { isTimerLane, timerLane } from '../source/lane.ts';
import { inParallel } from '../state/in-parallel.ts';
import { keyOfItem } from '../state/row-key.ts';
import type { OutboxEntry, StateItem } from '../state/state-item.ts';
import { LookedUp, withRows } from './looked-up.ts';
import { bringForward } from './bring-forward.ts';
import { stamped } from './commit.ts';
import { fireTimers } from './fire-timers.ts';
import { ItemDraft } from './item-draft.ts';
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
 * Fires in all items what waits for an event time that is over, publishes it, and takes it out of the outbox. Each timer
 * fires once, however many sweeps and batches come upon it: the write that fires it has the item's revision as its
 * condition, and leaves no timer behind. What was fired before and not published is published first.
 * @param overMs up to where event time is over in all lanes, milliseconds since the epoch.
 * @throws where the index cannot be read; what was fired by then is.
 */
export async function fireDue(
  runtime: Runtime,
  standing: Standing,
  overMs: number,
  keepGoing: () => boolean,
): Promise<FireReport> {
  const report: FireReport = { items: 0, fired: 0, published: 0, left: 0 };
  for await (const pks of runtime.store.due(standing.generation, Math.max(0, overMs))) {
    await inParallel(pks, WORKERS, async (pk) => {
      report.items += 1;
      if (!keepGoing() || !(await fireItem(runtime, standing, pk, overMs, keepGoing, report)))
        report.left += 1;
    });
    if (!keepGoing()) break;
  }
  return report;
}

/** @returns whether nothing is left in the item that is due. */
async function fireItem(
  runtime: Runtime,
  standing: Standing,
  pk: string,
  overMs: number,
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
      fired(runtime, item, published, overMs, rows),
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
  overMs: number,
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
  for (let dueMs = draft.dueMs; !draft.isParked && dueMs <= overMs; dueMs = draft.dueMs) {
    const run = new StepRun(program, key, draft, rows);
    const saved = draft.save();
    // One time after the other: what has no room any more comes in another write.
    problem = fireTimers(draft, run, key, dueMs, maker);
    const isTooMuch =
      draft.outboxBytes + run.entriesBytes > draft.room || draft.stateBytes > program.limits.stateBytes;
    if (problem !== undefined || isTooMuch) {
      draft.putBack(saved);
      if (isTooMuch && !hasFired && published.size === 0) problem ??= TOO_MUCH;
      break;
    }
    draft.accept(arrivalMs, run.entries);
    hasFired = true;
  }
  const written = draft.swept(pk);
  const isSame = !hasFired && published.size === 0 && written.dueMs === item.dueMs;
  return { written: isSame ? undefined : written, spills: draft.spills, hasFired, problem };
}

const TOO_MUCH =
  'what they give at one time, or the state that they leave, is more than an item can hold beside what is not published ' +
  'yet; keep less under one key';
