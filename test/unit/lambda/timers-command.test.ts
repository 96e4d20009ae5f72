import { describe, expect, it } from 'vitest';
import { kinesis, pipeline } from '../../../shared/index.ts';
import type { CommandContext } from '../../../shared/lambda/commands.ts';
import { timersCommand } from '../../../shared/lambda/timers-command.ts';
import { testPipeline } from '../../../shared/testing/index.ts';
import { sourceRecord, START_MS, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver } from '../engine/deliver.ts';

const SUBJECT = pipeline('p')
  .from(kinesis<{ readonly key: string }>('s'))
  .arrivalTime()
  .keyBy(({ key }) => key)
  .process<number, number>('p', {
    onRecord: (_, { processingMs, timers }) => timers.processing.set('tick', processingMs + 3_000),
    onProcessingTimer: (_, { emit, processingMs, timers }) => {
      emit(processingMs);
      if (processingMs < START_MS + 80_000) timers.processing.set('tick', processingMs + 20_000);
    },
  })
  .to(kinesis('out'));

/** When sweeps begin, milliseconds behind the start. */
interface Asked {
  readonly world: TestWorld;
  readonly beganMs: number[];
  readonly context: CommandContext;
}

/** @param onSweep called as each sweep begins, by its number. */
async function asked(
  timeoutMs = 60_000,
  onSweep: (number: number) => void = () => undefined,
): Promise<Asked> {
  const world = testWorld(SUBJECT);
  await deliver(world, [sourceRecord(0, 0, { value: { key: 'a' } })]);
  const { store } = world;
  const beganMs: number[] = [];
  const readControl = store.readControl.bind(store);
  store.readControl = async (...given) => {
    beganMs.push(world.nowMs - START_MS);
    onSweep(beganMs.length);
    return readControl(...given);
  };
  const context = {
    runtime: world.runtime,
    deadlineMs: world.nowMs + timeoutMs,
    swept: () => undefined,
  } as unknown as CommandContext;
  return { world, beganMs, context };
}

const ticks = ({ world }: Asked): number[] =>
  (world.sinks.get('out')?.values() as number[]).map((atMs) => atMs - START_MS);

describe('the command that fires timers', () => {
  it('sweeps once, and at once', async () => {
    const once = await asked();
    await timersCommand({}, once.context);
    expect(once.beganMs).toEqual([0]);
    expect(once.world.nowMs).toBe(START_MS);
  });

  it('sweeps as often as it is asked to until the schedule comes again, and tells of all together', async () => {
    const often = await asked();
    const report = await timersCommand({ everySeconds: 10 }, often.context);
    expect(often.beganMs).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000]);
    expect(ticks(often)).toEqual([3_000, 23_000, 43_000]);
    expect(report).toMatchObject({ fired: 3, published: 3, left: 0 });
  });

  it('begins none before the deadline that it could not end', async () => {
    const short = await asked(25_000);
    await timersCommand({ everySeconds: 10 }, short.context);
    expect(short.beganMs).toEqual([0, 10_000, 20_000]);
  });

  it('goes on behind a sweep that takes long, where the next one is due', async () => {
    const slow = await asked(60_000, (number) => {
      if (number === 2) slow.world.nowMs += 17_000;
    });
    await timersCommand({ everySeconds: 10 }, slow.context);
    expect(slow.beganMs).toEqual([0, 10_000, 27_000, 30_000, 40_000, 50_000]);
  });

  it('goes on behind a sweep that fails, and then tells of it', async () => {
    const failing = await asked(60_000, (number) => {
      if (number === 2) throw new Error('throttled');
    });
    await expect(timersCommand({ everySeconds: 20 }, failing.context)).rejects.toThrow('throttled');
    expect(failing.beganMs).toEqual([0, 20_000, 40_000]);
    expect(ticks(failing)).toEqual([3_000, 23_000]);
    expect(failing.world.logged).toContain('A sweep of timers failed; the next one comes');
  });

  it('does no harm beside another that runs late', async () => {
    const first = await asked();
    const { world, context } = first;
    await Promise.all([
      timersCommand({ everySeconds: 15 }, context),
      timersCommand({ everySeconds: 10 }, context),
    ]);
    const outputs = world.sinks.get('out')?.delivered ?? [];
    expect(new Set(outputs.map(({ id }) => id)).size).toBe(new Set(ticks(first)).size);
    expect(ticks(first).toSorted((a, b) => a - b)).toEqual(ticks(first));
  });

  it.each([0, 4, 61, 7.5, '10', null])('refuses %j seconds', async (everySeconds) => {
    const { context, beganMs } = await asked();
    await expect(timersCommand({ everySeconds }, context)).rejects.toThrow(
      `'everySeconds' ${JSON.stringify(everySeconds)}; it is a whole number from 5 to 60.`,
    );
    expect(beganMs).toEqual([]);
  });

  it('fires in a test as time passes, as often as it is let pass', async () => {
    const test = testPipeline<{ readonly key: string }>(SUBJECT);
    await test.send({ key: 'a' });
    for (let times = 0; times < 5; times++) await test.advance({ seconds: 10 });
    expect(test.outputs()).toHaveLength(3);
  });
});
