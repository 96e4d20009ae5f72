import { chance } from '../local/lambda/seeded-chaos.ts';

/** Tells whether a record would be rejected behind those folded so far. */
interface Rejecting {
  rejects(line: Buffer): boolean;
}

/** In what way a record is bad. */
export type PoisonKind = 'undecodable' | 'wrongType' | 'unstorable' | 'longKey';

/** A bad record that is made of a good one. */
interface Poison {
  readonly kind: PoisonKind;
  /** Every record that might be bad in this way, by the record that it is made of. */
  readonly candidates: (line: Buffer) => Iterable<Buffer>;
}

/** Larger than DynamoDB's numbers and smaller than JavaScript's: a schema takes it, and a state cannot hold it. */
const UNSTORABLE_NUMBER = 1e200;
/** A key takes 2,000 bytes. */
const LONG_KEY = 'k'.repeat(3_000);
/** No UTF-8 holds this byte. */
const NOT_UTF8 = Buffer.from([0xff]);

const POISONS: readonly Poison[] = [
  /** Cut off by its producer, or in another coding: the decoder rejects it, for every key. */
  {
    kind: 'undecodable',
    *candidates(line) {
      yield line.subarray(0, Math.floor(line.length / 2));
      yield Buffer.concat([line, NOT_UTF8]);
    },
  },
  /** Of another version of its producer: the schema rejects it, or user code throws. */
  { kind: 'wrongType', candidates: (line) => withField(line, () => true, { unexpected: true }) },
  /** Right by its schema, and the state that it leads to cannot be stored: it is rejected in its key's own item. */
  { kind: 'unstorable', candidates: (line) => withField(line, isNumber, UNSTORABLE_NUMBER) },
  /** Right in itself, with a key that no table takes. */
  {
    kind: 'longKey',
    *candidates(line) {
      yield Buffer.from(LONG_KEY);
      yield* withField(line, isText, LONG_KEY);
    },
  },
];

/**
 * Bad records for the input of a run with chaos, made from good ones and sent beside them: one bad record must not
 * stall its shard, nor be lost, nor be stored twice, however its batch dies. Only such are given as the pipeline
 * rejects whole, by the plain fold of what came before: the state stays what it is without them.
 */
export class PoisonSource {
  readonly counts: Record<PoisonKind, number> = { undecodable: 0, wrongType: 0, unstorable: 0, longKey: 0 };
  readonly #seed: number;
  readonly #probability: number;
  readonly #fold: Rejecting;

  /** @param probability that a line is followed by a bad one, 0 to 1. */
  constructor(seed: number, probability: number, fold: Rejecting) {
    this.#seed = seed;
    this.#probability = probability;
    this.#fold = fold;
  }

  /** How many were given. */
  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  /** What is to be sent behind the line, which is folded already. @param number of the line, from 0. */
  behind(line: Buffer, number: number): Buffer | undefined {
    if (chance(this.#seed, 'poison', number) >= this.#probability) return undefined;
    const first = Math.floor(chance(this.#seed, 'poison', number, 'kind') * POISONS.length);
    // Where a pipeline rejects nothing of one kind, another takes its place.
    for (const { kind, candidates } of [...POISONS.slice(first), ...POISONS.slice(0, first)]) {
      for (const candidate of candidates(line)) {
        if (!this.#fold.rejects(candidate)) continue;
        this.counts[kind] += 1;
        return candidate;
      }
    }
    return undefined;
  }
}

/** The line with one field changed, for each field that fits; nothing where the line is no JSON object. */
function* withField(line: Buffer, fits: (value: unknown) => boolean, value: unknown): Generator<Buffer> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line.toString('utf8'));
  } catch {
    return;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return;
  for (const [name, present] of Object.entries(parsed)) {
    if (fits(present)) yield Buffer.from(JSON.stringify({ ...parsed, [name]: value }));
  }
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number';
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}
