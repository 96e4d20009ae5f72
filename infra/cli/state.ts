import { Command } from 'commander';
import Table from 'cli-table3';
import { keyAndStatesOf } from '../../shared/checkpoint/checkpoint-line.ts';
import { checkpointLines, findLine, openCheckpoint } from '../../shared/checkpoint/read-checkpoint.ts';
import { statesJson } from '../../shared/state/spilled-states.ts';
import { CurrentState, type KeyedStates } from './current-state.ts';
import { ofPipeline, withAccess, type LocatedOptions } from './located.ts';
import type { OperatorContext } from './operator-context.ts';
import { wholeNumber } from './parse-command.ts';
import { checkpointsOf, type PipelineAccess } from './pipeline-access.ts';

interface StateOptions extends LocatedOptions {
  readonly at?: string;
}

interface ListOptions extends StateOptions {
  readonly prefix?: string;
  readonly limit: number;
}

const ROWS_SHOWN = 50;
const MOST_ROWS = 1_000_000;
const CHARACTERS_SHOWN = 100;

/** `tidemark state …`: the keyed state of a pipeline, now or as a checkpoint has it. */
export function stateCommand(context: OperatorContext): Command {
  const group = new Command('state').description('Shows keyed state, now or as a checkpoint has it.');
  at(ofPipeline(group.command('get'), 'the states of one key'))
    .argument('<key>')
    .action(async (pipeline: string, key: string, options: StateOptions) =>
      withAccess(pipeline, options, (access) => get(context, access, key, options)),
    );
  at(ofPipeline(group.command('list'), 'keys with their states, in no order'))
    .option('--prefix <text>', 'keys that begin so', '')
    .option('--limit <n>', 'so many', wholeNumber({ lowest: 1, highest: MOST_ROWS }), ROWS_SHOWN)
    .action(async (pipeline: string, options: ListOptions) =>
      withAccess(pipeline, options, (access) => list(context, access, options)),
    );
  at(
    ofPipeline(group.command('export'), 'every key with its states, a line of JSON each, on standard output'),
  ).action(async (pipeline: string, options: StateOptions) =>
    withAccess(pipeline, options, (access) => exportAll(context, access, options)),
  );
  return group;
}

function at(command: Command): Command {
  return command.option(
    '--at <checkpoint>',
    'as of a checkpoint: its id, the name of a savepoint, or "latest"',
  );
}

async function get(
  { out, people, fail }: OperatorContext,
  access: PipelineAccess,
  key: string,
  { at: which, json }: StateOptions,
): Promise<void> {
  const found =
    which === undefined ? await new CurrentState(access).item(key) : await earlier(access, which, key);
  if (found === undefined || found.states.size === 0) {
    people(`The key ${JSON.stringify(key)} has no state${which === undefined ? '' : ` at ${which}`}.`);
    return fail();
  }
  const line = lineOf({ key, states: found.states });
  out(json === true ? line : JSON.stringify((JSON.parse(line) as { states: unknown }).states, undefined, 2));
}

async function earlier(
  access: PipelineAccess,
  which: string,
  key: string,
): Promise<Pick<KeyedStates, 'states'> | undefined> {
  const store = checkpointsOf(access);
  const line = await findLine(store, await openCheckpoint(store, which), key);
  return line === undefined ? undefined : keyAndStatesOf(line);
}

async function list(
  { out, people, interruption }: OperatorContext,
  access: PipelineAccess,
  { at: which, prefix = '', limit, json }: ListOptions,
): Promise<void> {
  const shown: KeyedStates[] = [];
  let hasMore = false;
  for await (const each of statesOf(access, which, prefix)) {
    if (interruption.signal.aborted) return;
    hasMore = shown.length === limit;
    if (hasMore) break;
    shown.push(each);
  }
  if (json === true) return shown.forEach((each) => out(lineOf(each)));
  if (shown.length === 0) return people('No key has a state.');
  const table = new Table({ head: ['key', 'states'], style: { head: [], border: [] } });
  for (const { key, states } of shown) table.push([shortened(printable(key)), shortened(statesJson(states))]);
  out(table.toString());
  if (hasMore) people('and more; --limit shows them, "state export" gives all.');
}

async function exportAll(
  { out, isRead, people, interruption, fail }: OperatorContext,
  access: PipelineAccess,
  { at: which }: StateOptions,
): Promise<void> {
  let count = 0;
  for await (const each of statesOf(access, which, '')) {
    if (!isRead()) return;
    if (interruption.signal.aborted) {
      people(`Interrupted after ${count} keys.`);
      return fail();
    }
    out(lineOf(each));
    count += 1;
  }
  people(`${count} keys.`);
}

async function* statesOf(
  access: PipelineAccess,
  which: string | undefined,
  prefix: string,
): AsyncGenerator<KeyedStates> {
  if (which === undefined) {
    yield* new CurrentState(access).keys(prefix);
    return;
  }
  const store = checkpointsOf(access);
  for await (const line of checkpointLines(store, await openCheckpoint(store, which))) {
    const found = keyAndStatesOf(line);
    if (found !== undefined && found.states.size > 0 && found.key.startsWith(prefix)) yield found;
  }
}

/** What JSON has not stands as in a checkpoint: `{"$bigint":"12"}`, `{"$bytes":"<base64>"}`. */
function lineOf({ key, states }: KeyedStates): string {
  return `{"key":${JSON.stringify(key)},"states":${statesJson(states)}}`;
}

/** A key is data: what would move the cursor is written out. */
function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function shortened(text: string): string {
  return text.length <= CHARACTERS_SHOWN ? text : `${text.slice(0, CHARACTERS_SHOWN - 1)}…`;
}
