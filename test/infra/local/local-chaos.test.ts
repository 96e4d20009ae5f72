import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeathBudget } from '../../../infra/local/death-budget.ts';
import { noFaults } from '../../../infra/local/lambda/chaos-plan.ts';
import type { RequestPoint } from '../../../infra/local/lambda/chaos-plan.ts';
import { localChaos } from '../../../infra/local/local-chaos.ts';
import type { LocalChaos } from '../../../infra/local/local-chaos.ts';
import { reshardPlan } from '../../../infra/local/reshard.ts';
import { DEATHS_BEFORE_REJECTION, DEATHS_BEFORE_SUSPICION } from '../../../shared/engine/limits.ts';

/** What strikes some invocations of a function, each with some requests to every service. */
function struck(chaos: LocalChaos, invocations: number): { point: RequestPoint; fault: string }[] {
  const services = ['dynamodb', 'kinesis', 's3'] as const;
  const all: { point: RequestPoint; fault: string }[] = [];
  for (let invocation = 1; invocation <= invocations; invocation++) {
    chaos.beforeInvocation('f', { Records: [{ eventID: `shardId-000000000000:${invocation}` }] });
    for (const [index, service] of services.entries()) {
      const request = index + 1;
      const operation = service === 'kinesis' ? 'PutRecords' : '';
      const point = { functionName: 'f', invocation, request, service, operation, ofService: invocation };
      const fault = chaos.plan.onRequest(point);
      if (fault !== undefined) all.push({ point, fault: fault.kind });
    }
    const answer = chaos.plan.onAnswer({ functionName: 'f', invocation });
    if (answer !== undefined) {
      const point = {
        functionName: 'f',
        invocation,
        request: 0,
        service: 'other',
        operation: '',
        ofService: 0,
      } as const;
      all.push({ point, fault: answer.kind });
    }
  }
  return all;
}

describe('the chaos of a local run', () => {
  it('injects every kind of fault', () => {
    const kinds = new Set(struck(localChaos(1), 1_000).map(({ fault }) => fault));
    expect([...kinds].sort()).toEqual(Object.keys(noFaults()).sort());
  });

  it('is the same for the same seed, and another for another', () => {
    expect(struck(localChaos(5), 200)).toEqual(struck(localChaos(5), 200));
    expect(struck(localChaos(6), 200)).not.toEqual(struck(localChaos(5), 200));
  });

  it('strikes the storing of dead letters more often than other requests', () => {
    const all = struck(localChaos(2), 500);
    const at = (service: string) => all.filter(({ point }) => point.service === service).length;
    expect(at('s3')).toBeGreaterThan(2 * at('dynamodb'));
  });

  it('holds a short run up only a few times', () => {
    const slow = struck(localChaos(3), 100).filter(({ fault }) =>
      ['hangReply', 'freezeBeyondTimeout', 'timeOut'].includes(fault),
    );
    expect(slow.length).toBeGreaterThan(0);
    expect(slow.length).toBeLessThanOrEqual(3);
  });
});

describe('the plan for resharding', () => {
  it('has every kind of change, of first shards and of their children, whatever the seed', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const plan = reshardPlan(seed);
        expect(plan[0]).toMatchObject({ kind: 'split' });
        for (const kind of ['split', 'merge'] as const)
          expect(plan).toContainEqual(expect.objectContaining({ kind, ofChildren: true }));
        expect(plan).toContainEqual(expect.objectContaining({ kind: 'merge', ofChildren: false }));
        const shares = plan.map(({ share }) => share);
        expect(shares).toEqual(shares.toSorted((a, b) => a - b));
        for (const share of shares) expect(share > 0 && share < 1).toBe(true);
        expect(reshardPlan(seed)).toEqual(plan);
      }),
    );
  });
});

describe('the budget of deaths', () => {
  it('never lets a process die twice in turns of one record', () => {
    const batch = fc.record({ from: fc.nat(6), length: fc.integer({ min: 1, max: 4 }), faults: fc.nat(2) });
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 60 }), (batches) => {
        const budget = new DeathBudget();
        const begun = new Map<number, number>();
        const deathsInTurns = new Map<number, number>();
        for (const [index, { from, length, faults }] of batches.entries()) {
          const records = Array.from({ length }, (_, offset) => from + offset);
          budget.begin('f', records.map(String));
          begun.set(from, (begun.get(from) ?? 0) + 1);
          // The engine counts the attempt again where the request that counts it is sent again.
          for (let fault = 0; fault < faults; fault++) {
            budget.strike('f', index + 1);
            begun.set(from, (begun.get(from) ?? 0) + 1);
          }
          const isOneByOne = (begun.get(from) ?? 0) > DEATHS_BEFORE_SUSPICION;
          if (!budget.takeDeath('f', index + 1) || !isOneByOne) continue;
          // It may have been the turn of any of them.
          for (const record of records) deathsInTurns.set(record, (deathsInTurns.get(record) ?? 0) + 1);
        }
        for (const deaths of deathsInTurns.values()) expect(deaths).toBeLessThan(DEATHS_BEFORE_REJECTION);
      }),
    );
  });

  it('lets a batch die more than once', () => {
    const budget = new DeathBudget();
    budget.begin('f', ['a']);
    expect(budget.takeDeath('f', 1)).toBe(true);
    budget.begin('f', ['a']);
    expect(budget.takeDeath('f', 2)).toBe(true);
  });
});
