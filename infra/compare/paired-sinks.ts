import type { SinkKind } from '../cli/pipeline-access.ts';

export interface SinkPair extends SinkKind {
  readonly old: string;
  readonly new: string;
}

export interface PairedSinks {
  readonly pairs: readonly SinkPair[];
  /** Sinks that have no twin. */
  readonly alone: { readonly old: readonly string[]; readonly new: readonly string[] };
}

type Kinds = ReadonlyMap<string, SinkKind>;

/**
 * Which sink of a pipeline goes with which of its fork: those that are given, then those of one name, then the one of a
 * kind that is left where each has one left.
 * @throws RangeError for a pair that there is not.
 */
export function pairSinks(old: Kinds, now: Kinds, given: ReadonlyMap<string, string>): PairedSinks {
  const names = new Map<string, string>();
  for (const [a, b] of given) {
    const [one, other] = [old.get(a), now.get(b)];
    if (one === undefined) throw new RangeError(`The old pipeline has no sink ${a}; ${listed(old)}.`);
    if (other === undefined) throw new RangeError(`The new pipeline has no sink ${b}; ${listed(now)}.`);
    if (one.kind !== other.kind)
      throw new RangeError(`Sink ${a} is a ${one.kind}, and ${b} a ${other.kind}.`);
    names.set(a, b);
  }
  const isTaken = (name: string): boolean => [...names.values()].includes(name);
  for (const [name, { kind }] of old) {
    if (!names.has(name) && !isTaken(name) && now.get(name)?.kind === kind) names.set(name, name);
  }
  for (const kind of ['stream', 'table'] as const) {
    const [a, another] = [...old].filter(([name, each]) => each.kind === kind && !names.has(name));
    const [b, yetAnother] = [...now].filter(([name, each]) => each.kind === kind && !isTaken(name));
    if (a !== undefined && b !== undefined && another === undefined && yetAnother === undefined) {
      names.set(a[0], b[0]);
    }
  }
  return {
    pairs: [...names].map(([a, b]) => {
      const [one, other] = [old.get(a), now.get(b)] as [SinkKind, SinkKind];
      const isChange = one.outputs === 'change' || other.outputs === 'change';
      return { old: a, new: b, kind: one.kind, outputs: isChange ? 'change' : 'event' };
    }),
    alone: {
      old: [...old.keys()].filter((name) => !names.has(name)),
      new: [...now.keys()].filter((name) => !isTaken(name)),
    },
  };
}

function listed(kinds: Kinds): string {
  return kinds.size === 0 ? 'it has none' : `its sinks are ${[...kinds.keys()].join(', ')}`;
}
