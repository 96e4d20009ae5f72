import type { StateCell, StatefulStage } from '../pipeline/definition.ts';
import { RecordError } from '../source/record-error.ts';
import { canonicalDocument, type CanonicalDocument } from '../state/canonical-document.ts';
import type { Document } from '../state/document.ts';

/** What a cell held before a record ran, to be put back when the record is rejected. */
export interface SavedCell {
  readonly held: CanonicalDocument | undefined;
  readonly isSeen: boolean;
  readonly isUntouched: boolean;
}

/**
 * One operator's state while a key is folded. What it holds is always canonical: what a function sees is the same
 * whether the state came out of the table or out of the record before (I10).
 *
 * A *guarded* cell gives out copies, so that what it held before a record can be put back. An unguarded one gives out
 * what it holds, because what user code changes in place it replaces or removes in the same call; only a throw, or a
 * removal after an output that refers to the state, needs the fold to be run again with guarded cells.
 */
export class Cell implements StateCell {
  readonly operator: StatefulStage;
  readonly #key: string;
  readonly #isGuarded: boolean;
  #held: CanonicalDocument | undefined;
  #isSeen: boolean;
  #isUntouched = true;
  #wasRemoved = false;
  #isReferredTo = false;
  #lostReference = false;

  /** @param isSeen whether this operator ever had state under this key: it has no initial state then. */
  constructor(
    operator: StatefulStage,
    key: string,
    state: Document | undefined,
    isSeen: boolean,
    isGuarded: boolean,
  ) {
    this.operator = operator;
    this.#key = key;
    this.#isGuarded = isGuarded;
    this.#held = state === undefined ? undefined : canonicalDocument(state);
    this.#isSeen = isSeen;
  }

  get(): Document | undefined {
    this.#begin();
    if (this.#held === undefined) return undefined;
    return this.#isGuarded ? canonicalDocument(this.#held.document).document : this.#held.document;
  }

  copy(): Document | undefined {
    this.#begin();
    return this.#held === undefined ? undefined : canonicalDocument(this.#held.document).document;
  }

  set(state: unknown): void {
    this.#held = this.#canonical(state);
    this.#isSeen = true;
    this.#isUntouched = false;
    this.#isReferredTo = false;
  }

  remove(): void {
    this.#wasRemoved = true;
    this.#lostReference ||= this.#isReferredTo && !this.#isGuarded;
    this.#isReferredTo = false;
    this.#held = undefined;
    this.#isSeen = true;
    this.#isUntouched = false;
  }

  /** As if the operator had never had state under this key. */
  forget(): void {
    this.#isUntouched &&= this.#held === undefined;
    this.#held = undefined;
    this.#isSeen = false;
  }

  /** An output refers to what the cell holds now, instead of having a copy of it. */
  refer(): CanonicalDocument | undefined {
    this.#isReferredTo = true;
    return this.#held;
  }

  /** Whether an output refers to a state that user code may have changed since: fold again with guarded cells. */
  get lostReference(): boolean {
    return this.#lostReference;
  }

  /** Whether it was removed in this fold, so that an output may refer to a state that is gone. */
  get wasRemoved(): boolean {
    return this.#wasRemoved;
  }

  get held(): CanonicalDocument | undefined {
    return this.#held;
  }

  /** Whether it holds what the item must be kept for, however long nothing comes. */
  get counts(): boolean {
    return this.#held !== undefined && this.operator.forgetsAfterSeconds === undefined;
  }

  get isSeen(): boolean {
    return this.#isSeen;
  }

  /** Whether it still holds what was loaded. */
  get isUntouched(): boolean {
    return this.#isUntouched;
  }

  get bytes(): number {
    return this.#held?.bytes ?? 0;
  }

  save(): SavedCell {
    return { held: this.#held, isSeen: this.#isSeen, isUntouched: this.#isUntouched };
  }

  putBack({ held, isSeen, isUntouched }: SavedCell): void {
    this.#held = held;
    this.#isSeen = isSeen;
    this.#isUntouched = isUntouched;
  }

  #begin(): void {
    if (this.#held !== undefined || this.#isSeen) return;
    this.#isSeen = true;
    const { initial } = this.operator;
    if (initial === undefined) return;
    const state = initial(this.#key);
    if (state !== undefined) this.#held = this.#canonical(state);
  }

  #canonical(state: unknown): CanonicalDocument {
    try {
      return canonicalDocument(state, this.operator.name);
    } catch (error) {
      throw new RecordError('state', error instanceof Error ? error.message : String(error));
    }
  }
}
