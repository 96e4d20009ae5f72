import Table from 'cli-table3';
import { formatted } from './progress-display.ts';
import type { RunFigures } from './run-figures.ts';

/** What came of one seed. */
export interface SeedResult {
  readonly seed: number;
  /** `equal`: the plain fold's state and dead letters; `stalled`: not all was processed in time. */
  readonly outcome: 'equal' | 'different' | 'stalled' | 'failed';
  /** From the first line sent until all was processed. */
  readonly seconds: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly objectFaults: number;
  /** What the run said, where it is not equal. */
  readonly story: string;
}

/** The figures of all seeds together, for `--json`. */
export interface ChaosReport {
  readonly seeds: number;
  readonly equal: number;
  /** Those that are not equal. */
  readonly violations: readonly {
    readonly seed: number;
    readonly outcome: string;
    readonly replay: string;
  }[];
  readonly faults: Readonly<Record<string, number>>;
  readonly objectFaults: number;
  /** All faults. */
  readonly totalFaults: number;
  /** By seed, from the first line sent until all was processed. */
  readonly seconds: { readonly shortest: number; readonly mean: number; readonly longest: number };
}

export function seedResult(seed: number, { chaos, seconds }: RunFigures, said: string): SeedResult {
  const outcome = chaos?.isEqual === undefined ? 'stalled' : chaos.isEqual ? 'equal' : 'different';
  return {
    seed,
    outcome,
    seconds,
    faults: chaos?.faults ?? {},
    objectFaults: chaos?.objectFaults ?? 0,
    story: outcome === 'equal' ? '' : said,
  };
}

export function chaosReport(results: readonly SeedResult[], replay: (seed: number) => string): ChaosReport {
  const faults: Record<string, number> = {};
  for (const result of results) {
    for (const [kind, count] of Object.entries(result.faults)) faults[kind] = (faults[kind] ?? 0) + count;
  }
  const seconds = results.map((result) => result.seconds);
  return {
    seeds: results.length,
    equal: results.filter(({ outcome }) => outcome === 'equal').length,
    violations: results
      .filter(({ outcome }) => outcome !== 'equal')
      .map(({ seed, outcome }) => ({ seed, outcome, replay: replay(seed) })),
    faults,
    objectFaults: results.reduce((sum, result) => sum + result.objectFaults, 0),
    totalFaults: Object.values(faults).reduce((sum, count) => sum + count, 0),
    seconds: {
      shortest: Math.min(...seconds),
      mean: seconds.reduce((sum, each) => sum + each, 0) / seconds.length,
      longest: Math.max(...seconds),
    },
  };
}

/** A table of faults by kind: how often, and in how many of the seeds. */
export function faultTable(report: ChaosReport, results: readonly SeedResult[], isColoured: boolean): string {
  const table = new Table({
    head: ['fault', 'times', 'seeds with it'],
    colAligns: ['left', 'right', 'right'],
    style: { compact: true, head: isColoured ? ['bold'] : [], border: isColoured ? ['gray'] : [] },
  });
  for (const [kind, count] of Object.entries(report.faults)) {
    const seeds = results.filter(({ faults }) => (faults[kind] ?? 0) > 0).length;
    table.push([faultWords(kind), formatted(count), formatted(seeds)]);
  }
  return table.toString();
}

/** `killBeforeReply`: kill before reply. */
export function faultWords(kind: string): string {
  return kind.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
