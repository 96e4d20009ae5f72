import { existsSync } from 'node:fs';
import path from 'node:path';
import { createEngineClients, destroyEngineClients, type EngineClients } from './engine-clients.ts';
import type { EngineEndpoints } from './engine-endpoints.ts';
import { type EngineProcess, startEngineProcess } from './engine-process.ts';
import { findJavaVersion, LOWEST_JAVA_VERSION } from './java-runtime.ts';

export type DynamoKind = 'dynamodb-local' | 'dynalite';

export interface EngineOptions {
  /**
   * A folder that keeps streams, tables and objects over a restart; made where it is missing. Without it everything is
   * in memory. Not for two runs at once.
   */
  readonly persistDirectory?: string;
  /** `java`: AWS's own DynamoDB Local; `dynalite`: no Java needed; `auto` (default): Java where it is new enough. */
  readonly dynamo?: 'java' | 'dynalite' | 'auto';
  /** Told, in sentences for a person, what is weaker here than on AWS and when an engine ends by itself. */
  readonly onNotice: (text: string) => void;
}

/** The embedded services, each in a process of its own, which ends with this one. */
export interface Engines {
  readonly endpoints: EngineEndpoints;
  readonly dynamoKind: DynamoKind;
  /** False with dynalite, which knows no PartiQL: write items one by one. */
  readonly supportsPartiql: boolean;
  /** The engines' processes, for messages and tests. */
  readonly processIds: readonly number[];
  /** Always the same clients; `stop` destroys them. */
  clients(): EngineClients;
  /** Ends every engine and waits until its process is gone. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts Kinesis, DynamoDB, S3 and SQS on 127.0.0.1 and waits until all of them answer.
 * @throws Error when an engine does not start, or Java is asked for and missing; none is left running then.
 */
export async function startEngines(options: EngineOptions): Promise<Engines> {
  const { persistDirectory, onNotice } = options;
  const dynamoKind = await chooseDynamo(options.dynamo ?? 'auto', onNotice);
  const settingsFor = (folder: string) =>
    persistDirectory === undefined ? {} : { directory: path.resolve(persistDirectory, folder) };
  if (persistDirectory !== undefined) giveNoticeOfPersistence(persistDirectory, dynamoKind, onNotice);

  const start = (name: string, entry: string, folder: string) =>
    startEngineProcess({
      name,
      entry: new URL(entry, import.meta.url),
      settings: settingsFor(folder),
      onNotice,
    });
  const starting = [
    start('Kinesis (kinesis-local)', './kinesis-engine.ts', 'kinesis'),
    start(`DynamoDB (${dynamoKind})`, `./${dynamoKind}-engine.ts`, dynamoKind),
    start('S3 and SQS (fauxqs)', './object-and-queue-engine.ts', 's3'),
  ] as const;
  const stopAll = async () => {
    const settled = await Promise.allSettled(starting);
    await Promise.all(settled.map(async (engine) => engine.status === 'fulfilled' && engine.value.stop()));
  };
  let processes: readonly [EngineProcess, EngineProcess, EngineProcess];
  try {
    processes = await Promise.all(starting);
  } catch (error) {
    await stopAll();
    throw error;
  }

  const [kinesis, dynamodb, objectsAndQueues] = processes;
  const endpoints: EngineEndpoints = {
    kinesis: kinesis.endpoint,
    dynamodb: dynamodb.endpoint,
    s3: objectsAndQueues.endpoint,
    sqs: objectsAndQueues.endpoint,
  };
  let clients: EngineClients | undefined;
  return {
    endpoints,
    dynamoKind,
    supportsPartiql: dynamoKind === 'dynamodb-local',
    processIds: processes.map(({ processId }) => processId),
    clients: () => (clients ??= createEngineClients(endpoints)),
    stop: async () => {
      // Open connections would hold the engines up.
      if (clients !== undefined) destroyEngineClients(clients);
      await stopAll();
    },
  };
}

async function chooseDynamo(
  wanted: 'java' | 'dynalite' | 'auto',
  onNotice: (text: string) => void,
): Promise<DynamoKind> {
  if (wanted === 'dynalite') return 'dynalite';
  const version = await findJavaVersion();
  const isNewEnough = version !== undefined && version >= LOWEST_JAVA_VERSION;
  if (isNewEnough) {
    onNotice(
      'DynamoDB Local listens on every network interface of this machine; it cannot be told otherwise.',
    );
    return 'dynamodb-local';
  }
  const found = version === undefined ? 'no Java was found' : `Java ${version} was found`;
  if (wanted === 'java') {
    throw new Error(
      `DynamoDB Local needs Java ${LOWEST_JAVA_VERSION} or later on the PATH, and ${found}. ` +
        'Install one, or choose dynalite, which needs none.',
    );
  }
  onNotice(
    `DynamoDB runs on dynalite, since ${found} (DynamoDB Local needs ${LOWEST_JAVA_VERSION}): ` +
      'no PartiQL, no transactions, no TTL, no streams.',
  );
  return 'dynalite';
}

function giveNoticeOfPersistence(
  directory: string,
  dynamoKind: DynamoKind,
  onNotice: (text: string) => void,
): void {
  onNotice(
    `Streams, tables and objects are kept in ${directory}; messages in queues are not. ` +
      'Where this process is killed instead of stopped, the last 5 s of the streams are lost.',
  );
  const other: DynamoKind = dynamoKind === 'dynalite' ? 'dynamodb-local' : 'dynalite';
  if (existsSync(path.resolve(directory, other)) && !existsSync(path.resolve(directory, dynamoKind))) {
    onNotice(
      `The tables in ${directory} were written by ${other}, and this run uses ${dynamoKind}: it starts with empty ones.`,
    );
  }
}
