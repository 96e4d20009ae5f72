import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SingleBar } from 'cli-progress';
import { Command, InvalidArgumentError } from 'commander';
import picocolors from 'picocolors';
import { parseCommand, wholeNumber } from '../../infra/cli/parse-command.ts';
import { UsageError } from '../../infra/cli/usage-error.ts';
import { FAULTS, type Fault } from '../../shared/testing/simulator/faults.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { BROKEN_ENGINES } from './broken-engines.ts';
import { runCrashPoints } from './crash-points.ts';
import type { WorldPlan } from './drawn-world.ts';
import { runSeedsInParallel } from './seed-run.ts';
import { bundleSimulation } from './simulation-bundle.ts';
import type { SeedReport } from './seed-worker.ts';
import { shrink } from './shrink.ts';

const REGRESSIONS_FILE = fileURLToPath(new URL('./regressions.json', import.meta.url));
/** So many that nobody waits for the end of it: with --until-minutes alone. */
const ENDLESS = 2 ** 40;
const DEFAULT_SEEDS = 2_000;
const STORY_LINES = 80;
const COUNT = { lowest: 1, highest: Number.MAX_SAFE_INTEGER };
const SEED = { lowest: 0, highest: Number.MAX_SAFE_INTEGER };

interface Options {
  readonly seeds?: number;
  readonly seed?: number;
  readonly from: number;
  readonly untilMinutes?: number;
  readonly crashPoints?: true;
  readonly broken?: true | string;
  readonly json?: true;
}

function positiveNumber(text: string): number {
  if (Number(text) > 0 && Number.isFinite(Number(text))) return Number(text);
  throw new InvalidArgumentError('It is a number above 0.');
}

const command = new Command('npm run simulate --')
  .description(
    'Runs the real engine and the real mapping in worlds drawn from seeds, under faults, and checks every effect.',
  )
  .option('--seeds <n>', `how many seeds; ${DEFAULT_SEEDS} unless told otherwise`, wholeNumber(COUNT))
  .option('--from <seed>', 'the first seed; with --seeds, --seed says the same', wholeNumber(SEED), 1)
  .option(
    '--seed <seed>',
    'one seed alone: its story, and the smallest world that fails alike',
    wholeNumber(SEED),
  )
  .option('--until-minutes <m>', 'go on for so long', positiveNumber)
  .option('--crash-points', 'instead of seeds: every crash point of small scenarios, one by one')
  .option(
    '--broken [words]',
    'instead of seeds: engines with one rule switched off, and the seed that catches each; those with the words in their names',
  )
  .option('--json', 'one JSON object on standard output');

