import Table from 'cli-table3';
import type { Command } from 'commander';
import type { Manifest } from '../../shared/checkpoint/manifest.ts';
import { findCheckpoint } from '../../shared/checkpoint/read-checkpoint.ts';
import { comparePipelines, type CompareReport } from '../compare/compare-pipelines.ts';
import { LiveItems } from '../compare/live-items.ts';
import { pairSinks, type PairedSinks } from '../compare/paired-sinks.ts';
import type { Tally } from '../compare/tally.ts';
import { CurrentState } from './current-state.ts';
import { located, withAccess, type LocatedOptions } from './located.ts';
import type { OperatorContext } from './operator-context.ts';
import { wholeNumber } from './parse-command.ts';
import { checkpointsOf, type PipelineAccess } from './pipeline-access.ts';
import { formatted } from './progress-display.ts';
import { UsageError } from './usage-error.ts';

interface CompareOptions extends LocatedOptions {
  readonly atPositions?: string;
  readonly ignore?: readonly string[];
  readonly sink?: readonly string[];
  readonly limit: number;
  readonly wait: number;
}

const SHOWN = 10;
const MOST_SHOWN = 1_000_000;
const WAIT_SECONDS = 60;
const MOST_WAIT_SECONDS = 3_600;
const VALUE_CHARACTERS = 44;
const KEY_CHARACTERS = 40;
const ID_CHARACTERS = 18;

const collected = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** `tidemark compare`: what a pipeline and its fork made of the same records. */
export function compareCommand(context: OperatorContext, command: Command): Command {
  return located(
    command
      .description(
        'compares what a pipeline and its fork have published and what they know, while both go on',
      )
      .argument('<old>', 'the name of the pipeline')
      .argument('<new>', 'the name of the one that was forked from it'),
  )
    .option(
      '--at-positions <checkpoint>',
      'outputs of records up to where a checkpoint of either goes on (its id, or the name of a savepoint), and no states',
    )
    .option(
      '--ignore <field>',
      'of outputs and states, such as total or window.start; again for more',
      collected,
    )
    .option('--sink <old=new>', 'sinks that go together, where names do not tell; again for more', collected)
    .option(
      '--limit <n>',
      'differences shown of each sink and operator',
      wholeNumber({ lowest: 1, highest: MOST_SHOWN }),
      SHOWN,
    )
    .option(
      '--wait <seconds>',
      'how long a key is looked at again that is further in one than in the other',
      wholeNumber({ lowest: 0, highest: MOST_WAIT_SECONDS }),
      WAIT_SECONDS,
    )
    .addHelpText(
      'after',
      '\nOnly records count that lie behind the checkpoint of the fork and that both have processed. It writes nothing, and ' +
        'takes reads of the streams and tables of the sinks and of both state tables.\n' +
        'Exit codes: 0 equal, 1 different or not all could be compared, 2 bad usage.',
    )
    .action(async (old: string, now: string, options: CompareOptions) => {
      if (old === now) throw new UsageError('A pipeline is not compared with itself: give a fork of it.');
      return withAccess(old, options, (from) =>
        withAccess(now, options, (to) => compare(context, from, to, options)),
      );
    });
}

async function compare(
  context: OperatorContext,
  old: PipelineAccess,
  now: PipelineAccess,
  options: CompareOptions,
): Promise<void> {
  const { out, people, interruption, nowMs, fail } = context;
  const forked = await forkOf(old, now);
  const generations = await Promise.all([generationOf(old), generationOf(now)]);
  const [atOld, atNew] = generations;
  const sinks = pairedSinks(old, now, options.sink ?? []);
  const atPositions =
    options.atPositions === undefined ? undefined : await shardsAt(old, now, options.atPositions);
  const checkpoints = checkpointsOf(now);
  let report: CompareReport;
  try {
    report = await comparePipelines({
      old: { access: old, items: new LiveItems(old, atOld) },
      new: { access: now, items: new LiveItems(now, atNew) },
      forked,
      checkpoints,
      pairs: sinks.pairs,
      ...(atPositions && { upTo: atPositions }),
      ignored: (options.ignore ?? []).map((field) => field.split('.')),
      limit: options.limit,
      patienceMs: options.wait * 1_000,
      nowMs,
      signal: interruption.signal,
      say: people,
    });
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    people('Interrupted; nothing is said of what was compared.');
    return fail();
  }
  if (String(await Promise.all([generationOf(old), generationOf(now)])) !== String(generations)) {
    people('One of them was rewound meanwhile: nothing can be said. Compare again.');
    return fail();
  }
  const summary = summaryOf(report, sinks, forked, old.pipeline, now.pipeline);
  if (summary.outcome !== 'equal') fail();
  if (options.json === true) return out(JSON.stringify(summary));
  if (summary.outcome === 'nothing') {
    return people(
      `There is nothing to compare yet: no record behind checkpoint ${forked.id}, from which ${now.pipeline} went on, has ` +
        'been processed by both.',
    );
  }
  for (const line of lines(summary)) out(line);
}

