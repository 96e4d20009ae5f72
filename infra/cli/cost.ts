import Table from 'cli-table3';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { breakEven, RATES, type BreakEven, type CheaperRange } from '../cost/break-even.ts';
import { evenlyChangedShare, type CountedCheckpoint } from '../cost/counted-checkpoints.ts';
import { HOURS_PER_MONTH, LIST_PRICES, SECONDS_PER_MONTH } from '../cost/list-prices.ts';
import { ASSUMED, costPage, WAYS, type CostPage, type Way } from '../cost/monthly-cost.ts';
import { shardsNeeded, type StreamShape } from '../cost/stream-shape.ts';
import { CHECKPOINT_DEFAULTS } from '../../shared/checkpoint/checkpoint-defaults.ts';
import { poolLinesOf } from '../../shared/checkpoint/line-pool.ts';
import { INLINE_STATE_LIMIT_BYTES } from '../../shared/engine/limits.ts';
import type { OperatorContext } from './operator-context.ts';
import { wholeNumber } from './parse-command.ts';
import { formatted } from './progress-display.ts';
import { UsageError } from './usage-error.ts';

interface CostOptions {
  readonly recordsPerSecond: number;
  readonly keys: number;
  readonly batch: number;
  readonly recordBytes: number;
  readonly stateBytes: number;
  readonly shards?: number;
  readonly windowSeconds: number;
  readonly memoryMb: number;
  readonly requestMs: number;
  readonly recordsPerCore: number;
  readonly changedPercent?: number;
  readonly fullEvery: number;
  readonly json?: boolean;
}

/** What a counted batch may hold of states: it is run here, in memory. */
const COUNTED_BYTES_LIMIT = 128 * 1024 * 1024;
/** Kinesis bills what is put by 25 KB. */
const PUT_UNIT_BYTES = 25 * 1024;

/** `tidemark cost`: what a stream costs, by requests that are counted and by list prices. It asks no cloud. */
export function costCommand({ out }: Pick<OperatorContext, 'out'>, command: Command): Command {
  return command
    .description('what a stream would cost a month, by counted requests and list prices; asks no cloud')
    .requiredOption('--records-per-second <n>', 'that come, on the average', from(1, 1_000_000))
    .requiredOption('--keys <n>', 'that are in use; each as likely as any other', from(1, 10_000_000_000))
    .option('--batch <n>', 'records to a batch at most', from(1, 10_000), 500)
    .option('--record-bytes <n>', 'of a record', from(1, 1_048_576), 500)
    .option('--state-bytes <n>', 'of the state of one key', from(1, INLINE_STATE_LIMIT_BYTES), 200)
    .option('--shards <n>', 'of the source stream; as many as needed unless given', from(1, 10_000))
    .option('--window-seconds <n>', 'how long a batch gathers records', from(0, 300), 1)
    .option('--memory-mb <n>', 'of the function', from(128, 10_240), 1_024)
    .option(
      '--changed-percent <n>',
      'of the keys that change from one checkpoint to the next, an hour; what evenly drawn records change unless given',
      percent,
    )
    .option(
      '--full-every <n>',
      'every so many checkpoints one is full; 1 where all are',
      from(1, 100),
      CHECKPOINT_DEFAULTS.fullEvery,
    )
    .option('--request-ms <n>', 'taken for one round trip', from(1, 10_000), ASSUMED.requestMs)
    .option(
      '--records-per-core <n>',
      'taken for what a vCPU of Flink or Spark processes a second',
      from(1, 1_000_000),
      ASSUMED.recordsPerCoreSecond,
    )
    .option('--json', 'for a script: one line of JSON')
    .action(async (options: CostOptions) => {
      const shape = shapeOf(options);
      const assumptions = { requestMs: options.requestMs, recordsPerCoreSecond: options.recordsPerCore };
      const page = await costPage(shape, assumptions);
      const even = await breakEven(shape, assumptions, () => Promise.resolve(page.checkpoints));
      if (options.json === true) out(JSON.stringify({ ...reportOf(shape, page, even), assumptions }));
      else for (const line of costLines(shape, page, even, options)) out(line);
    });
}

function from(lowest: number, highest: number): (text: string) => number {
  const read = wholeNumber({ lowest, highest });
  return (text) => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      throw new InvalidArgumentError(
        `Allowed are whole numbers from ${formatted(lowest)} to ${formatted(highest)}.`,
      );
    }
  };
}

/** A percentage, of which parts may be given. */
function percent(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (value >= 0 && value <= 100) return value;
  throw new InvalidArgumentError('Allowed are numbers from 0 to 100, such as 1 or 0.5.');
}

