import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FunctionConfiguration } from '../../../infra/local/lambda/function-configuration.ts';

/** Writes the code of functions to a directory of its own, which goes when the test is over. */
export class FunctionCode {
  readonly #directories: string[] = [];

  /** A function whose bundle is these files; `index.mjs` alone where the code is one text. */
  async write(
    code: string | Readonly<Record<string, string>>,
    settings: Partial<FunctionConfiguration> = {},
  ): Promise<FunctionConfiguration> {
    const codeDirectory = await mkdtemp(path.join(await realpath(tmpdir()), 'tidemark-function-'));
    this.#directories.push(codeDirectory);
    const files = typeof code === 'string' ? { 'index.mjs': code } : code;
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(codeDirectory, name), text);
    return {
      name: 'counter',
      codeDirectory,
      handler: 'index.handler',
      timeoutSeconds: 10,
      memoryMb: 256,
      environment: {},
      region: 'eu-central-1',
      arn: 'arn:aws:lambda:eu-central-1:000000000000:function:counter',
      ...settings,
    };
  }

  async remove(): Promise<void> {
    await Promise.all(this.#directories.splice(0).map((directory) => rm(directory, { recursive: true })));
  }
}
