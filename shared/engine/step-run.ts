import type { FoldContext, StatefulStage } from '../pipeline/definition.ts';
import { entryBytes, type EntryDraft, type Maker } from './outbox-draft.ts';
import { destinationKeyOf, outputJson, requirePublishable } from './output-value.ts';
import type { ItemDraft, NextTimer } from './item-draft.ts';
import type { LookedUp } from './looked-up.ts';
import type { Program, SinkStep } from './program.ts';
import type { Cell } from './state-cell.ts';

/** Runs values of one key through the steps behind `keyBy`, and gathers what they publish. */
export class StepRun {
  /** What came of the record at hand, or of the timer. */
  entries: EntryDraft[] = [];
  entriesBytes = 0;
  readonly #program: Program;
  readonly #key: string;
  readonly #draft: ItemDraft;
  readonly #rows: LookedUp | undefined;
  #maker: Maker | undefined;
  #context: FoldContext = NO_CONTEXT;
  /** Under which an output goes to a sink without a key of its own. */
  #ownKey: string;

  /**
   * @param key empty for a shard's own item, for which nothing is run.
   * @param rows in a pipeline that looks rows up.
   */
  constructor(program: Program, key: string, draft: ItemDraft, rows: LookedUp | undefined) {
    this.#program = program;
    this.#key = key;
    this.#ownKey = key;
    this.#draft = draft;
    this.#rows = rows;
  }

  clear(): void {
    if (this.entries.length > 0) this.entries = [];
    this.entriesBytes = 0;
  }

  /** How much was made so far, for `takeBack`. */
  get made(): { readonly count: number; readonly bytes: number } {
    return { count: this.entries.length, bytes: this.entriesBytes };
  }

  takeBack({ count, bytes }: StepRun['made']): void {
    this.entries.length = count;
    this.entriesBytes = bytes;
  }

  add(entry: EntryDraft): void {
    this.entries.push(entry);
    this.entriesBytes += entryBytes(entry);
  }

  /**
   * Runs a value from a step on.
   * @throws what user code throws, RecordError for what cannot be published.
   */
  run(from: number, value: unknown, maker: Maker, context: FoldContext): void {
    this.#maker = maker;
    this.#context = context;
    this.#ownKey = this.#key;
    this.#run(from, value);
  }

  /** Fires what an operator waits for at a time, and runs the outputs through the steps behind it. */
  fire({ place, dueMs, domain }: NextTimer, maker: Maker): void {
    const step = this.#program.steps[place];
    if (step?.kind !== 'operator') return;
    const { timers } = step.operator;
    const due = domain === 'event' ? timers : timers?.processing;
    if (due === undefined) return;
    const { arrivalMs } = maker;
    const { firedMs, processingFiredMs } = this.#draft;
    const moment = { nowMs: arrivalMs, firedMs, processingFiredMs };
    const outputs = due.fire(this.#key, dueMs, this.#draft.cells[step.cell] as Cell, moment);
    this.#maker = maker;
    // What it gives is in time for whatever waits behind it: timers of one time fire in the order of their operators. What
    // the clock gives has no event time; nothing behind it asks for one.
    this.#context =
      domain === 'event'
        ? { arrivalMs, time: { eventMs: dueMs, overMs: dueMs - 1, firedMs: dueMs - 1, processingFiredMs } }
        : { arrivalMs };
    this.#goOn(step.operator, place + 1, outputs);
  }

  #run(from: number, value: unknown): void {
    const { steps } = this.#program;
    let current = value;
    for (let at = from; at < steps.length; at++) {
      const step = steps[at] as (typeof steps)[number];
      switch (step.kind) {
        case 'map':
          current = step.apply(current);
          break;
        case 'filter':
          if (!step.apply(current)) return;
          break;
        case 'flatMap':
          for (const each of step.apply(current)) this.#run(at + 1, each);
          return;
        case 'lookup': {
          const { lookup, of } = step;
          const found =
            of === undefined ? this.#rows?.all(lookup) : this.#rows?.row(lookup, of(current, this.#key));
          current = step.apply(current, found, this.#key);
          break;
        }
        case 'sink':
          this.#emit(step, current);
          break;
        case 'operator': {
          const { operator } = step;
          const cell = this.#draft.cells[step.cell] as Cell;
          const outputs = operator.fold(this.#key, current, cell, this.#context);
          if (outputs.length === 0) return;
          // The common case needs no further call.
          if (
            outputs.length > 1 ||
            operator.outputMs !== undefined ||
            operator.destinationKey !== undefined
          ) {
            this.#goOn(operator, at + 1, outputs);
            return;
          }
          if (operator.outputs !== 'same') this.#ownKey = this.#key;
          current = outputs[0];
          break;
        }
      }
    }
  }

  #goOn(operator: StatefulStage, from: number, outputs: readonly unknown[]): void {
    const [context, ownKey] = [this.#context, this.#ownKey];
    for (const output of outputs) {
      if (operator.outputs !== 'same')
        this.#ownKey = operator.destinationKey?.(this.#key, output) ?? this.#key;
      if (operator.outputMs !== undefined && context.time !== undefined) {
        const eventMs = operator.outputMs(output);
        const { overMs } = context.time;
        // A window's result has its last millisecond, and is in time until the window's end.
        const ownOverMs = overMs === eventMs ? overMs - 1 : overMs;
        this.#context = { ...context, time: { ...context.time, eventMs, overMs: ownOverMs } };
      }
      this.#run(from, output);
      this.#ownKey = ownKey;
    }
    this.#context = context;
  }

  #emit(step: SinkStep, value: unknown): void {
    const maker = this.#maker as Maker;
    const { sink } = step;
    if (step.stateOf !== undefined) {
      const held = (this.#draft.cells[step.stateOf.cell] as Cell).refer();
      if (held === undefined) return;
      requirePublishable(sink, held, this.#key);
      this.#draft.direct[step.direct]?.stage(maker, held);
      return;
    }
    const { lane, position, element, arrivalMs, originArrivalMs, origin } = maker;
    this.add({
      kind: 'output',
      sink: sink.name,
      destinationKey: destinationKeyOf(sink, value, this.#key, this.#ownKey),
      isChange: step.isChange,
      value: { json: outputJson(sink, value) },
      lane,
      position,
      element,
      index: this.#nextIndex(sink.name),
      arrivalMs,
      originArrivalMs,
      ...(origin !== undefined && { origin }),
    });
  }

  #nextIndex(sink: string): number {
    const last = this.entries.findLast((entry) => entry.kind === 'output' && entry.sink === sink);
    const { element, origin } = this.#maker as Maker;
    const isSame = last?.kind === 'output' && last.element === element && last.origin === origin;
    return isSame ? last.index + 1 : 0;
  }
}

const NO_CONTEXT: FoldContext = { arrivalMs: 0 };
