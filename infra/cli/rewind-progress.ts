import type { RewindNews } from '../../shared/checkpoint/drive-rewind.ts';
import type { ShardReplay } from '../../shared/checkpoint/rewind.ts';
import type { RewindStep } from '../../shared/state/state-store.ts';
import type { OperatorContext } from './operator-context.ts';
import { progressBar, type ProgressBar } from './progress-bar.ts';
import { formatted } from './progress-display.ts';

/** What is known beforehand. */
export interface RewindExpectations {
  readonly checkpoint: string;
  /** Items of the checkpoint. */
  readonly items: number;
  /** Records that the shards are to process again, about. */
  readonly recordsOf: (shards: readonly ShardReplay[]) => Promise<number>;
}

const NO_BAR: ProgressBar = { step: () => undefined, stop: () => undefined };

/** Shows people what a rewind does: a line for each step, and bars on a terminal. */
export class RewindProgress {
  readonly #context: OperatorContext;
  readonly #expected: RewindExpectations;
  #bar: ProgressBar = NO_BAR;
  #step: RewindStep | 'live' | undefined;
  #lines = 0;
  #verified = 0;
  #replayed = 0;
  #hasShards = false;

  constructor(context: OperatorContext, expected: RewindExpectations) {
    this.#context = context;
    this.#expected = expected;
  }

  /** What was restored, as far as this driver counted, and what was replayed. */
  get counts(): { readonly items: number; readonly records: number } {
    return { items: this.#verified, records: this.#replayed };
  }

  hear(news: RewindNews): void {
    switch (news.kind) {
      case 'step': {
        const { phase, rewind } = news.control;
        this.#begin(phase === 'live' ? 'live' : rewind?.step, rewind?.skipsReplay === true);
        return;
      }
      case 'restored': {
        if (this.#lines === 0) this.#show(news.of, 'restoring ');
        this.#bar.step(Math.max(0, news.lines - this.#lines));
        this.#lines = news.lines;
        return;
      }
      case 'verified':
        if (this.#verified === 0) this.#show(this.#expected.items, 'verifying ');
        this.#bar.step(Math.max(0, news.items - this.#verified));
        this.#verified = news.items;
        return;
      case 'replayed':
        this.#replayed += news.report.records;
        this.#bar.step(news.report.records);
        return;
    }
  }

  /** The shards that are replayed, as the driver has just read them. */
  async hearShards(shards: readonly ShardReplay[]): Promise<void> {
    if (shards.length === 0) return;
    const done = shards.filter(({ isDone }) => isDone).length;
    if (!this.#hasShards) {
      const records = await this.#expected.recordsOf(shards.filter(({ isDone }) => !isDone));
      const left = `${formatted(shards.length - done)} of ${formatted(shards.length)} shards`;
      this.#context.people(`About ${formatted(records)} records of ${left} are to be processed again.`);
      this.#show(records, 'replaying ');
    }
    this.#hasShards = true;
    this.#bar.step(0, `${formatted(done)} of ${formatted(shards.length)} shards done`);
  }

  stop(): void {
    this.#bar.stop();
    this.#bar = NO_BAR;
  }

  #show(total: number, title: string): void {
    this.stop();
    this.#bar = progressBar(this.#context, total, title);
  }

  #begin(step: RewindStep | 'live' | undefined, skipsReplay: boolean): void {
    if (step === this.#step || step === undefined) return;
    this.#step = step;
    this.stop();
    // A step that begins anew counts anew.
    this.#lines = 0;
    this.#verified = step === 'restore' ? 0 : this.#verified;
    const { checkpoint, items } = this.#expected;
    const texts: Record<RewindStep | 'live', string> = {
      seal: 'Sealing: nothing more is acknowledged in the generation that is left …',
      restore: `Restoring ${formatted(items)} items of ${checkpoint} into a new generation …`,
      replay: skipsReplay ? 'Switching to the new generation …' : 'Processing the records since then again …',
      release: 'Opening the new generation to live events …',
      undo: 'Going back to the generation that was left …',
      live: 'Live again; enabling the event source mapping …',
    };
    this.#context.people(texts[step]);
  }
}
