import {
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand,
  LambdaClient,
} from '@aws-sdk/client-lambda';
import { describe, expect, it } from 'vitest';
import { LambdaMappingSwitch } from '../../../infra/cli/mapping-switch.ts';

/** Mappings as Lambda has them: each look moves what is under way one step on. */
class Mappings {
  readonly states: Map<string, string>;
  readonly changes: string[] = [];
  readonly said: string[] = [];
  pauses = 0;
  refusals = 0;

  constructor(states: Record<string, string>) {
    this.states = new Map(Object.entries(states));
  }

  switchFor(remembered?: readonly string[]): LambdaMappingSwitch {
    const lambda = new LambdaClient({ region: 'eu-west-1' });
    lambda.send = (async (command: unknown) => this.#answer(command)) as typeof lambda.send;
    return new LambdaMappingSwitch({
      lambda,
      functionName: 'f',
      wait: async () => {
        if (++this.pauses > 1_000) throw new Error('It waits for ever.');
      },
      say: (text) => void this.said.push(text),
      remembered: () => remembered,
    });
  }

  #answer(command: unknown): object {
    if (command instanceof ListEventSourceMappingsCommand) {
      const listed = [...this.states].map(([UUID, State]) => ({ UUID, State }));
      for (const [id, state] of this.states) {
        if (state === 'Disabling') this.states.set(id, 'Disabled');
        if (state === 'Enabling' || state === 'Updating') this.states.set(id, 'Enabled');
      }
      return { EventSourceMappings: listed };
    }
    if (!(command instanceof UpdateEventSourceMappingCommand)) throw new Error('unexpected');
    if (this.refusals-- > 0) throw Object.assign(new Error('busy'), { name: 'ResourceInUseException' });
    const { UUID = '', Enabled } = command.input;
    this.changes.push(`${Enabled === true ? 'enable' : 'disable'} ${UUID}`);
    this.states.set(UUID, Enabled === true ? 'Enabling' : 'Disabling');
    return {};
  }
}

describe('the event source mappings of a pipeline', () => {
  it('are disabled, all of them, and waited for', async () => {
    const mappings = new Mappings({ a: 'Enabled', b: 'Disabled', c: 'Enabling' });
    await mappings.switchFor().disable();
    expect([...mappings.states.values()]).toEqual(['Disabled', 'Disabled', 'Disabled']);
    expect(mappings.changes).toEqual(['disable a', 'disable c']);
    expect(mappings.said).toHaveLength(1);
  });

  it('are left alone where they are as they should be', async () => {
    const mappings = new Mappings({ a: 'Disabled' });
    await mappings.switchFor().disable();
    expect([mappings.changes, mappings.said, mappings.pauses]).toEqual([[], [], 0]);
  });

  it('tell which are enabled once nothing changes any more', async () => {
    expect(await new Mappings({ a: 'Updating', b: 'Disabled' }).switchFor().enabled()).toEqual(['a']);
  });

  it('are enabled where the rewind found them so, and no others', async () => {
    const mappings = new Mappings({ a: 'Disabled', b: 'Disabled' });
    await mappings.switchFor(['a', 'gone']).enable();
    expect(mappings.changes).toEqual(['enable a']);
    expect(mappings.said.join('\n')).toMatch(/mapping b was not enabled[^]*mapping gone is not there/);
  });

  it('are asked again while Lambda is busy with them', async () => {
    const mappings = new Mappings({ a: 'Enabled' });
    mappings.refusals = 3;
    await mappings.switchFor().disable();
    expect(mappings.changes).toEqual(['disable a']);
  });

  it('are given up after some minutes, which says what they are', async () => {
    const mappings = new Mappings({ a: 'Enabled' });
    mappings.refusals = Infinity;
    await expect(mappings.switchFor().disable()).rejects.toThrow(
      'not disabled after 5 minutes: a is Enabled',
    );
  });
});
