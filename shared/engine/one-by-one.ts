import type { Position } from '../source/position.ts';
import type { RecordBatch, SourceRecord } from '../source/record.ts';
import { KILLED, type BatchRun } from './batch-run.ts';
import { TURNS_NOTED } from './limits.ts';
import type { Opened } from './open.ts';
import type { Runtime } from './runtime.ts';
import { isKiller, turnOf, type TurnStage } from './turn.ts';

/** How far a batch came that was taken record by record. */
export interface OneByOneResult {
  /** The first record that is not committed, published and stored; `undefined` where all are. */
  readonly failedFrom: Position | undefined;
  /** Turns of this invocation that ended and are still noted. */
  readonly endedTurns: readonly string[];
}

/** A port failed in a record's turn. The process lives: the record must not be blamed for that. */
export class TurnError extends Error {
  override readonly name = 'TurnError';
  readonly endedTurns: readonly string[];

  constructor(cause: unknown, endedTurns: readonly string[]) {
    super('A record could not be taken', { cause });
    this.endedTurns = endedTurns;
  }
}

/**
 * Attempts at this batch died before their end, and so some record may kill the process (memory, an endless loop, an
 * exit). Each record's turn is noted before it begins, so that the one that kills is found, and rejected without being
 * run.
 */
export async function processOneByOne(
  runtime: Runtime,
  { generation, killers, progress }: Opened,
  batch: RecordBatch,
  deadlineMs: number,
  keepGoing: () => boolean,
  begin: (records: readonly SourceRecord[], killers: ReadonlySet<string>) => BatchRun,
  run: (run: BatchRun) => Promise<Position | undefined>,
): Promise<OneByOneResult> {
  const { shard } = batch;
  runtime.log.warn('Earlier attempts at this batch died; its records are taken one at a time', {
    shard,
    sequenceNumber: (batch.records[0] as SourceRecord).position.sequence,
  });
  let ended: string | undefined;
  const result = (failedFrom: Position | undefined): OneByOneResult => ({
    failedFrom,
    endedTurns: ended === undefined ? [] : [ended],
  });
  /** Begins a turn. A turn in which the record kills stays noted. */
  const beginTurn = async (position: Position, stage: TurnStage): Promise<'begun' | 'kills' | 'waits'> => {
    const turn = turnOf(position, stage);
    if (killers.has(turn)) return 'kills';
    // Enough is noted: who dies fast must not fill the row before the dead can be told from the living.
    if ((progress.suspects.get(turn)?.length ?? 0) >= TURNS_NOTED) return 'waits';
    const previous = ended;
    // From here on it may be noted, whatever the store answers, and this process lives.
    ended = turn;
    const deadlines = await runtime.store.suspect(generation, shard, turn, deadlineMs, previous);
    // A rewind has begun: nothing of the batch can be acknowledged any more.
    if (deadlines === 'sealed') return 'waits';
    if (!isKiller(deadlines, runtime.clock.nowMs())) return 'begun';
    ended = undefined;
    runtime.log.error('A record killed the process each time it was its turn; it becomes a dead letter', {
      shard,
      sequenceNumber: position.sequence,
      stage,
    });
    return 'kills';
  };

  for (const record of batch.records) {
    if (record.isForeign === true) continue;
    const { position } = record;
    if (!keepGoing()) return result(position);
    try {
      // Where it is known to kill in the later stage, it has passed the earlier one.
      const hasPassed = killers.has(turnOf(position, 'fold'));
      const decoding = hasPassed ? 'begun' : await beginTurn(position, 'decode');
      if (decoding === 'waits') return result(position);
      const killsDecoder = decoding === 'kills';
      const decoded = begin([record], killsDecoder ? new Set([turnOf(position, 'decode')]) : killers);
      // A relay runs no user code behind this; what dies there may have put the record's values already.
      const folding =
        killsDecoder || runtime.program.relay !== undefined ? 'begun' : await beginTurn(position, 'fold');
      if (folding === 'waits') return result(position);
      if (folding === 'kills') reject(decoded);
      const failedFrom = await run(decoded);
      if (failedFrom !== undefined) return result(failedFrom);
    } catch (error) {
      throw new TurnError(error, result(undefined).endedTurns);
    }
  }
  return result(undefined);
}

/**
 * Rejects the record in the item of each of its keys, where its mark tells whether it was applied after all. An element
 * without a key was rejected already.
 */
function reject({ works }: BatchRun): void {
  for (const { elements } of works) {
    for (const [place, element] of elements.entries())
      elements[place] = { ...element, rejection: element.rejection ?? KILLED };
  }
}
