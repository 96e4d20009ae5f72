import { kinesis, pipeline, tumbling } from '../../shared/index.ts';
import type { KeyedStream } from '../../shared/index.ts';
import { CaseWorld, difference, refusal, type Ran, type Variant } from './case-world.ts';
import type { Step, StructuredCase } from './conformance-case.ts';
import { structuredPipeline, type Deployment, type Input, type TableRow } from './structured-pipelines.ts';

/** Runs a case. */
export async function runStructured(given: StructuredCase, variant: Variant): Promise<Ran> {
  if (given.case === 'simple count, append mode') return refusal(refuses(given, timeless));
  const isRefused =
    given.op.output_mode === 'update' && given.op.plan.some(({ op }) => op === 'group_by_session');
  if (isRefused) return refusal(refuses(given, () => structuredPipeline(given, neverFailing())));
  return new StructuredRun(given, variant).run();
}

/** Append mode without a watermark: final results of what is never final. */
function timeless(): void {
  const keyed = pipeline('conformance')
    .from(kinesis<Input>('inputs'))
    .keyBy(({ x }) => String(x));
  (keyed as unknown as KeyedStream<Input, true>).window(tumbling({ seconds: 1 })).count('windows');
}

function refuses({ case: name }: StructuredCase, write: () => unknown): string[] {
  try {
    write();
  } catch (error) {
    if (error instanceof TypeError) return [];
    throw error;
  }
  return [`${name}: expected to be refused when the pipeline is written`];
}

function neverFailing(): Deployment {
  return { isChanged: false, fails: () => false };
}

/** A case that runs: step by step. */
class StructuredRun {
  readonly #given: StructuredCase;
  readonly #world: CaseWorld;
  readonly #deployment: Deployment = neverFailing();
  readonly #differences: string[] = [];
  /** By key: the newest row, of those since the last look and of all. */
  #new = new Map<string, unknown>();
  readonly #table = new Map<string, unknown>();
  /** In the order in which they came. */
  #newEvents: unknown[] = [];
  readonly #events: unknown[] = [];
  readonly #byBatch = new Map<number, unknown[]>();
  #hasFailed = false;
  /** Whether records of a batch are there that is not over. */
  #isOpen = false;

  constructor(given: StructuredCase, variant: Variant) {
    this.#given = given;
    this.#world = new CaseWorld(structuredPipeline(given, this.#deployment), variant);
    const failsOnce = given.op.plan.some(({ fn }) => fn?.startsWith('fail once') === true);
    this.#deployment.fails = (x) => {
      if (!failsOnce || x !== 4 || this.#hasFailed || this.#world.isJudging) return false;
      this.#hasFailed = true;
      return true;
    };
  }

  async run(): Promise<Ran> {
    await this.#world.endBatch();
    const { steps } = this.#given;
    for (const [place, step] of steps.entries()) {
      const isToFail = steps[place + 1]?.['expect_failure'] !== undefined;
      await this.#step(step, `step ${place + 1}`, isToFail);
    }
    if (this.#isPruned) await this.#prune();
    return { differences: this.#differences, redeliveries: this.#world.redeliveries };
  }

  get #isPruned(): boolean {
    return this.#given.case.startsWith('prune results');
  }

  async #step(step: Step, what: string, isToFail: boolean): Promise<void> {
    const { add, expect, change } = step;
    if (add !== undefined) await this.#add(add as readonly unknown[], isToFail);
    if (step['restart'] === true || step['stop'] === true) {
      await this.#over();
      this.#world.restart();
      if (typeof change === 'string' && change.includes('partitions')) this.#world.split();
      if (typeof change === 'string' && change.includes('becomes')) this.#deployment.isChanged = true;
    }
    const passes = step['advance_clock_ms'] as number | undefined;
    if (passes !== undefined && this.#isPruned) {
      for (let passed = 0; passed < passes; passed += PRUNED_BATCH_MS) await this.#nextBatch();
    }
    if (expect !== undefined) await this.#expect(step, expect as readonly unknown[], what);
    if (step['state_rows'] !== undefined) this.#stateRows(step['state_rows'], what);
  }

