import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import airportDelays from '../../functions/airport-delays/pipeline.ts';
import { accessPipeline } from '../../infra/cli/pipeline-access.ts';
import { comparableText } from '../../infra/compare/comparable-text.ts';
import { readSinkStream } from '../../infra/compare/sink-stream.ts';
import type { OutputEnvelope } from '../../shared/output/envelope.ts';
import type { Document } from '../../shared/state/document.ts';
import { CANARY_LATE_ABOVE, canaryDelays } from './fixtures/canary-delays.ts';
import { countedFlights } from './fixtures/counted-flights.ts';
import { stagingDelays } from './fixtures/staging-delays.ts';
import { switchedDelays } from './fixtures/switched-delays.ts';
import { flightLines, originsOf } from './flights.ts';
import { json, operate, type Said } from '../support/operate.ts';
import { deployed, OperatedCloud } from './operated-cloud.ts';
import { temporaryFolder } from './temporary-folder.ts';

const [OLD, SAME, CHANGED, OTHER] = ['airport-delays', 'staging-delays', 'canary-delays', 'counted-flights'];
const FLIGHTS = flightLines(800);
const FORKED = 300;
/** Flights that come while the old pipeline becomes the new version, and as many behind it. */
const BETWEEN = 60;
const SHARDS = 2;
const LIMIT_MS = 240_000;
/** In minutes: the rule of airport-delays. */
const LATE_ABOVE = 15;

const folder = temporaryFolder();

interface Counts {
  readonly equal: number;
  readonly differing: number;
  readonly onlyOld: number;
  readonly onlyNew: number;
  readonly first: readonly { readonly key: string; readonly kind: string; readonly id?: string }[];
}

interface Comparison {
  readonly outcome: string;
  readonly outputs: readonly (Counts & { readonly superseded: number; readonly open: number })[];
  readonly states: {
    readonly keys: number;
    readonly touched: number;
    readonly apart: number;
    readonly operators: readonly (Counts & { readonly operator: string })[];
  };
}

function keysOf({ first }: Counts): string[] {
  return [...new Set(first.map(({ key }) => key))].sort();
}

