import { copyCheckpoint } from '../../checkpoint/fork.ts';
import type { Manifest } from '../../checkpoint/manifest.ts';
import type { RewindRefusal } from '../../checkpoint/rewind.ts';
import {
  driveToEnd,
  NO_RECORDS,
  pause,
  takenCheckpoint,
  through,
  untilDone,
  verifyAll,
  type RewindGround,
  type RewindPlan,
} from './simulated-rewind.ts';

/** Another pipeline goes on from a checkpoint of this one. */
export interface ForkPlan extends Pick<RewindPlan, 'disables' | 'deaths' | 'ends'> {
  /** When the checkpoint is taken, and how long after it the fork begins, milliseconds. */
  readonly checkpointAfterMs: number;
  readonly forkAfterMs: number;
  /** Whether the other one processes records by itself until then. */
  readonly replaces: boolean;
  /** Whether the other one has its ParallelizationFactor, and not 1. */
  readonly sharesFactor: boolean;
}

/** Until lanes of the one are by partition key too, as those of the other are. */
const TRIES = 100;
const PAUSE_MS = 5_000;

/** Takes a checkpoint and forks, whatever fails. One that is undone is begun again: the other waits for it. */
export async function operateFork(plan: ForkPlan, from: RewindGround, to: RewindGround): Promise<void> {
  const { checkpointAfterMs, forkAfterMs, replaces } = plan;
  await pause(to, checkpointAfterMs);
  let refusal: RewindRefusal | undefined;
  for (let tries = 0; tries < TRIES; tries++) {
    const checkpoint = await takenCheckpoint(from, {});
    const manifest = checkpoint === undefined ? undefined : await from.checkpoints.getManifest(checkpoint);
    if (manifest === undefined) throw new Error('There is no checkpoint to fork from.');
    await pause(to, forkAfterMs);
    await untilDone(to, () => copied(from, to, manifest));
    await verifyAll(to);
    const request = {
      checkpoint: manifest.id,
      outputs: 'same',
      forks: replaces ? 'replace' : 'new',
    } as const;
    refusal = await driveToEnd(plan, to, { ...request, id: 'fork' });
    if (refusal === undefined && to.control().phase === 'awaitsFork')
      refusal = await driveToEnd({ ...plan, ends: 'resume' }, to, { ...request, id: 'again' });
    if (refusal === undefined) return;
    await pause(to, PAUSE_MS);
  }
  throw new Error(`The fork is not begun: ${JSON.stringify(refusal)}`);
}

/** In an invocation, so that whoever copies dies in the middle of it. */
function copied(from: RewindGround, to: RewindGround, manifest: Manifest): Promise<Manifest> {
  return from.invoke(NO_RECORDS, (process) =>
    copyCheckpoint(
      {
        checkpoints: through(from, process, from.checkpoints, 'checkpoints'),
        deadLetters: through(from, process, from.letters, 'letters'),
        closedLetters: through(from, process, from.closedLetters, 'closedLetters'),
      },
      {
        pipeline: to.definition.definition.name,
        checkpoints: through(from, process, to.checkpoints, 'checkpoints'),
        closedLetters: through(from, process, to.closedLetters, 'closedLetters'),
      },
      manifest,
      from.world.time.nowMs,
    ),
  );
}
