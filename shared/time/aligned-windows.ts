import type { OperatorTimers, StatefulStage, ValueTime } from '../pipeline/definition.ts';
import type { Document } from '../state/document.ts';
import { firstEndAbove, lastEndOf, paneMsOf, type AlignedWindows } from './window-spec.ts';
import {
  destinationKey,
  lateOutputs,
  outputMs,
  requireTime,
  type WindowFold,
  type WindowResult,
  type WindowSettings,
} from './window-operator.ts';

/**
 * Values are kept in panes, of which each is in a window whole or not at all: a value is added once, however many windows
 * it is in. The state has a pane's accumulator by its start. A value that came too late for some windows of its pane and
 * in time for others is in a pane of its own, `start>end`, which is in no window that ends at or before that end. A name
 * ends in `*time` while the pane has something of which an early result is due then.
 */
interface Pane {
  readonly startMs: number;
  readonly aboveMs: number;
  /** Infinity where nothing is new in it, or no early results are asked for. */
  readonly earlyMs: number;
  readonly accumulator: Document;
}

/** The operator over windows of one size. */
export function alignedWindowStage(
  name: string,
  version: number,
  windows: AlignedWindows,
  fold: WindowFold,
  { emit, earlyMs, allowedLatenessMs, late }: WindowSettings,
): StatefulStage {
  const paneMs = paneMsOf(windows);
  const isUpdating = emit === 'onUpdate';
  const lastEnd = ({ startMs }: Pane): number => lastEndOf(windows, startMs);

  /** What the panes give in the window that ends so; nothing where none of them is in it. */
  const resultOf = (key: string, panes: readonly Pane[], end: number): readonly WindowResult<unknown>[] => {
    const start = end - windows.sizeMs;
    let whole: Document | undefined;
    for (const { startMs, aboveMs, accumulator } of panes) {
      if (startMs < start || startMs >= end || aboveMs >= end) continue;
      whole = whole === undefined ? accumulator : fold.merge(whole, accumulator);
    }
    return whole === undefined ? [] : [{ key, window: { start, end }, value: fold.result(whole) }];
  };
  const resultsOf = (key: string, panes: readonly Pane[], fromMs: number, toMs: number): unknown[] => {
    const results: unknown[] = [];
    for (let end = fromMs; end <= toMs; end += windows.slideMs) results.push(...resultOf(key, panes, end));
    return results;
  };

  /** When an early result is due of what comes now; Infinity where the windows give their last results before. */
  const earlyOf = (startMs: number, { overMs, firedMs }: ValueTime): number => {
    if (earlyMs === undefined) return Infinity;
    const atMs = Math.floor(Math.max(startMs, overMs, firedMs) / earlyMs) * earlyMs + earlyMs;
    return atMs < lastEndOf(windows, startMs) ? atMs : Infinity;
  };
  /** Of all windows that are not over and have something new. */
  const earlyResults = (key: string, panes: readonly Pane[], dueMs: number): unknown[] => {
    const ends = new Set<number>();
    for (const pane of panes.filter((each) => each.earlyMs <= dueMs)) {
      const fromMs = firstEndAbove(windows, Math.max(dueMs, pane.aboveMs, pane.startMs));
      for (let end = fromMs; end <= lastEnd(pane); end += windows.slideMs) ends.add(end);
    }
    return [...ends]
      .toSorted((a, b) => a - b)
      .flatMap((end) => resultOf(key, panes, end).map((result) => ({ ...result, isEarly: true as const })));
  };

  const timers: OperatorTimers = {
    dueMs: (state, firedMs) => {
      let dueMs: number | undefined;
      for (const pane of panesOf(state)) {
        const nextMs = firstEndAbove(windows, Math.max(firedMs, pane.aboveMs, pane.startMs));
        const isWaiting = !isUpdating && nextMs <= lastEnd(pane);
        const own = Math.min(isWaiting ? nextMs : lastEnd(pane) + allowedLatenessMs, pane.earlyMs);
        if (dueMs === undefined || own < dueMs) dueMs = own;
      }
      return dueMs;
    },
    fire: (key, dueMs, cell) => {
      const panes = panesOf(cell.get());
      const isEnd = !isUpdating && firstEndAbove(windows, dueMs - 1) === dueMs;
      const results = [...(isEnd ? resultOf(key, panes, dueMs) : []), ...earlyResults(key, panes, dueMs)];
      const left = panes
        .filter((pane) => lastEnd(pane) + allowedLatenessMs > dueMs)
        .map((pane) => (pane.earlyMs <= dueMs ? { ...pane, earlyMs: Infinity } : pane));
      if (left.length === 0) cell.remove();
      else cell.set(stateOf(left));
      return results;
    },
  };

  return {
    kind: 'stateful',
    name,
    version,
    outputs: isUpdating ? 'change' : 'event',
    timers,
    outputMs,
    destinationKey,
    fold: (key, value, cell, context) => {
      const time = requireTime(name, context.time);
      const { eventMs, overMs, firedMs } = time;
      const startMs = Math.floor((eventMs - windows.offsetMs) / paneMs) * paneMs + windows.offsetMs;
      const lastMs = lastEndOf(windows, startMs);
      // It lies between two windows.
      if (lastMs <= eventMs) return [];
      const closedMs = overMs - allowedLatenessMs;
      const firstMs = firstEndAbove(windows, startMs);
      if (lastMs <= closedMs) {
        return lateOutputs(name, late, lastMs, time, () => {
          const accumulator = fold.add(undefined, value);
          const pane = { startMs, aboveMs: -Infinity, earlyMs: Infinity, accumulator };
          return resultsOf(key, [pane], firstMs, lastMs);
        });
      }
      const openMs = firstEndAbove(windows, Math.max(closedMs, startMs));
      const aboveMs = openMs > firstMs ? openMs - windows.slideMs : -Infinity;
      const all = panesOf(cell.get());
      const before = all.find((each) => each.startMs === startMs && each.aboveMs === aboveMs);
      const pane: Pane = {
        startMs,
        aboveMs,
        earlyMs: Math.min(before?.earlyMs ?? Infinity, earlyOf(startMs, time)),
        accumulator: fold.add(before?.accumulator, value),
      };
      const panes = inOrder([...all.filter((each) => each !== before), pane]);
      cell.set(stateOf(panes));
      // Windows that have fired and are still taken give a corrected result.
      return resultsOf(key, panes, openMs, isUpdating ? lastMs : Math.min(lastMs, firedMs));
    },
  };
}

function panesOf(state: Document | undefined): readonly Pane[] {
  const panes = Object.entries((state ?? {}) as { readonly [pane: string]: Document });
  return inOrder(
    panes.map(([name, accumulator]): Pane => {
      const [place = '', early] = name.split('*');
      const [start, above] = place.split('>');
      return {
        startMs: Number(start),
        aboveMs: above === undefined ? -Infinity : Number(above),
        earlyMs: early === undefined ? Infinity : Number(early),
        accumulator,
      };
    }),
  );
}

/** In which values of different panes are taken for one behind the other. */
function inOrder(panes: readonly Pane[]): readonly Pane[] {
  return panes.toSorted((a, b) => a.startMs - b.startMs || (a.aboveMs < b.aboveMs ? -1 : 1));
}

function stateOf(panes: readonly Pane[]): Document {
  return Object.fromEntries(
    panes.map(({ startMs, aboveMs, earlyMs, accumulator }) => {
      const above = aboveMs === -Infinity ? '' : `>${aboveMs}`;
      const early = earlyMs === Infinity ? '' : `*${earlyMs}`;
      return [`${startMs}${above}${early}`, accumulator];
    }),
  );
}
