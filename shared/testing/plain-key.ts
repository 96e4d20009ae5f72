import type { FoldContext, KeyedStage, Sink, StateCell, StatefulStage } from '../pipeline/definition.ts';
import { canonicalDocument } from '../state/canonical-document.ts';
import type { Document } from '../state/document.ts';

/** One key's states by operator, and which operators it has ever had state of. */
export interface KeyStates {
  readonly states: ReadonlyMap<string, Document>;
  readonly seen: ReadonlySet<string>;
}

/** Told each value that reaches a sink, and whether it is a key's new value, of which only the newest counts. */
export type Emit = (sink: Sink, value: unknown, isChange: boolean) => void;

/** Bytes of UTF-8 of a key; DynamoDB's 2,048 less what the engine puts before it. */
const LONGEST_KEY_BYTES = 2_000;

/** Whether a table takes the key. */
export function isKey(key: unknown): key is string {
  return typeof key === 'string' && key.isWellFormed() && Buffer.byteLength(key) <= LONGEST_KEY_BYTES;
}

/**
 * One key while one record is folded for it, by the pipeline's own functions over plain Maps. It shares nothing with the
 * engine, which it is compared with, but the definition and the form of a state. What it began with stays as it is, for
 * a record that is rejected in the middle.
 */
export class PlainKey implements KeyStates {
  readonly states: Map<string, Document>;
  readonly seen: Set<string>;
  readonly #key: string;
  readonly #stages: readonly KeyedStage[];
  readonly #cells = new Map<StatefulStage, StateCell>();

  constructor(stages: readonly KeyedStage[], key: string, before: KeyStates | undefined) {
    this.#stages = stages;
    this.#key = key;
    this.states = new Map(before?.states);
    this.seen = new Set(before?.seen);
    for (const stage of stages) if (stage.kind === 'stateful') this.#cells.set(stage, this.#cell(stage));
  }

  /** Folds one value of the record. @throws what user code throws. */
  fold(value: unknown, context: FoldContext, emit: Emit): void {
    this.#run(this.#stages, value, false, context, emit);
  }

  #run(
    stages: readonly KeyedStage[],
    value: unknown,
    isChange: boolean,
    context: FoldContext,
    emit: Emit,
  ): void {
    const [stage, ...rest] = stages;
    if (stage === undefined) return;
    const goOn = (next: unknown, isNextChange = isChange): void =>
      this.#run(rest, next, isNextChange, context, emit);
    switch (stage.kind) {
      case 'map':
        return goOn(stage.apply(value));
      case 'filter':
        return stage.apply(value) ? goOn(value) : undefined;
      case 'flatMap':
        for (const each of stage.apply(value)) goOn(each);
        return;
      case 'sink':
        emit(stage.sink, value, isChange);
        return goOn(value);
      case 'stateful': {
        const cell = this.#cells.get(stage) as StateCell;
        const isNextChange = stage.outputs === 'same' ? isChange : stage.outputs === 'change';
        for (const output of stage.fold(this.#key, value, cell, context)) goOn(output, isNextChange);
        return;
      }
    }
  }

  /** A cell over the Maps; a state goes in and comes out as a copy. */
  #cell({ name, initial }: StatefulStage): StateCell {
    const { states, seen } = this;
    const read = (): Document | undefined => {
      if (!seen.has(name) && !states.has(name)) {
        seen.add(name);
        const first = initial?.(this.#key);
        if (first !== undefined) states.set(name, canonicalDocument(first, name).document);
      }
      const state = states.get(name);
      return state === undefined ? undefined : canonicalDocument(state, name).document;
    };
    return {
      get: read,
      copy: read,
      set(state) {
        seen.add(name);
        states.set(name, canonicalDocument(state, name).document);
      },
      remove() {
        seen.add(name);
        states.delete(name);
      },
    };
  }
}
