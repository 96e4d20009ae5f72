import { isDeepStrictEqual } from 'node:util';
import { hashOfKey } from '../../output/output-id.ts';
import type { PipelineDefinition, TimeDomain } from '../../pipeline/definition.ts';
import { timerLane } from '../../source/lane.ts';
import type { SourceRecord } from '../../source/record.ts';
import type { StateItem } from '../../state/state-item.ts';
import { PlainKey, type KeyStates, type PlainTimer } from '../plain-key.ts';
import { emitting, type Oracle, type OracleOutput } from './oracle.ts';

/** One key, with how far its timers have fired. */
export interface TimedKey extends KeyStates {
  /** Milliseconds since the epoch; -Infinity where none has. */
  readonly firedMs: number;
  /** The like by the clock. */
  readonly processingFiredMs: number;
}

/** A timer has fired, or a record has run. */
export type TimedStep =
  | {
      readonly kind: 'fired';
      readonly dueMs: number;
      readonly domain: TimeDomain;
      /** Among the stateful operators. */
      readonly operator: number;
      readonly outputs: readonly OracleOutput[];
    }
  | {
      readonly kind: 'applied';
      readonly record: SourceRecord;
      readonly outputs: readonly OracleOutput[];
      /** Up to where event time was over for it. */
      readonly overMs: number;
    }
  | { readonly kind: 'rejected'; readonly record: SourceRecord; readonly overMs: number };

/** What becomes of a key, and what it makes on the way. */
export interface TimedRun {
  readonly key: TimedKey;
  readonly steps: readonly TimedStep[];
}

/** Of what one write brings in: the records, each with what is over in its lane before it. */
export interface TimedInput {
  readonly records: readonly { readonly record: SourceRecord; readonly overMs: number }[];
  /** Up to where the write has fired, by what it says; before a record never beyond what is over there. */
  readonly firesUpToMs: number;
  /** Before records, where that is known better. */
  readonly firesBeforeUpToMs?: number;
  /** Where it brings in no records: up to where it has fired by the clock. Before a record it is up to its arrival. */
  readonly processingUpToMs: number;
  readonly isParked: boolean;
}

const NOTHING_KNOWN: TimedKey = {
  states: new Map(),
  seen: new Set(),
  firedMs: -Infinity,
  processingFiredMs: -Infinity,
};

/**
 * What a key's states and outputs should be in a pipeline with a time: its records, and what they waited for, one after
 * the other, by the pipeline's own functions over plain Maps.
 */
export class TimedOracle {
  readonly #definition: PipelineDefinition;
  readonly #oracle: Oracle;
  readonly #keys = new Map<string, TimedKey>();

  constructor(definition: PipelineDefinition, oracle: Oracle) {
    this.#definition = definition;
    this.#oracle = oracle;
  }

  of(key: string): TimedKey {
    return this.#keys.get(key) ?? NOTHING_KNOWN;
  }

  take(key: string, { key: next }: TimedRun): void {
    this.#keys.set(key, next);
  }

  /** When the key's next timer of a time is due; undefined where it has none. */
  nextDueMs(key: string, domain: TimeDomain): number | undefined {
    const known = this.of(key);
    return this.#begin(key, known).nextTimer(firedBy(known, domain), domain)?.dueMs;
  }

  run(key: string, input: TimedInput): TimedRun {
    return this.#oracle.judge(() => this.#run(key, input));
  }

