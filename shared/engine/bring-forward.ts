import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { StatefulStage } from '../pipeline/definition.ts';
import { canonicalDocument } from '../state/canonical-document.ts';
import type { Document } from '../state/document.ts';
import { keyOfItem, shownKey } from '../state/row-key.ts';
import type { StateItem } from '../state/state-item.ts';
import type { Program } from './program.ts';

/**
 * An item as this code reads it: its states under the names that the operators have now, and migrated to their
 * versions. What is stored changes with the key's next write; until then every load migrates anew, and gives the same.
 * @throws ConfigurationError where the item holds state in a version that this code does not know or cannot migrate,
 * and where a migration throws or gives what is no state; Error where the item comes without its states: to fold them
 * as if there were none would lose them.
 */
export function bringForward(program: Program, item: StateItem): StateItem {
  const { operators, definition } = program;
  if (item.spilled !== undefined) {
    throw new Error(
      `An item of pipeline '${definition.name}' has its states elsewhere, and its store does not read them: wrap it ` +
        'in a SpillingStateStore.',
    );
  }
  let current = item;
  for (const operator of operators) {
    current = renamed(program, operator, current);
    const stored = current.versions.get(operator.name);
    if (stored === undefined || stored === operator.version || !current.states.has(operator.name)) continue;
    current = migrated(program, operator, current, stored);
  }
  return current;
}

/** Why this code cannot read an operator's state of a version; `undefined` where it can. */
export function versionProblem({ version, migrate }: StatefulStage, stored: number): string | undefined {
  if (stored === version) return undefined;
  if (stored > version) return 'it is older than the code that wrote it; deploy that or newer code';
  for (let from = stored; from < version; from++) {
    if (migrate?.has(from) !== true) {
      return stored === from
        ? `it has no migration from it; give the operator 'migrate: { ${from}: (old: Before) => … }'`
        : `it has a migration from it, and none from version ${from}`;
    }
  }
  return undefined;
}

/** The operator under whose earlier name there is state takes it over. */
function renamed(
  { definition }: Program,
  { name, renamedFrom = [] }: StatefulStage,
  item: StateItem,
): StateItem {
  const before = renamedFrom.find((earlier) => item.versions.has(earlier));
  if (before === undefined) return item;
  if (item.versions.has(name)) {
    throw new ConfigurationError(
      `An item of pipeline '${definition.name}' holds state of operator '${name}' and of '${before}', which that was ` +
        "once named; which is it? Take 'renamedFrom' away, or give the operator a name that never had state. Nothing " +
        'of the batch was processed.',
    );
  }
  return {
    ...item,
    states: withName(item.states, before, name),
    versions: withName(item.versions, before, name),
    outbox: item.outbox.map((entry) =>
      entry.kind === 'output' && 'stateOf' in entry.value && entry.value.stateOf === before
        ? { ...entry, value: { stateOf: name } }
        : entry,
    ),
  };
}

function withName<T>(map: ReadonlyMap<string, T>, before: string, name: string): ReadonlyMap<string, T> {
  const entries = [...map].map(([each, value]): [string, T] => [each === before ? name : each, value]);
  return new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function migrated(
  { definition, limits }: Program,
  operator: StatefulStage,
  item: StateItem,
  stored: number,
): StateItem {
  const { name, version, migrate } = operator;
  const refuse = (why: string, cause?: unknown): ConfigurationError =>
    new ConfigurationError(
      `An item of pipeline '${definition.name}' holds state of operator '${name}' in version ${stored}, ` +
        `this code is version ${version}: ${why}. Nothing of the batch was processed.`,
      { cause },
    );
  const problem = versionProblem(operator, stored);
  if (problem !== undefined) throw refuse(problem);
  const key = keyOfItem(item.pk) ?? '';
  // A copy: what is stored and cached must not change, whatever the migration does with what it is given.
  let state = canonicalDocument(item.states.get(name)).document;
  for (let from = stored; from < version; from++) {
    try {
      const next = migrate?.get(from)?.(state, key);
      if (next === undefined) throw new TypeError('it gave undefined; state cannot go in a migration');
      const { document, bytes } = canonicalDocument(next, name);
      if (bytes > limits.stateBytes) throw new RangeError(`it gave ${bytes} bytes of ${limits.stateBytes}`);
      state = document;
    } catch (error) {
      throw refuse(
        `its migration from version ${from} failed for item ${shownKey(item.pk)}: ${String(error)}`,
        error,
      );
    }
  }
  const states = new Map<string, Document>(item.states).set(name, state);
  return { ...item, states, versions: new Map(item.versions).set(name, version) };
}
