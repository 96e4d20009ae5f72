import { comparePositions, encodePosition, type Position } from '../source/position.ts';
import { unpackAggregates } from '../source/aggregate.ts';
import { byPartition } from '../source/lane.ts';
import type { RecordBatch, SourceRecord } from '../source/record.ts';
import { FATE, firstOpenRecord, firstUncommitted, group, lower, type BatchRun } from './batch-run.ts';
import { foldAndCommit, load } from './commit.ts';
import { itemsOfRejected, leaveOutRejected } from './leave-out-rejected.ts';
import type { BatchTimes } from './fold.ts';
import { fireDue } from './fire-due.ts';
import { FreshValues } from './fresh-values.ts';
import { LookedUp } from './looked-up.ts';
import { DEADLINE_MARGIN_MS, DECODING_SHARE, KILLERS_REMEMBERED, TURN_REMEMBERED_MS } from './limits.ts';
import { processOneByOne, TurnError } from './one-by-one.ts';
import { doneInShardLane, endAttempt, open, refused, type BatchOrigin, type Opened } from './open.ts';
import { partLanes } from './part-lanes.ts';
import { publishCommitted } from './publish-committed.ts';
import type { BatchReport, Runtime } from './runtime.ts';

/** What to tell Lambda, and how it went. */
export interface BatchResult {
  /** The first record that is not acknowledged; `undefined` where all are. */
  readonly failedFrom: Position | undefined;
  readonly report: BatchReport;
}

/**
 * The way of a batch (DESIGN.md section 4), from Lambda's hand to the answer.
 *
 * I1 a record's effect is in one committed revision of its key's item, its outputs and dead letters with it;
 * I3 nothing is published that is not committed; I4 what is committed gets published; I5 what is at or below progress
 * is committed, published and stored; I7 the answer acknowledges nothing else.
 *
 * @param deadlineMs when Lambda ends the process, milliseconds since the epoch.
 * @throws where nothing can be said about the batch (a port fails, the configuration is wrong): Lambda hands it in again.
 */
export async function processBatch(
  runtime: Runtime,
  delivered: RecordBatch,
  deadlineMs: number,
  origin: BatchOrigin = LIVE,
): Promise<BatchResult> {
  const { program, shardRanges } = runtime;
  const isFiltered = program.definition.source.outsideShard !== 'keep';
  const unpacked = await unpackAggregates(delivered, { ranges: shardRanges, isFiltered });
  const handedIn = origin.kind === 'live' ? unpacked : upTo(unpacked, origin.until);
  const { left = [] } = handedIn;
  const first = (handedIn.records[0] as SourceRecord).position;
  const report: BatchReport = emptyReport(handedIn);
  const keepGoing = (): boolean => runtime.clock.nowMs() < deadlineMs - DEADLINE_MARGIN_MS;

  // 1. Open
  let opened = await open(runtime, handedIn, first, origin);
  if (opened.kind === 'awaitsLanes') {
    // A rewind may be through by then, and the attempt be counted in the generation that it has made.
    let { generation } = opened;
    const end = (): Promise<void> => endAttempt(runtime, generation, handedIn.shard, first);
    try {
      if (await partLanes(runtime, delivered, generation, deadlineMs, keepGoing, processBatch))
        opened = await open(runtime, handedIn, first, origin);
    } catch (error) {
      await end();
      throw error;
    }
    if (opened.kind === 'awaitsLanes') {
      ({ generation } = opened);
      await end();
      opened = refused('lanes are by partition key now, and what was handed in by shard is not done yet');
    }
  }
  if (opened.kind === 'refused') {
    runtime.log.warn(`The batch is refused and comes again: ${opened.reason}`, { shard: handedIn.shard });
    return { failedFrom: first, report: { ...report, unfinished: report.records } };
  }
  const { isByPartition } = opened;
  const batch = isByPartition ? byPartition(handedIn, opened.progress.byShardUntil) : handedIn;
  const startMs = runtime.clock.nowMs();
  const decodeUntilMs = startMs + (deadlineMs - DEADLINE_MARGIN_MS - startMs) * DECODING_SHARE;
  const keepDecoding = (): boolean => runtime.clock.nowMs() < decodeUntilMs;
  // A shard that is to stop in front of what kills it is to go on once the code is mended: it is tried each time.
  const isToStop = program.definition.onRecordError === 'stop';
  const known = isToStop ? new Set<string>() : opened.killers;
  const records = notDone(batch, opened, report);
  // Where lanes are by partition key, others move the shard's progress; they say nothing of this lane's items.
  runtime.cache.enter(batch.shard, isByPartition ? 'unknown' : opened.progress.position);
  const begin = (records: readonly SourceRecord[], killers = known): BatchRun =>
    beginRun(runtime, { ...opened, killers }, batch, records, keepGoing, keepDecoding, report);

  let failedFrom: Position | undefined;
  let endedTurns: readonly string[] = [];
  try {
    if (opened.isSuspicious && records.length > 0) {
      ({ failedFrom, endedTurns } = await processOneByOne(
        runtime,
        opened,
        { ...batch, records },
        deadlineMs,
        keepGoing,
        begin,
        runToAnswer,
      ));
    } else {
      failedFrom = await runToAnswer(begin(records));
    }
  } catch (error) {
    const ended = error instanceof TurnError ? error.endedTurns : [];
    await endAttempt(
      runtime,
      opened.generation,
      batch.shard,
      (batch.records[0] as SourceRecord).position,
      ended,
    );
    throw error instanceof TurnError ? error.cause : error;
  }

  // 8. Advance
  failedFrom ??= left[0]?.position;
  const done = batch.records.findLast(
    ({ position }) => failedFrom === undefined || comparePositions(position, failedFrom) < 0,
  );
  const finished = done === undefined ? 0 : batch.records.indexOf(done) + 1;
  const last = lastTaken(records, done);
  const time = opened.clock?.at(last);
  const advanced = await runtime.store.advance(opened.generation, batch.shard, {
    first,
    ...(done && { position: done.position, arrivalMs: done.arrivalMs }),
    ...(time !== undefined && { time }),
    // What was below the progress was counted when it was done.
    records: Math.max(0, finished - (batch.records.length - records.length)),
    endedTurns: [...endedTurns, ...forgottenTurns(runtime, opened, isByPartition)],
  });
  if (advanced === 'sealed') failedFrom = first;
  else if (done !== undefined) runtime.cache.leave(batch.shard, done.position);

  // What the batch has moved event time beyond fires at once; what does not is a sweep's.
  if (opened.clock !== undefined && advanced === 'advanced' && keepGoing()) {
    await fireReached(runtime, opened, last, keepGoing, report);
  }

  // 9. Answer
  report.unfinished = report.records - (advanced === 'sealed' ? 0 : finished);
  return { failedFrom, report };
}