/**
 * The checkpoint of the old one, as the new one went on from it.
 * @throws UsageError where it went on from none, or reads other streams; Error where it awaits its fork.
 */
async function forkOf(old: PipelineAccess, now: PipelineAccess): Promise<Manifest> {
  const others = now.streams.filter((stream) => !old.streams.includes(stream));
  if (others.length > 0 || now.streams.length !== old.streams.length) {
    throw new UsageError(
      `${now.pipeline} reads ${now.streams.join(', ')}, and ${old.pipeline} ${old.streams.join(', ')}: only pipelines that ` +
        'read the same streams can be compared, record by record.',
    );
  }
  const control = await new CurrentState(now).control();
  const store = checkpointsOf(now);
  if (control?.phase !== 'awaitsFork') {
    for (const id of (await store.folders()).reverse()) {
      const manifest = await store.getManifest(id);
      if (manifest?.forkedFrom === undefined) continue;
      if (manifest.forkedFrom === old.pipeline) return manifest;
      throw new UsageError(
        `${now.pipeline} is a fork of ${manifest.forkedFrom}, and not of ${old.pipeline}: compare it with that one.`,
      );
    }
  }
  if (control?.phase === 'awaitsFork') {
    throw new Error(
      `${now.pipeline} awaits its fork: "fork ${old.pipeline} --to ${now.pipeline}" comes first.`,
    );
  }
  throw new UsageError(
    `${now.pipeline} is no fork of ${old.pipeline}, or the checkpoint that it went on from is deleted: where the ` +
      'comparison is to begin is not known.',
  );
}

/** @throws Error where a rewind is under way. */
async function generationOf(access: PipelineAccess): Promise<number> {
  const control = await new CurrentState(access).control();
  if (control?.rewind !== undefined) {
    throw new Error(
      `A rewind of ${access.pipeline} is under way, and its state is not whole: compare behind it.`,
    );
  }
  return control?.generation ?? 1;
}

async function shardsAt(
  old: PipelineAccess,
  now: PipelineAccess,
  which: string,
): Promise<Manifest['shards']> {
  for (const access of [old, now]) {
    const manifest = await findCheckpoint(checkpointsOf(access), which);
    if (manifest !== undefined) return manifest.shards;
  }
  throw new UsageError(
    `Neither ${old.pipeline} nor ${now.pipeline} has a checkpoint ${JSON.stringify(which)}: give an id, the name of a ` +
      'savepoint, or "latest", which is that of the first.',
  );
}

