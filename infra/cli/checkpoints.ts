import { Command } from 'commander';
import Table from 'cli-table3';
import { begunMs, savepointNameProblem } from '../../shared/checkpoint/checkpoint-id.ts';
import { CheckpointError } from '../../shared/checkpoint/checkpoint-error.ts';
import { linesThatCount, type Manifest } from '../../shared/checkpoint/manifest.ts';
import {
  checkpointIds,
  diffCheckpoints,
  newestCheckpoint,
  openCheckpoint,
  verifyCheckpoint,
  type KeyDifference,
} from '../../shared/checkpoint/read-checkpoint.ts';
import { deleteCheckpoint } from '../../shared/checkpoint/remove-unneeded.ts';
import type { CheckpointReport } from '../../shared/checkpoint/take-checkpoint.ts';
import type { CheckpointEvent } from '../../shared/lambda/checkpoint-command.ts';
import { confirmed } from './confirmation.ts';
import { CurrentState } from './current-state.ts';
import { invokeFunction } from './invoke-function.ts';
import { ofPipeline, withAccess, type LocatedOptions } from './located.ts';
import type { OperatorContext } from './operator-context.ts';
import { checkpointsOf, type PipelineAccess } from './pipeline-access.ts';
import { progressBar } from './progress-bar.ts';
import { formatted } from './progress-display.ts';
import { UsageError } from './usage-error.ts';

interface TakeOptions extends LocatedOptions {
  readonly savepoint?: string;
  readonly full?: boolean;
}

interface DeleteOptions extends LocatedOptions {
  readonly yes?: boolean;
}

const ROWS_SHOWN = 50;
const KINDS = ['added', 'removed', 'changed'] as const;

/** `tidemark checkpoint …`: what is kept of a pipeline's state, and taking more of it. */
export function checkpointCommand(context: OperatorContext): Command {
  const group = new Command('checkpoint').description(
    'Takes, lists, shows, verifies, compares and deletes checkpoints. A checkpoint is given by its id, by the name of a savepoint, or as "latest".',
  );
  ofPipeline(group.command('take'), 'takes one now, while processing goes on')
    .option('--savepoint <name>', 'names it: it is then kept until it is deleted, and full')
    .option('--full', 'stores all state in it, also what an earlier one has')
    .action(async (pipeline: string, options: TakeOptions) => {
      const problem = options.savepoint === undefined ? undefined : savepointNameProblem(options.savepoint);
      if (problem !== undefined) throw new UsageError(problem);
      return withAccess(pipeline, options, (access) => take(context, access, options));
    });
  ofPipeline(group.command('list'), 'those that there are, the newest first').action(
    async (pipeline: string, options: LocatedOptions) =>
      withAccess(pipeline, options, (access) => list(context, access, options)),
  );
  ofPipeline(group.command('show'), 'what its manifest says')
    .argument('[checkpoint]', 'which one', 'latest')
    .action(async (pipeline: string, which: string, options: LocatedOptions) =>
      withAccess(pipeline, options, (access) => show(context, access, which, options)),
    );
  ofPipeline(group.command('verify'), 'reads all of it: hashes, counts and digest')
    .argument('[checkpoint]', 'which one', 'latest')
    .action(async (pipeline: string, which: string, options: LocatedOptions) =>
      withAccess(pipeline, options, (access) => verify(context, access, which, options)),
    );
  ofPipeline(group.command('delete'), 'deletes it; the bucket keeps it for another day')
    .argument('<checkpoint>', 'which one')
    .option('--yes', 'do not ask; needed for the newest, too')
    .action(async (pipeline: string, which: string, options: DeleteOptions) =>
      withAccess(pipeline, options, (access) => remove(context, access, which, options)),
    );
  ofPipeline(group.command('diff'), 'keys whose states were added, removed or changed from one to another')
    .argument('<before>', 'which one')
    .argument('<after>', 'and which')
    .action(async (pipeline: string, before: string, after: string, options: LocatedOptions) =>
      withAccess(pipeline, options, (access) => diff(context, access, before, after, options)),
    );
  return group;
}

