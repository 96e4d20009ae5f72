import { isDeepStrictEqual } from 'node:util';
import { decodedValues, forEachElement, keyOf } from '../engine/elements.ts';
import { programOf, relayProgramOf } from '../engine/program.ts';
import { relayed } from '../engine/relay.ts';
import { envelopeJson } from '../output/envelope.ts';
import type { Pipeline } from '../pipeline/definition.ts';
import type { SourceRecord } from '../source/record.ts';
import { BrokenRuleError, type BrokenRule } from './broken-rule.ts';
import { findImpurity, type Impurity } from './purity.ts';
import { runFaultyWorld, runQuietWorld, type Output, type SentRecord } from './test-world.ts';
import { textOf } from './watched-definition.ts';

export interface FaultOptions {
  /** How many worlds are run, each with its own batches, timing and faults: 100 unless given. */
  readonly seeds?: number;
  /** The first seed; 1 unless given. */
  readonly from?: number;
  /**
   * What a consumer makes of the outputs: called, for each world, with what one sees that skips ids it has seen, and
   * changes older than one it has seen of the same key. What it gives must be equal in all worlds.
   */
  readonly consume?: (outputs: readonly Output[]) => unknown;
}

/** What `underFaults` has run. */
export interface FaultReport {
  readonly seeds: number;
  readonly records: number;
  /** By fault, how often it happened. */
  readonly happened: Readonly<Record<string, number>>;
}

/** A rule that is broken by a list of records. */
interface Breach {
  readonly rule: BrokenRule;
  readonly what: string;
}
type FindBreach = (records: readonly SentRecord[], seed: number) => Promise<Breach | undefined>;

/** With fewer records a seed makes another world: so many of them are tried for each shorter list. */
const SEEDS_PER_SHORTER_LIST = 10;

/**
 * Looks for rules that the pipeline's own code breaks: in its functions first, without any world, and then in worlds.
 * @param firstViolation what was wrong when the records ran for the very first time in this process.
 * @throws BrokenRuleError with the shortest example.
 */
export async function runUnderFaults(
  pipeline: Pipeline,
  records: readonly SentRecord[],
  firstViolation: string | undefined,
  { seeds = 100, from = 1, consume }: FaultOptions,
): Promise<FaultReport> {
  requireWholeNumber('seeds', seeds, 1);
  requireWholeNumber('from', from, 0);
  throwImpurity(pipeline, records);
  if (firstViolation !== undefined) await throwRemembering(pipeline, records, firstViolation);
  const isOneShard = consume !== undefined && !hasOnePartitionPerKey(pipeline, records);
  if (consume !== undefined) await throwDifferingConsumer(pipeline, records, consume);
  const happened: Record<string, number> = {};
  const expected = new Map<readonly SentRecord[], readonly Output[]>();
  const expectedOf = async (some: readonly SentRecord[]): Promise<readonly Output[]> => {
    const known = expected.get(some) ?? (await runQuietWorld(pipeline, some)).outputs;
    expected.set(some, known);
    return known;
  };
  const find: FindBreach = async (some, seed) => {
    const run = await runFaultyWorld(pipeline, some, seed, isOneShard);
    for (const [fault, count] of Object.entries(run.happened))
      happened[fault] = (happened[fault] ?? 0) + count;
    const [violation] = run.violations;
    if (violation !== undefined) {
      const again = await runFaultyWorld(pipeline, some, seed, isOneShard);
      return violationBreach(violation, run.violations, again.violations);
    }
    return consume && consumerBreach(consume, await expectedOf(some), run.outputs);
  };
  for (let seed = from; seed < from + seeds; seed++) {
    const breach = await find(records, seed);
    if (breach !== undefined) await throwShortest(breach, records, find, seed);
  }
  return { seeds, records: records.length, happened };
}

function throwImpurity(pipeline: Pipeline, records: readonly SentRecord[]): void {
  const find = (some: readonly SentRecord[]): Impurity | undefined =>
    findImpurityOfHalves(pipeline, some.map(sourceRecord));
  const impurity = find(records);
  if (impurity === undefined) return;
  const same = (some: readonly SentRecord[]): Impurity | undefined => {
    const found = find(some);
    return found?.rule === impurity.rule && found.name === impurity.name ? found : undefined;
  };
  // Most often the record alone shows it; what a module remembers may not show a second time.
  let shortest = records.slice(0, impurity.record + 1);
  let shown = impurity;
  const alone = same(shortest.slice(-1));
  if (alone !== undefined) [shortest, shown] = [shortest.slice(-1), alone];
  for (let place = 0; shortest.length > 1 && place < shortest.length;) {
    const fewer = shortest.toSpliced(place, 1);
    const found = same(fewer);
    if (found === undefined) place += 1;
    else [shortest, shown] = [fewer, found];
  }
  throw new BrokenRuleError(shown.rule, shown.what, shownRecords(shortest));
}

/** With a repartition in the front first, and then, with what that puts into the internal stream, in the back. */
function findImpurityOfHalves(
  { definition }: Pipeline,
  records: readonly SourceRecord[],
): Impurity | undefined {
  const front = relayProgramOf(definition);
  const relay = front?.relay;
  if (front === undefined || relay === undefined) return findImpurity(definition, records);
  const keyName = `the key function of repartition '${relay.name}'`;
  const inFront = findImpurity(front.definition, records, keyName);
  if (inFront !== undefined) return inFront;
  const passed: { readonly number: number; readonly record: SourceRecord }[] = [];
  for (const [number, record] of records.entries()) {
    forEachElement(front, record, number, (key, element) => {
      const output = key === undefined ? undefined : relayed(front, relay, record, key, element);
      if (output === undefined || !('entry' in output)) return;
      const { destinationKey: partitionKey } = output;
      const data = Buffer.from(envelopeJson(definition.name, output)).toString('base64');
      const sent = { shown: undefined, partitionKey, data, sentMs: record.arrivalMs };
      passed.push({ number, record: sourceRecord(sent, passed.length) });
    });
  }
  const inBack = findImpurity(
    definition,
    passed.map(({ record }) => record),
  );
  return inBack && { ...inBack, record: passed[inBack.record]?.number ?? 0 };
}

