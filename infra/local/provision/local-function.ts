import type { IdentifiedResource } from '../template/resolved-template.ts';
import type { CloudAssembly } from './cloud-assembly.ts';
import { Properties } from './properties.ts';

/** A function as it is to be run. */
export interface LocalFunction {
  readonly logicalId: string;
  readonly name: string;
  readonly arn: string;
  /** The folder of its asset, unpacked. */
  readonly codeDirectory: string;
  /** `index.handler` */
  readonly handler: string;
  /** `nodejs24.x` */
  readonly runtime: string;
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  /** The template's variables and nothing else. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What AWS gives a function that says nothing (CreateFunction). */
const DEFAULT_TIMEOUT_SECONDS = 3;
const DEFAULT_MEMORY_MB = 128;

/**
 * Reads a function and finds its code in the assembly.
 * @returns a text that says why it cannot run here, for code that is not an asset in Node.
 * @throws Error when the assembly lacks the asset that the template names.
 */
export function describeFunction(
  resource: IdentifiedResource,
  assembly: CloudAssembly,
): LocalFunction | string {
  const properties = Properties.of(resource);
  const code = properties.inner('Code');
  const key = code?.text('S3Key');
  const runtime = properties.text('Runtime') ?? 'a container image';
  if (!runtime.startsWith('nodejs')) {
    return `Function ${resource.ref} runs on ${runtime}; the local cloud runs functions in Node only.`;
  }
  if (key === undefined) {
    return `Function ${resource.ref} has its code in the template; the local cloud runs code from assets only.`;
  }
  const codeDirectory = assembly.assets.get(key);
  if (codeDirectory === undefined) {
    throw new Error(
      `Function ${resource.ref} (${resource.logicalId}) has the code ${key}, and no asset manifest in ` +
        `${assembly.directory} names it. Synthesize the app again.`,
    );
  }
  return {
    logicalId: resource.logicalId,
    name: resource.ref,
    arn: resource.attributes['Arn'] ?? '',
    codeDirectory,
    handler: properties.requiredText('Handler'),
    runtime,
    timeoutSeconds: properties.number('Timeout') ?? DEFAULT_TIMEOUT_SECONDS,
    memoryMb: properties.number('MemorySize') ?? DEFAULT_MEMORY_MB,
    environment: properties.inner('Environment')?.texts('Variables') ?? {},
  };
}
