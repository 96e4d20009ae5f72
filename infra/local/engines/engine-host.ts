import { type EngineMessage, STOP_MESSAGE } from './engine-message.ts';

/** An engine that runs in, or under, this process. */
export interface HostedEngine {
  /** The port on 127.0.0.1 at which it answers already. */
  readonly port: number;
  /** Ends it and writes what it keeps. May end the process itself. */
  stop(): Promise<void>;
}

/** How long an engine may take to write what it keeps before its process ends regardless, in milliseconds. */
const STOP_LIMIT_MS = 5_000;

/** As Node has it: kinesis-mock puts one in its place that waits until every connection is closed. */
const exit = process.exit.bind(process);

function tell(message: EngineMessage, told: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, told);
  else told();
}

/**
 * Runs one engine in this process until the process that started it says stop or is gone. The channel between the two
 * closes when the parent ends, however it ends (SIGKILL included), so that no engine outlives its parent.
 * @param start gets the settings that the parent handed over and a way to send it a notice.
 */
export function hostEngine<Settings>(
  start: (settings: Settings, notice: (text: string) => void) => Promise<HostedEngine>,
): void {
  if (process.send === undefined) {
    throw new Error(
      'An engine runs only as a child of startEngines (infra/local/engines/engines.ts), which gives it a channel.',
    );
  }
  let engine: HostedEngine | undefined;
  let isStopping = false;
  const stop = async () => {
    if (isStopping) return;
    isStopping = true;
    setTimeout(() => exit(1), STOP_LIMIT_MS);
    await engine?.stop();
    exit(0);
  };
  const fail = (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    tell({ kind: 'failed', text }, () => exit(1));
  };
  process.on('disconnect', () => void stop().catch(fail));
  process.on('message', (message) => {
    if (message === STOP_MESSAGE) void stop().catch(fail);
  });
  const settings = JSON.parse(process.argv[2] ?? '{}') as Settings;
  start(settings, (text) => tell({ kind: 'notice', text })).then((started) => {
    engine = started;
    // The parent may have gone while the engine was starting.
    if (isStopping || !process.connected) void started.stop().finally(() => exit(0));
    else tell({ kind: 'ready', port: started.port });
  }, fail);
}
