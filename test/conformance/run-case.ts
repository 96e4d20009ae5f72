import { LARGE, VARIANTS, type Ran, type Variant } from './case-world.ts';
import { conformanceCases, isStructured, nameOf, type ConformanceCase } from './conformance-case.ts';
import { runDStream } from './run-dstream.ts';
import { runStructured } from './run-structured.ts';
import { DOES_NOT_APPLY } from './what-applies.ts';

/** The cases that are run. */
export function runnableCases(): ConformanceCase[] {
  return conformanceCases().filter((given) => !(nameOf(given) in DOES_NOT_APPLY));
}

/**
 * The ways in which a case is run. A structured case looks at its results between batches, and so needs a sweep behind
 * each; hundreds of records through two streams one by one take long, and are read in larger batches only.
 */
export function variantsOf(given: ConformanceCase): readonly Variant[] {
  if (isStructured(given)) {
    const isByBatch = given.case.startsWith('prune results');
    return VARIANTS.filter(({ sweeps }) => isByBatch || sweeps === 'behindEachBatch');
  }
  if (given.op.output_partitions === undefined) return VARIANTS;
  return VARIANTS.filter(({ batchSize }) => batchSize === LARGE).flatMap((variant) => [
    variant,
    { ...variant, batchSize: SMALL },
  ]);
}

const SMALL = 10;

export function runCase(given: ConformanceCase, variant: Variant): Promise<Ran> {
  return isStructured(given) ? runStructured(given, variant) : runDStream(given, variant);
}
