import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { LetterResult, LettersRequest } from '../../../shared/engine/letter-results.ts';
import { processLetters } from '../../../shared/engine/redrive.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import type { SinkPort } from '../../../shared/output/sink-port.ts';
import type { TestWorld } from '../../support/memory-ports.ts';
import { GRANTED_MS } from './deliver.ts';

let sessions = 0;

/** One invocation of a redrive, of all letters unless told. */
export async function redrive(
  world: TestWorld,
  request: Partial<LettersRequest> = {},
  runtime: Runtime = world.runtime,
): Promise<LetterResult[]> {
  sessions += 1;
  return processLetters(
    { ...runtime, cache: new ItemCache() },
    {
      action: 'redrive',
      names: [...world.letters.keys()].toSorted(),
      isForced: false,
      session: `session${sessions}`,
      ...request,
    },
    world.nowMs + GRANTED_MS,
  );
}

export async function outcomes(
  world: TestWorld,
  request: Partial<LettersRequest> = {},
  runtime: Runtime = world.runtime,
): Promise<string[]> {
  return (await redrive(world, request, runtime)).map(({ outcome }) => outcome);
}

/** What happens at a call of a port: before it, and after it. Whatever throws there, the call's caller gets. */
export interface Gate {
  before(call: string): Promise<void> | void;
  after(call: string): Promise<void> | void;
}

/** The runtime with every call of every port behind a gate. */
export function gated(runtime: Runtime, gate: Gate): Runtime {
  const behindGate = <T extends object>(port: T, calls: readonly (keyof T & string)[]): T =>
    new Proxy(port, {
      get: (target, name) => {
        const own: unknown = Reflect.get(target, name);
        if (typeof own !== 'function') return own;
        const call = calls.find((each) => each === name);
        if (call === undefined) return own.bind(target) as unknown;
        return async (...given: unknown[]) => {
          await gate.before(call);
          const result: unknown = await own.apply(target, given);
          await gate.after(call);
          return result;
        };
      },
    });
  return {
    ...runtime,
    store: behindGate(runtime.store, [
      'load',
      'commit',
      'readControl',
      'beginAttempt',
      'createProgress',
      'advance',
    ]),
    deadLetters: behindGate(runtime.deadLetters, ['get', 'put', 'remove']),
    closedLetters: behindGate(runtime.closedLetters, ['put']),
    sinks: new Map(
      [...runtime.sinks].map(([name, sink]): [string, SinkPort] => [name, behindGate(sink, ['deliver'])]),
    ),
  };
}

/** The process dies at its call number `at`, before it takes effect or after; no later call takes effect either. */
export function dying(at: number, when: 'before' | 'after'): Gate & { readonly calls: string[] } {
  const calls: string[] = [];
  const die = (): never => {
    throw new Error('the process is dead');
  };
  return {
    calls,
    before: (call) => {
      calls.push(call);
      if (calls.length > at || (calls.length === at && when === 'before')) die();
    },
    after: () => {
      if (calls.length >= at) die();
    },
  };
}

/** Lets something else happen at call number `at`, before it takes effect or after; then it goes on. */
export function pausing(
  at: number,
  when: 'before' | 'after',
  meanwhile: () => Promise<unknown>,
): Gate & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    before: async (call) => {
      calls.push(call);
      if (calls.length === at && when === 'before') await meanwhile();
    },
    after: async () => {
      if (calls.length === at && when === 'after') await meanwhile();
    },
  };
}

export const MOMENTS = ['before', 'after'] as const;
