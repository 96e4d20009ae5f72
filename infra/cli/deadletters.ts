import Table from 'cli-table3';
import { Command, InvalidArgumentError } from 'commander';
import { isUtf8 } from 'node:buffer';
import type { LetterOutcome, LetterResult } from '../../shared/engine/letter-results.ts';
import type { DeadLetter } from '../../shared/output/dead-letter-store.ts';
import { deadLetterPrefix, S3DeadLetterStore } from '../../shared/output/s3-dead-letters.ts';
import { confirmed } from './confirmation.ts';
import { runErrand } from './letter-errand.ts';
import { letterId, selectLetters, type LetterFilter, type SelectedLetter } from './letter-selection.ts';
import type { OperatorContext } from './operator-context.ts';
import { withAccess } from './located.ts';
import type { PipelineAccess, Whereabouts } from './pipeline-access.ts';
import { progressBar } from './progress-bar.ts';
import { formatted } from './progress-display.ts';
import { timeArgument } from './time-argument.ts';
import { UsageError } from './usage-error.ts';

interface SelectionOptions extends Whereabouts {
  readonly key?: string;
  readonly stage?: string;
  readonly shard?: string;
  readonly since?: number;
  readonly until?: number;
  readonly json?: boolean;
}

interface ListOptions extends SelectionOptions {
  readonly limit: number;
}

interface ErrandOptions extends SelectionOptions {
  readonly all?: boolean;
  readonly force?: boolean;
  readonly yes?: boolean;
}

const ROWS_SHOWN = 50;
const FAILURES_SHOWN = 20;

/** What counts as done. */
const DONE: ReadonlySet<LetterOutcome> = new Set(['redriven', 'dropped', 'alreadyDone', 'missing']);

/** `tidemark deadletters …`: what the records are that a pipeline rejected, and what becomes of them. */
export function deadLettersCommand(context: OperatorContext): Command {
  const group = new Command('deadletters').description(
    'Lists, shows, redrives and drops the records that a pipeline has rejected.',
  );
  selecting(context, group.command('list'), 'one a line, those of one key in their order')
    .option('--limit <n>', 'rows of the table', wholeNumber, ROWS_SHOWN)
    .action(async (pipeline: string, ids: string[], options: ListOptions) =>
      withAccess(pipeline, options, async (access) => list(context, access, filterOf(ids, options), options)),
    );
  selecting(context, group.command('show'), 'the whole of each, the contents of the record included').action(
    async (pipeline: string, ids: string[], options: SelectionOptions) => {
      if (ids.length === 0) throw new UsageError('Which one? Give the ids that the list shows.');
      return withAccess(pipeline, options, async (access) =>
        show(context, access, filterOf(ids, options), options),
      );
    },
  );
  for (const action of ['redrive', 'drop'] as const) {
    const command = selecting(
      context,
      group.command(action),
      action === 'redrive'
        ? 'applies each with the code that is deployed now, at most once, those of one key in order'
        : 'gives them up: they are never applied, and a key that is parked behind them goes on',
    )
      .option('--all', 'every dead letter of the pipeline')
      .option('--yes', 'do not ask');
    if (action === 'redrive') {
      command.option(
        '--force',
        'also behind earlier letters of the same key; a parked key keeps its order all the same',
      );
    }
    command.action(async (pipeline: string, ids: string[], options: ErrandOptions) => {
      const isChosen =
        ids.length > 0 ||
        [options.key, options.stage, options.shard, options.since, options.until].some(
          (value) => value !== undefined,
        );
      if (isChosen === (options.all === true)) {
        throw new UsageError(`Which ones should it ${action}? Give ids, or a filter, or --all.`);
      }
      return withAccess(pipeline, options, async (access) =>
        errand(context, access, action, filterOf(ids, options), options),
      );
    });
  }
  return group;
}

function selecting({ nowMs }: OperatorContext, command: Command, description: string): Command {
  const time = timeArgument(nowMs);
  return command
    .description(description)
    .argument('<pipeline>', 'its name')
    .argument('[ids...]', 'as the list shows them, or the beginning of some up to a slash')
    .option('--key <key>', 'of this key')
    .option(
      '--stage <stage>',
      'where it was rejected: decode, schema, stateless, key, fold, output, state, killed, parked',
    )
    .option('--shard <n>', 'of this shard')
    .option('--since <time>', 'stored at this time or later: 2026-11-25T09:00Z, or 90m, 12h, 7d ago', time)
    .option('--until <time>', 'stored before this time', time)
    .option('--json', 'for a script: JSON on standard output, all else on standard error')
    .option('--local', 'of the local cloud that "npm start" runs on this machine')
    .option('--profile <name>', 'AWS profile')
    .option('--region <name>', 'AWS region')
    .option('--env <name>', 'the environment that it was deployed for with "-c env=…"');
}

function filterOf(
  ids: readonly string[],
  { key, stage, shard, since, until }: SelectionOptions,
): LetterFilter {
  return {
    ids,
    ...(key !== undefined && { key }),
    ...(stage !== undefined && { stage }),
    ...(shard !== undefined && { shard }),
    ...(since !== undefined && { sinceMs: since }),
    ...(until !== undefined && { untilMs: until }),
  };
}

