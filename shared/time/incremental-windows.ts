import type { OperatorTimers, StatefulStage } from '../pipeline/definition.ts';
import type { Document } from '../state/document.ts';
import { firstEndAbove, lastEndOf, paneMsOf, type AlignedWindows } from './window-spec.ts';
import { destinationKey, lateOutputs, outputMs, requireTime, type LatePolicy } from './window-operator.ts';

export interface IncrementalFold {
  readonly reduce: (accumulated: Document, value: Document) => Document;
  /** Takes out of the first what was reduced to the second. */
  readonly inverse: (accumulated: Document, value: Document) => Document;
  /** Whether a key stays; every key stays for ever without one. */
  readonly filter?: ((key: string, value: Document) => boolean) | undefined;
}

interface Held {
  /** Panes that are in a window that has not ended for the last time, by their start. */
  readonly panes: ReadonlyMap<number, Document>;
  /** Of the last window that ended, with what was in time for the next ones only. */
  readonly whole?: { readonly endMs: number; readonly value: Document } | undefined;
}

/**
 * The operator of Spark's `reduceByKeyAndWindow` with an inverse function: each window is the one before it, less the
 * panes that left, with those that came. As there, a key that once had a value gives one at every slide from then on,
 * until the filter drops it.
 */
export function incrementalWindowStage(
  name: string,
  version: number,
  windows: AlignedWindows,
  { reduce, inverse, filter }: IncrementalFold,
  late: LatePolicy,
): StatefulStage {
  const { sizeMs, slideMs, offsetMs } = windows;
  const paneMs = paneMsOf(windows);
  const all = (values: Iterable<Document>, first?: Document): Document | undefined => {
    let whole = first;
    for (const value of values) whole = whole === undefined ? value : reduce(whole, value);
    return whole;
  };

  const timers: OperatorTimers = {
    dueMs: (state, firedMs) => {
      const { panes, whole } = read(state);
      const first = Math.min(...panes.keys());
      const endedMs = Math.max(firedMs, whole?.endMs ?? -Infinity);
      const ofPanes = first === Infinity ? Infinity : firstEndAbove(windows, Math.max(first, endedMs));
      const dueMs = Math.min(ofPanes, whole === undefined ? Infinity : whole.endMs + slideMs);
      return dueMs === Infinity ? undefined : dueMs;
    },
    fire: (key, endMs, cell) => {
      const { panes, whole } = read(cell.get());
      const startMs = endMs - sizeMs;
      const inWindow = [...panes].filter(([pane]) => pane >= startMs && pane < endMs);
      let value: Document | undefined;
      if (whole === undefined) value = all(inWindow.map(([, pane]) => pane));
      else {
        const left = [...panes].filter(([pane]) => pane < startMs);
        const came = inWindow.filter(([pane]) => pane >= whole.endMs);
        value = left.reduce((rest, [, pane]) => inverse(rest, pane), whole.value);
        value = all(
          came.map(([, pane]) => pane),
          value,
        );
      }
      if (value !== undefined && filter?.(key, value) === false) value = undefined;
      const kept = new Map(
        [...panes].filter(([pane]) => pane >= startMs && (pane >= endMs || value !== undefined)),
      );
      if (value === undefined && kept.size === 0) cell.remove();
      else cell.set(stateOf({ panes: kept, whole: value === undefined ? undefined : { endMs, value } }));
      return value === undefined ? [] : [{ key, window: { start: startMs, end: endMs }, value }];
    },
  };

  /**
   * A value that is in time for later windows only: these are made of the last that ended, which has it from now on. Where
   * one is due that has not fired, a later one brings it with its pane.
   */
  const withLate = (
    panes: Held['panes'],
    whole: Held['whole'],
    overMs: number,
    add: (before: Document | undefined) => Document,
  ): Held['whole'] => {
    const endMs = firstEndAbove(windows, overMs) - slideMs;
    const isDue =
      whole === undefined
        ? [...panes.keys()].some((start) => firstEndAbove(windows, start) <= overMs)
        : whole.endMs < endMs;
    return isDue ? whole : { endMs, value: add(whole?.value) };
  };

  return {
    kind: 'stateful',
    name,
    version,
    outputs: 'event',
    timers,
    outputMs,
    destinationKey,
    fold: (key, value, cell, context) => {
      const time = requireTime(name, context.time);
      const { eventMs, overMs } = time;
      const pane = Math.floor((eventMs - offsetMs) / paneMs) * paneMs + offsetMs;
      const firstMs = firstEndAbove(windows, pane);
      // It lies between two windows.
      if (firstMs - sizeMs > pane) return [];
      const lastMs = lastEndOf(windows, pane);
      if (lastMs <= overMs) {
        return lateOutputs(name, late, lastMs, time, () => {
          const results: unknown[] = [];
          for (let end = firstMs; end <= lastMs; end += slideMs)
            results.push({ key, window: { start: end - sizeMs, end }, value });
          return results;
        });
      }
      const { panes, whole } = read(cell.get());
      const add = (before: Document | undefined): Document =>
        before === undefined ? (value as Document) : reduce(before, value as Document);
      const now = new Map(panes).set(pane, add(panes.get(pane)));
      cell.set(
        stateOf({ panes: now, whole: firstMs > overMs ? whole : withLate(panes, whole, overMs, add) }),
      );
      return [];
    },
  };
}

/** As it is stored: panes by start, and the last window's end and value. */
interface Stored {
  readonly p?: { readonly [pane: string]: Document };
  readonly w?: readonly [number, Document];
}

function read(state: Document | undefined): Held {
  const { p = {}, w } = (state ?? {}) as Stored;
  const panes = Object.entries(p)
    .map(([pane, value]) => [Number(pane), value] as const)
    .sort(([a], [b]) => a - b);
  return { panes: new Map(panes), whole: w && { endMs: w[0], value: w[1] } };
}

function stateOf({ panes, whole }: Held): Document {
  const p = Object.fromEntries([...panes].map(([pane, value]) => [String(pane), value]));
  return {
    ...(panes.size > 0 && { p }),
    ...(whole !== undefined && { w: [whole.endMs, whole.value] }),
  };
}
