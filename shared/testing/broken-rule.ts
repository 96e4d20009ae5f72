/** Rules that no compiler sees, and what breaks where one is broken. */
export const RULES = {
  pureFunctions:
    'A function of a pipeline gives the same for the same input: a retry folds the record again and must get what the ' +
    'first run got. Take time from the record, ids and chance from its fields, and keep state in operators only.',
  deterministicKeys:
    'A key depends on the value alone: when the record comes again, its mark is looked for under the key that it had.',
  unchangedInput:
    'A function does not change what it is given where another element of the record holds the same object: it would ' +
    'see what the order of the keys happens to be. Give each element an object of its own, or make a new one.',
  changesAreNotEvents:
    'A change is the new value of a key, and of several in one batch only the newest is published: a consumer that ' +
    "counts or sums changes counts how batches were cut. Keep each key's newest; publish events (mapWithState, emit: " +
    "'every') for what is to be counted.",
  orderBetweenKeys:
    'Order holds per destination key, and of records per partition key: what a consumer makes of outputs must not ' +
    'depend on the order of two keys.',
  engine:
    'This looks like a defect of Tidemark, not of your pipeline: please report it with the seed, the records and the ' +
    'pipeline.',
} as const;

export type BrokenRule = keyof typeof RULES;

/** What `underFaults` throws: the rule that is broken, the shortest example that was found, how to see it again. */
export class BrokenRuleError extends Error {
  override readonly name = 'BrokenRuleError';
  readonly rule: BrokenRule;
  /** The shortest list of records that still shows it, as they were sent. */
  readonly records: readonly unknown[];
  /** The world in which it shows; absent where it shows without one. */
  readonly seed: number | undefined;

  constructor(rule: BrokenRule, what: string, records: readonly unknown[], seed?: number) {
    const shown = records.map((record) => `\n    ${JSON.stringify(record) ?? String(record)}`).join('');
    const again =
      seed === undefined
        ? ''
        : `\n  Run it again: send these records and call underFaults({ from: ${seed}, seeds: 1 }).`;
    super(
      `${what}\n  Shortest example, ${records.length} ${records.length === 1 ? 'record' : 'records'}:${shown}${again}\n` +
        `  Rule: ${RULES[rule]}`,
    );
    this.rule = rule;
    this.records = records;
    this.seed = seed;
  }
}
