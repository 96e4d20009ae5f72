import type { SourceRecord } from '../../source/record.ts';
import type { OracleOutput, OracleValue } from './oracle.ts';
import type { TimedRun } from './timed-oracle.ts';

/** What windows the first operator of a pipeline has. Its sink follows it, and its result is the list of its values' names. */
export interface WindowRule {
  readonly sink: string;
  /** Of aligned windows, milliseconds. */
  readonly sizeMs?: number;
  readonly slideMs?: number;
  /** Of sessions, milliseconds. */
  readonly gapMs?: number;
  readonly allowedLatenessMs?: number;
  readonly emitsUpdates?: boolean;
  /** Between early results, milliseconds. */
  readonly earlyMs?: number;
  readonly late: 'drop' | 'deadLetter' | 'accept';
  /** The name of a value. */
  readonly nameOf: (value: unknown) => string;
}

/** A value that is in. */
interface Taken {
  readonly name: string;
  readonly eventMs: number;
  /** A window that ends above it has the value. */
  readonly aboveMs: number;
  /** When an early result is due that has it; Infinity where there is none, or it has been. */
  earlyMs: number;
}

interface Session {
  readonly start: number;
  readonly end: number;
  readonly names: readonly string[];
}

interface KeyWindows {
  readonly taken: Taken[];
  readonly closed: Set<string>;
  sessions: Session[];
  /** Up to where timers of the key have fired. */
  firedMs: number;
}

/** What a result says. */
interface Result {
  readonly window: { readonly start: number; readonly end: number };
  readonly value: readonly string[];
  readonly isEarly?: true;
}

/**
 * Says for each result which values it should hold, by what a window is and nothing else: no panes, no accumulators, no
 * state. Each value is in each of its windows once, and each window is closed once.
 */
export class WindowChecker {
  readonly #rule: WindowRule;
  readonly #say: (invariant: string, what: string) => void;
  readonly #keys = new Map<string, KeyWindows>();

  constructor(rule: WindowRule, say: (invariant: string, what: string) => void) {
    this.#rule = rule;
    this.#say = say;
  }

  /** A write did this, one step after the other. */
  written(
    key: string,
    { steps }: TimedRun,
    valuesOf: (record: SourceRecord) => readonly OracleValue[],
  ): void {
    const windows = this.#of(key);
    for (const step of steps) {
      if (step.kind === 'rejected') continue;
      const results = resultsOf(step.outputs, this.#rule.sink);
      if (step.kind === 'fired') {
        if (step.domain !== 'event') continue;
        windows.firedMs = Math.max(windows.firedMs, step.dueMs);
        if (step.operator === 0) this.#fired(key, windows, step.dueMs, results);
      } else {
        const left = [...results];
        for (const value of valuesOf(step.record)) this.#ran(key, windows, value, step.overMs, left);
        for (const result of left)
          this.#say('window', `key ${key} gives ${JSON.stringify(result)}, which no value makes`);
      }
    }
  }

  #fired(key: string, windows: KeyWindows, dueMs: number, results: readonly Result[]): void {
    const expected =
      this.#rule.gapMs === undefined ? this.#closing(windows, dueMs) : this.#ending(windows, dueMs);
    for (const { window } of expected) {
      const name = `${window.start}-${window.end}`;
      if (windows.closed.has(name)) this.#say('window', `key ${key} closes ${name} twice`);
      windows.closed.add(name);
    }
    this.#compare(key, `at ${dueMs}`, [...expected, ...this.#early(windows, dueMs)], results);
  }

  /** Of windows that are not over: what they have so far, where something of it is new. */
  #early({ taken }: KeyWindows, dueMs: number): Result[] {
    const { sizeMs = 1, slideMs = sizeMs } = this.#rule;
    const ends = new Set<number>();
    const openEnds = ({ eventMs, aboveMs }: Taken): number[] =>
      endsOf(eventMs, sizeMs, slideMs).filter((end) => end > aboveMs);
    // What is in the same windows is told together, whatever its lane was at.
    const told = new Set(
      taken.filter(({ earlyMs }) => earlyMs <= dueMs).map((each) => openEnds(each).join()),
    );
    for (const value of taken) {
      const own = openEnds(value);
      if (!told.has(own.join())) continue;
      value.earlyMs = Infinity;
      for (const end of own) if (end > dueMs) ends.add(end);
    }
    return [...ends].flatMap((end) => this.#whole(taken, end)).map((each) => ({ ...each, isEarly: true }));
  }