/** @returns the exit code. */
async function main(): Promise<number> {
  try {
    if (!parseCommand(command, process.argv.slice(2))) return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\nnpm run simulate -- --help lists what there is.\n`);
    return 2;
  }
  const options = command.opts<Options>();
  const hasMany = options.seeds !== undefined || options.untilMinutes !== undefined;
  if (options.seed !== undefined && !hasMany) return tellOne(options.seed, options);
  if (options.crashPoints === true) return tellCrashPoints(options);
  if (options.broken !== undefined) return tellBroken(options.broken, options);
  const seeds = options.seeds ?? (options.untilMinutes === undefined ? DEFAULT_SEEDS : ENDLESS);
  const endMs = systemClock.nowMs() + (options.untilMinutes ?? Infinity) * 60_000;
  const startMs = systemClock.nowMs();
  let isInterrupted = false;
  process.once('SIGINT', () => (isInterrupted = true));

  const bar =
    seeds < ENDLESS && process.stderr.isTTY
      ? new SingleBar({ stream: process.stderr, format: BAR })
      : undefined;
  bar?.start(seeds, 0, { failures: 0, rate: 0 });
  const rateOf = (report: SeedReport): number =>
    Math.round((report.seeds * 1_000) / (systemClock.nowMs() - startMs));
  const bundle = await bundleSimulation();
  let report: SeedReport;
  try {
    report = await runSeedsInParallel({
      file: bundle.file,
      from: options.seed ?? options.from,
      seeds,
      stopAtFirst: false,
      keepGoing: () => !isInterrupted && systemClock.nowMs() < endMs,
      onReport: (sum) => bar?.update(sum.seeds, { failures: sum.failures.length, rate: rateOf(sum) }),
    });
  } finally {
    bar?.stop();
    await bundle.remove();
  }
  const seconds = (systemClock.nowMs() - startMs) / 1_000;
  if (options.json === true) {
    const { failures, ...figures } = report;
    process.stdout.write(
      `${JSON.stringify({ ...figures, seconds, seedsPerSecond: report.seeds / seconds, failures })}\n`,
    );
  } else {
    sum(report, seconds);
  }
  if (report.failures.length === 0) return 0;
  const worst = report.failures[0] as SeedReport['failures'][number];
  await tellOne(worst.seed, options);
  return 1;
}

const BAR = '{bar} {value}/{total} seeds, {rate}/s, {failures} failed, {eta_formatted} left';

function sum({ seeds, requests, excused, happened, failures }: SeedReport, seconds: number): void {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  say(
    `${seeds} seeds in ${seconds.toFixed(1)} s, ${Math.round(seeds / seconds)} seeds per second; ${requests} requests.`,
  );
  say(`${String(excused).padStart(9)}  records are late for nothing but what their idle shard was lifted to`);
  for (const fault of Object.keys(FAULTS) as Fault[]) {
    say(`${String(happened[fault] ?? 0).padStart(9)}  ${FAULTS[fault]}`);
  }
  if (failures.length === 0) say(picocolors.green('No invariant was broken.'));
  else
    say(
      picocolors.red(
        `${failures.length} seeds break an invariant: ${failures
          .slice(0, 10)
          .map(({ seed }) => seed)
          .join(', ')}`,
      ),
    );
}

async function tellCrashPoints({ json }: Options): Promise<number> {
  const rows: [string, number][] = [];
  const { points, failures } = await runCrashPoints((name, count) => {
    rows.push([name, count]);
    if (json !== true) process.stdout.write(`${String(count).padStart(6)}  ${name}\n`);
  });
  if (json === true) {
    process.stdout.write(`${JSON.stringify({ points, scenarios: Object.fromEntries(rows), failures })}\n`);
  } else {
    const text = `${points} crash points, ${failures.length} that break an invariant.`;
    process.stdout.write(`${failures.length === 0 ? picocolors.green(text) : picocolors.red(text)}\n`);
    for (const { point, violations } of failures.slice(0, 10)) {
      process.stdout.write(`${JSON.stringify(point)}\n  ${violations.join('\n  ')}\n`);
    }
  }
  return failures.length === 0 ? 0 : 1;
}

/** An engine that is not caught is a fault of the simulation. */
async function tellBroken(wanted: true | string, { json }: Options): Promise<number> {
  const rows: { name: string; within: number; seed: number | undefined; violation: string | undefined }[] =
    [];
  for (const { name, within, changes } of BROKEN_ENGINES) {
    if (wanted !== true && !name.includes(wanted)) continue;
    const bundle = await bundleSimulation(changes);
    try {
      const { failures } = await runSeedsInParallel({
        file: bundle.file,
        from: 1,
        seeds: within,
        stopAtFirst: true,
      });
      const [first] = failures;
      rows.push({ name, within, seed: first?.seed, violation: first?.violations[0] });
      if (json !== true) {
        const caught = first === undefined ? picocolors.red('not caught') : `seed ${first.seed}`;
        process.stdout.write(`${caught.padStart(12)} of ${String(within).padStart(6)}  ${name}\n`);
      }
    } finally {
      await bundle.remove();
    }
  }
  const uncaught = rows.filter(({ seed }) => seed === undefined);
  if (json === true) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else process.stdout.write(`${rows.length} broken engines, ${uncaught.length} not caught.\n`);
  return uncaught.length === 0 ? 0 : 1;
}

/** Tells what a seed does; where it fails, the smallest world that fails, which is kept as a regression. */
async function tellOne(seed: number, { json }: Options): Promise<number> {
  const say = (text: string): void =>
    void (json === true ? process.stderr : process.stdout).write(`${text}\n`);
  const bundle = await bundleSimulation();
  const { drawPlan, simulate } = await bundle.load();
  await bundle.remove();
  const whole = drawPlan(seed);
  const { violations } = await simulate(whole);
  const fails = async (plan: WorldPlan): Promise<boolean> => (await simulate(plan)).violations.length > 0;
  const plan = violations.length === 0 ? whole : await shrink(whole, fails);
  const told = await simulate(plan, true);
  const { records, faults, ...settings } = plan;
  say(
    `\nSeed ${seed}${violations.length > 0 ? ', the smallest world that fails' : ''}: ${JSON.stringify(settings)}`,
  );
  say(
    `${records.length} records; faults ${JSON.stringify(told.happened)} of ${JSON.stringify(used(faults))}`,
  );
  for (const line of told.story.slice(0, STORY_LINES)) say(`  ${line}`);
  if (told.story.length > STORY_LINES) say(`  … and ${told.story.length - STORY_LINES} lines more`);
  if (violations.length === 0) {
    say(picocolors.green('No invariant was broken.'));
    return 0;
  }
  for (const violation of told.violations) say(picocolors.red(violation));
  keep(plan, told.violations[0] ?? '');
  say(`Again: npm run simulate -- --seed ${seed}`);
  say('The small world is kept in test/simulation/regressions.json and runs with every npm test.');
  return 1;
}

function used(faults: WorldPlan['faults']): Partial<WorldPlan['faults']> {
  return Object.fromEntries(Object.entries(faults).filter(([, count]) => count > 0));
}

function keep(plan: WorldPlan, why: string): void {
  const kept = JSON.parse(readFileSync(REGRESSIONS_FILE, 'utf8')) as { plan: WorldPlan; why: string }[];
  if (kept.some((each) => each.plan.seed === plan.seed)) return;
  writeFileSync(REGRESSIONS_FILE, `${JSON.stringify([...kept, { why, plan }], null, 2)}\n`);
}

process.exitCode = await main();
