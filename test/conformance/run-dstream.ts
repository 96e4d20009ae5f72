import { kinesis, pipeline, type Stream } from '../../shared/index.ts';
import { CaseWorld, difference, refusal, type Ran, type Variant } from './case-world.ts';
import type { CaseBatch, DStreamCase } from './conformance-case.ts';
import { dstreamPipeline, initialOf, type Row, type Sent } from './dstream-pipelines.ts';
import { runStateHandle } from './run-state-handle.ts';

/** Each of a hundred records is read and put twice. */
const RECORDS_THROUGH_TWO_STREAMS = 400;

/** What a case gave, by batch. */
interface Given {
  readonly rows: ReadonlyMap<number, readonly unknown[]>;
  /** By batch: the states that there were when it was over. */
  readonly snapshots: ReadonlyMap<number, readonly (readonly [string, unknown])[]>;
  readonly world: CaseWorld;
}

/** Runs a case. */
export async function runDStream(given: DStreamCase, variant: Variant): Promise<Ran> {
  if (given.case === 'transform with NULL') return refusal(refusesNoStream());
  if (given.op.pipeline.length === 0) return runStateHandle(given, variant);
  const result = await batches(given, variant);
  return { differences: differencesOf(given, variant, result), redeliveries: result.world.redeliveries };
}

function differencesOf(given: DStreamCase, variant: Variant, result: Given): string[] {
  if (given.compare === 'property') return timesOut(given, result);
  if (given.op.pipeline.some(({ op }) => op === 'map_with_state')) return mappedAndStates(given, result);
  return rowsByBatch(given, variant, result);
}

function sentOf(batch: CaseBatch): readonly Sent[] {
  if (batch === null) return [];
  const of = (side: Sent['side'], elements: readonly unknown[] | null) =>
    (elements ?? []).map((x): Sent => ({ x, side }));
  if ('left' in batch) return [...of('left', batch.left), ...of('right', batch.right)];
  return of('left', batch);
}

async function batches(given: DStreamCase, variant: Variant): Promise<Given> {
  const { op } = given;
  const world = new CaseWorld(dstreamPipeline(given), variant, {
    ...(op.output_partitions !== undefined && {
      innerShards: op.output_partitions,
      recordsLimit: RECORDS_THROUGH_TWO_STREAMS,
    }),
  });
  const rows = new Map<number, unknown[]>();
  const snapshots = new Map<number, readonly (readonly [string, unknown])[]>();
  const take = (openBatch: number): void => {
    for (const { value } of world.newOutputs()) {
      const { row, batch = openBatch } = value as Row;
      rows.set(batch, [...(rows.get(batch) ?? []), row]);
    }
  };
  const initial = initialOf(given);
  if (initial.length > 0) await world.send(initial);
  await world.endBatch();
  take(0);
  const count = op.num_batches ?? given.batches.length;
  for (let batch = 1; batch <= count; batch++) {
    await world.send(sentOf(given.batches[batch - 1] ?? []));
    take(batch);
    snapshots.set(
      batch,
      [...world.states()].map(([key, { states }]) => [key, plainState(states)]),
    );
    if (op.failure?.stop_after_batch === batch) world.restart();
    await world.endBatch();
    take(batch);
  }
  await world.sweep();
  take(count);
  return { rows, snapshots, world };
}

/** A state with a timeout stands beside it. */
function plainState(states: unknown): unknown {
  return typeof states === 'object' && states !== null && 's' in states ? states.s : states;
}

/** Whether the case expects an error in place of rows. */
function isError(expected: unknown): boolean {
  return typeof expected === 'object' && expected !== null && 'error' in expected;
}

function rowsByBatch(given: DStreamCase, variant: Variant, { rows, world }: Given): string[] {
  const { op, compare, emitted_at_batch: emittedAt } = given;
  const expected = given.expected as readonly (readonly unknown[])[];
  const slide = Math.max(...op.pipeline.map((stage) => (stage['slide'] as number | undefined) ?? 1));
  const isInOrder = compare === 'list' && variant.shards === 1;
  const order = isInOrder ? 'list' : compare === 'values_as_set' ? 'anyOrderInside' : 'anyOrder';
  const differences: string[] = [];
  const seen = new Set([0]);
  for (const [place, wanted] of expected.entries()) {
    const batch = emittedAt?.[place] ?? (place + 1) * slide;
    seen.add(batch);
    if (isError(wanted)) continue;
    // Nothing came in an empty batch, and so nothing is counted.
    const own = given.case === 'count' && batch === 1 ? [] : wanted;
    differences.push(...difference(`batch ${batch}`, own, rows.get(batch) ?? [], order));
  }
  for (const [batch, more] of rows) {
    if (!seen.has(batch)) differences.push(`batch ${batch}: expected nothing, found ${JSON.stringify(more)}`);
  }
  const { output_partitions: partitions } = op;
  if (partitions !== undefined) {
    const shards = world.innerShards;
    if (shards.length !== partitions || shards.includes(0))
      differences.push(`expected ${partitions} shards that have values, found ${shards.join(', ')}`);
  }
  return differences;
}

function mappedAndStates({ expected, op }: DStreamCase, { rows, snapshots }: Given): string[] {
  const isSnapshot = op.pipeline.some((stage) => stage.op === 'state_snapshots');
  return (expected as readonly unknown[]).flatMap((wanted, place) => {
    const batch = place + 1;
    const states = (
      isSnapshot ? wanted : (wanted as { readonly state: unknown }).state
    ) as readonly unknown[];
    const mapped = isSnapshot ? undefined : (wanted as { readonly mapped: readonly unknown[] }).mapped;
    return [
      ...(mapped === undefined ? [] : difference(`mapped in batch ${batch}`, mapped, rows.get(batch) ?? [])),
      ...difference(`states in batch ${batch}`, states, snapshots.get(batch) ?? []),
    ];
  });
}

interface TimesOut {
  readonly all_mapped_sorted: readonly unknown[];
  readonly some_snapshot_equals: readonly unknown[];
  readonly last_snapshot_equals: readonly unknown[];
}

function timesOut({ expected }: DStreamCase, { rows, snapshots }: Given): string[] {
  const wanted = expected as TimesOut;
  const all = [...snapshots.values()];
  const hasBeen = all.some((each) => difference('', wanted.some_snapshot_equals, each).length === 0);
  return [
    ...difference('mapped', wanted.all_mapped_sorted, [...rows.values()].flat()),
    ...(hasBeen ? [] : [`no snapshot is ${JSON.stringify(wanted.some_snapshot_equals)}`]),
    ...difference('the last snapshot', wanted.last_snapshot_equals, all.at(-1) ?? []),
  ];
}

/** What gives no stream is refused where the pipeline is written. */
function refusesNoStream(): string[] {
  const noStream = (): Stream<number> => null as unknown as Stream<number>;
  try {
    pipeline('conformance')
      .from(kinesis<number>('elements'))
      .transform(noStream)
      .keyBy(() => 'all');
  } catch {
    return [];
  }
  return ['a transform that gives no stream was accepted'];
}
