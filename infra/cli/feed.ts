import type { PipelineDefinition } from '../../shared/pipeline/definition.ts';
import type { OrderedProducer } from '../local/producer/ordered-producer.ts';
import { routeOf } from '../local/producer/partition-key.ts';
import type { DistinctKeys } from './distinct-keys.ts';
import type { Input } from './input.ts';
import type { PlainFold } from './plain-fold.ts';

export interface FeedOptions {
  readonly input: Input;
  readonly definition: PipelineDefinition;
  readonly producer: OrderedProducer;
  /** Lines at the beginning that an earlier run has sent. */
  readonly skip: number;
  readonly keys: DistinctKeys;
  /** Folds the same lines, in the same order. */
  readonly fold: PlainFold | undefined;
  /** Called once, in the middle of the input as far as its length is known. */
  readonly inTheMiddle: () => Promise<void>;
  readonly signal: AbortSignal;
  /** Whether a later run goes on behind the lines sent: then what was read is sent, also after the signal. */
  readonly isKept: boolean;
}

/** Where the middle is taken to be in an input whose length nobody knows, lines. */
const MIDDLE_OF_UNKNOWN = 1_000;

/**
 * Sends the input's lines to the stream, until it ends or the signal says so.
 * @throws Error when the input cannot be read on or the stream does not take a line.
 */
export async function feed(options: FeedOptions): Promise<void> {
  const { input, definition, producer, skip, keys, fold, inTheMiddle, signal, isKept } = options;
  const stop = (): void => input.close();
  signal.addEventListener('abort', stop);
  const isInTheMiddle = middleOf(input);
  let isMiddleBehind = false;
  try {
    for await (const { bytes, number, endOffset } of input.lines()) {
      if (signal.aborted) break;
      if (number < skip) continue;
      const route = routeOf(definition, bytes);
      for (const key of route.keys) keys.add(key);
      fold?.add(bytes);
      await producer.send({ data: bytes, partitionKey: route.partitionKey });
      if (!isMiddleBehind && isInTheMiddle(number, endOffset)) {
        isMiddleBehind = true;
        await inTheMiddle();
      }
    }
  } catch (error) {
    // Closing the input is how it is interrupted.
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  if (!isMiddleBehind && !signal.aborted) await inTheMiddle();
  if (!signal.aborted || isKept) await producer.flush();
}

function middleOf({ totalLines, sizeBytes }: Input): (number: number, endOffset: number) => boolean {
  if (totalLines !== undefined) return (number) => number * 2 >= totalLines;
  if (sizeBytes !== undefined) return (_, endOffset) => endOffset * 2 >= sizeBytes;
  return (number) => number >= MIDDLE_OF_UNKNOWN;
}
