/** Faults that AWS allows and seldom shows: a local run draws them from a seed. Probabilities are 0 to 1. */
export interface Chaos {
  /** Seeded; gives numbers from 0 up to and without 1. */
  readonly random: () => number;
  /** That a batch is delivered once more by a second poller. */
  readonly duplicateProbability: number;
  /** That a batch is cut shorter than it could be; batches that are retried are then cut anew. */
  readonly recutProbability: number;
  /** That the poller gives up on an invocation, which then runs late, beside its successors. */
  readonly abandonProbability: number;
  /** The longest delay of a duplicate or a late invocation, milliseconds. */
  readonly maximumDelayMs: number;
  /** Told of each fault, when it is injected. */
  readonly onInjected?: (fault: DeliveryFault) => void;
}

/** A batch delivered once more, one cut short, an invocation that was given up and runs late. */
export type DeliveryFault = 'duplicate' | 'recut' | 'abandon';

/** The hook by which a mapping cuts its batches; undefined where none is to be cut shorter. */
export function batchSizeChooser(chaos: Chaos): ((maximum: number) => number) | undefined {
  if (chaos.recutProbability === 0) return undefined;
  return (maximum) => {
    if (chaos.random() >= chaos.recutProbability) return maximum;
    chaos.onInjected?.('recut');
    return 1 + Math.floor(chaos.random() * maximum);
  };
}
