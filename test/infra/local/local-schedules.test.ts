import { describe, expect, it } from 'vitest';
import { LocalSchedules } from '../../../infra/local/local-schedules.ts';
import type { LocalSchedule } from '../../../infra/local/provision/local-schedule.ts';
import { ManualTimer } from '../lambda/manual-timer.ts';

const MINUTE_MS = 60_000;

function scheduled(...changes: Partial<LocalSchedule>[]) {
  const invoked: [string, unknown][] = [];
  const notices: string[] = [];
  const timer = new ManualTimer();
  const schedules = new LocalSchedules({
    schedules: changes.map((change) => ({
      logicalId: 'R',
      name: 'r',
      functionName: 'f',
      expression: 'rate(5 minutes)',
      isEnabled: true,
      input: '{"tidemark":"checkpoint"}',
      ...change,
    })),
    invoke: async (functionName, event) => {
      if (functionName === 'broken') throw new Error('gone');
      invoked.push([functionName, event]);
    },
    timer,
    onNotice: (text) => notices.push(text),
  });
  return { schedules, timer, invoked, notices };
}

describe('schedules of the local cloud', () => {
  it('invoke their functions at their rates, from the first period on, again and again', () => {
    const { timer, invoked } = scheduled({}, { functionName: 'g', expression: 'rate(1 day)' });
    expect(invoked).toEqual([]);
    expect(timer.fire(5 * MINUTE_MS)).toBe(1);
    expect(timer.fire(5 * MINUTE_MS)).toBe(1);
    expect(timer.fire(24 * 60 * MINUTE_MS)).toBe(1);
    const event = { tidemark: 'checkpoint' };
    expect(invoked).toEqual([
      ['f', event],
      ['f', event],
      ['g', event],
    ]);
  });

  it('end, and begin nothing any more', () => {
    const { schedules, timer, invoked } = scheduled({});
    timer.fire(5 * MINUTE_MS);
    schedules.stop();
    expect(timer.fire(5 * MINUTE_MS)).toBe(0);
    expect(invoked).toHaveLength(1);
  });

  it('do not run where they are disabled, or are no rate, which is said', () => {
    const { timer, notices } = scheduled({ isEnabled: false }, { expression: 'cron(0 12 * * ? *)' });
    expect(timer.fire(5 * MINUTE_MS)).toBe(0);
    expect(notices.join()).toContain('cron(0 12 * * ? *) is no rate');
  });

  it('say that a function could not be invoked, and go on', async () => {
    const { timer, notices } = scheduled({ functionName: 'broken' });
    timer.fire(5 * MINUTE_MS);
    await Promise.resolve();
    await Promise.resolve();
    expect(notices.join()).toContain('gone');
    expect(timer.fire(5 * MINUTE_MS)).toBe(1);
  });
});
