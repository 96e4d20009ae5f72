import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Colors } from 'picocolors/types.js';
import type { PipelineDefinition } from '../../shared/pipeline/definition.ts';
import type { FunctionLog } from '../local/function-log.ts';
import type { LocalCloud, LocalPipeline } from '../local/local-cloud.ts';
import { faultWords } from './chaos-report.ts';
import { compareStates, type StateComparison } from './compare-states.ts';
import type { ExpectedResult } from './plain-chain.ts';
import type { TimeReached } from './fire-timers.ts';
import { formatted } from './progress-display.ts';
import { resultsTable } from './results-table.ts';
import {
  pipelineFigures,
  runFigures,
  type ChaosFigures,
  type PipelineFigures,
  type RunFigures,
} from './run-figures.ts';
import { sinkReport } from './sink-report.ts';
import { readSinkTables, type SinkTable } from './sink-tables.ts';
import { keyStates, stateLine, type StatesByKey } from './state-lines.ts';
import { S3BlobStore } from '../../shared/state/s3-blob-store.ts';
import { spilledPrefix } from '../../shared/state/spilled-states.ts';
import { countDeadLetters, scanStates } from './state-scan.ts';

const DIFFERENCES_SHOWN = 5;

/** What one pipeline of a run came to. */
export interface PipelineResult {
  readonly definition: PipelineDefinition;
  readonly states: StatesByKey;
  /** What it has put into tables. */
  readonly tables: readonly SinkTable[];
  readonly figures: PipelineFigures;
}

/** Reads what the pipelines of the chain came to, which are the first of the cloud's, in their order. */
export async function readResults(
  cloud: LocalCloud,
  chain: readonly PipelineDefinition[],
  logs: ReadonlyMap<string, FunctionLog>,
): Promise<PipelineResult[]> {
  const { dynamodb, s3 } = cloud.engines.clients();
  return Promise.all(
    chain.map(async (definition, place) => {
      const pipeline = cloud.pipelines[place] as LocalPipeline;
      const { name, resources } = pipeline;
      const spilled = new S3BlobStore(s3, resources.bucketName, spilledPrefix(name));
      const states = await scanStates(dynamodb, resources.stateTableName, spilled);
      const deadLetters = await countDeadLetters(s3, resources.bucketName, name);
      const tables = await readSinkTables(dynamodb, pipeline, definition);
      const sums = (logs.get(name) as FunctionLog).sums();
      const figures = pipelineFigures({ deadLetters, keys: states.size }, sums, pipeline.mappingStatuses());
      return { definition, states, tables, figures };
    }),
  );
}

export function figuresOf(
  cloud: LocalCloud,
  results: readonly PipelineResult[],
  counts: Pick<RunFigures, 'records' | 'seconds'>,
): RunFigures {
  const byName = new Map(results.map(({ definition, figures }) => [definition.name, figures]));
  return runFigures(counts, byName, cloud.lambdaFigures());
}

/** The last pipeline's states as a table, what it has put into tables, and the figures. */
export function sayResults(
  results: readonly PipelineResult[],
  figures: RunFigures,
  say: (text: string) => void,
  isColoured: boolean,
): void {
  const { definition, states, tables } = results.at(-1) as PipelineResult;
  say(resultsTable(keyStates(definition, states), isColoured));
  for (const table of tables) say(sinkReport(table, isColoured));
  if (results.length > 1) for (const result of results) say(pipelineSummary(result));
  say(summary(figures));
}

/**
 * Writes the states of the last pipeline to the file, and those of each before it to one beside it that has the
 * pipeline's name in its own: `state.ndjson`, `state.airport-delays.ndjson`.
 */
export function dumpStates(
  file: string,
  results: readonly PipelineResult[],
  notice: (text: string) => void,
): void {
  const { dir, name, ext } = path.parse(file);
  for (const result of results) {
    const { definition, states } = result;
    const isLast = result === results.at(-1);
    const target = isLast ? file : path.join(dir, `${name}.${definition.name}${ext}`);
    const listed = keyStates(definition, states);
    writeFileSync(target, listed.map((each) => `${stateLine(each)}\n`).join(''));
    notice(`The state of ${formatted(listed.length)} keys is in ${target}.`);
  }
}

