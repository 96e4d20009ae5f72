import type { FunctionLog } from '../local/function-log.ts';

export interface FunctionVoiceOptions {
  readonly say: (text: string) => void;
  /** Every line as it is, for `--verbose`. */
  readonly sayRaw: ((line: string) => void) | undefined;
  /** Under chaos warnings are what is expected, and only counted. */
  readonly isQuiet: boolean;
}

/** How often the same message is shown before it is only counted. */
const REPEATS_SHOWN = 3;
const LONGEST_TEXT = 300;

/** What functions log, as a person at a terminal wants to hear it: warnings and errors in short, each a few times. */
export class FunctionVoice {
  readonly #options: FunctionVoiceOptions;
  readonly #repeats = new Map<string, number>();
  #unsaid = 0;
  #last: string | undefined;

  constructor(options: FunctionVoiceOptions) {
    this.#options = options;
  }

  /** Warnings and errors that were not shown. */
  get unsaid(): number {
    return this.#unsaid;
  }

  /** The last warning or error, shown or not. */
  get last(): string | undefined {
    return this.#last;
  }

  /** @param log of the function that wrote the line. */
  hear(line: string, log: FunctionLog): void {
    const { say, sayRaw, isQuiet } = this.#options;
    const message = log.take(line);
    sayRaw?.(line);
    if (message === undefined || message.level === 'other') return;
    const [firstLine = ''] = message.text.split('\n');
    const text = firstLine.slice(0, LONGEST_TEXT);
    this.#last = text;
    if (sayRaw !== undefined) return;
    // Numbers differ from one batch to the next; the message is the same.
    const kind = text.replaceAll(/\d+/g, '#');
    const count = (this.#repeats.get(kind) ?? 0) + 1;
    this.#repeats.set(kind, count);
    if (isQuiet || count > REPEATS_SHOWN) {
      this.#unsaid += 1;
      return;
    }
    const last = count === REPEATS_SHOWN ? ' (further ones like it are only counted)' : '';
    say(`function ${message.level}: ${text}${last}`);
  }
}
