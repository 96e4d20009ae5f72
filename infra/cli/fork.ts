import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { copyCheckpoint } from '../../shared/checkpoint/fork.ts';
import type { Manifest } from '../../shared/checkpoint/manifest.ts';
import { openCheckpoint } from '../../shared/checkpoint/read-checkpoint.ts';
import {
  closedLetterPrefix,
  deadLetterPrefix,
  S3DeadLetterStore,
} from '../../shared/output/s3-dead-letters.ts';
import { ageOf } from './checkpoints.ts';
import { confirmed } from './confirmation.ts';
import { CurrentState } from './current-state.ts';
import { ofPipeline, withAccess, type LocatedOptions } from './located.ts';
import { listMappings } from './mapping-switch.ts';
import type { OperatorContext } from './operator-context.ts';
import { checkpointsOf, type PipelineAccess } from './pipeline-access.ts';
import { progressBar } from './progress-bar.ts';
import { formatted } from './progress-display.ts';
import { drive, droppable, groundOf, howToGoOn, sayRefusal } from './rewind.ts';
import { UsageError } from './usage-error.ts';

interface ForkOptions extends LocatedOptions {
  readonly to: string;
  readonly from: string;
  readonly allowGap?: boolean;
  readonly dropOperator?: readonly string[];
  readonly replace?: boolean;
  readonly yes?: boolean;
}

/** `tidemark fork`: another pipeline goes on from a checkpoint of this one. */
export function forkCommand(context: OperatorContext, command: Command): Command {
  return droppable(
    ofPipeline(
      command,
      'lets another pipeline, which is deployed with "forkOf" and reads the same stream, go on from a checkpoint of this one',
    ),
  )
    .requiredOption('--to <new>', 'the name of the other pipeline')
    .option('--from <checkpoint>', 'its id, the name of a savepoint, or "latest"', 'latest')
    .option('--allow-gap', 'go on without the records that the stream does not hold any more')
    .option('--replace', 'also where the other pipeline processes records by itself: its state is left')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      '\nThe other pipeline publishes to its own sinks under its own name, what each key gets behind the checkpoint. What ' +
        'is interrupted is gone on with by "rewind NEW --resume", or taken back by "rewind NEW --undo"; where nothing had ' +
        'begun yet, by "fork" again.',
    )
    .action(async (pipeline: string, options: ForkOptions) => {
      if (pipeline === options.to) throw new UsageError('A pipeline is not forked into itself: rewind it.');
      return withAccess(pipeline, options, (from) =>
        withAccess(options.to, options, (to) => fork(context, from, to, options)),
      );
    });
}

async function fork(
  context: OperatorContext,
  from: PipelineAccess,
  to: PipelineAccess,
  options: ForkOptions,
): Promise<void> {
  const { people, fail, nowMs } = context;
  const control = await new CurrentState(to).control();
  if (control?.rewind !== undefined) {
    people(`A rewind of ${to.pipeline} is under way. ${howToGoOn(to.pipeline, options)}`);
    return fail();
  }
  if (control?.phase === 'live' && options.replace !== true) {
    people(
      `${to.pipeline} processes records by itself, in generation ${control.generation}. A fork goes into a pipeline that ` +
        `has not begun: deploy one with forkOf '${from.pipeline}'. --replace leaves what state ${to.pipeline} has for that ` +
        'of the checkpoint; what it has published stays published.',
    );
    return fail();
  }
  // All of them: one that was deployed disabled, so that nothing is processed before the fork, is enabled at its end.
  const mappings = await listMappings(to.lambda, to.functionName);
  const late = mappings.filter(({ start = OLDEST }) => start !== OLDEST);
  if (late.length > 0) {
    people(
      `${to.pipeline} begins to read at ${late[0]?.start ?? ''}: records between the checkpoint and there would be ` +
        `missing. Deploy it with startingPosition ${OLDEST}.`,
    );
    return fail();
  }
  const manifest = await openCheckpoint(checkpointsOf(from), options.from);
  const choices = {
    outputs: 'same',
    forks: options.replace === true ? 'replace' : 'new',
    ...(options.allowGap === true && { allowsGap: true }),
    ...(options.dropOperator !== undefined && { dropped: options.dropOperator }),
  } as const;
  const ground = groundOf(context, to);
  // Before anything is copied, and without its parts, of which there may be more than an event takes.
  const objection = await ground.ask({
    step: 'judge',
    manifest: { ...manifest, parts: [] },
    request: choices,
  });
  if (objection !== null) {
    sayRefusal(context, objection, manifest, options.json === true);
    return fail();
  }
  const { id, items } = manifest;
  const what =
    `Let ${to.pipeline} go on from ${id} of ${from.pipeline}, ${ageOf(id, nowMs())} old, with ${formatted(items)} ` +
    `items?${control?.phase === 'live' ? ' Its own state is left.' : ''}`;
  if (options.yes !== true && !(await confirmed(context, what))) {
    people('Nothing was begun.');
    return fail();
  }
  people(`Copying ${id} of ${from.pipeline} …`);
  const own = await copied(context, from, to, manifest);
  const begun = await ground.ask({
    step: 'begin',
    request: {
      ...choices,
      id: randomUUID(),
      holder: ground.holder,
      checkpoint: id,
      mappings: mappings.map((mapping) => mapping.id),
    },
  });
  if (begun.kind !== 'at') {
    sayRefusal(context, begun, own, options.json === true);
    return fail();
  }
  await drive(context, to, options, ground, begun.control, false);
}

async function copied(
  context: OperatorContext,
  from: PipelineAccess,
  to: PipelineAccess,
  manifest: Manifest,
): Promise<Manifest> {
  const bar = progressBar(context, manifest.parts.length, 'Copying ');
  let parts = 0;
  try {
    return await copyCheckpoint(
      {
        checkpoints: checkpointsOf(from),
        deadLetters: new S3DeadLetterStore(from.s3, from.bucket, deadLetterPrefix(from.pipeline)),
        closedLetters: new S3DeadLetterStore(from.s3, from.bucket, closedLetterPrefix(from.pipeline)),
      },
      {
        pipeline: to.pipeline,
        checkpoints: checkpointsOf(to),
        closedLetters: new S3DeadLetterStore(to.s3, to.bucket, closedLetterPrefix(to.pipeline)),
      },
      manifest,
      context.nowMs(),
      (news) => {
        bar.step(news.parts - parts, `${formatted(news.letters)} dead letters`);
        ({ parts } = news);
      },
    );
  } finally {
    bar.stop();
  }
}

const OLDEST = 'TRIM_HORIZON';