/** @throws UsageError where options do not go together. */
function shapeOf(options: CostOptions): StreamShape {
  const { recordsPerSecond, keys, batch: batchSize, recordBytes, stateBytes } = options;
  const needed = shardsNeeded(options);
  const shards = options.shards ?? needed;
  if (shards < needed) {
    throw new UsageError(
      `--shards is ${shards}; ${formatted(recordsPerSecond)} records of ${formatted(recordBytes)} bytes a second need at ` +
        `least ${needed}, since a shard takes 1,000 records and 1 MiB a second: give more, or leave it out.`,
    );
  }
  if (batchSize * stateBytes > COUNTED_BYTES_LIMIT) {
    throw new UsageError(
      `--batch ${formatted(batchSize)} with --state-bytes ${formatted(stateBytes)} has ` +
        `${formatted(batchSize * stateBytes)} bytes of states in one batch; allowed are ` +
        `${formatted(COUNTED_BYTES_LIMIT)}, and a function would need several times that: give a smaller --batch.`,
    );
  }
  const { windowSeconds, memoryMb, changedPercent, fullEvery } = options;
  const changedShare =
    changedPercent === undefined ? evenlyChangedShare(recordsPerSecond, keys) : changedPercent / 100;
  return {
    recordsPerSecond,
    keys,
    batchSize,
    recordBytes,
    stateBytes,
    shards,
    windowSeconds,
    memoryMb,
    changedShare,
    fullEvery,
  };
}

/** What the page says, for a script. Dollars are of a month. */
export function reportOf(shape: StreamShape, page: CostPage, { rates, cheaper }: BreakEven): object {
  const { region, asOf, unchecked, sources } = LIST_PRICES;
  return {
    prices: { region, asOf, unchecked, sources },
    shape,
    shards: page.shards,
    batch: page.batch,
    checkpoints: page.checkpoints,
    batchesPerSecond: page.batchesPerSecond,
    batchMs: page.batchMs,
    keepsUp: page.keepsUp,
    costs: Object.values(page.costs).map((cost) => ({
      ...cost,
      dollarsPerMillionRecords: perMillion(cost.dollars, shape),
    })),
    stream: { dollars: streamDollars(shape, page) },
    cheaperThan: cheaper,
    rates,
  };
}

/** The page for people. */
export function costLines(
  shape: StreamShape,
  page: CostPage,
  even: BreakEven,
  taken: Pick<CostOptions, 'requestMs' | 'recordsPerCore'>,
): string[] {
  const { batch } = page;
  return [
    `${formatted(shape.recordsPerSecond)} records a second of ${formatted(shape.recordBytes)} bytes, ` +
      `${formatted(shape.keys)} keys with ${formatted(shape.stateBytes)} bytes of state, ${page.shards} ` +
      `${page.shards === 1 ? 'shard' : 'shards'}; list prices of ${LIST_PRICES.region}, ${LIST_PRICES.asOf}.`,
    '',
    `A batch, counted by running the engine: ${formatted(batch.records)} records of ${rounded(batch.keys)} keys, ` +
      `${rounded(batch.wcu)} write units in ${rounded(batch.writeRequests)} requests, ${rounded(batch.rcu)} read units in ` +
      `${rounded(batch.readRequests)}, ${rounded(batch.published)} outputs in ${rounded(batch.sinkRequests)}; ` +
      `${rounded(page.batchesPerSecond)} batches a second.`,
    checkpointsText(shape, page),
    ...(page.keepsUp ? [] : ['', tooSlow(page)]),
    '',
    partsTable(shape, page),
    '',
    'What the same keys and settings cost at other rates, dollars a month:',
    ratesTable(even),
    ...(Object.entries(even.cheaper) as [Exclude<Way, 'tidemark'>, readonly CheaperRange[]][]).map(
      ([way, ranges]) => breakEvenText(way, ranges),
    ),
    '',
    'Tidemark pays for each key of each batch, a cluster for its hours. Fewer keys to a batch of more records, by a longer',
    '--window-seconds and a larger --batch, make it cheaper; many keys at a high rate are for a cluster.',
    '',
    `Counted: requests and units. Taken: ${taken.requestMs} ms a round trip; ${formatted(taken.recordsPerCore)} records a ` +
      'second and vCPU of Flink or Spark, as few and as small',
    'workers as they can have; no item found in memory (a warm container reads less); states that pack to three quarters.',
    `Left out, for all: the stream (${dollars(streamDollars(shape, page))} provisioned), outputs, transfer, free tiers, ` +
      'discounts, support. Left out of the others, to',
    'their favour: logs and metrics of Flink and Spark, their checkpoints, spare capacity; of idempotency its expired records.',
    'Powertools idempotency does not make state exactly once: what dies between the write of the state and the end of the',
    'claim is applied again.',
    `Not checked against their pages, look them up: prices of ${LIST_PRICES.unchecked.join(', ')}.`,
  ];
}

