import { driveRewind, type RewindSteps } from '../../checkpoint/drive-rewind.ts';
import type { MemoryCheckpointStore } from '../../checkpoint/memory-checkpoint-store.ts';
import { redoAll, redoClosedLetters } from '../../checkpoint/redo-letters.ts';
import type { ReplaySource, SourceShard } from '../../checkpoint/replay-source.ts';
import * as steps from '../../checkpoint/rewind.ts';
import type { Rewinder } from '../../checkpoint/rewind.ts';
import { takeCheckpoint } from '../../checkpoint/take-checkpoint.ts';
import { DEADLINE_MARGIN_MS } from '../../engine/limits.ts';
import type { Program } from '../../engine/program.ts';
import { createKinesisEvent } from '../../mapping/kinesis-event.ts';
import { readKinesisEvent } from '../../source/kinesis-event.ts';
import { shardLane, streamTag } from '../../source/lane.ts';
import type { SourceRecord } from '../../source/record.ts';
import type { MemoryDeadLetterStore } from '../../output/memory-dead-letters.ts';
import type { MemoryGenerationStore } from '../../state/memory-generation-store.ts';
import type { Control, ReplayOutputs } from '../../state/state-store.ts';
import { checkpointIds, verifyCheckpoint } from '../../checkpoint/read-checkpoint.ts';
import { deleteCheckpoint } from '../../checkpoint/remove-unneeded.ts';
import type { Checker } from './checker.ts';
import type { MemoryStream } from './memory-stream.ts';
import type { SimulatedMapping } from './simulated-mapping.ts';
import type { Invocation, SimulatedProcess } from './simulated-process.ts';
import { simulatedReader } from './simulated-reader.ts';
import type { World } from './world.ts';

/** What operators of a simulated pipeline do, beside its batches. */
export interface RewindPlan {
  /** When the checkpoint is taken, and how long after it the rewind begins, milliseconds. */
  readonly checkpointAfterMs: number;
  readonly rewindAfterMs: number;
  /** Checkpoints that are taken before it, of which it is a delta; every one is full unless given. */
  readonly deltas?: DeltaPlan;
  /** Of the checkpoint's scan; as many as it can unless given. */
  readonly readUnitsPerSecond?: number;
  readonly outputs: Exclude<ReplayOutputs, 'suppress'>;
  /** Whether the mapping is disabled, as it should be. */
  readonly disables: boolean;
  /** Operators that die, or sleep and go on when another has taken over. */
  readonly deaths: number;
  /** What the last one does, who does not. */
  readonly ends: 'resume' | 'undo';
}

export interface DeltaPlan {
  /** How long before it each earlier one is taken, milliseconds, about. */
  readonly everyMs: readonly number[];
  readonly fullEvery: number;
  /** Of the newest, so many stay. */
  readonly keepLast: number;
  /** Whether an operator deletes an earlier one while the next is taken. */
  readonly deletes: boolean;
}

/** What an operator works with. */
export interface RewindGround {
  readonly world: World;
  readonly operator: SimulatedProcess;
  readonly definition: Program;
  readonly parallelizationFactor: number;
  readonly streams: readonly MemoryStream[];
  /** With a repartition: the one of them whose records are passed on, and not kept as state. */
  readonly relayed: MemoryStream | undefined;
  readonly mapping: SimulatedMapping;
  readonly control: () => Control;
  readonly letters: MemoryDeadLetterStore;
  readonly closedLetters: MemoryDeadLetterStore;
  /** Of the pipeline from a checkpoint of which this one is to go on. */
  readonly otherChecker: Checker | undefined;
  readonly checkpoints: MemoryCheckpointStore;
  readonly generations: MemoryGenerationStore;
  readonly invoke: <T>(
    invocation: Omit<Invocation, 'deadlineMs'>,
    run: (process: SimulatedProcess, deadlineMs: number) => Promise<T>,
  ) => Promise<T>;
}

/** For how long an operator sleeps who has seen enough for a while. */
const SLEEP_MS = 60_000;
const PAUSE_MS = 2_000;
/** So many that whoever died with a checkpoint has lost it by then: letters wait for it. */
const CHECKPOINT_TRIES = 200;
/** Some requests of a pipeline come in between. */
const DELETION_PAUSE_MS = 200;
/** More than any of these worlds has. */
const POOL_LINES = 10_000;
export const NO_RECORDS = { shard: '', records: [] } as const;
/** What is redone was redriven: where letters are closed before a rewind, none is dropped. */
const REDO = { action: 'redrive', names: [], isForced: true, session: '' } as const;

