import { DynamoDbGenerationStore } from '../state/dynamodb-generation-store.ts';
import type { CommandContext } from './commands.ts';

/** The table of the pipeline, as checkpoints, rewinds and removals see it: its own module, which no batch loads. */
export function generationsOf({
  runtime,
  services: { settings, dynamodb },
}: Pick<CommandContext, 'runtime' | 'services'>): DynamoDbGenerationStore {
  return new DynamoDbGenerationStore({
    client: dynamodb,
    table: settings.stateTable,
    writes: settings.writes,
    delay: runtime.wait,
  });
}
