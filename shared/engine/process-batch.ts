import { comparePositions, decodePosition, encodePosition, type Position } from '../source/position.ts';
import type { RecordBatch, SourceRecord } from '../source/record.ts';
import { FATE, firstUncommitted, group, lower, type BatchRun } from './batch-run.ts';
import { foldAndCommit, load } from './commit.ts';
import { DEADLINE_MARGIN_MS, DEATHS_BEFORE_REJECTION, KILLERS_REMEMBERED } from './limits.ts';
import { open, type Opened } from './open.ts';
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
  batch: RecordBatch,
  deadlineMs: number,
): Promise<BatchResult> {
  const first = (batch.records[0] as SourceRecord).position;
  const report: BatchReport = emptyReport(batch.records.length);
  const keepGoing = (): boolean => runtime.clock.nowMs() < deadlineMs - DEADLINE_MARGIN_MS;

  // 1. Open
  const opened = await open(runtime, batch, first);
  if (opened.kind === 'refused') {
    runtime.log.warn(`The batch is refused and comes again: ${opened.reason}`, { shard: batch.shard });
    return { failedFrom: first, report: { ...report, unfinished: batch.records.length } };
  }
  const begin = (records: readonly SourceRecord[], killers = opened.killers): BatchRun =>
    beginRun(runtime, { ...opened, killers }, batch, records, keepGoing, report);

  let failedFrom: Position | undefined;
  let endedSuspects: readonly Position[] = [];
  try {
    if (opened.isSuspicious)
      ({ failedFrom, endedSuspects } = await oneByOne(runtime, opened, batch, begin, keepGoing));
    else failedFrom = await runToAnswer(begin(batch.records));
  } catch (error) {
    await endInOrder(runtime, opened, batch, first);
    throw error;
  }

  // 8. Advance
  const done = batch.records.findLast(
    ({ position }) => failedFrom === undefined || comparePositions(position, failedFrom) < 0,
  );
  const finished = done === undefined ? 0 : batch.records.indexOf(done) + 1;
  const advanced = await runtime.store.advance(opened.generation, batch.shard, {
    first,
    ...(done && { position: done.position, arrivalMs: done.arrivalMs }),
    records: finished,
    clearedSuspects: [...endedSuspects, ...forgottenKillers(opened)],
  });
  if (advanced === 'sealed') failedFrom = first;

  // 9. Answer
  report.unfinished = advanced === 'sealed' ? batch.records.length : batch.records.length - finished;
  return { failedFrom, report };
}

/** Steps 2 to 7 for some records of the batch. @returns the first position that is not committed, published and stored. */
async function runToAnswer(run: BatchRun): Promise<Position | undefined> {
  let notPublished: Position | undefined;
  for (let pending = run.works; ;) {
    await load(run, pending);
    await foldAndCommit(run, pending);
    notPublished = lower(notPublished, await publishCommitted(run));
    // A full outbox ended the round of these keys: what it held is published now, and they go on.
    pending = run.works.filter(({ next, elements, isHeld }) => next < elements.length && !isHeld);
    if (pending.length === 0 || notPublished !== undefined || !run.keepGoing()) break;
  }
  bookFates(run);
  return lower(notPublished, firstUncommitted(run));
}

/**
 * Attempts at this batch died before their end, and so some record may kill the process. Each record's turn is noted
 * before it begins, so that the one that kills is found, and rejected without being run.
 */
async function oneByOne(
  runtime: Runtime,
  { generation, killers }: Opened,
  batch: RecordBatch,
  begin: (records: readonly SourceRecord[], killers: ReadonlySet<string>) => BatchRun,
  keepGoing: () => boolean,
): Promise<{ failedFrom: Position | undefined; endedSuspects: readonly Position[] }> {
  runtime.log.warn('Earlier attempts at this batch died; its records are taken one at a time', {
    shard: batch.shard,
    sequenceNumber: (batch.records[0] as SourceRecord).position.sequence,
  });
  let ended: Position | undefined;
  for (const record of batch.records) {
    const { position } = record;
    if (!keepGoing()) return { failedFrom: position, endedSuspects: ended === undefined ? [] : [ended] };
    const known = new Set(killers);
    const isKnown = known.has(encodePosition(position));
    const turns = isKnown ? 0 : await runtime.store.suspect(generation, batch.shard, position, ended);
    if (turns > DEATHS_BEFORE_REJECTION) {
      known.add(encodePosition(position));
      runtime.log.error('A record killed the process each time it was its turn; it becomes a dead letter', {
        shard: batch.shard,
        sequenceNumber: position.sequence,
      });
    }
    if (!isKnown) ended = undefined;
    let failedFrom: Position | undefined;
    try {
      failedFrom = await runToAnswer(begin([record], known));
    } catch (error) {
      // It did not kill the process: a port failed, and the record must not be blamed for that.
      await endInOrder(runtime, { generation }, batch, (batch.records[0] as SourceRecord).position, position);
      throw error;
    }
    if (turns > 0 && turns <= DEATHS_BEFORE_REJECTION) ended = position;
    if (failedFrom !== undefined) return { failedFrom, endedSuspects: ended === undefined ? [] : [ended] };
  }
  return { failedFrom: undefined, endedSuspects: ended === undefined ? [] : [ended] };
}

/** The invocation ends with an error, but it ends: its attempt must not be taken for one that died. */
async function endInOrder(
  runtime: Runtime,
  { generation }: Pick<Opened, 'generation'>,
  batch: RecordBatch,
  first: Position,
  suspect?: Position,
): Promise<void> {
  try {
    await runtime.store.advance(generation, batch.shard, {
      first,
      records: 0,
      clearedSuspects: suspect === undefined ? [] : [suspect],
    });
  } catch (error) {
    runtime.log.warn('The end of a failed attempt could not be noted', { error: String(error) });
  }
}

/** The oldest of the killers beyond the number that a row remembers. */
function forgottenKillers({ killers, progress }: Opened): Position[] {
  if (killers.size <= KILLERS_REMEMBERED) return [];
  const oldest = [...progress.suspects.keys()].filter((position) => killers.has(position)).toSorted();
  return oldest.slice(0, killers.size - KILLERS_REMEMBERED).map((position) => decodePosition(position));
}

function beginRun(
  runtime: Runtime,
  opened: Opened,
  batch: RecordBatch,
  records: readonly SourceRecord[],
  keepGoing: () => boolean,
  report: BatchReport,
): BatchRun {
  const firsts = new Map<string, Position>();
  for (const { lane, position } of batch.records) if (!firsts.has(lane)) firsts.set(lane, position);
  const works = group(runtime, opened, records);
  report.keys += works.length;
  const fates = new Uint8Array(records.length);
  for (const { elements } of works) for (const { record } of elements) fates[record] = FATE.hasElements;
  const { program } = runtime;
  return {
    runtime,
    opened,
    batch,
    records,
    works,
    keepGoing,
    report,
    scope: { program, shard: batch.shard, records, firsts, published: new Set(), acknowledged: new Map() },
    blocked: new Map(),
    fates,
  };
}

/** Counts each record at most once: applied or a duplicate; one that is neither was rejected, or is not done yet. */
function bookFates({ fates, records, report, opened }: BatchRun): void {
  const { position } = opened.progress;
  for (const [index, fate] of fates.entries()) {
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

function emptyReport(records: number): BatchReport {
  return {
    records,
    applied: 0,
    duplicates: 0,
    deadLetters: 0,
    conflicts: 0,
    keys: 0,
    published: 0,
    unfinished: 0,
  };
}
