import { keyStates, stateLine, type StatesByKey } from './state-lines.ts';
import type { PipelineDefinition } from '../../shared/pipeline/definition.ts';

export interface StateComparison {
  readonly keys: number;
  /** In the order of the keys. A side that lacks the key has no line. */
  readonly differences: readonly {
    readonly key: string;
    readonly expected: string | undefined;
    readonly found: string | undefined;
  }[];
}

/** Compares states byte for byte in the form in which they are dumped. */
export function compareStates(
  definition: PipelineDefinition,
  expected: StatesByKey,
  found: StatesByKey,
): StateComparison {
  const linesOf = (states: StatesByKey) =>
    new Map(keyStates(definition, states).map((each) => [each.key, stateLine(each)]));
  const expectedLines = linesOf(expected);
  const foundLines = linesOf(found);
  const keys = [...new Set([...expectedLines.keys(), ...foundLines.keys()])].sort();
  return {
    keys: keys.length,
    differences: keys
      .filter((key) => expectedLines.get(key) !== foundLines.get(key))
      .map((key) => ({ key, expected: expectedLines.get(key), found: foundLines.get(key) })),
  };
}
