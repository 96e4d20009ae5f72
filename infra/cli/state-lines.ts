import type { PipelineDefinition } from '../../shared/pipeline/definition.ts';
import type { Document } from '../../shared/state/document.ts';

/** By key: the states by operator. */
export type StatesByKey = ReadonlyMap<string, ReadonlyMap<string, Document>>;

/** One key with what a person calls its state. */
export interface KeyState {
  readonly key: string;
  /** The operator's state; an object by operator name where the pipeline has several. */
  readonly state: Document;
}

/**
 * Keys in the order of their UTF-16 code units. What an operator of the engine's own remembers is nobody's state: it
 * tells when records came, which no two runs have in common.
 */
export function keyStates(definition: PipelineDefinition, states: StatesByKey): KeyState[] {
  const operators = definition.keyedStages.filter((stage) => stage.kind === 'stateful');
  const ours = new Set(operators.filter(({ outputs }) => outputs === 'same').map(({ name }) => name));
  const [only] = operators.length === 1 + ours.size ? operators.filter(({ name }) => !ours.has(name)) : [];
  return [...states.keys()].sort().flatMap((key): KeyState[] => {
    const byOperator = states.get(key) ?? new Map<string, Document>();
    const names = [...byOperator.keys()].filter((name) => !ours.has(name)).sort();
    if (names.length === 0) return [];
    const single = names.length === 1 && only !== undefined ? byOperator.get(only.name) : undefined;
    if (single !== undefined) return [{ key, state: single }];
    return [
      { key, state: Object.fromEntries(names.map((name) => [name, byOperator.get(name) as Document])) },
    ];
  });
}

/**
 * One `{"key":…,"state":…}`: the same state gives the same bytes, since states hold their names in order. What JSON
 * has not is written as an object of one name: `{"$bigint":"12"}`, `{"$bytes":"<base64>"}`.
 */
export function stateLine({ key, state }: KeyState): string {
  return JSON.stringify({ key, state: jsonOf(state) });
}

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

function jsonOf(document: Document): Json {
  if (typeof document === 'bigint') return { $bigint: String(document) };
  if (typeof document !== 'object' || document === null) return document;
  if (document instanceof Uint8Array) return { $bytes: Buffer.from(document).toString('base64') };
  if (isList(document)) return document.map(jsonOf);
  // Not assignment: a name may be `__proto__`.
  return Object.fromEntries(Object.keys(document).map((name) => [name, jsonOf(document[name] as Document)]));
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList(document: object): document is readonly Document[] {
  return Array.isArray(document);
}
