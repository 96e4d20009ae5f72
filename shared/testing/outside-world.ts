/** What user code may ask of the world outside without doing any I/O. */
type Source =
  | 'Date.now()'
  | 'new Date()'
  | 'performance.now()'
  | 'Math.random()'
  | 'crypto.randomUUID()'
  | 'crypto.getRandomValues()';

/** What a second is to a run that must see other times and other chance than the run before: a day. */
const DAY_MS = 86_400_000;

/**
 * Runs synchronous user code while clock and chance are watched, and put forward: two runs in one millisecond must not
 * look alike only because of that. Everything is as before afterwards.
 * @param days how far the clock is put forward; runs that are compared take different ones.
 * @returns what `run` gives.
 */
export function watchingOutside<T>(days: number, onUse: (source: Source) => void, run: () => T): T {
  // These are replaced, not read: no clock and no chance gets into what this package does.
  const { Date: date, Math: math, performance: watch, crypto: chance } = globalThis;
  const shift = (ms: number): number => ms + days * DAY_MS;
  const used = <R>(source: Source, value: R): R => {
    onUse(source);
    return value;
  };
  const [now, random] = [date.now.bind(date), math.random.bind(math)];
  const watched = new Proxy(date, {
    construct: (target, given: unknown[], newTarget) =>
      Reflect.construct(
        target,
        given.length > 0 ? given : [used('new Date()', shift(now()))],
        newTarget,
      ) as Date,
    apply: () => used('new Date()', new date(shift(now())).toString()),
    get: (target, name, receiver): unknown =>
      name === 'now' ? () => used('Date.now()', shift(now())) : Reflect.get(target, name, receiver),
  });
  const putBack = [
    replace(globalThis, 'Date', watched),
    replace(math, 'random', () => used('Math.random()', (random() + days / 7) % 1)),
    replaceMethod(watch, 'now', (own) => used('performance.now()', shift(own() as number))),
    replaceMethod(chance, 'randomUUID', (own) => used('crypto.randomUUID()', own())),
    replaceMethod(chance, 'getRandomValues', (own, given) => used('crypto.getRandomValues()', own(...given))),
  ];
  try {
    return run();
  } finally {
    for (const undo of putBack) undo();
  }
}

function replaceMethod(
  owner: object,
  name: string,
  call: (own: (...given: unknown[]) => unknown, given: unknown[]) => unknown,
): () => void {
  const own = (Reflect.get(owner, name) as (...given: unknown[]) => unknown).bind(owner);
  return replace(owner, name, (...given: unknown[]) => call(own, given));
}

/** @returns what puts it back. */
function replace(owner: object, name: string, value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(owner, name);
    else Object.defineProperty(owner, name, own);
  };
}
