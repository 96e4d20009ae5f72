import fc from 'fast-check';
import { expect, it } from 'vitest';
import { numbersIn, rangesOf, rangesOfText, rangesText } from '../../../shared/state/number-ranges.ts';

it('numbers come back from the text of their ranges, also where there are none', () => {
  const ascending = fc.uniqueArray(fc.nat({ max: 50 })).map((numbers) => numbers.toSorted((a, b) => a - b));
  fc.assert(
    fc.property(ascending, (numbers) => {
      expect(numbersIn(rangesOfText(rangesText(rangesOf(numbers))))).toEqual(numbers);
    }),
    { examples: [[[]]] },
  );
  expect(rangesText(rangesOf([0, 1, 2, 5]))).toBe('0-2,5');
});
