import type { PipelineDefinition, Sink } from '../../shared/pipeline/definition.ts';
import type { Document } from '../../shared/state/document.ts';
import { isKey, PlainKey, type KeyStates } from '../../shared/testing/plain-key.ts';
import { lineElements, relayedValues, valueElements } from '../local/producer/line-elements.ts';

const ARRIVAL = { arrivalMs: 0 };

/** A key's only element of one record, or all of them. */
interface KeyedElements {
  readonly key: string;
  readonly places: number[];
}

/** What a pipeline publishes for one value that reaches one of its sinks. */
export interface PlainOutput {
  readonly sink: Sink;
  readonly destinationKey: string;
  /** As it arrives: through JSON. */
  readonly value: unknown;
  /** Whether it is a key's new value, of which only the newest need be published. */
  readonly isChange: boolean;
}

/**
 * What the state should be: the input folded by the pipeline's own functions over a plain Map, one record after the
 * other, in one place. It shares no code with the engine but the definition and the form of a state, and knows
 * neither batches nor marks, revisions or outboxes.
 */
export class PlainFold {
  readonly #definition: PipelineDefinition;
  readonly #keys = new Map<string, KeyStates>();
  readonly #publish: (output: PlainOutput) => void;
  #deadLetters = 0;

  /** @param publish told each output of a record, in order, once the record is folded for its key. */
  constructor(definition: PipelineDefinition, publish: (output: PlainOutput) => void = () => undefined) {
    this.#definition = definition;
    this.#publish = publish;
  }

  /** Records, or elements of them, that were rejected. */
  get deadLetters(): number {
    return this.#deadLetters;
  }

  /**
   * Folds one line. What is wrong with it rejects it, for one key or for all. It arrives at the beginning of time like
   * all others: what is remembered for a time is remembered for longer than a run takes.
   */
  add(line: Buffer): void {
    const { repartition } = this.#definition;
    if (repartition === undefined) {
      this.#add(() => lineElements(this.#definition, line));
      return;
    }
    // Behind a repartition each value is a record of its own.
    let relayed: readonly (string | undefined)[] = [undefined];
    try {
      relayed = relayedValues(repartition, line);
    } catch {
      // The line itself is rejected.
    }
    for (const json of relayed) {
      if (json === undefined) this.#deadLetters += 1;
      else this.#add(() => valueElements(this.#definition, JSON.parse(json)));
    }
  }

  /** Folds what another pipeline has published. */
  addOutput({ destinationKey, value }: PlainOutput): void {
    const json = JSON.stringify(value);
    this.#add(() => valueElements(this.#definition, JSON.parse(json), destinationKey));
  }

  /** @param read gives the record's elements, made anew each time: user code may change what it is given. */
  #add(read: () => unknown[]): void {
    let elements: readonly unknown[];
    try {
      elements = read();
    } catch {
      this.#deadLetters += 1;
      return;
    }
    const { groups, keyless } = this.#group(elements);
    this.#deadLetters += keyless;
    for (const { key, places } of groups.values()) {
      const values = groups.size === 1 ? elements : read();
      const outputs: PlainOutput[] = [];
      try {
        const own = places.map((place) => values[place]);
        this.#keys.set(key, this.#folded(key, own, outputs));
      } catch {
        this.#deadLetters += places.length;
        continue;
      }
      for (const output of outputs) this.#publish(output);
    }
  }

  /** Whether the line would be rejected whole, for every key, behind those folded so far. It is not folded. */
  rejects(line: Buffer): boolean {
    const { repartition } = this.#definition;
    if (repartition === undefined) return this.#rejects(() => lineElements(this.#definition, line));
    let relayed: readonly (string | undefined)[];
    try {
      relayed = relayedValues(repartition, line);
    } catch {
      return true;
    }
    const isRejected = (json: string | undefined): boolean =>
      json === undefined || this.#rejects(() => valueElements(this.#definition, JSON.parse(json)));
    return relayed.length > 0 && relayed.every(isRejected);
  }

  #rejects(read: () => unknown[]): boolean {
    let elements: readonly unknown[];
    try {
      elements = read();
    } catch {
      return true;
    }
    if (elements.length === 0) return false;
    return [...this.#group(elements).groups.values()].every(({ key, places }) => {
      const values = read();
      try {
        this.#folded(
          key,
          places.map((place) => values[place]),
          [],
        );
        return false;
      } catch {
        return true;
      }
    });
  }

  /** By key: the states by operator, of the keys that have any. */
  states(): Map<string, ReadonlyMap<string, Document>> {
    const result = new Map<string, ReadonlyMap<string, Document>>();
    for (const [key, { states }] of this.#keys) if (states.size > 0) result.set(key, states);
    return result;
  }

  /** The elements by key, and how many have none that a table takes. */
  #group(elements: readonly unknown[]): {
    readonly groups: Map<string, KeyedElements>;
    readonly keyless: number;
  } {
    let keyless = 0;
    const groups = new Map<string, KeyedElements>();
    for (const [place, element] of elements.entries()) {
      let key: unknown;
      try {
        key = this.#definition.keyBy(element);
      } catch {
        key = undefined;
      }
      if (!isKey(key)) {
        keyless += 1;
        continue;
      }
      const group = groups.get(key) ?? { key, places: [] };
      group.places.push(place);
      groups.set(key, group);
    }
    return { groups, keyless };
  }

  /** A key's states after one record; those before it stay as they are, for a record that is rejected in the middle. */
  #folded(key: string, values: readonly unknown[], outputs: PlainOutput[]): KeyStates {
    const folded = new PlainKey(this.#definition.keyedStages, key, this.#keys.get(key));
    for (const value of values) {
      folded.fold(value, ARRIVAL, (sink, output, isChange) =>
        outputs.push(plainOutput(sink, output, key, isChange)),
      );
    }
    return folded;
  }
}

function plainOutput(sink: Sink, value: unknown, key: string, isChange: boolean): PlainOutput {
  const destinationKey = sink.kind === 'forEach' ? key : (sink.key?.(value, key) ?? key);
  // JSON has no bigints; what cannot pass rejects its record, as the engine does.
  const json = sink.kind === 'kinesis' ? JSON.stringify(value) : 'null';
  return { sink, destinationKey, value: JSON.parse(json) as unknown, isChange };
}
