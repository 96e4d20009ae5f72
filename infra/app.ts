import { fileURLToPath } from 'node:url';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { PIPELINES } from './pipelines.ts';
import { synthesizePipelines, type SynthesisOptions } from './synthesis.ts';

/** Makes the templates and assets of the pipelines in `pipelines.ts`, in process and without an account. */
export function synthesize(options: SynthesisOptions = {}): CloudAssembly {
  return synthesizePipelines(PIPELINES, options);
}

// Run by the CDK command line (cdk.json), which says through the environment where the output goes.
if (process.argv[1] === fileURLToPath(import.meta.url)) synthesize();