  /** At the next whole multiple behind the last edge of a window, of windows whose size is a multiple of the slide. */
  #earlyOf(eventMs: number, overMs: number, firedMs: number): number {
    const { earlyMs, sizeMs = 1, slideMs = sizeMs } = this.#rule;
    if (earlyMs === undefined) return Infinity;
    const ends = endsOf(eventMs, sizeMs, slideMs);
    const fromMs = Math.max(Math.floor(eventMs / slideMs) * slideMs, overMs, firedMs);
    const atMs = (Math.floor(fromMs / earlyMs) + 1) * earlyMs;
    return atMs < Math.max(...ends) ? atMs : Infinity;
  }

  /** The aligned window that ends so. */
  #closing({ taken }: KeyWindows, end: number): Result[] {
    const { emitsUpdates } = this.#rule;
    if (emitsUpdates === true || !this.#isEnd(end)) return [];
    return this.#whole(taken, end);
  }

  #whole(taken: readonly Taken[], end: number): Result[] {
    const start = end - (this.#rule.sizeMs as number);
    const value = taken
      .filter(({ eventMs, aboveMs }) => eventMs >= start && eventMs < end && end > aboveMs)
      .map(({ name }) => name);
    return value.length === 0 ? [] : [{ window: { start, end }, value }];
  }

  #isEnd(end: number): boolean {
    const { sizeMs = 1, slideMs = sizeMs } = this.#rule;
    return (end - sizeMs) % slideMs === 0;
  }

  #ending(windows: KeyWindows, dueMs: number): Result[] {
    const ended = windows.sessions.filter(({ end }) => end <= dueMs);
    windows.sessions = windows.sessions.filter(({ end }) => end > dueMs);
    return ended.map(({ start, end, names }) => ({ window: { start, end }, value: names }));
  }

  /** @param results those of the record that no value has been found for. */
  #ran(
    key: string,
    windows: KeyWindows,
    { value, eventMs = 0 }: OracleValue,
    overMs: number,
    results: Result[],
  ): void {
    const name = this.#rule.nameOf(value);
    const expected =
      this.#rule.gapMs === undefined
        ? this.#aligned(windows, name, eventMs, overMs)
        : this.#session(windows, name, eventMs, overMs);
    const mine = results.splice(0, expected.length);
    this.#compare(key, `for ${name}`, expected, mine);
  }

  #aligned(windows: KeyWindows, name: string, eventMs: number, overMs: number): Result[] {
    const { sizeMs = 1, slideMs = sizeMs, allowedLatenessMs = 0, emitsUpdates, late } = this.#rule;
    const ends = endsOf(eventMs, sizeMs, slideMs);
    const aboveMs = overMs - allowedLatenessMs;
    const open = ends.filter((end) => end > aboveMs);
    if (open.length === 0) {
      if (late === 'deadLetter' && ends.length > 0)
        this.#say('window', `${name} is late, and no dead letter`);
      return late === 'accept'
        ? ends.flatMap((end) => this.#whole([{ name, eventMs, aboveMs: -Infinity, earlyMs: Infinity }], end))
        : [];
    }
    const earlyMs = this.#earlyOf(eventMs, overMs, windows.firedMs);
    windows.taken.push({ name, eventMs, aboveMs, earlyMs });
    const shown = open.filter((end) => emitsUpdates === true || windows.firedMs >= end);
    return shown.flatMap((end) => this.#whole(windows.taken, end));
  }

  #session(windows: KeyWindows, name: string, eventMs: number, overMs: number): Result[] {
    const { gapMs = 0, late } = this.#rule;
    const own: Session = { start: eventMs, end: eventMs + gapMs, names: [name] };
    if (own.end <= overMs) {
      if (late === 'deadLetter') this.#say('window', `${name} is late, and no dead letter`);
      return late === 'accept' ? [{ window: { start: own.start, end: own.end }, value: [name] }] : [];
    }
    const met = windows.sessions.filter(({ start, end }) => start <= own.end && own.start <= end);
    const all = [...met, own];
    windows.sessions = [
      ...windows.sessions.filter((each) => !met.includes(each)),
      {
        start: Math.min(...all.map(({ start }) => start)),
        end: Math.max(...all.map(({ end }) => end)),
        names: all.flatMap(({ names }) => names),
      },
    ];
    return [];
  }

  #compare(key: string, when: string, expected: readonly Result[], results: readonly Result[]): void {
    const [should, does] = [expected.map(shown).sort().join(' '), results.map(shown).sort().join(' ')];
    if (should !== does)
      this.#say('window', `key ${key} gives ${when} ${does || 'nothing'}, not ${should || 'nothing'}`);
  }

  #of(key: string): KeyWindows {
    let known = this.#keys.get(key);
    if (known === undefined)
      this.#keys.set(key, (known = { taken: [], closed: new Set(), sessions: [], firedMs: -Infinity }));
    return known;
  }
}

function resultsOf(outputs: readonly OracleOutput[], sink: string): Result[] {
  return outputs.filter((output) => output.sink === sink).map(({ value }) => value as Result);
}

/** Of the windows that a time is in, ascending. */
function endsOf(eventMs: number, sizeMs: number, slideMs: number): number[] {
  const ends: number[] = [];
  for (let end = Math.floor(eventMs / slideMs) * slideMs + sizeMs; end > eventMs; end -= slideMs)
    ends.unshift(end);
  return ends;
}

function shown({ window: { start, end }, value, isEarly }: Result): string {
  return `[${start},${end}) ${[...value].sort().join()}${isEarly === true ? ' early' : ''}`;
}
