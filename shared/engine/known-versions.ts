import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { StateItem } from '../state/state-item.ts';
import type { Program } from './program.ts';

/**
 * @throws ConfigurationError where the item holds state of an operator in another version than this code's, and Error
 * where it comes without its states: to fold them as if there were none would lose them.
 */
export function requireKnownVersions({ operators, definition }: Program, item: StateItem): void {
  if (item.spilled !== undefined) {
    throw new Error(
      `An item of pipeline '${definition.name}' has its states elsewhere, and its store does not read them: wrap it ` +
        'in a SpillingStateStore.',
    );
  }
  for (const { name, version } of operators) {
    const stored = item.versions.get(name);
    if (stored !== undefined && stored !== version && item.states.has(name)) {
      const isNewer = stored > version;
      throw new ConfigurationError(
        `An item of pipeline '${definition.name}' holds state of operator '${name}' in version ${stored}, ` +
          `this code is version ${version}: ${
            isNewer
              ? 'it is older than the code that wrote it; deploy that or newer code'
              : 'it has no migration from it'
          }. Nothing of the batch was processed.`,
      );
    }
  }
}
