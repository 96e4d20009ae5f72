import { DEATHS_BEFORE_SUSPICION } from '../../shared/engine/limits.ts';

/** The records that one invocation works on, by their event ids (shard and sequence number). */
type Batch = readonly string[];

const INVOCATIONS_REMEMBERED = 1_000;

/**
 * Keeps chaos from making a record look like one that kills. The engine rejects a record when the process died in two
 * turns of it, which it takes alone once more than DEATHS_BEFORE_SUSPICION attempts at one batch did not end; deaths by
 * chance look the same as deaths by the record, and would rightly end in a dead letter.
 *
 * So a process may die freely while a batch cannot have so many attempts behind it, and afterwards once per record. A
 * request that fails may be sent again, and so may the one that counts an attempt: every fault is taken for an attempt.
 */
export class DeathBudget {
  readonly #batches = new Map<string, Batch>();
  readonly #invocations = new Map<string, number>();
  /** By a batch's first record: attempts at most. */
  readonly #attempts = new Map<string, number>();
  readonly #died = new Set<string>();

  /** The next invocation of the function works on these records. */
  begin(functionName: string, batch: Batch): void {
    const number = (this.#invocations.get(functionName) ?? 0) + 1;
    this.#invocations.set(functionName, number);
    this.#batches.set(`${functionName}#${number}`, batch);
    this.#batches.delete(`${functionName}#${number - INVOCATIONS_REMEMBERED}`);
    this.#count(batch);
  }

  /** A fault strikes an invocation of the function, by its number from 1. */
  strike(functionName: string, invocation: number): void {
    this.#count(this.#batch(functionName, invocation));
  }

  /** Whether the process may die in this invocation; where it may, it is taken to. */
  takeDeath(functionName: string, invocation: number): boolean {
    const batch = this.#batch(functionName, invocation);
    if ((this.#attempts.get(batch[0] ?? '') ?? 0) <= DEATHS_BEFORE_SUSPICION) return true;
    if (batch.some((record) => this.#died.has(record))) return false;
    for (const record of batch) this.#died.add(record);
    return true;
  }

  #batch(functionName: string, invocation: number): Batch {
    return this.#batches.get(`${functionName}#${invocation}`) ?? [];
  }

  #count([first = '']: Batch): void {
    this.#attempts.set(first, (this.#attempts.get(first) ?? 0) + 1);
  }
}
