import type { ForEachSink } from '../pipeline/definition.ts';
import type { Delivery, SinkPort } from './sink-port.ts';

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
      await this.#call({ id, key: destinationKey, value: JSON.parse(json) as unknown });
    }
    return deliveries.map(() => true);
  }
}
