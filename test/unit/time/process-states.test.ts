import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  kinesis,
  listState,
  mapState,
  valueState,
  type ListState,
  type MapState,
  type ValueState,
} from '../../../shared/index.ts';
import { programOf } from '../../../shared/engine/program.ts';
import { Cell } from '../../../shared/engine/state-cell.ts';
import type { StatefulStage } from '../../../shared/pipeline/definition.ts';
import { testPipeline } from '../../../shared/testing/index.ts';
import { click, clicksByUser, type Click } from './clicks.ts';

const NOTHING_FIRED = { firedMs: -Infinity, processingFiredMs: -Infinity };
const seconds = (count: number) => ({ seconds: count });
const out = kinesis<unknown>('out');
const values = (test: { outputs(): readonly { readonly value: unknown }[] }): unknown[] =>
  test.outputs().map(({ value }) => value);

interface Three {
  readonly value: ValueState<number>;
  readonly list: ListState<number>;
  readonly map: MapState<number>;
}

describe('states of process', () => {
  it('are values, lists and maps beside the one value, and what they give is a copy', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .process<number, unknown, Three>('p', {
          states: { value: valueState(), list: listState(), map: mapState() },
          onRecord: ({ n = 0 }, { get, update, emit, states: { value, list, map } }) => {
            (list.get() as number[]).push(-1);
            update((get() ?? 0) + 1);
            value.update(n);
            list.append(n, n);
            map.set(n % 2 === 0 ? 'even' : '__proto__', n);
            emit([value.get(), list.get(), map.entries(), map.has('even'), map.get('constructor')]);
            if (n === 4) {
              value.remove();
              list.update([9]);
              map.delete('even');
            }
            if (n === 5) map.remove();
          },
        })
        .to(out),
    );
    await test.send(click('a', 1, 1), click('a', 2, 2), click('a', 3, 4), click('a', 3, 5));
    expect(values(test)).toEqual([
      [1, [1, 1], [['__proto__', 1]], false, null],
      [
        2,
        [1, 1, 2, 2],
        [
          ['__proto__', 1],
          ['even', 2],
        ],
        true,
        null,
      ],
      [
        4,
        [1, 1, 2, 2, 4, 4],
        [
          ['__proto__', 1],
          ['even', 4],
        ],
        true,
        null,
      ],
      [5, [9, 5, 5], [['__proto__', 5]], false, null],
    ]);
    expect(test.state('a')).toEqual({ p: { v: 4, s: { value: { e: [5] }, list: { l: [[9], [5], [5]] } } } });
  });

  it('forgets each entry when its time is over by the key, and not by what comes early', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .process<never, unknown, Three>('p', {
          states: {
            value: valueState({ ttl: seconds(10) }),
            list: listState({ ttl: seconds(10) }),
            map: mapState({ ttl: seconds(10) }),
          },
          onRecord: ({ n = 0 }, { emit, states: { value, list, map } }) => {
            emit([value.get() ?? null, list.get(), map.entries().map(([name]) => name)]);
            if (n === 0) return;
            value.update(n);
            list.append(n);
            map.set(`m${n}`, n);
          },
        })
        .to(out),
    );
    await test.send(
      click('a', 20, 1),
      // It writes at the key's time, and so the next one sees it.
      click('a', 19, 2),
      click('a', 25, 3),
      click('a', 29, 0),
      click('a', 30, 0),
      click('a', 34, 0),
    );
    expect(values(test)).toEqual([
      [null, [], []],
      [1, [1], ['m1']],
      [2, [1, 2], ['m1', 'm2']],
      [3, [1, 2, 3], ['m1', 'm2', 'm3']],
      [3, [3], ['m3']],
      [3, [3], ['m3']],
    ]);
    // What is over goes with the next write, and all of it when event time is beyond the last of it.
    await test.send(click('b', 60), click('b', 61));
    expect(test.state('a')).toBeUndefined();
  });

  it('lets a read refresh what it reads, where that is asked for', async () => {
    const process = (refreshedBy: 'write' | 'readAndWrite') =>
      testPipeline<Click>(
        clicksByUser()
          .process<never, unknown, Three>('p', {
            states: {
              value: valueState({ ttl: seconds(10), refreshedBy }),
              list: listState({ ttl: seconds(10), refreshedBy }),
              map: mapState({ ttl: seconds(10), refreshedBy }),
            },
            onRecord: ({ n = 0 }, { emit, states: { value, list, map } }) => {
              if (n === 1) {
                value.update(1);
                list.append(1);
                map.set('read', 1);
                map.set('asked', 1);
              }
              emit([value.get(), list.get(), map.get('read'), n === 1 || map.has('asked')]);
            },
          })
          .to(out),
      );
    const [byWrite, byRead] = [process('write'), process('readAndWrite')];
    const batch = [click('a', 20, 1), click('a', 28, 2), click('a', 37, 2), click('a', 48, 2)];
    await byWrite.send(...batch);
    await byRead.send(...batch);
    const none = [null, [], null, false];
    expect(values(byWrite)).toEqual([[1, [1], 1, true], [1, [1], 1, true], none, none]);
    expect(values(byRead)).toEqual([[1, [1], 1, true], [1, [1], 1, true], [1, [1], 1, false], none]);
  });

  it('hold under faults', { timeout: 60_000 }, async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .process<never, unknown, Three>('p', {
          states: {
            value: valueState({ ttl: seconds(3), refreshedBy: 'readAndWrite' }),
            list: listState({ ttl: seconds(5) }),
            map: mapState(),
          },
          onRecord: ({ n = 0 }, { emit, states: { value, list, map } }) => {
            if (n % 3 === 0) value.update(n);
            list.append(n);
            map.set(`m${n % 2}`, n);
            emit([value.get(), list.get(), map.entries()]);
          },
        })
        .to(out),
    );
    for (let n = 0; n < 12; n++) await test.send(click(n % 4 === 3 ? 'b' : 'a', 10 + n * 1.5, n));
    await test.underFaults();
  });

  it('keeps what a rejected value did to none of them', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .process<never, unknown, Three>('p', {
          states: { value: valueState(), list: listState({ ttl: seconds(60) }), map: mapState() },
          onRecord: ({ n = 0 }, { emit, states: { list, map } }) => {
            list.append(n);
            map.set('', n);
            emit(1);
          },
        })
        .to(out),
    );
    // A name is a text that is not empty.
    await test.send(click('a', 1, 1));
    expect(test.deadLetters()).toHaveLength(1);
    expect(test.state('a')).toBeUndefined();
  });

  it('refuses what is no state, no option, and a stored state of another kind', () => {
    const broken = (states: unknown) => () =>
      clicksByUser().process<never, never, { s: ValueState<number> }>('p', {
        states: states as never,
        onRecord: () => undefined,
      });
    expect(broken({ s: {} })).toThrow(/State 's' of operator 'p' is none: declare it with valueState/);
    expect(broken({ 's.s': valueState() })).toThrow(/The state name "s.s" cannot be used/);
    expect(() => valueState({ ttl: seconds(0) })).toThrow(/'ttl' of a state is/);
    expect(() => listState({ ttl: seconds(1), refreshedBy: 'never' as never })).toThrow(/'refreshedBy' of/);
    expect(() => mapState({ refreshedBy: 'write' })).toThrow(/no 'ttl'/);

    const stage = stageOf(
      clicksByUser().process<never, never, { s: MapState<number> }>('p', {
        states: { s: mapState() },
        onRecord: (_, { states: { s } }) => void s.get('x'),
      }),
    );
    const cell = new Cell(stage, 'a', { s: { s: { l: [[1]] } } }, true, true);
    const time = { eventMs: 1, overMs: -Infinity, ...NOTHING_FIRED };
    expect(() => stage.fold('a', {}, cell, { arrivalMs: 1, time })).toThrow(
      /stored as another kind than map/,
    );
  });

  it('gives a state that had no time to live one when it is written again, and needs no timer before', () => {
    const stage = stageOf(
      clicksByUser().process<never, number, { s: MapState<number> }>('p', {
        states: { s: mapState({ ttl: seconds(10) }) },
        onRecord: (_, { states: { s } }) => s.set('new', 1),
      }),
    );
    const old = { s: { s: { m: { old: [1] } } } };
    expect(stage.timers?.dueMs(old, 0)).toBeUndefined();
    const cell = new Cell(stage, 'a', old, true, true);
    stage.fold('a', {}, cell, {
      arrivalMs: 1,
      time: { eventMs: 5, overMs: 0, ...NOTHING_FIRED, firedMs: 0 },
    });
    expect(stage.timers?.dueMs(cell.get() as never, 0)).toBe(10_005);
    stage.timers?.fire('a', 10_005, cell, { nowMs: 0, ...NOTHING_FIRED });
    expect(cell.get()).toEqual(old);
    // In code with a shorter time to live it may be over already: it comes as soon as it can.
    expect(stage.timers?.dueMs({ s: { s: { m: { x: [1, 1] } } } }, 50_000)).toBe(50_001);
  });
});

