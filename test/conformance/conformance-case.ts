import { readFileSync } from 'node:fs';

/** A stage of a DStream case, or of a structured one, as its file has it. */
export interface Stage {
  readonly op: string;
  readonly fn?: string;
  readonly [option: string]: unknown;
}

/** The records of one batch; of two streams where the case has two; `null` where the source gave no data set. */
export type CaseBatch =
  readonly unknown[] | null | Readonly<Record<'left' | 'right', readonly unknown[] | null>>;

interface AnyCase {
  readonly suite: string;
  readonly case: string;
  readonly notes: string;
}

export interface DStreamCase extends AnyCase {
  readonly op: {
    readonly pipeline: readonly Stage[];
    readonly num_batches?: number;
    readonly output_partitions?: number;
    readonly failure?: { readonly stop_after_batch: number };
  };
  readonly batches: readonly CaseBatch[];
  readonly expected: unknown;
  readonly compare: string;
  readonly emitted_at_batch?: readonly number[];
}

export type Step = Readonly<Record<string, unknown>>;

export interface StructuredCase extends AnyCase {
  readonly op: { readonly plan: readonly Stage[]; readonly output_mode: 'append' | 'update' | 'complete' };
  readonly steps: readonly Step[];
}

export type ConformanceCase = DStreamCase | StructuredCase;

const FILES = [
  'dstream_basic_operations',
  'dstream_map_with_state',
  'dstream_window_operations',
  'structured_aggregation',
  'structured_session_window',
];

/** All cases, in the order of the files. */
export function conformanceCases(): ConformanceCase[] {
  return FILES.flatMap((file) => {
    const text = readFileSync(new URL(`cases/${file}.json`, import.meta.url), 'utf8');
    return JSON.parse(text) as ConformanceCase[];
  });
}

export function isStructured(given: ConformanceCase): given is StructuredCase {
  return 'steps' in given;
}

/** The name of a case among those of all suites. */
export function nameOf({ suite, case: name }: ConformanceCase): string {
  return `${suite}: ${name}`;
}