/** Compares what the pipelines came to with what a plain fold gives. @returns whether all that can be compared is equal. */
export function sayComparisons(
  expected: readonly ExpectedResult[],
  results: readonly PipelineResult[],
  records: number,
  say: (text: string) => void,
  colors: Colors,
): boolean {
  const verdicts = results.map(({ definition, states, figures }, place) => {
    const { states: plain, deadLetters = figures.deadLetters } = expected[place] as ExpectedResult;
    const whose = results.length > 1 ? `${definition.name}: ` : '';
    if (plain === undefined) {
      say(
        `${whose}not compared: its state depends on which changes are published, and of a batch only the newest are.`,
      );
      return true;
    }
    const comparison = compareStates(definition, plain, states);
    const sameLetters = deadLetters === figures.deadLetters;
    if (comparison.differences.length === 0 && sameLetters) {
      say(
        colors.green(
          `${whose}Equal: the state of ${formatted(comparison.keys)} keys is, byte for byte, that of a plain fold of ` +
            `${formatted(records)} records, and so are the ${formatted(figures.deadLetters)} dead letters.`,
        ),
      );
      return true;
    }
    say(colors.red(whose + differences(comparison)));
    if (!sameLetters) {
      say(
        colors.red(
          `${whose}Dead letters: ${deadLetters} by a plain fold of the input, ${figures.deadLetters} in the bucket.`,
        ),
      );
    }
    return false;
  });
  return verdicts.every(Boolean);
}

/** How far event time has come, and what waits behind it. */
export function sayTime(reached: readonly TimeReached[], say: (text: string) => void): void {
  for (const { name, overMs, left } of reached) {
    if (overMs !== undefined) {
      const until = new Date(overMs).toISOString();
      say(`${name}: event time has come to ${until}; what ends later stays open until later records come.`);
    }
    if (left > 0)
      say(`${name}: ${formatted(left)} keys have timers that are due and do not fire; --verbose says why.`);
  }
}

export function faultSummary(
  { faults, objectFaults }: Omit<ChaosFigures, 'isEqual'>,
  unsaid: number,
): string {
  const all = Object.entries(faults).filter(([, count]) => count > 0);
  const total = all.reduce((sum, [, count]) => sum + count, 0);
  const listed = all.map(([kind, count]) => `${faultWords(kind)} ${count}`).join(', ');
  return (
    `Chaos: ${total} faults (${listed}), ${objectFaults} of them at requests to S3; ` +
    `functions logged ${unsaid} warnings and errors (--verbose shows them).\n` +
    'What invocations did that were killed before their end is in the state, and not among these figures.'
  );
}

function pipelineSummary({ definition, figures }: PipelineResult): string {
  const { applied, duplicates, deadLetters, late, keys, batches, published } = figures;
  return (
    `${definition.name}: ${formatted(applied)} applied, ${formatted(duplicates)} duplicates skipped, ` +
    `${formatted(deadLetters)} dead letters, ${late > 0 ? `${formatted(late)} values late, ` : ''}` +
    `${formatted(keys)} keys, ${formatted(batches)} batches, ` +
    `${formatted(published)} outputs published.`
  );
}

function summary(figures: RunFigures): string {
  const { records, applied, duplicates, deadLetters, late, keys, batches } = figures;
  const { invocations, retries, seconds } = figures;
  return (
    `${formatted(records)} records in ${seconds.toFixed(1)} s: ${formatted(applied)} applied, ` +
    `${formatted(duplicates)} duplicates skipped, ${formatted(deadLetters)} dead letters, ` +
    `${late > 0 ? `${formatted(late)} values late, ` : ''}${formatted(keys)} keys.\n` +
    `${formatted(batches)} batches, ${formatted(invocations)} invocations, ${formatted(retries)} retries; ` +
    `${formatted(figures.stateWrites)} state writes in ${formatted(figures.stateWriteRequests)} requests, ` +
    `${formatted(figures.wcu)} WCU, ${formatted(figures.rcu)} RCU; ${formatted(figures.published)} outputs published.`
  );
}

function differences({ differences: all, keys }: StateComparison): string {
  const shown = all
    .slice(0, DIFFERENCES_SHOWN)
    .map(
      ({ expected, found }) =>
        `  plain fold: ${expected ?? 'no state'}\n  table:      ${found ?? 'no state'}`,
    );
  return [
    `Different: ${formatted(all.length)} of ${formatted(keys)} keys do not have the state of a plain fold.`,
    ...shown,
    ...(all.length > shown.length ? [`  and ${formatted(all.length - shown.length)} more`] : []),
  ].join('\n');
}
