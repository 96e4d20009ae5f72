import { sinksOf, type PipelineDefinition } from '../../shared/pipeline/definition.ts';
import { compareStates } from './compare-states.ts';
import { PlainFold, type PlainOutput } from './plain-fold.ts';
import type { StatesByKey } from './state-lines.ts';

/** What one pipeline of a chain should come to. */
export interface ExpectedResult {
  readonly definition: PipelineDefinition;
  /** `undefined` where it depends on which changes of the pipeline before it were published. */
  readonly states: StatesByKey | undefined;
  readonly deadLetters: number | undefined;
}

/**
 * What the states of pipelines that feed each other should be: the input folded by the first, its outputs by the next,
 * and so on, one record after the other. Of a pipeline's changes only the newest of each batch are published, and how
 * batches are cut is not known here. So a pipeline that reads changes is folded twice, from every change and from the
 * last one of each destination key: where both agree, what comes in between does not matter.
 */
export class PlainChain {
  readonly #chain: readonly PipelineDefinition[];
  readonly #first: PlainLink;

  /** @param chain the pipelines, each behind the one that feeds it; at least one. */
  constructor(chain: readonly PipelineDefinition[]) {
    this.#chain = chain;
    this.#first = new PlainLink(chain, 'every');
  }

  /** Folds one line of the first pipeline's input. */
  add(line: Buffer): void {
    this.#first.fold.add(line);
  }

  /** Whether the first pipeline would reject the line whole, behind those folded so far. It is not folded. */
  rejects(line: Buffer): boolean {
    return this.#first.fold.rejects(line);
  }

  /** In the order of the chain; to be called once, when the input has ended. */
  results(): ExpectedResult[] {
    this.#first.end();
    let links: readonly PlainLink[] = [this.#first];
    return this.#chain.map((definition) => {
      const [{ fold }, ...others] = links as [PlainLink, ...PlainLink[]];
      const states = fold.states();
      const agree = others.every(
        (other) => compareStates(definition, states, other.fold.states()).differences.length === 0,
      );
      const sameLetters = others.every((other) => other.fold.deadLetters === fold.deadLetters);
      links = links.flatMap(({ next }) => next);
      return {
        definition,
        states: agree ? states : undefined,
        deadLetters: sameLetters ? fold.deadLetters : undefined,
      };
    });
  }
}

/** One pipeline with those behind it: two versions of the next one where it may miss changes. */
class PlainLink {
  readonly fold: PlainFold;
  readonly next: readonly PlainLink[];
  readonly #changes: 'every' | 'last';
  /** By destination key, where only the last one counts. */
  readonly #held = new Map<string, PlainOutput>();

  constructor([definition, ...rest]: readonly PipelineDefinition[], changes: 'every' | 'last') {
    const [following] = rest;
    this.#changes = changes;
    const versions: ('every' | 'last')[] = following === undefined ? [] : ['every', 'last'];
    this.next = versions.map((version) => new PlainLink(rest, version));
    const own = definition as PipelineDefinition;
    const sinks = new Set(
      sinksOf(own).filter((sink) => sink.kind === 'kinesis' && sink.stream === following?.source.stream),
    );
    this.fold = new PlainFold(own, (output) => {
      if (sinks.has(output.sink)) for (const link of this.next) link.#take(output);
    });
  }

  /** The input has ended: what was held goes on. */
  end(): void {
    for (const output of this.#held.values()) this.fold.addOutput(output);
    for (const link of this.next) link.end();
  }

  #take(output: PlainOutput): void {
    if (this.#changes === 'every' || !output.isChange) this.fold.addOutput(output);
    else {
      const target = `${output.sink.name} ${output.destinationKey}`;
      this.#held.delete(target);
      this.#held.set(target, output);
    }
  }
}
