import {
  paginateListEventSourceMappings,
  UpdateEventSourceMappingCommand,
  type LambdaClient,
} from '@aws-sdk/client-lambda';
import type { MappingSwitch } from '../../shared/checkpoint/drive-rewind.ts';

/** Lambda changes a mapping within a minute, mostly. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2_000;
const WAIT_LIMIT_MS = 300_000;

/** What is answered while a mapping is being changed, or Lambda is asked too often: it is asked again. */
const BUSY: ReadonlySet<string> = new Set([
  'ResourceInUseException',
  'ResourceConflictException',
  'TooManyRequestsException',
]);

/** States in which something is under way. */
const UNSETTLED: ReadonlySet<string> = new Set(['Creating', 'Enabling', 'Disabling', 'Updating']);

export interface MappingSwitchOptions {
  readonly lambda: LambdaClient;
  readonly functionName: string;
  readonly wait: (ms: number) => Promise<void>;
  /** Told what is waited for, and what is not enabled. */
  readonly say: (text: string) => void;
  /** The mappings that a rewind found enabled; `undefined` where it does not say. */
  readonly remembered: () => readonly string[] | undefined;
}

/** An event source mapping, as Lambda tells of it. */
export interface Mapping {
  readonly id: string;
  readonly state: string;
  /** Where it began to read; not every API says so. */
  readonly start: string | undefined;
}

/** The event source mappings of a function that are not being deleted. */
export async function listMappings(client: LambdaClient, FunctionName: string): Promise<Mapping[]> {
  const found: Mapping[] = [];
  for await (const page of paginateListEventSourceMappings({ client }, { FunctionName })) {
    for (const { UUID = '', State = '', StartingPosition } of page.EventSourceMappings ?? []) {
      if (State !== 'Deleting') found.push({ id: UUID, state: State, start: StartingPosition });
    }
  }
  return found;
}

/** All event source mappings of a function, by Lambda's API. */
export class LambdaMappingSwitch implements MappingSwitch {
  readonly #options: MappingSwitchOptions;

  constructor(options: MappingSwitchOptions) {
    this.#options = options;
  }

  /** The ids of those that are enabled, once nothing about them changes any more. */
  async enabled(): Promise<string[]> {
    const settled = await this.#until('settled', (all) => all.every(({ state }) => !UNSETTLED.has(state)));
    return settled.filter(({ state }) => state === 'Enabled').map(({ id }) => id);
  }

  async disable(): Promise<void> {
    await this.#until(
      'disabled',
      (all) => all.every(({ state }) => state === 'Disabled'),
      async (all) => {
        for (const { id, state } of all) if (state === 'Enabled') await this.#change(id, false);
      },
    );
  }

  /** Only those that the rewind found enabled: what somebody had disabled before is not its business. */
  async enable(): Promise<void> {
    const { remembered, say } = this.#options;
    const ids = remembered();
    const isOurs = ({ id }: Mapping): boolean => ids === undefined || ids.includes(id);
    const all = await this.#until(
      'enabled',
      (mappings) => mappings.filter(isOurs).every(({ state }) => state === 'Enabled'),
      async (mappings) => {
        for (const mapping of mappings.filter(isOurs)) {
          if (mapping.state === 'Disabled') await this.#change(mapping.id, true);
        }
      },
    );
    for (const { id } of all.filter((mapping) => !isOurs(mapping) && mapping.state !== 'Enabled')) {
      say(
        `Event source mapping ${id} was not enabled when the rewind began, and stays disabled: ` +
          `aws lambda update-event-source-mapping --uuid ${id} --enabled`,
      );
    }
    for (const id of ids ?? []) {
      if (!all.some((mapping) => mapping.id === id)) say(`Event source mapping ${id} is not there any more.`);
    }
  }

  /** Looks, changes and waits until all are as they should be. @returns them as they are then. */
  async #until(
    wanted: string,
    isReached: (all: readonly Mapping[]) => boolean,
    change: (all: readonly Mapping[]) => Promise<void> = async () => undefined,
  ): Promise<readonly Mapping[]> {
    const { lambda, say, wait, functionName } = this.#options;
    let pauseMs = FIRST_PAUSE_MS;
    for (let waitedMs = 0; ; pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs)) {
      const all = await listMappings(lambda, functionName);
      if (isReached(all)) return all;
      const states = all.map(({ id, state }) => `${id} is ${state}`).join(', ');
      if (waitedMs >= WAIT_LIMIT_MS) {
        throw new Error(
          `The event source mappings of ${functionName} are not ${wanted} after ${WAIT_LIMIT_MS / 60_000} minutes: ${states}.`,
        );
      }
      await change(all);
      if (waitedMs === 0) say(`Waiting until the event source mapping is ${wanted} …`);
      await wait(pauseMs);
      waitedMs += pauseMs;
    }
  }

  async #change(id: string, isEnabled: boolean): Promise<void> {
    try {
      await this.#options.lambda.send(new UpdateEventSourceMappingCommand({ UUID: id, Enabled: isEnabled }));
    } catch (error) {
      if (!(error instanceof Error) || !BUSY.has(error.name)) throw error;
    }
  }
}