function pairedSinks(old: PipelineAccess, now: PipelineAccess, given: readonly string[]): PairedSinks {
  const pairs = given.map((each) => {
    const [a, b, ...more] = each.split('=');
    if (a === undefined || b === undefined || more.length > 0) {
      throw new UsageError(`--sink ${each}: give the name of a sink of each, such as delays=new-delays.`);
    }
    return [a, b] as const;
  });
  try {
    return pairSinks(old.sinkKinds, now.sinkKinds, new Map(pairs));
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

type Outcome = 'equal' | 'different' | 'incomplete' | 'nothing';

/** What `--json` gives. */
type Summary = ReturnType<typeof summaryOf>;

export function summaryOf(
  { span, sinks, states }: CompareReport,
  { alone }: PairedSinks,
  forked: Manifest,
  old: string,
  now: string,
) {
  const outputs = sinks.map(({ pair, tally, sinceMs }) => ({
    old: pair.old,
    new: pair.new,
    kind: pair.kind,
    outputs: pair.outputs,
    ...countsOf(tally),
    superseded: tally.superseded,
    open: tally.open,
    ...(sinceMs !== undefined && { since: new Date(sinceMs).toISOString() }),
    first: tally.first,
  }));
  const operators = [...(states?.operators ?? [])].map(([operator, tally]) => ({
    operator,
    ...countsOf(tally),
    first: tally.first,
  }));
  const isDifferent = [...sinks.map(({ tally }) => tally), ...(states?.operators.values() ?? [])].some(
    ({ differences }) => differences > 0,
  );
  const isIncomplete =
    outputs.some(({ open, since }) => open > 0 || since !== undefined) ||
    (states?.apart ?? 0) > 0 ||
    alone.old.length + alone.new.length > 0;
  const outcome: Outcome = span.isEmpty
    ? 'nothing'
    : isDifferent
      ? 'different'
      : isIncomplete
        ? 'incomplete'
        : 'equal';
  return {
    old,
    new: now,
    outcome,
    checkpoint: forked.id,
    positions: [...span.shards.values()].map(({ stream, shardId, from, upTo }) => ({
      stream,
      shardId,
      ...(from && { behind: from.sequence }),
      ...(upTo && { upTo: upTo.sequence }),
    })),
    outputs,
    alone,
    ...(states && {
      states: { keys: states.keys, touched: states.touched, apart: states.apart, operators },
    }),
  };
}

function countsOf({ equal, differing, onlyOld, onlyNew }: Tally) {
  return { equal, differing, onlyOld, onlyNew };
}

function* lines(summary: Summary): Generator<string> {
  const { old, new: now, outputs, states, alone, checkpoint, outcome } = summary;
  const table = new Table({
    head: ['', 'equal', 'differing', `only ${old}`, `only ${now}`, 'superseded', 'open'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { compact: true, head: [], border: [] },
  });
  const figures = (
    name: string,
    counts: ReturnType<typeof countsOf>,
    ...more: readonly number[]
  ): string[] => [
    name,
    ...[counts.equal, counts.differing, counts.onlyOld, counts.onlyNew, ...more].map(formatted),
  ];
  for (const each of outputs) {
    table.push(figures(`${each.kind} ${pairName(each)}`, each, each.superseded, each.open));
  }
  for (const each of states?.operators ?? []) {
    table.push([...figures(`state ${each.operator}`, each), '', '']);
  }
  yield `Of the records behind checkpoint ${checkpoint} that both have processed:`;
  yield table.toString();
  for (const each of outputs) yield* shown(`${each.kind} ${pairName(each)}`, each.first, each);
  for (const each of states?.operators ?? []) yield* shown(`state ${each.operator}`, each.first, each);
  yield* notes(summary);
  for (const [pipeline, names] of [
    [old, alone.old],
    [now, alone.new],
  ] as const) {
    if (names.length > 0) {
      yield `Not compared: ${names.join(', ')} of ${pipeline}, with no twin in the other; --sink OLD=NEW names one.`;
    }
  }
  yield {
    equal: `${old} and ${now} are equal.`,
    different: `${old} and ${now} differ.`,
    incomplete: 'No difference was found, but not all could be compared.',
    nothing: '',
  }[outcome];
}

function* notes({ outputs, states }: Summary): Generator<string> {
  if (states === undefined) yield 'States were not compared: they stand at other positions.';
  else {
    const { keys, touched, apart } = states;
    yield `${formatted(keys)} keys, of which ${formatted(touched)} got a record since the fork.`;
    if (apart > 0) {
      yield (
        `Not compared: the states of ${formatted(apart)} keys, which never held the same records in both while it was looked ` +
        '(they get records all the time, or one of the pipelines is behind), or wait for a timer in one. --wait looks longer.'
      );
    }
  }
  for (const each of outputs) {
    if (each.superseded > 0) {
      yield (
        `${pairName(each)}: of ${formatted(each.superseded)} changes one had published a newer one at once: how batches were ` +
        'cut, and no difference.'
      );
    }
    if (each.open > 0) {
      yield (
        `${pairName(each)}: ${formatted(each.open)} outputs are in one alone, and the other may publish them yet (by a timer, ` +
        'or where it is behind), or several keys of a state write them in no order.'
      );
    }
    if (each.since !== undefined) {
      yield `${pairName(each)}: outputs of records that arrived before ${each.since} are leaving the streams, and were not compared.`;
    }
  }
}

function* shown(
  title: string,
  first: Tally['first'],
  { differing, onlyOld, onlyNew }: ReturnType<typeof countsOf>,
): Generator<string> {
  if (first.length === 0) return;
  const hasIds = first.some(({ id }) => id !== undefined);
  const table = new Table({
    head: ['key', ...(hasIds ? ['id'] : []), 'old', 'new'],
    style: { compact: true, head: [], border: [] },
  });
  for (const { key, id = '', old, new: now } of first) {
    const [before, after] = whatDiffers(old, now);
    table.push([
      cut(JSON.stringify(key).slice(1, -1), KEY_CHARACTERS),
      ...(hasIds ? [cutLeft(id, ID_CHARACTERS)] : []),
      cut(before, VALUE_CHARACTERS),
      cut(after, VALUE_CHARACTERS),
    ]);
  }
  const all = differing + onlyOld + onlyNew;
  yield `\n${title}:`;
  yield table.toString();
  if (all > first.length) {
    yield `The first ${formatted(first.length)} of ${formatted(all)}; --limit shows more. Of each only the fields that differ; --json has all.`;
  }
}

/** Of two objects the fields that differ; else both as they are, empty where there is none. */
export function whatDiffers(old: string | undefined, now: string | undefined): [string, string] {
  const [a, b] = [old, now].map((text) => (text === undefined ? undefined : (JSON.parse(text) as unknown)));
  if (!isFields(a) || !isFields(b)) return [old ?? '', now ?? ''];
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  const differing = names.filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]));
  const only = (fields: Readonly<Record<string, unknown>>): string =>
    JSON.stringify(
      Object.fromEntries(differing.flatMap((name) => (name in fields ? [[name, fields[name]]] : []))),
    );
  return [only(a), only(b)];
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pairName({ old, new: now }: { readonly old: string; readonly new: string }): string {
  return old === now ? old : `${old} / ${now}`;
}

function cut(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}

/** What tells ids apart is at their end. */
function cutLeft(text: string, characters: number): string {
  return text.length <= characters ? text : `…${text.slice(1 - characters)}`;
}
