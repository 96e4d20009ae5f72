import { describe, expect, it } from 'vitest';
import { PlainFold } from '../../infra/cli/plain-fold.ts';
import { PoisonSource } from '../../infra/cli/poison.ts';
import airportDelays from '../../functions/airport-delays/pipeline.ts';
import wordCount from '../../functions/word-count/pipeline.ts';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { flightLines } from './flights.ts';

/** The bad records among some lines, each folded behind its line as the feed does. */
function poisonOf(seed: number, { definition }: Pipeline, lines: readonly string[]) {
  const fold = new PlainFold(definition);
  const source = new PoisonSource(seed, 0.5, fold);
  const bad: string[] = [];
  for (const [number, line] of lines.entries()) {
    fold.add(Buffer.from(line));
    const poison = source.behind(Buffer.from(line), number);
    if (poison === undefined) continue;
    bad.push(poison.toString('latin1'));
    fold.add(poison);
  }
  return { bad, fold, counts: source.counts };
}

describe('bad records for a run with chaos', () => {
  const flights = flightLines(100);

  it('are of every kind that the pipeline rejects, and leave its state as it is', () => {
    const { bad, fold, counts } = poisonOf(1, airportDelays, flights);
    expect(bad.length).toBeGreaterThan(30);
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
    expect(fold.deadLetters).toBe(bad.length);
    const plain = new PlainFold(airportDelays.definition);
    for (const line of flights) plain.add(Buffer.from(line));
    expect(fold.states()).toEqual(plain.states());
  });

  it('are the same for the same seed', () => {
    expect(poisonOf(2, airportDelays, flights).bad).toEqual(poisonOf(2, airportDelays, flights).bad);
    expect(poisonOf(3, airportDelays, flights).bad).not.toEqual(poisonOf(2, airportDelays, flights).bad);
  });

  it('are not made where the pipeline would take them', () => {
    const { bad, fold, counts } = poisonOf(1, wordCount, ['the quick fox', 'the lazy dog', 'the end']);
    expect(counts).toMatchObject({ wrongType: 0, unstorable: 0 });
    expect(fold.deadLetters).toBe(bad.length);
    expect(fold.states().get('the')?.get('count')).toBe(3);
  });
});