  async #add(
    add: readonly unknown[] | Readonly<Record<string, readonly unknown[]>>,
    isToFail: boolean,
  ): Promise<void> {
    await this.#over();
    const inputs = Array.isArray(add)
      ? add.map((x: unknown): Input => ({ x, of: 'in' }))
      : Object.entries(add).flatMap(([of, values]) => (values as unknown[]).map((x): Input => ({ x, of })));
    this.#isOpen = true;
    if (isToFail && this.#deployment.isChanged) {
      const problem = await this.#world.sendToFail(inputs[0]);
      if (!problem.includes('is none of its aggregation'))
        this.#differences.push(`it failed with: ${problem}`);
      return;
    }
    // Of one key the last is the last only where they come in one order.
    const isOrdered = this.#given.op.plan.some((stage) =>
      JSON.stringify(stage['agg'] ?? []).includes('"last"'),
    );
    await this.#world.send(inputs, isOrdered ? () => 'one' : undefined);
    if (isToFail && !this.#hasFailed) this.#differences.push('the function did not fail');
    this.#take();
  }

  /** The batch that has records is over: what it moves has been moved. */
  async #over(): Promise<void> {
    if (!this.#isOpen || this.#isPruned) return;
    await this.#nextBatch();
    this.#isOpen = false;
  }

  async #nextBatch(): Promise<void> {
    await this.#world.endBatch();
    this.#take();
  }

  async #expect(step: Step, expected: readonly unknown[], what: string): Promise<void> {
    // Rows of pruned batches say which batch they are of: all of them are looked at in the end.
    if (this.#isPruned) return;
    // A micro-batch with data is looked at before its watermark moves, as is what changes at once.
    if (step['micro_batch'] === undefined || step['no_data'] === true) await this.#over();
    const { output_mode: mode, plan } = this.#given.op;
    const isSession = plan.some(({ op }) => op === 'group_by_session');
    let found: readonly unknown[];
    if (mode === 'complete' && isSession) found = this.#sessions();
    else if (plan.some(({ op }) => op === 'order_by')) found = [...this.#table.values()].at(-1) as unknown[];
    else if (mode === 'complete') found = [...this.#table.values()];
    else if (step['scope'] === 'all') found = this.#events;
    else if (mode === 'update') found = [...this.#new.values()];
    else found = this.#newEvents;
    this.#differences.push(
      ...difference(what, expected, found, step['ordered'] === true ? 'list' : 'anyOrder'),
    );
    this.#new = new Map();
    this.#newEvents = [];
  }

  /** Complete mode: rows that are asked of a batch by its time. */
  async #prune(): Promise<void> {
    await this.#world.sweep();
    this.#take();
    let batch = 0;
    for (const [place, step] of this.#given.steps.entries()) {
      batch += ((step['advance_clock_ms'] as number | undefined) ?? 0) / PRUNED_BATCH_MS;
      const expected = step['expect'] as readonly unknown[] | undefined;
      if (expected === undefined) continue;
      // Behind the restart the last batch is the one before the stop, with its own time.
      const own = this.#given.steps[place - 1]?.['start'] === true ? batch - STOPPED_BATCHES : batch;
      this.#differences.push(...difference(`step ${place + 1}`, expected, this.#byBatch.get(own) ?? []));
    }
  }

  #take(): void {
    for (const { key, value } of this.#world.newOutputs()) {
      const { row, batch } = value as TableRow;
      if (batch !== undefined) this.#byBatch.set(batch, [...(this.#byBatch.get(batch) ?? []), row]);
      const name = this.#isUnion ? JSON.stringify(row) : key;
      this.#new.set(name, row);
      this.#table.set(name, row);
      this.#newEvents.push(row);
      this.#events.push(row);
    }
  }

  /** Whether rows of stateless branches are among them, which have no key of which they are the newest. */
  get #isUnion(): boolean {
    return this.#given.op.plan.some(({ op }) => op === 'union');
  }

  #stateRows(rows: unknown, what: string): void {
    const { total, late_dropped: late } = rows as {
      readonly total?: number | readonly number[];
      readonly late_dropped?: number | readonly number[];
    };
    if (total !== undefined) this.#total(typeof total === 'number' ? total : (total[0] as number), what);
    if (typeof late === 'number' && this.#world.deadLetters !== late)
      this.#differences.push(`${what}: expected ${late} late values, found ${this.#world.deadLetters}`);
  }

  /** Rows of Spark's state: keys, or windows of a key. */
  #total(total: number, what: string): void {
    let found = 0;
    for (const { windows, rows } of this.#world.states().values()) {
      if (rows !== undefined) found += 1;
      found += Object.keys((windows as object | undefined) ?? {}).length;
    }
    if (found !== total) this.#differences.push(`${what}: expected ${total} rows of state, found ${found}`);
  }

  /** Sessions that are not over, as the table has them. */
  #sessions(): unknown[] {
    return [...this.#world.states()].flatMap(([word, { sessions }]) => {
      const held = sessions as Readonly<Record<string, readonly [number, number]>>;
      return Object.entries(held).map(([start, [end, counted]]) => {
        const [from, to] = [Number(start) / 1_000, end / 1_000];
        return [word, from, to, to - from, counted];
      });
    });
  }
}

/** Of the case that triggers by a clock. */
const PRUNED_BATCH_MS = 10_000;
/** For so many batches it is stopped. */
const STOPPED_BATCHES = 6;