/** Takes a checkpoint, or goes on with one that somebody has left. */
export async function operateCheckpoint(ground: RewindGround): Promise<void> {
  await takenCheckpoint(ground, {});
}

/** Takes a checkpoint and rewinds to it, whatever fails: the operators are patient. */
export async function operateRewind(plan: RewindPlan, ground: RewindGround): Promise<void> {
  await pause(ground, plan.checkpointAfterMs);
  for (const everyMs of plan.deltas?.everyMs ?? []) {
    const earlier = await takenCheckpoint(ground, plan);
    if (earlier !== undefined && plan.deltas?.deletes === true) deleteLater(ground, earlier, everyMs);
    await pause(ground, everyMs);
  }
  const checkpoint = await takenCheckpoint(ground, plan);
  if (checkpoint === undefined) return;
  await pause(ground, plan.rewindAfterMs);
  await driveToEnd(plan, ground, { id: 'rewind', checkpoint, outputs: plan.outputs });
}

/** Begins a rewind and drives it, whatever becomes of its drivers. @returns why it was not begun. */
export async function driveToEnd(
  plan: Pick<RewindPlan, 'disables' | 'deaths' | 'ends'>,
  ground: RewindGround,
  request: Omit<steps.RewindRequest, 'holder'>,
): Promise<steps.RewindRefusal | undefined> {
  const { world, control } = ground;
  const begun = await untilDone(ground, () =>
    ground.invoke(NO_RECORDS, (process) =>
      steps.beginRewind(rewinderOf(ground, process), { ...request, holder: 'operator 0' }),
    ),
  );
  world.tell(`${request.id} to ${request.checkpoint}: ${JSON.stringify(begun)}`);
  if (begun.kind !== 'at') return begun;
  const drivers: Promise<void>[] = [];
  for (let number = 0; number <= plan.deaths && control().rewind !== undefined; number++) {
    const holder = `operator ${number}`;
    if (number > 0) {
      await untilDone(ground, () =>
        ground.invoke(NO_RECORDS, (process) => steps.takeOver(rewinderOf(ground, process), holder)),
      );
      world.tell(`${holder} takes over`);
    }
    const isLast = number === plan.deaths;
    const driver = drive(plan, ground, request.id, holder, isLast);
    drivers.push(driver.finished);
    await driver.left;
  }
  await Promise.all(drivers);
  return undefined;
}

/** An operator of their own deletes it at some moment of what comes next, and thinks between any two requests. */
function deleteLater(ground: RewindGround, id: string, spreadMs: number): void {
  const { world, checkpoints } = ground;
  const slow = new Proxy(checkpoints, {
    get(target, property) {
      const value = Reflect.get(target, property, target) as (...given: unknown[]) => Promise<unknown>;
      return async (...given: unknown[]): Promise<unknown> => {
        await pause(ground, world.random() * DELETION_PAUSE_MS);
        return Reflect.apply(value, target, given);
      };
    },
  });
  void pause(ground, spreadMs + (world.random() - 0.5) * PAUSE_MS).then(async () => {
    world.tell(`${id} is being deleted`);
    await deleteCheckpoint(slow, id);
  });
}

/** @throws Error where one that is listed is not what its manifest says. */
export async function verifyAll({ checkpoints }: RewindGround): Promise<void> {
  for (const id of await checkpointIds(checkpoints)) {
    const manifest = await checkpoints.getManifest(id);
    if (manifest === undefined) continue;
    const { problems } = await verifyCheckpoint(checkpoints, manifest);
    if (problems.length > 0) throw new Error(`Checkpoint ${id} is not good: ${problems.join(' ')}`);
  }
}

