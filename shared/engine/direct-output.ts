import type { CanonicalDocument } from '../state/canonical-document.ts';
import type { Maker, OutputDraft, StateReference } from './outbox-draft.ts';
import type { SinkStep } from './program.ts';
import type { Cell } from './state-cell.ts';

/** The newest change of one sink whose value is an operator's state itself. */
export interface DirectChange {
  readonly maker: Maker;
  readonly document: CanonicalDocument;
}

/**
 * A sink right behind an operator, under the state's own key: each change supersedes the one before, so that one
 * place is enough for them, and no copy of the value is needed while it is the state.
 */
export class DirectOutput {
  readonly #step: SinkStep;
  readonly #key: string;
  readonly cell: Cell;
  #accepted: DirectChange | undefined;
  #staged: DirectChange | undefined;

  constructor(step: SinkStep, key: string, cell: Cell) {
    this.#step = step;
    this.#key = key;
    this.cell = cell;
  }

  /** What the record that runs would publish; counts once the record is accepted. */
  stage(maker: Maker, document: CanonicalDocument): void {
    this.#staged = { maker, document };
  }

  accept(): void {
    this.#accepted = this.#staged ?? this.#accepted;
    this.#staged = undefined;
  }

  /** What is staged, to be put back. */
  save(): DirectChange | undefined {
    return this.#staged;
  }

  putBack(staged: DirectChange | undefined): void {
    this.#staged = staged;
  }

  /** What the change of the record that runs refers to. */
  get staged(): StateReference | undefined {
    return this.#staged && { cell: this.cell, document: this.#staged.document };
  }

  /** The newest change that is to be published; with the record that runs, where it is accepted. */
  draft(): OutputDraft | undefined {
    const change = this.#staged ?? this.#accepted;
    if (change === undefined) return undefined;
    const { maker, document } = change;
    return {
      kind: 'output',
      sink: this.#step.sink.name,
      destinationKey: this.#key,
      isChange: true,
      index: 0,
      ...maker,
      value: { cell: this.cell, document },
    };
  }
}