/** One that is unfinished comes first: it is gone on with until one is through that was begun for this call. */
async function take(
  { out, people, interruption, fail }: OperatorContext,
  access: PipelineAccess,
  { savepoint, full, json }: TakeOptions,
): Promise<void> {
  const event: CheckpointEvent = {
    tidemark: 'checkpoint',
    ...(savepoint !== undefined && { savepoint }),
    ...(full === true && { isFull: true }),
  };
  const ours = new Set<string>();
  for (;;) {
    const invoked = await invokeFunction<CheckpointReport>(access.lambda, access.functionName, event);
    if ('failure' in invoked) {
      people(`The checkpoint was not taken: ${invoked.failure}. The same command goes on with it.`);
      return fail();
    }
    const report = invoked.answer;
    const { status, id = '', items = 0, kept, bytes = 0, isNew } = report;
    if (isNew === true) ours.add(id);
    if (status === 'taken' && ours.has(id)) {
      if (json === true) return out(JSON.stringify(report));
      return out(
        `${id}${savepoint === undefined ? '' : ` (${savepoint})`}: ${formatted(items)} items, ` +
          `${kept === undefined ? '' : `${formatted(kept)} of them kept of earlier ones, `}${formatted(bytes)} bytes`,
      );
    }
    if (status === 'unfinished') people(`${id}: ${formatted(items)} items so far …`);
    else if (status === 'taken') people(`${id} was unfinished, and is taken now.`);
    else {
      if (json === true) out(JSON.stringify(report));
      people(whyNot(report));
      return fail();
    }
    if (interruption.signal.aborted) {
      people('Interrupted; the schedule goes on with it, or the same command.');
      return fail();
    }
  }
}

function whyNot({ status, id, untilMs, rewind, savepoint }: CheckpointReport): string {
  if (status === 'nameTaken') return `There is a savepoint ${savepoint ?? ''} already: ${id ?? ''}.`;
  if (status === 'abandoned') return `Checkpoint ${id ?? ''} was abandoned: a rewind came in between.`;
  if (rewind !== undefined) return `Rewind ${rewind} is under way; a checkpoint can be taken behind it.`;
  const until = untilMs === undefined ? '' : `, until ${new Date(untilMs).toISOString()} at the latest`;
  return `Checkpoint ${id ?? ''} is being taken by somebody else${until}.`;
}

async function list(
  { out, people }: OperatorContext,
  access: PipelineAccess,
  { json }: LocatedOptions,
): Promise<void> {
  const store = checkpointsOf(access);
  const table = new Table({
    head: ['id', 'savepoint', 'kind', 'items', 'bytes', 'saved', 'seconds', 'generation'],
    style: { head: [], border: [] },
  });
  let count = 0;
  for (const id of (await checkpointIds(store)).reverse()) {
    const manifest = await readable(() => store.getManifest(id));
    if (manifest === undefined) continue;
    count += 1;
    if (typeof manifest === 'string') {
      if (json === true) out(JSON.stringify({ id, problem: manifest }));
      else people(manifest);
      continue;
    }
    if (json === true) out(JSON.stringify(rowOf(manifest)));
    else {
      const { savepoint = '', kind, items, bytes, saved, seconds, generation } = rowOf(manifest);
      const figures = [items, bytes, saved].map(formatted);
      table.push([id, savepoint, kind, ...figures, seconds, generation]);
    }
  }
  if (json === true) return;
  if (count === 0) return people('No checkpoint yet.');
  out(table.toString());
}

async function readable<T>(read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CheckpointError) return error.message;
    throw error;
  }
}

function rowOf({ id, savepoint, items, parts, startedMs, endedMs, generation, delta }: Manifest) {
  const own = parts.filter(({ from }) => from === undefined);
  const others = parts.filter(({ from }) => from !== undefined);
  return {
    id,
    ...(savepoint !== undefined && { savepoint }),
    kind: delta === undefined ? 'full' : 'delta',
    ...(delta !== undefined && { base: delta.base, depth: delta.depth }),
    items,
    parts: own.length,
    bytes: own.reduce((sum, { bytes }) => sum + bytes, 0),
    // What the lines that it keeps take where they lie, by their share of their parts.
    saved: Math.round(
      others.reduce((sum, part) => sum + (part.bytes * linesThatCount(part)) / part.lines, 0),
    ),
    ...(others.length > 0 && { keptParts: others.length }),
    begun: new Date(startedMs).toISOString(),
    seconds: Math.round((endedMs - startedMs) / 100) / 10,
    generation,
  };
}

