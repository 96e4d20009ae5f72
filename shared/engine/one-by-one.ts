import type { Position } from '../source/position.ts';
import type { RecordBatch, SourceRecord } from '../source/record.ts';
import { KILLED, type BatchRun } from './batch-run.ts';
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
  { generation, killers }: Opened,
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
  /** Begins a turn. @returns whether the record kills in it; such a turn stays noted. */
  const beginTurn = async (position: Position, stage: TurnStage): Promise<boolean> => {
    const turn = turnOf(position, stage);
    const isKnown = killers.has(turn);
    if (isKnown) return true;
    const deadlines = await runtime.store.suspect(generation, shard, turn, deadlineMs, ended);
    const kills = isKiller(deadlines, runtime.clock.nowMs());
    ended = kills ? undefined : turn;
    if (kills) {
      runtime.log.error('A record killed the process each time it was its turn; it becomes a dead letter', {
        shard,
        sequenceNumber: position.sequence,
        stage,
      });
    }
    return kills;
  };

  for (const record of batch.records) {
    const { position } = record;
    if (!keepGoing()) return result(position);
    try {
      // Where it is known to kill in the later stage, it has passed the earlier one.
      const hasPassed = killers.has(turnOf(position, 'fold'));
      const killsDecoder = !hasPassed && (await beginTurn(position, 'decode'));
      const decoded = begin([record], killsDecoder ? new Set([turnOf(position, 'decode')]) : killers);
      if (!killsDecoder && (await beginTurn(position, 'fold'))) reject(decoded);
      const failedFrom = await run(decoded);
      if (failedFrom !== undefined) return result(failedFrom);
    } catch (error) {
      throw new TurnError(error, result(undefined).endedTurns);
    }
  }
  return result(undefined);
}

/** Rejects the record in the item of each of its keys, where its mark tells whether it was applied after all. */
function reject({ works }: BatchRun): void {
  for (const { elements } of works) {
    for (const [place, element] of elements.entries()) elements[place] = { ...element, rejection: KILLED };
  }
}