export async function takenCheckpoint(
  ground: RewindGround,
  { readUnitsPerSecond = 1_000_000, deltas }: Pick<RewindPlan, 'readUnitsPerSecond' | 'deltas'>,
): Promise<string | undefined> {
  const { world, streams, checkpoints, generations, definition } = ground;
  for (let tries = 0; tries < CHECKPOINT_TRIES; tries++) {
    const report = await untilDone(ground, () =>
      ground.invoke(NO_RECORDS, (process, deadlineMs) => {
        const { runtime } = process;
        return takeCheckpoint({
          pipeline: definition.definition.name,
          checkpoints: through(ground, process, checkpoints, 'checkpoints'),
          generations: through(ground, process, generations, 'generations'),
          store: runtime.store,
          streamShards: {
            shardsOf: (name) =>
              world.io(process, 'shardsOf', async () =>
                (streams.find((stream) => stream.name === name) as MemoryStream).list(),
              ),
          },
          streams: streams.map(({ name }) => name),
          operators: definition.operators.map(({ name, version }) => ({ name, version })),
          horizonSeconds: definition.horizonSeconds,
          isByPartition: runtime.parallelizationFactor > 1,
          retention: { keepLast: deltas?.keepLast ?? 10, keepDaily: 0 },
          ...(deltas !== undefined && { deltas: { fullEvery: deltas.fullEvery, poolLines: POOL_LINES } }),
          segments: 2,
          partBytes: 400,
          readUnitsPerSecond,
          clock: runtime.clock,
          wait: runtime.wait,
          random: () => Math.floor(world.random() * 2 ** 40).toString(36),
          log: runtime.log,
          deadlineMs,
        }).catch((error: unknown) => {
          // Its own first try was taken for somebody else's: the next call begins anew.
          if (!String(error).includes('has begun checkpoint')) throw error;
          throw new Error(`simulated: ${String(error)}`, { cause: error });
        });
      }),
    );
    world.tell(`checkpoint: ${report.status}, ${report.kept ?? 0} of ${report.items ?? 0} lines kept`);
    if (report.status === 'taken') await verifyAll(ground);
    if (report.status === 'taken') return report.id;
    await pause(ground, 5 * PAUSE_MS);
  }
  return undefined;
}

/** @returns when another operator comes, and when this one is through with it. */
function drive(
  { disables, ends, deaths }: Pick<RewindPlan, 'disables' | 'deaths' | 'ends'>,
  ground: RewindGround,
  id: string,
  holder: string,
  isLast: boolean,
): { readonly left: Promise<void>; readonly finished: Promise<void> } {
  const { world, mapping } = ground;
  let leave: () => void = () => undefined;
  const left = new Promise<void>((resolve) => (leave = resolve));
  const dies = world.random() < 0.5;
  let until = isLast ? Infinity : Math.floor(world.random() * 12);
  const attend = async (): Promise<void> => {
    if (until-- > 0) return;
    until = Infinity;
    leave();
    if (dies) throw new Gone(holder);
    // It goes on when somebody else has taken over.
    await pause(ground, world.random() * SLEEP_MS);
  };
  const run = async (): Promise<void> => {
    for (;;) {
      try {
        const outcome = await driveRewind({
          steps: await attended(ground, attend),
          mapping: {
            disable: async () => {
              if (disables) mapping.disable();
            },
            enable: async () => mapping.enable(),
          },
          id,
          holder,
          wait: (ms) => pause(ground, ms),
          undoes: isLast && ends === 'undo',
          whenLive: async ({ version = 0 }) => {
            await redoAll(
              (after) => redone(ground, attend, version, after),
              (ms) => pause(ground, ms),
            );
          },
          parallel: 2,
        });
        world.tell(`${holder}: ${outcome.kind}`);
        if (outcome.kind === 'finished' || outcome.kind === 'superseded') return;
      } catch (error) {
        if (error instanceof Gone) return;
        if (!String(error).includes('simulated')) throw error;
      }
      await pause(ground, PAUSE_MS);
    }
  };
  const finished = run().finally(leave);
  if (deaths > 0) world.tell(`${holder} drives`);
  return { left, finished };
}

/** Redoes some letters, in an invocation. */
async function redone(
  ground: RewindGround,
  attend: () => Promise<void>,
  version: number,
  after: string | undefined,
): ReturnType<typeof redoClosedLetters> {
  await attend();
  return ground.invoke({ ...NO_RECORDS, request: REDO }, (process, deadlineMs) =>
    redoClosedLetters(process, {
      version,
      ...(after !== undefined && { after }),
      session: Math.floor(ground.world.random() * 2 ** 40).toString(36),
      deadlineMs,
    }),
  );
}

class Gone extends Error {}