function stageOf({ definition }: { readonly definition: Parameters<typeof programOf>[0] }): StatefulStage {
  return programOf(definition).operators[0] as StatefulStage;
}

interface Step {
  readonly do: 'append' | 'set' | 'setValue' | 'read';
  readonly n: number;
  readonly at: number;
}

/** What the states should hold, as a plain list of what was written when. */
class Model {
  readonly #ttl: Readonly<Record<string, number>>;
  #entries: { in: string; name: string; n: number; at: number }[] = [];
  constructor(ttl: Readonly<Record<string, number>>) {
    this.#ttl = ttl;
  }
  run({ do: what, n, at }: Step): unknown {
    const now = Math.max(at, ...this.#entries.map((entry) => entry.at));
    const isAlive = (entry: { in: string; at: number }): boolean =>
      now < entry.at + (this.#ttl[entry.in] as number);
    // Reading takes nothing away, so that the key's time is that of what was written last.
    if (what !== 'read') this.#entries = this.#entries.filter(isAlive);
    const name = what === 'set' ? `n${n % 3}` : '';
    if (what === 'set' || what === 'setValue') {
      this.#entries = this.#entries.filter((entry) => entry.in !== what || entry.name !== name);
    }
    if (what !== 'read') this.#entries.push({ in: what, name, n, at: now });
    const of = (which: string) => this.#entries.filter((entry) => entry.in === which && isAlive(entry));
    return {
      value: of('setValue')[0]?.n ?? null,
      list: of('append').map((entry) => entry.n),
      map: of('set')
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map((entry) => [entry.name, entry.n]),
    };
  }
}

describe('times to live', () => {
  const steps: fc.Arbitrary<Step[]> = fc.array(
    fc.record({
      do: fc.constantFrom('append', 'set', 'setValue', 'read'),
      n: fc.nat(9),
      at: fc.integer({ min: 100_000, max: 130_000 }),
    }),
    { maxLength: 40 },
  );

  it('are those of a list of what was written when, whatever order event times have', () => {
    const stage = stageOf(
      clicksByUser().process<never, unknown, Three>('p', {
        states: {
          value: valueState({ ttl: seconds(3) }),
          list: listState({ ttl: seconds(5) }),
          map: mapState({ ttl: seconds(8) }),
        },
        onRecord: (step, { emit, states: { value, list, map } }) => {
          const { do: what, n } = step as unknown as Step;
          if (what === 'append') list.append(n);
          if (what === 'set') map.set(`n${n % 3}`, n);
          if (what === 'setValue') value.update(n);
          emit({ value: value.get() ?? null, list: list.get(), map: map.entries() });
        },
      }),
    );
    fc.assert(
      fc.property(steps, (list) => {
        const cell = new Cell(stage, 'a', undefined, false, false);
        const model = new Model({ setValue: 3_000, append: 5_000, set: 8_000 });
        for (const step of list) {
          const time = { eventMs: step.at, overMs: -Infinity, ...NOTHING_FIRED };
          const outputs = stage.fold('a', step, cell, { arrivalMs: 1, time });
          const expected = model.run(step);
          expect(outputs).toEqual([expected]);
        }
      }),
    );
  });
});
