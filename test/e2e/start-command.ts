import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RunFigures } from '../../infra/cli/run-figures.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface RunOptions {
  /** Written to standard input, which then ends. */
  readonly stdin?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** The file of the command in infra/cli; `npm start` where absent. */
  readonly command?: 'start.ts' | 'chaos.ts';
}

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command behind `npm start`, in a process of its own. */
export class StartCommand {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  #stdout = '';
  #stderr = '';
  readonly #listeners = new Set<() => void>();

  constructor(args: readonly string[], { stdin, environment, command = 'start.ts' }: RunOptions = {}) {
    this.#child = spawn(process.execPath, ['--import', 'tsx', `infra/cli/${command}`, ...args], {
      cwd: ROOT,
      stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#stdout += chunk.toString('utf8');
      for (const listener of this.#listeners) listener();
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString('utf8');
    });
    this.#child.stdin?.end(stdin);
    this.#ended = once(this.#child, 'close').then(([exitCode]) => ({
      exitCode: exitCode as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
  }

  ended(): Promise<Ended> {
    return this.#ended;
  }

  /** Resolves when standard output has the text; rejects when the command ends without it. */
  async untilSays(text: string): Promise<void> {
    const said = new Promise<void>((resolve) => {
      const check = (): void => {
        if (!this.#stdout.includes(text)) return;
        this.#listeners.delete(check);
        resolve();
      };
      this.#listeners.add(check);
      check();
    });
    const silent = this.#ended.then(({ stdout, stderr }) => {
      throw new Error(`The command ended and did not say ${JSON.stringify(text)}:\n${stdout}\n${stderr}`);
    });
    await Promise.race([said, silent]);
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** Every process that the command has started, and those that they have started. */
  descendants(): number[] {
    const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
    const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
    const found: number[] = [];
    for (let parents = [this.#child.pid ?? 0]; parents.length > 0;) {
      parents = pairs.filter(([, parent]) => parents.includes(parent)).map(([pid]) => pid);
      found.push(...parents);
    }
    return found;
  }
}

/** Runs the command to its end. */
export async function start(args: readonly string[], options?: RunOptions): Promise<Ended> {
  return new StartCommand(args, options).ended();
}

/** Runs the command until all is processed; gives the figures on the last line of standard output. */
export async function startUntilDrained(
  args: readonly string[],
  options?: RunOptions,
): Promise<Ended & { readonly figures: RunFigures }> {
  const ended = await start(['--until-drained', '--json', ...args], options);
  const last = ended.stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`No figures, exit code ${ended.exitCode}:\n${ended.stderr}`);
  return { ...ended, figures: JSON.parse(last) as RunFigures };
}

export function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}