/** How many checkpoints are deltas, and what those and the full ones store and ask for. */
export function checkpointsText(
  { keys, changedShare, fullEvery, memoryMb }: StreamShape,
  { checkpoints: { full, delta, standing } }: Pick<CostPage, 'checkpoints'>,
): string {
  const each = ({ bytes, puts, gets }: CountedCheckpoint): string =>
    `${megabytes(bytes)} in ${rounded(puts)} puts and listings and ${rounded(gets)} gets each`;
  const changed = `${(changedShare * 100).toLocaleString('en-US', { maximumSignificantDigits: 3 })} % of the keys changed before each`;
  if (delta.aDay === 0) {
    const why =
      fullEvery === 1
        ? '--full-every is 1'
        : keys > poolLinesOf(memoryMb)
          ? `--memory-mb ${formatted(memoryMb)} is for deltas of ${formatted(poolLinesOf(memoryMb))} keys`
          : `${changed}: a delta would keep too little`;
    return (
      `Checkpoints, counted by taking them: all ${full.aDay} a day are full, since ${why}; ${each(full)}; ` +
      `in the bucket stand ${megabytes(standing.fullBytes)}.`
    );
  }
  return (
    `Checkpoints, counted by taking them, ${changed}: ${full.aDay} a day are full, ${each(full)}; ${delta.aDay} are deltas, ` +
    `${each(delta)}; in the bucket stand ${megabytes(standing.fullBytes)} of full ones and ` +
    `${megabytes(standing.deltaBytes)} of deltas.`
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toLocaleString('en-US', { maximumSignificantDigits: 3 })} MB`;
}

function partsTable(shape: StreamShape, { costs }: CostPage): string {
  const table = new Table({
    head: ['', '$ a month', '$ a million records'],
    colAligns: ['left', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { way, dollars: total, parts } of Object.values(costs)) {
    table.push([WAYS[way], plain(total), perMillion(total, shape).toFixed(3)]);
    for (const part of parts) {
      table.push([`  ${part.what}`, plain(part.dollars), perMillion(part.dollars, shape).toFixed(3)]);
    }
  }
  return table.toString();
}

function ratesTable({ rates }: BreakEven): string {
  const ways = Object.keys(WAYS) as Way[];
  const table = new Table({
    head: ['records a second', ...ways.map((way) => WAYS[way])],
    colAligns: ['right', ...ways.map(() => 'right' as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const { recordsPerSecond, dollars: by } of rates) {
    table.push([formatted(recordsPerSecond), ...ways.map((way) => plain(by[way]))]);
  }
  return table.toString();
}

/** Where Tidemark is the cheaper one, as a sentence. */
export function breakEvenText(way: Exclude<Way, 'tidemark'>, ranges: readonly CheaperRange[]): string {
  const [lowest, highest] = [RATES[0] as number, RATES.at(-1) as number];
  const told = ranges.map(({ from: low, to }) => {
    if (low === lowest && to === highest) return `at every rate from ${lowest} to ${formatted(highest)}`;
    if (low === lowest) return `up to ${formatted(to)} records a second`;
    return to === highest
      ? `from ${formatted(low)} records a second on`
      : `from ${formatted(low)} to ${formatted(to)} records a second`;
  });
  return told.length === 0
    ? `Tidemark is dearer than ${WAYS[way]} at every rate from ${lowest} to ${formatted(highest)}.`
    : `Tidemark is cheaper than ${WAYS[way]} ${told.join(' and ')}.`;
}

function tooSlow({ batchMs, batchesPerSecond, shards }: CostPage): string {
  return (
    `One invocation at a time does not keep up: a batch takes about ${rounded(batchMs)} ms, and each shard gets ` +
    `${rounded(batchesPerSecond / shards)} a second. Raise --window-seconds and --batch, or give more --shards.`
  );
}

/** The source stream, provisioned. */
function streamDollars({ recordsPerSecond, recordBytes }: StreamShape, { shards }: CostPage): number {
  const { shardHour, millionPutUnits } = LIST_PRICES.kinesis;
  const units = recordsPerSecond * SECONDS_PER_MONTH * Math.ceil(recordBytes / PUT_UNIT_BYTES);
  return shards * HOURS_PER_MONTH * shardHour + (units / 1_000_000) * millionPutUnits;
}

function perMillion(dollarsAMonth: number, { recordsPerSecond }: StreamShape): number {
  return (dollarsAMonth / (recordsPerSecond * SECONDS_PER_MONTH)) * 1_000_000;
}

function plain(amount: number): string {
  return amount.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

function dollars(amount: number): string {
  return `$${plain(amount)}`;
}

function rounded(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 });
}
