import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';

export interface CdkCommandOptions {
  /** A synthesized app. */
  readonly assemblyDirectory: string;
  /** What the command line is told of endpoint, region and credentials, over this process's own variables. */
  readonly environment: Readonly<Record<string, string>>;
  /** A line of what it says. */
  readonly onLine: (line: string) => void;
}

/** What is kept of the command's output to say why it failed. */
const OUTPUT_KEPT_CHARACTERS = 4_000;

/** Makes what CDK needs in an account and region before it can deploy: a bucket for assets, roles. Twice is once. */
export async function bootstrap(place: string, options: CdkCommandOptions): Promise<void> {
  await run(['bootstrap', place], options);
}

/** Uploads the assets and deploys every stack of the app, each behind those that it needs. */
export async function deploy(options: CdkCommandOptions): Promise<void> {
  await run(['deploy', '--all', '--method', 'direct', '--require-approval', 'never'], options);
}

/** Deletes every stack of the app; what their removal policies keep stays. */
export async function destroy(options: CdkCommandOptions): Promise<void> {
  await run(['destroy', '--all', '--force'], options);
}

/** @throws Error with the last of what CDK said, where it fails. */
async function run(args: readonly string[], options: CdkCommandOptions): Promise<void> {
  const command = createRequire(import.meta.url).resolve('aws-cdk/bin/cdk');
  const child = spawn(
    process.execPath,
    [command, ...args, '--app', options.assemblyDirectory, '--no-notices', '--progress', 'events'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, CI: 'true', CDK_DISABLE_CLI_TELEMETRY: 'true', ...options.environment },
      windowsHide: true,
    },
  );
  let output = '';
  let line = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_KEPT_CHARACTERS);
      const lines = (line + text).split('\n');
      line = lines.pop() ?? '';
      lines.forEach(options.onLine);
    });
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (code === 0) return;
  throw new Error(`cdk ${args[0]} ended with ${signal ?? `exit code ${code}`}. It said:\n${output.trim()}`);
}