async function show(
  { out }: OperatorContext,
  access: PipelineAccess,
  which: string,
  { json }: LocatedOptions,
): Promise<void> {
  const manifest = await openCheckpoint(checkpointsOf(access), which);
  if (json === true) return out(JSON.stringify(manifest));
  const { operators, shards, digest, isByPartition } = manifest;
  for (const [name, value] of Object.entries({
    ...rowOf(manifest),
    digest,
    operators: operators.map(({ name: operator, version }) => `${operator} (version ${version})`).join(', '),
    shards: `${shards.length}, of which ${shards.filter(({ position }) => position !== undefined).length} have a position`,
    lanes: isByPartition ? 'by partition key' : 'by shard',
  })) {
    out(`${name.padEnd(12)}${value}`);
  }
}

async function verify(
  context: OperatorContext,
  access: PipelineAccess,
  which: string,
  { json }: LocatedOptions,
): Promise<void> {
  const { out, people, fail } = context;
  const store = checkpointsOf(access);
  const manifest = await openCheckpoint(store, which);
  const bar = progressBar(context, manifest.parts.length);
  try {
    const report = await verifyCheckpoint(store, manifest, () => bar.step());
    bar.stop();
    if (report.problems.length > 0) fail();
    if (json === true) return out(JSON.stringify({ id: manifest.id, ...report }));
    if (report.problems.length === 0) {
      const { parts, items, bytes } = report;
      return out(
        `${manifest.id} is good: ${formatted(items)} items in ${formatted(parts)} parts, ${formatted(bytes)} bytes.`,
      );
    }
    for (const problem of report.problems) people(problem);
  } finally {
    bar.stop();
  }
}

async function remove(
  context: OperatorContext,
  access: PipelineAccess,
  which: string,
  { yes, json }: DeleteOptions,
): Promise<void> {
  const { out, people, fail } = context;
  const store = checkpointsOf(access);
  const { id, savepoint } = await openCheckpoint(store, which);
  const rewind = (await new CurrentState(access).control())?.rewind;
  if (rewind?.checkpoint === id) {
    people(`Rewind ${rewind.id} goes back to ${id}: end it first, or undo it.`);
    return fail();
  }
  const isNewest = (await newestCheckpoint(store)) === id;
  const called = savepoint === undefined ? id : `${id} (${savepoint})`;
  const what = `Delete the checkpoint ${called} of ${access.pipeline}${isNewest ? ', the newest that there is' : ''}?`;
  if (yes !== true && !(await confirmed(context, what))) return fail();
  const isGone = await deleteCheckpoint(store, id);
  if (json === true) return out(JSON.stringify({ deleted: id, isGone }));
  out(`Deleted ${called}.`);
  if (!isGone) {
    people('Later checkpoints count on lines of it: its parts stay until the last of them is gone.');
  }
}

async function diff(
  { out, isRead, people, interruption, fail }: OperatorContext,
  access: PipelineAccess,
  from: string,
  to: string,
  { json }: LocatedOptions,
): Promise<void> {
  const store = checkpointsOf(access);
  const [before, after] = [await openCheckpoint(store, from), await openCheckpoint(store, to)];
  const counts: Record<KeyDifference['kind'], number> = { added: 0, removed: 0, changed: 0 };
  let shown = 0;
  for await (const { key, kind } of diffCheckpoints(store, before, after)) {
    if (!isRead()) return;
    if (interruption.signal.aborted) return fail();
    counts[kind] += 1;
    if (json === true) out(JSON.stringify({ key, kind }));
    else if (shown++ < ROWS_SHOWN) out(`${kind.padEnd(8)} ${JSON.stringify(key)}`);
  }
  if (shown > ROWS_SHOWN) people(`and ${formatted(shown - ROWS_SHOWN)} more; --json shows them.`);
  people(KINDS.map((kind) => `${kind} ${formatted(counts[kind])}`).join(' · '));
}

/** How old a checkpoint is. */
export function ageOf(id: string, nowMs: number): string {
  const minutes = Math.max(0, Math.round((nowMs - begunMs(id)) / 60_000));
  if (minutes < 120) return `${minutes} minutes`;
  return minutes < 2 * 24 * 60 ? `${Math.round(minutes / 60)} hours` : `${Math.round(minutes / 1_440)} days`;
}