const LIVE: BatchOrigin = { kind: 'live' };

/**
 * A replay ends where the old generation was sealed: what lies behind is the mapping's, the rest of an aggregate too.
 * So is what lies behind the last record that was handed in by shard.
 */
function upTo(batch: RecordBatch, until: Position): RecordBatch {
  const isWithin = ({ position }: SourceRecord): boolean => comparePositions(position, until) <= 0;
  const { records, left = [] } = batch;
  return { ...batch, records: records.filter(isWithin), left: left.filter(isWithin) };
}

/**
 * The records to take: those above the shard's progress, for what is at or below it is done (I5), whatever code the
 * function has now. A record that was a dead letter without a key must not be applied, when it comes again, because
 * newer code gives it one; and a large aggregate, which comes again from its beginning, would never be finished.
 */
function notDone(
  { records }: RecordBatch,
  { progress }: Opened,
  report: BatchReport,
): readonly SourceRecord[] {
  const position = doneInShardLane(progress);
  if (position === undefined) return records;
  const above = records.findIndex((record) => comparePositions(record.position, position) > 0);
  if (above === 0) return records;
  const from = above === -1 ? records.length : above;
  for (const { isForeign } of records.slice(0, from)) if (isForeign !== true) report.duplicates += 1;
  return records.slice(from);
}

/** Steps 2 to 7 for some records of the batch. @returns the first position that is not committed, published and stored. */
async function runToAnswer(run: BatchRun): Promise<Position | undefined> {
  let notPublished: Position | undefined;
  await leaveOutRejected(run, await load(run, run.works, itemsOfRejected(run)));
  let progress = progressOf(run);
  for (let pending = run.works; ;) {
    await foldAndCommit(run, pending);
    notPublished = lower(notPublished, await publishCommitted(run));
    if (notPublished === undefined) run.scope.front = firstOpenRecord(run);
    // A full outbox ended the round of these keys: what it held is published now, and they go on.
    pending = run.works.filter(({ next, elements, isHeld }) => next < elements.length && !isHeld);
    const before = progress;
    progress = progressOf(run);
    if (pending.length === 0 || notPublished !== undefined || progress === before || !run.keepGoing()) break;
    await load(run, pending);
  }
  // What a relay passes on is applied behind it, and counted there.
  if (run.runtime.program.relay === undefined) bookFates(run);
  return lower(notPublished, firstUncommitted(run));
}

/** Grows with everything that lets the run go on; where a round adds nothing, another will not either. */
function progressOf({ works, scope }: BatchRun): number {
  return works.reduce((sum, { next }) => sum + next, scope.published.size + scope.acknowledged.size);
}

/**
 * Turns that need not be noted any more: of killers beyond the number remembered, and of records that are done. With
 * lanes by partition key the position says nothing of a record below it; there a turn is forgotten when nobody has
 * begun it for long.
 */
