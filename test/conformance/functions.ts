/** What the function texts of the cases say, in TypeScript. */

type Unary = (x: never) => unknown;

const ONE_VALUE: Readonly<Record<string, Unary>> = {
  'str(x)': (x: number) => String(x),
  '[x, x * 2]': (x: number) => [x, x * 2],
  '[x, x + 1]': (x: number) => [x, x + 1],
  'x % 2 == 0': (x: number) => x % 2 === 0,
  '[x, 1]': (x: unknown) => [x, 1],
  "[x, 'x']": (x: unknown) => [x, 'x'],
  'x + 4': (x: number) => x + 4,
  'x + 8': (x: number) => x + 8,
  'v + 10': (v: number) => v + 10,
  '[v, v + 10]': (v: number) => [v, v + 10],
  'v[0]': (v: readonly unknown[]) => v[0],
  'v != 0': (v: number) => v !== 0,
  value: (value: unknown) => value,
  'value + 1': (value: number) => value + 1,
  'value % 1': (value: number) => value % 1,
  'value % 10': (value: number) => value % 10,
};

const REDUCTIONS: Readonly<Record<string, (a: number, b: number) => number>> = {
  'a + b': (a, b) => a + b,
  'a - b': (a, b) => a - b,
};

/** State functions of `updateStateByKey`; `undefined` drops the key. @param batchMs by the case's clock. */
type StateUpdate = (values: readonly number[], state: never, batchMs: number) => unknown;

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

const STATE_UPDATES: Readonly<Record<string, StateUpdate>> = {
  running_sum: (values, state: number | undefined) => sumOf(values) + (state ?? 0),
  add_batch_time_when_data: (values, state: number | undefined, batchMs) =>
    (state ?? 0) + (values.length > 0 ? batchMs : 0),
  // The state is the sum and how many batches in a row had none.
  sum_drop_after_two_idle: (values, [sum, idle]: readonly [number, number] = [0, 0]) => {
    const added = sumOf(values);
    if (added === 0 && idle === 1) return undefined;
    return [sum + added, added === 0 ? idle + 1 : 0];
  },
};

export interface NumberState {
  exists(): boolean;
  get(): number | undefined;
  update(state: number): void;
  remove(): void;
}

const counting =
  (mapped: (key: string, count: number) => unknown) =>
  (value: number, state: NumberState, key: string): unknown => {
    const count = value + (state.get() ?? 0);
    state.update(count);
    return mapped(key, count);
  };

const MAPPINGS: Readonly<Record<string, (value: number, state: NumberState, key: string) => unknown>> = {
  'count += value; store; return count': counting((_, count) => count),
  'count += value; store; return key repeated twice; function also gets the batch time': counting(
    (key) => key + key,
  ),
  'count += value; store; return [key, count]': counting((key, count) => [key, count]),
  'count += value; store; return nothing': counting(() => undefined),
  'if state exists: remove it and return key; else store value and return nothing': (value, state, key) => {
    if (!state.exists()) {
      state.update(value);
      return undefined;
    }
    state.remove();
    return key;
  },
  'if value present: store 1; if state is timing out: return key': (_, state) => {
    state.update(1);
    return undefined;
  },
};

const byText =
  <F>(functions: Readonly<Record<string, F>>) =>
  (text: unknown): F => {
    const found = functions[String(text)];
    if (found === undefined) throw new Error(`No function says '${String(text)}'.`);
    return found;
  };

export const ofOneValue = byText(ONE_VALUE) as (text: unknown) => (x: unknown) => unknown;
export const reduction = byText(REDUCTIONS);
export const stateUpdate = byText(STATE_UPDATES) as (
  text: unknown,
) => (values: readonly number[], state: unknown, batchMs: number) => unknown;
export const mapping = byText(MAPPINGS);