/** The steps of a rewind, an invocation each, before which the operator may leave. */
async function attended(ground: RewindGround, attend: () => Promise<void>): Promise<RewindSteps> {
  const { checkpoints, invoke } = ground;
  const step = async <T>(
    run: (rewinder: Rewinder, deadlineMs: number, keepGoing: () => boolean) => Promise<T>,
    invocation: Omit<Invocation, 'deadlineMs'> = NO_RECORDS,
  ): Promise<T> => {
    await attend();
    return invoke(invocation, (process, deadlineMs) =>
      run(
        rewinderOf(ground, process),
        deadlineMs,
        () => process.runtime.clock.nowMs() < deadlineMs - DEADLINE_MARGIN_MS && ground.world.random() < 0.9,
      ),
    );
  };
  const partsOf = async (id: string) => (await checkpoints.getManifest(id))?.parts ?? [];
  return {
    control: () => step(({ runtime }) => runtime.store.readControl()),
    parts: partsOf,
    takeOver: (holder) => step((rewinder) => steps.takeOver(rewinder, holder)),
    seal: (version) => step((rewinder) => steps.seal(rewinder, version)),
    restore: async (version, part, skipped) => {
      const id = ground.control().rewind?.checkpoint ?? '';
      const { generation = 1, forkedFrom } = (await checkpoints.getManifest(id)) ?? {};
      const { otherChecker } = ground;
      const isFork = forkedFrom !== undefined && otherChecker !== undefined;
      const restores = { generation, ...(isFork && { checker: otherChecker }) };
      return step((rewinder, _, keepGoing) => steps.restore(rewinder, version, part, skipped, keepGoing), {
        ...NO_RECORDS,
        restores,
      });
    },
    verify: (version, segment) =>
      step((rewinder, _, keepGoing) => steps.verify(rewinder, version, segment, keepGoing)),
    switchGeneration: (version, counted) =>
      step((rewinder) => steps.switchGeneration(rewinder, version, counted)),
    replays: () =>
      step(async (rewinder) => steps.replays(rewinder, await rewinder.runtime.store.readControl())),
    replay: (version, shard) =>
      step(
        (rewinder, deadlineMs, keepGoing) => steps.replay(rewinder, version, shard, deadlineMs, keepGoing),
        {
          shard,
          records: recordsOf(ground, shard),
        },
      ),
    release: (version) => step((rewinder) => steps.release(rewinder, version)),
    undo: (version) => step((rewinder) => steps.undo(rewinder, version)),
    finish: (version) => step((rewinder) => steps.finish(rewinder, version)),
  };
}

function rewinderOf(ground: RewindGround, process: SimulatedProcess): Rewinder {
  return {
    runtime: process.runtime,
    generations: through(ground, process, ground.generations, 'generations'),
    checkpoints: through(ground, process, ground.checkpoints, 'checkpoints'),
    source: sourceOf(ground, process),
  };
}

/** A port whose every call is a request of the process. */
export function through<T extends object>(
  { world }: RewindGround,
  process: SimulatedProcess,
  port: T,
  name: string,
): T {
  return new Proxy(port, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      if (property === 'costs' || property === 'list')
        return (...given: unknown[]): unknown => Reflect.apply(value, target, given);
      const call = `${name}.${String(property)}`;
      return (...given: unknown[]): unknown =>
        world.io(process, call, () => Reflect.apply(value, target, given) as Promise<unknown>);
    },
  });
}

function sourceOf({ world, streams, relayed }: RewindGround, process: SimulatedProcess): ReplaySource {
  const all = streams.flatMap((stream) => stream.shards.map((shard) => ({ stream, shard })));
  return {
    shards: () =>
      world.io(process, 'listShards', async () =>
        all.map(({ stream: { name }, shard }): SourceShard => {
          const { shardId, parentShardId, adjacentParentShardId } = shard;
          const parents = [parentShardId, adjacentParentShardId].filter((parent) => parent !== undefined);
          return {
            stream: name,
            streamArn: `arn:aws:kinesis:local:0:stream/${name}`,
            shardId,
            shard: shardLane(name, shardId),
            parents: parents.map((parent) => shardLane(name, parent)),
          };
        }),
      ),
    reader: ({ stream: name, shardId }, from) =>
      simulatedReader(
        world,
        streams.find((stream) => stream.name === name),
        shardId,
        from,
        (call, effect) => world.io(process, call, effect),
      ),
    isRelayed: (shard) => relayed !== undefined && shard.startsWith(`${streamTag(relayed.name)}/`),
  };
}

/** Every record of a shard: which of them a replay hands in is for it to know. */
function recordsOf({ streams }: RewindGround, lane: string): readonly SourceRecord[] {
  for (const { name, shards } of streams) {
    for (const { shardId, records } of shards) {
      if (shardLane(name, shardId) !== lane || records.length === 0) continue;
      const event = createKinesisEvent(
        { streamArn: `arn:aws:kinesis:local:0:stream/${name}`, region: '', invokeIdentityArn: '' },
        shardId,
        records,
      );
      return readKinesisEvent(event).records;
    }
  }
  return [];
}

/** Asks again until an invocation succeeds. */
export async function untilDone<T>(ground: RewindGround, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!String(error).includes('simulated')) throw error;
      await pause(ground, PAUSE_MS);
    }
  }
}

export function pause({ world, operator }: RewindGround, ms: number): Promise<void> {
  return new Promise((resolve) => world.resume(operator, world.time.nowMs + ms, resolve));
}
