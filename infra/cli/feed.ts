import type { PipelineDefinition } from '../../shared/pipeline/definition.ts';
import type { OrderedProducer } from '../local/producer/ordered-producer.ts';
import { routeOf } from '../local/producer/partition-key.ts';
import type { DistinctKeys } from './distinct-keys.ts';
import type { Input } from './input.ts';
import type { PlainChain } from './plain-chain.ts';
import type { PoisonSource } from './poison.ts';

/** Something that is done on the way, at a share of the input, 0 to 1. */
export interface Milestone {
  readonly share: number;
  reach(): Promise<void>;
}

export interface FeedOptions {
  readonly input: Input;
  /** Of the pipeline that reads the input. */
  readonly definition: PipelineDefinition;
  readonly producer: OrderedProducer;
  /** Lines at the beginning that an earlier run has sent. */
  readonly skip: number;
  readonly keys: DistinctKeys;
  /** Folds the same lines, in the same order. */
  readonly fold: PlainChain | undefined;
  /** Bad records that are sent among the lines. */
  readonly poison: PoisonSource | undefined;
  /** In the order of their shares. Each is reached once, as far as the input's length is known, else at its end. */
  readonly milestones: readonly Milestone[];
  readonly signal: AbortSignal;
  /** Whether a later run goes on behind the lines sent: then what was read is sent, also after the signal. */
  readonly isKept: boolean;
}

/** How long an input is taken to be whose length nobody knows, lines. */
const LENGTH_OF_UNKNOWN = 2_000;

/**
 * Sends the input's lines to the stream, until it ends or the signal says so.
 * @throws Error when the input cannot be read on or the stream does not take a line.
 */
export async function feed(options: FeedOptions): Promise<void> {
  const { input, definition, producer, skip, keys, fold, poison, milestones, signal, isKept } = options;
  const stop = (): void => input.close();
  signal.addEventListener('abort', stop);
  const shareOf = shareReader(input);
  const ahead = [...milestones];
  const reachUpTo = async (share: number): Promise<void> => {
    for (let next = ahead[0]; next !== undefined && next.share <= share; next = ahead[0]) {
      ahead.shift();
      await next.reach();
    }
  };
  try {
    for await (const { bytes, number, endOffset } of input.lines()) {
      if (signal.aborted) break;
      if (number < skip) continue;
      const route = routeOf(definition, bytes);
      for (const key of route.keys) keys.add(key);
      fold?.add(bytes);
      await producer.send({ data: bytes, partitionKey: route.partitionKey });
      const bad = poison?.behind(bytes, number);
      if (bad !== undefined) {
        fold?.add(bad);
        await producer.send({ data: bad, partitionKey: routeOf(definition, bad).partitionKey });
      }
      await reachUpTo(shareOf(number, endOffset));
    }
  } catch (error) {
    // Closing the input is how it is interrupted.
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  if (!signal.aborted) await reachUpTo(1);
  if (!signal.aborted || isKept) await producer.flush();
}

/** What share of the input is behind a line. */
function shareReader({ totalLines, sizeBytes }: Input): (number: number, endOffset: number) => number {
  if (totalLines !== undefined) return (number) => (number + 1) / totalLines;
  if (sizeBytes !== undefined) return (_, endOffset) => endOffset / sizeBytes;
  return (number) => (number + 1) / LENGTH_OF_UNKNOWN;
}