  #run(key: string, input: TimedInput): TimedRun {
    const { records, firesUpToMs, firesBeforeUpToMs = firesUpToMs } = input;
    let { isParked } = input;
    let known = this.of(key);
    let steps: TimedStep[] = [];
    for (const { record, overMs } of records) {
      const fired = isParked
        ? undefined
        : this.#fire(key, known, Math.min(firesBeforeUpToMs, overMs), record.arrivalMs, record);
      const before = fired?.key ?? known;
      const over = Math.max(overMs, before.firedMs);
      const run = isParked ? undefined : this.#apply(key, before, record, overMs);
      if (run === undefined) {
        // What fired before it fires again, with what comes next.
        isParked ||= this.#definition.onRecordError === 'parkKey';
        steps.push({ kind: 'rejected', record, overMs: over });
        continue;
      }
      known = run.key;
      steps.push(...(fired?.steps ?? []), { kind: 'applied', record, outputs: run.outputs, overMs: over });
    }
    if (!isParked) {
      const record = records.at(-1)?.record;
      const byClockMs = record === undefined ? input.processingUpToMs : -Infinity;
      const last = this.#fire(key, known, firesUpToMs, byClockMs, record);
      known = last.key;
      steps = [...steps, ...last.steps];
    }
    return { key: known, steps };
  }

  /** By event time first, and as long as something is due by either. */
  #fire(
    key: string,
    from: TimedKey,
    upToMs: number,
    processingUpToMs: number,
    record: SourceRecord | undefined,
  ): TimedRun {
    const { keyedStages } = this.#definition;
    const steps: TimedStep[] = [];
    let { firedMs, processingFiredMs } = from;
    const plain = this.#begin(key, from);
    const next = (): PlainTimer | undefined => {
      const byEvent = plain.nextTimer(firedMs, 'event');
      if (byEvent !== undefined && byEvent.dueMs <= upToMs) return byEvent;
      const byClock = plain.nextTimer(processingFiredMs, 'processing');
      return byClock !== undefined && byClock.dueMs <= processingUpToMs ? byClock : undefined;
    };
    for (let timer = next(); timer !== undefined; timer = next()) {
      const { dueMs, domain } = timer;
      const outputs: OracleOutput[] = [];
      const operator = operatorNumber(keyedStages, timer);
      const position = { sequence: String(dueMs), sub: operator };
      const origin = { lane: timerLane(hashOfKey(key), domain), position };
      const moment = { nowMs: record?.arrivalMs ?? 0, firedMs, processingFiredMs };
      plain.fire(timer, moment, emitting(outputs, 0, key, origin));
      if (domain === 'event') firedMs = dueMs;
      else processingFiredMs = dueMs;
      steps.push({ kind: 'fired', dueMs, domain, operator, outputs });
    }
    return { key: { states: plain.states, seen: plain.seen, firedMs, processingFiredMs }, steps };
  }

  /** @returns nothing where one of the elements is rejected. */
  #apply(
    key: string,
    from: TimedKey,
    record: SourceRecord,
    laneOverMs: number,
  ): { readonly key: TimedKey; readonly outputs: readonly OracleOutput[] } | undefined {
    const plain = this.#begin(key, from);
    const outputs: OracleOutput[] = [];
    const { firedMs, processingFiredMs } = from;
    try {
      for (const { element, value, eventMs = 0 } of this.#oracle.valuesOf(record, key)) {
        const time = { eventMs, overMs: Math.max(laneOverMs, firedMs), firedMs, processingFiredMs };
        plain.fold(value, { arrivalMs: record.arrivalMs, time }, emitting(outputs, element, key));
      }
    } catch {
      return undefined;
    }
    return { key: { states: plain.states, seen: plain.seen, firedMs, processingFiredMs }, outputs };
  }

  #begin(key: string, from: KeyStates): PlainKey {
    return new PlainKey(this.#definition.keyedStages, key, from);
  }
}

/** Whether an item has these states, and has fired so far. */
export function isAsRun(
  { key }: TimedRun,
  { states, firedMs = -Infinity, processingFiredMs = -Infinity }: StateItem,
): boolean {
  return (
    key.firedMs === firedMs &&
    key.processingFiredMs === processingFiredMs &&
    isDeepStrictEqual(new Map(states), new Map(key.states))
  );
}

function firedBy({ firedMs, processingFiredMs }: TimedKey, domain: TimeDomain): number {
  return domain === 'event' ? firedMs : processingFiredMs;
}

/** Among the stateful operators. */
function operatorNumber(stages: PipelineDefinition['keyedStages'], { place }: PlainTimer): number {
  return stages.slice(0, place).filter(({ kind }) => kind === 'stateful').length;
}