/** What was wrong without any fault the first time: where it is not the second time, a function remembers. */
async function throwRemembering(
  pipeline: Pipeline,
  records: readonly SentRecord[],
  firstViolation: string,
): Promise<never> {
  const { violations } = await runQuietWorld(pipeline, records);
  if (isDeepStrictEqual(violations[0], firstViolation)) {
    throw new BrokenRuleError('engine', firstViolation, shownRecords(records));
  }
  throw new BrokenRuleError(
    'pureFunctions',
    'A function of the pipeline remembers something between two calls, in a variable of its module perhaps: when these ' +
      `records were folded the first time, another result came out than when they were folded again: ${firstViolation}.`,
    shownRecords(records),
  );
}

async function throwDifferingConsumer(
  pipeline: Pipeline,
  records: readonly SentRecord[],
  consume: NonNullable<FaultOptions['consume']>,
): Promise<void> {
  const { outputs } = await runQuietWorld(pipeline, records);
  const [first, second] = [consume(outputs), consume(outputs)];
  if (isDeepStrictEqual(first, second)) return;
  throw new BrokenRuleError(
    'pureFunctions',
    `'consume' gives two results for the same outputs:\n    ${textOf(first)}\n  and then\n    ${textOf(second)}\n  Let it ` +
      'begin anew each time that it is called.',
    shownRecords(records),
  );
}

/** A world gives the same each time that it is run, unless the user's code does not. */
function violationBreach(violation: string, first: readonly string[], second: readonly string[]): Breach {
  if (isDeepStrictEqual(first, second)) return { rule: 'engine', what: violation };
  return {
    rule: 'pureFunctions',
    what:
      'Two runs of one world give two results, so that some function of the pipeline depends on more than its input ' +
      `(a variable of its module, a cache, a clock). In the first run: ${violation}; in the second: ` +
      `${second[0] ?? 'nothing is wrong'}.`,
  };
}

function consumerBreach(
  consume: NonNullable<FaultOptions['consume']>,
  expected: readonly Output[],
  found: readonly Output[],
): Breach | undefined {
  const [wanted, given] = [consume(expected), consume(found)];
  if (isDeepStrictEqual(wanted, given)) return undefined;
  const isSuperseded = !isDeepStrictEqual(sorted(expected), sorted(found));
  return {
    rule: isSuperseded ? 'changesAreNotEvents' : 'orderBetweenKeys',
    what:
      `'consume' gives ${textOf(wanted)} where each record is a batch of its own, and ${textOf(given)} ` +
      (isSuperseded
        ? `where batches are larger and ${expected.length - found.length} of ${expected.length} outputs, changes that ` +
          'newer ones took the place of, were not published.'
        : 'where the same outputs come in another order of keys.'),
  };
}

/** Outputs as what they say, whatever their order and ids. */
function sorted(outputs: readonly Output[]): string[] {
  return outputs.map(({ sink, key, value }) => textOf([sink, key, value])).toSorted();
}

async function throwShortest(
  breach: Breach,
  records: readonly SentRecord[],
  find: FindBreach,
  seed: number,
): Promise<never> {
  let shortest = records;
  let shown = { breach, seed };
  const tryList = async (fewer: readonly SentRecord[]): Promise<boolean> => {
    if (fewer.length === 0) return false;
    for (let other = seed; other < seed + SEEDS_PER_SHORTER_LIST; other++) {
      const found = await find(fewer, other);
      if (found?.rule !== breach.rule) continue;
      [shortest, shown] = [fewer, { breach: found, seed: other }];
      return true;
    }
    return false;
  };
  // Parts of half the length, of a quarter, …, and then record by record until none can go.
  for (let size = Math.ceil(records.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let place = 0; place < shortest.length;) {
      if (!(await tryList(shortest.toSpliced(place, size)))) place += size;
    }
  }
  throw new BrokenRuleError(shown.breach.rule, shown.breach.what, shownRecords(shortest), shown.seed);
}

/** Whether all records that feed a key have one partition key, so that their order is that in which they were sent. */
function hasOnePartitionPerKey(pipeline: Pipeline, records: readonly SentRecord[]): boolean {
  if (pipeline.definition.repartition !== undefined) return false;
  const program = programOf(pipeline.definition);
  const partitions = new Map<string, string>();
  for (const record of records) {
    try {
      for (const value of decodedValues(program, sourceRecord(record, 0))) {
        const key = keyOf(program, value);
        if (typeof key !== 'string') continue;
        if ((partitions.get(key) ?? record.partitionKey) !== record.partitionKey) return false;
        partitions.set(key, record.partitionKey);
      }
    } catch {
      continue;
    }
  }
  return true;
}

/** The record as the engine's reader would give it. */
export function sourceRecord({ partitionKey, data, sentMs }: SentRecord, number: number): SourceRecord {
  const position = { sequence: String(number + 1), sub: 0 };
  return { position, partitionKey, lane: 'test', data, arrivalMs: sentMs };
}

function shownRecords(records: readonly SentRecord[]): readonly unknown[] {
  return records.map(({ shown }) => shown);
}

/** @throws TypeError where it is none. */
function requireWholeNumber(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new TypeError(`underFaults: ${name} is ${value}; it is a whole number from ${least}.`);
}
