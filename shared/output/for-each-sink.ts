import type { ForEachSink } from '../pipeline/definition.ts';
import { kindOfThrown } from '../source/kind-of-thrown.ts';
import type { Delivery, SinkPort } from './sink-port.ts';

/** The user's call failed. What it threw may quote the record and is the `cause`, apart from the message that is logged. */
class CallError extends Error {
  override readonly name = 'CallError';

  constructor(cause: unknown) {
    super(
      `the call threw ${kindOfThrown(cause)}; its message may quote the record and is not logged: log in the call itself what you need`,
      { cause },
    );
  }
}

/** Hands outputs to the user's own call, one by one per destination key. */
export class ForEachSinkPort implements SinkPort {
  readonly maximumDeliveries = 1;
  readonly maximumBytes = Infinity;
  readonly #call: ForEachSink['call'];

  constructor(call: ForEachSink['call']) {
    this.#call = call;
  }

  async deliver(deliveries: readonly Delivery[]): Promise<readonly boolean[]> {
    for (const { id, destinationKey, json } of deliveries) {
      try {
        await this.#call({ id, key: destinationKey, value: JSON.parse(json) as unknown });
      } catch (error) {
        throw new CallError(error);
      }
    }
    return deliveries.map(() => true);
  }
}