function storeOf({ s3, bucket, pipeline }: PipelineAccess): S3DeadLetterStore {
  return new S3DeadLetterStore(s3, bucket, deadLetterPrefix(pipeline));
}

async function list(
  { out, people, interruption }: OperatorContext,
  access: PipelineAccess,
  filter: LetterFilter,
  { json, limit }: ListOptions,
): Promise<void> {
  const shown: SelectedLetter[] = [];
  let count = 0;
  for await (const page of selectLetters(storeOf(access), filter)) {
    if (interruption.signal.aborted) return;
    count += page.length;
    if (json === true) {
      for (const letter of page)
        out(JSON.stringify({ id: letterId(letter), ...rowOf(letter), name: letter.name }));
    } else shown.push(...page.slice(0, Math.max(0, limit - shown.length)));
  }
  if (json === true) return;
  if (count === 0) return people('No dead letters.');
  const table = new Table({ head: ['id', 'stage', 'shard', 'stored'], style: { head: [], border: [] } });
  for (const letter of shown) {
    const { stage, shard, stored } = rowOf(letter);
    table.push([letterId(letter), stage, shard, stored]);
  }
  out(table.toString());
  if (count > shown.length)
    people(`and ${formatted(count - shown.length)} more; --limit or --json shows them.`);
}

function rowOf({ stage, shard, position, storedMs }: SelectedLetter) {
  return { stage, shard, sequenceNumber: position.sequence, stored: new Date(storedMs).toISOString() };
}

async function show(
  { out, people, fail }: OperatorContext,
  access: PipelineAccess,
  filter: LetterFilter,
  { json }: SelectionOptions,
): Promise<void> {
  const store = storeOf(access);
  let count = 0;
  for await (const page of selectLetters(store, filter)) {
    for (const { name } of page) {
      const letter = await store.get(name);
      if (letter === undefined) continue;
      count += 1;
      const whole = { name, ...readable(letter) };
      out(json === true ? JSON.stringify(whole) : JSON.stringify(whole, undefined, 2));
    }
  }
  if (count > 0) return;
  people('There is no such dead letter.');
  fail();
}

/** The record as JSON or text where it is such; as base64 in any case. */
function readable(letter: DeadLetter): object {
  const bytes = Buffer.from(letter.data, 'base64');
  if (!isUtf8(bytes)) return letter;
  const text = bytes.toString('utf8');
  try {
    return { ...letter, record: JSON.parse(text) as unknown };
  } catch {
    return { ...letter, record: text };
  }
}

async function errand(
  context: OperatorContext,
  access: PipelineAccess,
  action: 'redrive' | 'drop',
  filter: LetterFilter,
  { json, force, yes }: ErrandOptions,
): Promise<void> {
  const { out, people, interruption, fail } = context;
  const names: string[] = [];
  const keys = new Set<string>();
  for await (const page of selectLetters(storeOf(access), filter)) {
    if (interruption.signal.aborted) return fail();
    for (const { name, keyHash } of page) {
      names.push(name);
      if (keyHash !== undefined) keys.add(keyHash);
    }
  }
  const isMany = names.length > 1 || action === 'drop';
  if (names.length > 0 && isMany && yes !== true) {
    const what = `${action === 'drop' ? 'Drop' : 'Redrive'} ${formatted(names.length)} dead letters of ${formatted(keys.size)} keys of ${access.pipeline}?`;
    if (!(await confirmed(context, what))) return fail();
  }

  const counts: Partial<Record<LetterOutcome, number>> = {};
  const failures: LetterResult[] = [];
  const add = (result: LetterResult): void => {
    counts[result.outcome] = (counts[result.outcome] ?? 0) + 1;
    if (!DONE.has(result.outcome)) failures.push(result);
  };
  const progress = progressBar(context, names.length);
  let left: readonly string[];
  try {
    left = await runErrand(
      access.lambda,
      access.functionName,
      action,
      names,
      force === true,
      () => interruption.signal.aborted,
      (result) => {
        add(result);
        progress.step();
      },
    );
  } finally {
    progress.stop();
  }
  for (const name of left) add({ name, outcome: 'notBegun' });
  if (failures.length > 0) fail();
  if (json === true) return out(JSON.stringify({ letters: names.length, outcomes: counts, failures }));
  if (names.length === 0) return people('No dead letters match.');
  out(
    Object.entries(counts)
      .map(([outcome, count]) => `${words(outcome)} ${formatted(count)}`)
      .join(' · '),
  );
  for (const { name, outcome, reason } of failures.slice(0, FAILURES_SHOWN)) {
    people(`${name}: ${words(outcome)}${reason === undefined ? '' : `: ${reason}`}`);
  }
  if (failures.length > FAILURES_SHOWN) {
    people(`and ${formatted(failures.length - FAILURES_SHOWN)} more; --json shows them.`);
  }
}

function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text);
  throw new InvalidArgumentError('Allowed are whole numbers from 1.');
}

/** `alreadyDone`: already done. */
function words(outcome: string): string {
  return outcome.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
