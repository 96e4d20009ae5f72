import { MultiBar, type SingleBar } from 'cli-progress';
import type { Colors } from 'picocolors/types.js';
import type { ShardStatus } from '../../shared/mapping/mapping-status.ts';

/** What a person watches while records are processed. */
export interface ProgressFigures {
  /** Records that the stream has taken in this run. */
  readonly sent: number;
  /** Records that will have been sent; undefined while nobody knows. */
  readonly total: number | undefined;
  readonly applied: number;
  readonly duplicates: number;
  readonly deadLetters: number;
  /** Different keys met so far, as a text. */
  readonly keys: string;
  /** Of the pipeline that reads the input. */
  readonly shards: readonly ShardStatus[];
  /** The pipelines behind it, each fed by the one before. */
  readonly following: readonly FollowingFigures[];
}

export interface FollowingFigures {
  readonly name: string;
  readonly applied: number;
  readonly shards: readonly ShardStatus[];
}

/** Where lines for people go. */
export interface PeopleStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
}

const FRAME_MS = 200;
const LINE_MS = 2_000;
const SHARDS_SHOWN = 8;
const BAR_CHARACTERS = 24;

/** A bar on a terminal; elsewhere a plain line now and then. */
export class ProgressDisplay {
  readonly #stream: PeopleStream;
  readonly #colors: Colors;
  readonly #read: () => ProgressFigures;
  #bars: MultiBar | undefined;
  #rows: readonly SingleBar[] = [];
  #timer: NodeJS.Timeout | undefined;
  #lastLine = '';

  constructor(stream: PeopleStream, colors: Colors, read: () => ProgressFigures) {
    this.#stream = stream;
    this.#colors = colors;
    this.#read = read;
  }

  /** Writes a line, above the bar where there is one. */
  say(text: string): void {
    if (this.#bars === undefined) this.#stream.write(`${text}\n`);
    else this.#bars.log(`${text}\n`);
  }

  start(): void {
    if (this.#stream.isTTY !== true) {
      this.#timer = setInterval(() => this.#line(), LINE_MS);
      return;
    }
    this.#bars = new MultiBar({
      stream: this.#stream,
      hideCursor: true,
      barsize: BAR_CHARACTERS,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      emptyOnZero: true,
      // Ctrl-C is for the command, which ends in order and then stops the bar.
      gracefulExit: false,
      autopadding: true,
    });
    this.#rows = [`${this.#colors.cyan('{bar}')} {percentage}% {counts}`, '  {counts}', '  {counts}'].map(
      (format) => (this.#bars as MultiBar).create(1, 0, { counts: '' }, { format }),
    );
    this.#frame();
    this.#timer = setInterval(() => this.#frame(), FRAME_MS);
  }

  /** Shows the last figures and leaves them standing. */
  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#bars === undefined) {
      this.#line();
      return;
    }
    this.#frame();
    this.#bars.stop();
    this.#bars = undefined;
  }

  #frame(): void {
    const figures = this.#read();
    const { sent, total, applied, duplicates, deadLetters, keys, shards, following } = figures;
    const [bar, counts, lags] = this.#rows;
    bar?.setTotal(Math.max(1, total ?? sent));
    bar?.update(Math.min(applied + deadLetters, total ?? sent), {
      counts: `${formatted(sent)}${total === undefined ? '' : ` of ${formatted(total)}`} records in`,
    });
    counts?.update(0, {
      counts:
        `applied ${formatted(applied)} · duplicates skipped ${formatted(duplicates)} · ` +
        `dead letters ${formatted(deadLetters)} · keys ${keys} · batches in flight ${inFlight(shards)}`,
    });
    lags?.update(0, { counts: `lag ${lagText(shards)}${followingText(following)}` });
  }

  #line(): void {
    const { sent, total, applied, duplicates, deadLetters, keys, shards, following } = this.#read();
    const line =
      `${formatted(sent)}${total === undefined ? '' : ` of ${formatted(total)}`} records in, ` +
      `${formatted(applied)} applied, ${formatted(duplicates)} duplicates skipped, ` +
      `${formatted(deadLetters)} dead letters, ${keys} keys, ${inFlight(shards)} batches in flight; lag ${lagText(shards)}` +
      followingText(following);
    if (line === this.#lastLine) return;
    this.#lastLine = line;
    this.#stream.write(`${line}\n`);
  }
}

export function formatted(count: number): string {
  return count.toLocaleString('en-US');
}

function inFlight(shards: readonly ShardStatus[]): number {
  return shards.reduce((sum, { inFlightInvocations }) => sum + inFlightInvocations, 0);
}

/** Of each pipeline behind the first: records applied, and those that are read and not acknowledged. */
function followingText(following: readonly FollowingFigures[]): string {
  const texts = following.map(({ name, applied, shards }) => {
    const waiting = shards.reduce((sum, shard) => sum + shard.queuedRecords + shard.inFlightRecords, 0);
    return `; ${name} ${formatted(applied)} applied, ${formatted(waiting)} waiting`;
  });
  return texts.join('');
}

/** By shard: how far the last read was behind, and the records that are read and not acknowledged. */
function lagText(shards: readonly ShardStatus[]): string {
  const open = shards.filter(({ phase }) => phase !== 'done');
  const texts = open.slice(0, SHARDS_SHOWN).map(({ shardId, ...shard }) => {
    const name = shardId.replace(/^shardId-0*(?=\d)/, '#');
    const seconds = ((shard.millisBehindLatest ?? 0) / 1_000).toFixed(1);
    return `${name} ${seconds} s+${formatted(shard.queuedRecords + shard.inFlightRecords)}`;
  });
  if (open.length > SHARDS_SHOWN) texts.push(`and ${open.length - SHARDS_SHOWN} shards`);
  return texts.length === 0 ? 'unknown' : texts.join('  ');
}
