import { seededRandom } from '../../shared/testing/seeded-random.ts';

/** What a shop sells, what is bought most first; departments too. */
const DEPARTMENTS: readonly (readonly string[])[] = [
  ['tent', 'sleeping bag', 'camping stove', 'headlamp', 'sleeping mat', 'water filter', 'hammock', 'tarp'],
  ['coffee grinder', 'kettle', 'coffee beans', 'hand dripper', 'paper filters', 'scale', 'mug', 'milk jug'],
  ['bicycle helmet', 'bicycle lock', 'bell', 'pump', 'tyre levers', 'chain oil', 'saddle', 'mudguard'],
  ['camera', 'tripod', 'memory card', 'lens cloth', 'camera bag', 'flash', 'spare battery', 'filter set'],
  ['guitar strings', 'capo', 'tuner', 'music stand', 'metronome', 'plectrums', 'guitar strap', 'slide'],
  ['watering can', 'secateurs', 'seeds', 'gloves', 'trowel', 'compost', 'twine', 'plant pot'],
];
const CLICKS = 6_000;
const USERS = 900;
const BEGIN_MS = Date.UTC(2026, 2, 2);
const DURATION_MS = 3 * 24 * 3_600_000;
const SEED = 20_260_302;
/** A click arrives a little later than it was made, and a few arrive hours later, from telephones without a net. */
const USUAL_DELAY_MS = 90_000;
const LONG_DELAY_MS = 3 * 3_600_000;
const LONG_DELAY_PROBABILITY = 0.002;
/** Now and then something of another department is looked at. */
const STRAY_PROBABILITY = 0.15;

/** Clicks of visitors to a shop, in the order in which they arrive: always the same. */
export function clickLines(): readonly string[] {
  const random = seededRandom(SEED);
  /** The first of a list comes most often. */
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() ** 2 * list.length)] as T;
  const clicks: { readonly line: string; readonly arrivalMs: number }[] = [];
  while (clicks.length < CLICKS) {
    const user = `user-${1 + Math.floor(random() * USERS)}`;
    const department = pick(DEPARTMENTS);
    let atMs = BEGIN_MS + Math.floor(random() * DURATION_MS);
    for (let left = 2 + Math.floor(random() * 5); left > 0; left--) {
      const item = pick(random() < STRAY_PROBABILITY ? pick(DEPARTMENTS) : department);
      const isLong = random() < LONG_DELAY_PROBABILITY;
      const delayMs = isLong ? LONG_DELAY_MS : Math.floor(random() * USUAL_DELAY_MS);
      const line = JSON.stringify({ user, item, at: new Date(atMs).toISOString() });
      clicks.push({ line, arrivalMs: atMs + delayMs });
      atMs += 10_000 + Math.floor(random() * 290_000);
    }
  }
  return clicks
    .toSorted((a, b) => a.arrivalMs - b.arrivalMs)
    .slice(0, CLICKS)
    .map(({ line }) => line);
}
