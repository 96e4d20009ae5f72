import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isEngineMessage, STOP_MESSAGE } from './engine-message.ts';

/** An engine in a process of its own, seen from the process that started it. */
export interface EngineProcess {
  readonly name: string;
  readonly processId: number;
  readonly endpoint: string;
  /** Resolves when the process, and whatever it started, is gone. Safe to call twice. */
  stop(): Promise<void>;
}

export interface EngineProcessOptions {
  /** For messages: `Kinesis (kinesis-local)`. */
  readonly name: string;
  /** The module that calls `hostEngine`. */
  readonly entry: URL;
  readonly settings: object;
  readonly environment?: Readonly<Record<string, string>>;
  readonly onNotice: (text: string) => void;
}

/**
 * Cold caches on a slow disk take a few seconds; but the app is synthesized meanwhile, in this process, and on a machine
 * with other things to do that alone takes a minute, in which no answer is heard.
 */
const START_LIMIT_MS = 180_000;
/** Longer than the engine's own limit, so that killing it is the exception. */
const STOP_LIMIT_MS = 8_000;
/** What is kept of an engine's output to say why it ended. */
const OUTPUT_KEPT_CHARACTERS = 4_000;

/** Node runs TypeScript by itself from 22.18 on; before that tsx does it. */
function typescriptFlags(): string[] {
  if ('typescript' in process.features && process.features.typescript) return [];
  const tsx = createRequire(import.meta.url).resolve('tsx');
  return ['--import', pathToFileURL(tsx).href];
}

/**
 * Starts an engine and waits until it answers.
 * @throws Error with the engine's last output when it ends or stays silent instead.
 */
export async function startEngineProcess(options: EngineProcessOptions): Promise<EngineProcess> {
  const { name, onNotice } = options;
  const child = spawn(
    process.execPath,
    [...typescriptFlags(), fileURLToPath(options.entry), JSON.stringify(options.settings)],
    {
      // A process group of its own: Ctrl-C in the terminal reaches only the parent, which then stops its engines in
      // order, and whatever an engine has started can be ended with it.
      detached: true,
      windowsHide: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '', NODE_NO_WARNINGS: '1', ...options.environment },
    },
  );
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_KEPT_CHARACTERS);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);

  const killGroup = () => {
    if (child.pid === undefined) return;
    try {
      if (process.platform === 'win32') child.kill('SIGKILL');
      else process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group is gone already, which is what was wanted.
    }
  };

  const gone = once(child, 'exit').then(killGroup);
  // A process that could not be spawned reports it below, through `error`.
  gone.catch(() => undefined);

  let isReady = false;
  let isStopping = false;
  const stop = async () => {
    if (!isStopping) {
      isStopping = true;
      if (child.connected) child.send(STOP_MESSAGE, () => undefined);
    }
    const timer = setTimeout(killGroup, STOP_LIMIT_MS);
    await gone.catch(() => undefined);
    clearTimeout(timer);
  };

  try {
    const port = await new Promise<number>((resolve, reject) => {
      const said = () => (output.trim() === '' ? 'It said nothing.' : `It said:\n${output.trim()}`);
      const timer = setTimeout(
        () => reject(new Error(`${name} did not answer within ${START_LIMIT_MS / 1_000} s. ${said()}`)),
        START_LIMIT_MS,
      );
      let failure: string | undefined;
      child.on('message', (message) => {
        if (!isEngineMessage(message)) return;
        if (message.kind === 'notice') onNotice(message.text);
        if (message.kind === 'failed') failure = message.text;
        if (message.kind === 'ready') {
          clearTimeout(timer);
          isReady = true;
          resolve(message.port);
        }
      });
      child.on('error', (error) => {
        clearTimeout(timer);
        reject(new Error(`${name} could not be started: ${error.message}`, { cause: error }));
      });
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        const how = signal === null ? `exit code ${code}` : signal;
        const why = failure ?? said();
        reject(new Error(`${name} ended with ${how} before it answered. ${why}`));
        if (isReady && !isStopping)
          onNotice(`${name} has ended with ${how}; what is running will fail. ${why}`);
      });
    });
    return { name, processId: child.pid ?? -1, endpoint: `http://127.0.0.1:${port}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
