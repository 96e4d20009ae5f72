import type { SynthesisOptions } from '../../infra/synthesis.ts';
import type { Whereabouts } from '../../infra/cli/pipeline-access.ts';

/** What the suite tests, each with the name of its test. */
export const ABILITIES = {
  flights: 'applies every record once, whatever Lambda delivers again',
  chain: 'feeds the next pipeline with each output once',
  poison: 'stores bad records as dead letters, redrives none that is bad still, and drops them',
  redrive: 'redrives a bad record once it is mended, and applies it once',
  checkpoint: 'takes a savepoint, reads it, compares it and deletes it',
  rewind: 'rewinds to a savepoint, replays the stream, and goes on',
  chaos: 'keeps its state when shards are split, merged and read again from their beginning',
  timers: 'closes windows by the timer that no record closes',
} as const;

export type Ability = keyof typeof ABILITIES;

/** A cloud that the suite is given: pipelines are brought up in it, and reached as an operator reaches them. */
export interface Cloud {
  readonly name: string;
  /** What it cannot do, each with the reason why. */
  readonly cannot: Readonly<Partial<Record<Ability, string>>>;
  /** Where an operator's command finds the pipelines. */
  readonly where: Whereabouts;
  /** Deploys the pipelines, with those that feed them, under a name of its own; they take records then. */
  up(app: Pick<SynthesisOptions, 'pipelines' | 'overrides'>): Promise<void>;
  /** Removes what `up` made, the data included; safe where it failed. */
  down(): Promise<void>;
}