function forgottenTurns({ clock }: Runtime, { killers, progress }: Opened, isByPartition: boolean): string[] {
  const position = progress.position === undefined ? '' : encodePosition(progress.position);
  const oldestMs = clock.nowMs() - TURN_REMEMBERED_MS;
  const done = [...progress.suspects]
    .filter(([turn]) => !killers.has(turn))
    .filter(([turn, deadlines]) => (isByPartition ? Math.max(...deadlines) < oldestMs : turn < position))
    .map(([turn]) => turn);
  return [...done, ...[...killers].toSorted().slice(0, Math.max(0, killers.size - KILLERS_REMEMBERED))];
}

function beginRun(
  runtime: Runtime,
  opened: Opened,
  batch: RecordBatch,
  all: readonly SourceRecord[],
  keepGoing: () => boolean,
  keepDecoding: () => boolean,
  report: BatchReport,
): BatchRun {
  const firsts = new Map<string, Position>();
  let lastLane: string | undefined;
  for (const { lane, position } of batch.records) {
    if (lane !== lastLane && !firsts.has(lane)) firsts.set(lane, position);
    lastLane = lane;
  }
  const { works, relayed, decoded, places } = group(runtime, opened, all, keepDecoding);
  const records = all.slice(0, decoded);
  report.keys += works.length;
  const fates = new Uint8Array(records.length);
  for (const { elements } of works) for (const { record } of elements) fates[record] = FATE.hasElements;
  const { program } = runtime;
  const acknowledged = doneInShardLane(opened.progress);
  return {
    runtime,
    opened,
    batch,
    records,
    works,
    relayed,
    notDecoded: all[decoded]?.position,
    keepGoing,
    report,
    scope: {
      program,
      shard: batch.shard,
      records,
      places,
      front: 0,
      firsts,
      published: new Set(),
      acknowledged: new Map(acknowledged === undefined ? [] : [[batch.shard, acknowledged]]),
      elsewhere: new Map(),
      fresh: new FreshValues(program, records),
      rows: program.hasLookups ? new LookedUp(runtime) : undefined,
      times: timesOf(opened, records),
    },
    blocked: new Map(),
    hasNotice: false,
    fates,
  };
}

/** Nothing of the batch hangs on it: where it fails, a sweep fires. */
async function fireReached(
  runtime: Runtime,
  { clock, generation, progress, othersOverMs }: Opened,
  last: SourceRecord | undefined,
  keepGoing: () => boolean,
  report: BatchReport,
): Promise<void> {
  const overMs = Math.min(othersOverMs, clock?.overAt(last) ?? -Infinity);
  if (overMs <= (runtime.firedMs?.generation === generation ? runtime.firedMs.overMs : -Infinity)) return;
  try {
    const reached = { event: overMs, processing: -Infinity };
    const { published } = await fireDue(runtime, { ...progress, generation }, reached, keepGoing);
    report.published += published;
    runtime.firedMs = { generation, overMs };
  } catch (error) {
    runtime.log.warn('What is due did not fire; a sweep fires it', { error: String(error) });
  }
}

function timesOf({ clock, othersOverMs }: Opened, records: readonly SourceRecord[]): BatchTimes | undefined {
  if (clock === undefined) return undefined;
  return {
    before: records.map((record) => clock.overBefore(record)),
    behind: clock.overBehind,
    others: othersOverMs,
  };
}

/** The last record that was taken and is at or below the new position; those that were done before are not taken. */
function lastTaken(
  records: readonly SourceRecord[],
  done: SourceRecord | undefined,
): SourceRecord | undefined {
  return done && records.findLast(({ position }) => comparePositions(position, done.position) <= 0);
}

/** Counts each record at most once: applied or a duplicate; one that is neither was rejected, or is not done yet. */
function bookFates({ fates, records, report, opened }: BatchRun): void {
  const { position } = opened.progress;
  for (let index = 0; index < fates.length; index++) {
    if (records[index]?.isForeign === true) continue;
    const fate = fates[index] as number;
    if ((fate & FATE.applied) !== 0) report.applied += 1;
    else if ((fate & FATE.skipped) !== 0) report.duplicates += 1;
    else if ((fate & FATE.hasElements) === 0) {
      // No key took it: the stateless operators filtered it out, now or when it came before.
      const isKnown =
        position !== undefined && comparePositions((records[index] as SourceRecord).position, position) <= 0;
      if (isKnown) report.duplicates += 1;
      else report.applied += 1;
    }
  }
}

function emptyReport({ records, left = [] }: RecordBatch): BatchReport {
  return {
    records: records.length + left.length,
    outsideShard: records.reduce((count, { isForeign }) => count + Number(isForeign === true), 0),
    applied: 0,
    duplicates: 0,
    deadLetters: 0,
    late: 0,
    conflicts: 0,
    keys: 0,
    published: 0,
    unfinished: 0,
  };
}