describe('a comparison of a pipeline with its fork on the local cloud', () => {
  const here = new OperatedCloud(folder, SHARDS);
  const behind = FLIGHTS.slice(FORKED);
  /** Where the changed rule says something else. */
  const differing = [
    ...new Set(
      behind
        .map((line) => JSON.parse(line) as { readonly origin: string; readonly delay: number })
        .filter(({ delay }) => delay > LATE_ABOVE && delay <= CANARY_LATE_ABOVE)
        .map(({ origin }) => origin),
    ),
  ].sort();

  async function compare(...args: readonly string[]): Promise<{ said: Said; comparison: Comparison }> {
    const said = await operate(['compare', OLD, ...args, '--limit', '100000']);
    return { said, comparison: json(said) as unknown as Comparison };
  }

  beforeAll(async () => {
    await here.deploy(
      deployed(airportDelays, 'functions/airport-delays/handler.ts'),
      deployed(stagingDelays, 'test/e2e/fixtures/staging-delays.ts', airportDelays),
      deployed(canaryDelays, 'test/e2e/fixtures/canary-delays.ts', airportDelays),
      deployed(countedFlights, 'test/e2e/fixtures/counted-flights.ts', airportDelays),
    );
    await here.send(FLIGHTS.slice(0, FORKED));
    await here.untilDrained(OLD);
    expect((await operate(['checkpoint', 'take', OLD])).isDone).toBe(true);
  }, LIMIT_MS);
  afterAll(() => here.stop(), LIMIT_MS);

  it(
    'is refused where there is nothing that could be compared',
    async () => {
      const itself = await operate(['compare', OLD, OLD]);
      expect(String(itself.error)).toContain('UsageError: A pipeline is not compared with itself');
      expect(String((await operate(['compare', OLD, 'nobody'])).error)).toContain('nobody');
      expect(String((await operate(['compare', OLD, SAME])).error)).toContain(
        `Error: ${SAME} awaits its fork: "fork ${OLD} --to ${SAME}" comes first`,
      );
      expect(String((await operate(['compare', SAME, OLD])).error)).toContain(
        `UsageError: ${OLD} is no fork of ${SAME}`,
      );
      for (const fork of [SAME, CHANGED]) {
        expect(json(await operate(['fork', OLD, '--to', fork, '--yes']))).toMatchObject({ outcome: 'done' });
      }
      expect(
        json(await operate(['fork', OLD, '--to', OTHER, '--drop-operator', 'delays', '--yes'])),
      ).toMatchObject({ outcome: 'done' });
      const nothing = await operate(['compare', OLD, SAME]);
      expect(nothing.isDone).toBe(false);
      expect(json(nothing)).toMatchObject({ outcome: 'nothing' });
      expect(String((await operate(['compare', SAME, CHANGED])).error)).toContain(
        `UsageError: ${CHANGED} is a fork of ${OLD}, and not of ${SAME}`,
      );
    },
    LIMIT_MS,
  );

  it(
    'finds no difference where the code is the same',
    async () => {
      await here.send(behind);
      await here.untilDrained();

      const { said, comparison } = await compare(SAME);

      expect(said.isDone).toBe(true);
      expect(comparison).toMatchObject({
        outcome: 'equal',
        outputs: [
          {
            old: OLD,
            new: SAME,
            kind: 'stream',
            outputs: 'change',
            differing: 0,
            onlyOld: 0,
            onlyNew: 0,
            open: 0,
          },
        ],
        states: {
          keys: originsOf(FLIGHTS),
          touched: originsOf(behind),
          apart: 0,
          operators: [
            { operator: 'delays', equal: originsOf(FLIGHTS), differing: 0, onlyOld: 0, onlyNew: 0 },
          ],
        },
      });
      // The last of each key is published by both, however batches were cut.
      const [outputs] = comparison.outputs;
      expect(outputs?.equal).toBeGreaterThanOrEqual(originsOf(behind));
    },
    LIMIT_MS,
  );

  it(
    'finds the keys of which a changed rule says something else, and no other',
    async () => {
      const { said, comparison } = await compare(CHANGED);

      expect(said.isDone).toBe(false);
      expect(said.error).toBeUndefined();
      expect(comparison.outcome).toBe('different');
      const [outputs] = comparison.outputs;
      const [states] = comparison.states.operators;
      expect(differing.length).toBeGreaterThan(1);
      expect(differing.length).toBeLessThan(originsOf(behind));
      expect(keysOf(outputs as Counts)).toEqual(differing);
      expect(keysOf(states as Counts)).toEqual(differing);
      expect(outputs).toMatchObject({ onlyOld: 0, onlyNew: 0, open: 0 });
      expect(states).toMatchObject({
        equal: originsOf(FLIGHTS) - differing.length,
        differing: differing.length,
        onlyOld: 0,
        onlyNew: 0,
      });
      // The id is the same in both, and names the record.
      expect(outputs?.first.every(({ id = '' }) => /^[^/]+\/\d+\/\d+\/0\/0\/0$/.test(id))).toBe(true);

      const ignoring = await compare(CHANGED, '--ignore', 'late', '--ignore', 'lateShare');
      expect(ignoring.said.isDone).toBe(true);
      expect(ignoring.comparison.outcome).toBe('equal');
    },
    LIMIT_MS,
  );

  it(
    'says which operators and sinks only one has',
    async () => {
      const { said, comparison } = await compare(OTHER);
      expect(said.isDone).toBe(false);
      expect(comparison).toMatchObject({ outcome: 'different', outputs: [], alone: { old: [OLD], new: [] } });
      const [count, delays] = comparison.states.operators;
      expect(count).toMatchObject({ operator: 'count', equal: 0, onlyOld: 0, onlyNew: originsOf(behind) });
      // What is not wanted was carried along as it was in the checkpoint.
      expect(delays?.operator).toBe('delays');
      expect(Number(delays?.differing) + Number(delays?.onlyOld)).toBe(originsOf(behind));
    },
    LIMIT_MS,
  );

  it(
    'goes as far as a checkpoint where that is said',
    async () => {
      await operate(['checkpoint', 'take', OLD, '--savepoint', 'until']);
      const { comparison: before } = await compare(SAME);
      await here.send(FLIGHTS.slice(0, FORKED));
      await here.untilDrained();

      const { said, comparison: until } = await compare(SAME, '--at-positions', 'until');
      expect(said.isDone).toBe(true);
      expect(until.outcome).toBe('equal');
      expect(until).not.toHaveProperty('states');
      expect(until.outputs[0]?.equal).toBe(before.outputs[0]?.equal);
      const { comparison: after } = await compare(SAME);
      expect(after.outcome).toBe('equal');
      expect(Number(after.outputs[0]?.equal)).toBeGreaterThan(Number(before.outputs[0]?.equal));
      expect(String((await operate(['compare', OLD, SAME, '--at-positions', 'nowhere'])).error)).toContain(
        'UsageError: Neither',
      );
    },
    LIMIT_MS,
  );

  it(
    'lets the old pipeline become the new version with the state of the canary, and loses no output',
    async () => {
      await here.deploy(
        deployed(switchedDelays, 'test/e2e/fixtures/switched-delays.ts'),
        deployed(canaryDelays, 'test/e2e/fixtures/canary-delays.ts', switchedDelays),
      );
      await here.untilDrained();
      expect(await here.dump(switchedDelays)).not.toBe(await here.dump(canaryDelays));
      expect((await operate(['checkpoint', 'take', CHANGED])).isDone).toBe(true);
      // What comes between the canary's checkpoint and the switch, the old pipeline has by itself.
      await here.send(FLIGHTS.slice(0, BETWEEN));
      await here.untilDrained(OLD);

      const switched = await operate(['fork', CHANGED, '--to', OLD, '--replace', '--yes']);

      expect(json(switched)).toMatchObject({ outcome: 'done' });
      await here.send(FLIGHTS.slice(BETWEEN, 2 * BETWEEN));
      await here.untilDrained();
      const dump = await here.dump(switchedDelays);
      expect(dump).toBe(await here.dump(canaryDelays));
      const outputs = await outputsOf(OLD);
      expect(outputs.every(({ id }) => id.startsWith(`${OLD}/`))).toBe(true);
      // Of each key that got a record since, the newest that was published is what is known.
      const since = new Set(
        FLIGHTS.slice(0, 2 * BETWEEN).map((line) => (JSON.parse(line) as { readonly origin: string }).origin),
      );
      const newest = new Map<string, OutputEnvelope>();
      for (const output of outputs) {
        const before = newest.get(output.key)?.provenance.revision ?? -1;
        if (output.provenance.revision >= before) newest.set(output.key, output);
      }
      const known = dump
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { readonly key: string; readonly state: Document })
        .filter(({ key }) => since.has(key));
      expect(known).toHaveLength(since.size);
      for (const { key, state } of known) {
        expect(comparableText(newest.get(key)?.value as Document)).toBe(comparableText(state));
      }
    },
    LIMIT_MS,
  );
});

/** All that stands in the stream of a pipeline's only sink, repeats included. */
async function outputsOf(pipeline: string): Promise<OutputEnvelope[]> {
  const access = await accessPipeline(pipeline, { local: true });
  const found: OutputEnvelope[] = [];
  try {
    const [stream = ''] = access.sinks.values();
    const range = { fromMs: 0, untilMs: Infinity, signal: new AbortController().signal };
    await readSinkStream(access.kinesis, stream, range, (output) => found.push(output));
  } finally {
    access.close();
  }
  return found;
}
