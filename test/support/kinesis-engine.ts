import { KinesisClient, waitUntilStreamExists } from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { startEngineProcess } from '../../infra/local/engines/engine-process.ts';
import { LOCAL_CREDENTIALS, LOCAL_REGION } from '../../infra/local/engines/local-account.ts';

/** Kinesis on this machine. */
export interface KinesisEngine {
  readonly client: KinesisClient;
  /** Waits until a stream takes records. */
  untilActive(streamName: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts kinesis-mock in a process of its own; `stop` ends it and destroys the client. */
export async function startKinesis(): Promise<KinesisEngine> {
  const engine = await startEngineProcess({
    name: 'Kinesis (kinesis-local)',
    entry: new URL('../../infra/local/engines/kinesis-engine.ts', import.meta.url),
    settings: {},
    onNotice: () => undefined,
  });
  const client = new KinesisClient({
    region: LOCAL_REGION,
    credentials: LOCAL_CREDENTIALS,
    endpoint: engine.endpoint,
    requestHandler: new NodeHttpHandler(),
  });
  return {
    client,
    untilActive: async (StreamName) => {
      await waitUntilStreamExists({ client, maxWaitTime: 30, minDelay: 0.05, maxDelay: 0.1 }, { StreamName });
    },
    stop: async () => {
      client.destroy();
      await engine.stop();
    },
  };
}
