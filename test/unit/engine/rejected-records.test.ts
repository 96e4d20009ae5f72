import fc from 'fast-check';
import { expect, it } from 'vitest';
import { elementsBytes, RejectedRecords } from '../../../shared/engine/rejected-records.ts';

const at = (sequence: number) => ({ sequence: String(10 + sequence), sub: 0 });
const rejection = { stage: 'key', reason: '' } as const;

it('tells of elements, however they come, what a list of them would', () => {
  const added = fc.array(fc.record({ record: fc.nat(2), elements: fc.array(fc.nat(12), { maxLength: 4 }) }), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(added, (all) => {
      const rejected = new RejectedRecords();
      const plain = new Map<number, Set<number>>();
      for (const { record, elements } of all) {
        rejected.add(at(record), elements);
        plain.set(record, new Set([...(plain.get(record) ?? []), ...elements]));
      }
      const listed = [...plain].map(([record, elements]) => ({
        position: at(record),
        elements: [...elements].toSorted((a, b) => a - b),
      }));
      expect(rejected.list()).toEqual(listed);
      const empty = new RejectedRecords();
      for (const { position } of listed) empty.add(position, []);
      const bytes = listed.reduce((sum, { elements }) => sum + elementsBytes(elements), 0);
      expect(rejected.bytes - empty.bytes).toBe(bytes);
      for (const { position, elements } of listed) {
        expect(rejected.elementsOf(position)).toEqual(elements);
        for (let number = 0; number <= 12; number++)
          expect(rejected.has(position, { number, rejection })).toBe(elements.includes(number));
      }
      expect(new RejectedRecords(rejected.list()).list()).toEqual(listed);
      rejected.forgetBelow(at(2));
      expect(rejected.list()).toEqual(listed.filter(({ position }) => position.sequence === '12'));
    }),
  );
});

it('keeps that a whole record has a letter, whatever element gets one then', () => {
  const rejected = new RejectedRecords();
  rejected.add(at(0), [1]);
  rejected.add(at(0), undefined);
  rejected.add(at(0), [2]);
  expect(rejected.list()).toEqual([{ position: at(0) }]);
  expect(rejected.has(at(0), { number: 5, rejection })).toBe(true);
});
