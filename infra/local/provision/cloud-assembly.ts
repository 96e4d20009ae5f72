import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isRecord, readTemplate, type Template } from '../template/template.ts';

/** What `cdk synth` wrote: the stacks' templates, and where their files are. */
export interface CloudAssembly {
  readonly directory: string;
  /** Each behind the stacks that it depends on: the order in which they are deployed. */
  readonly stacks: readonly AssemblyStack[];
  /** Absolute paths of the files and folders that would be uploaded, by their keys in the assets bucket. */
  readonly assets: ReadonlyMap<string, string>;
}

export interface AssemblyStack {
  readonly stackName: string;
  readonly template: Template;
}

/**
 * Reads a cloud assembly, with those nested in it (one for each stage).
 * @throws Error when the folder holds none or a broken one.
 */
export function readCloudAssembly(directory: string): CloudAssembly {
  const stacks: AssemblyStack[] = [];
  const assets = new Map<string, string>();
  for (const [artifactId, artifact] of inOrder(readArtifacts(directory))) {
    if (!isRecord(artifact)) continue;
    const properties = isRecord(artifact['properties']) ? artifact['properties'] : {};
    const locate = (property: string) => {
      const name = properties[property];
      if (typeof name === 'string') return path.resolve(directory, name);
      throw new Error(`Artifact ${artifactId} in ${directory} has no ${property}; synthesize the app again.`);
    };
    if (artifact['type'] === 'aws:cloudformation:stack') {
      const { stackName } = properties;
      stacks.push({
        stackName: typeof stackName === 'string' ? stackName : artifactId,
        template: readTemplate(readJson(locate('templateFile'))),
      });
    } else if (artifact['type'] === 'cdk:asset-manifest') {
      for (const [key, source] of readAssets(locate('file'))) assets.set(key, source);
    } else if (artifact['type'] === 'cdk:cloud-assembly') {
      const nested = readCloudAssembly(locate('directoryName'));
      stacks.push(...nested.stacks);
      for (const [key, source] of nested.assets) assets.set(key, source);
    }
  }
  return { directory, stacks, assets };
}

function readArtifacts(directory: string): Readonly<Record<string, unknown>> {
  const file = path.join(directory, 'manifest.json');
  if (!existsSync(file)) {
    throw new Error(
      `There is no cloud assembly in ${directory}: manifest.json is missing. Run cdk synth first.`,
    );
  }
  const manifest = readJson(file);
  const artifacts = isRecord(manifest) ? manifest['artifacts'] : undefined;
  return isRecord(artifacts) ? artifacts : {};
}

/** The artifacts, each behind those that it depends on; of these CDK allows no circle. */
function inOrder(artifacts: Readonly<Record<string, unknown>>): Map<string, unknown> {
  const ordered = new Map<string, unknown>();
  const visited = new Set<string>();
  const visit = (id: string): void => {
    if (visited.has(id) || !Object.hasOwn(artifacts, id)) return;
    visited.add(id);
    const artifact = artifacts[id];
    const dependencies = isRecord(artifact) ? artifact['dependencies'] : undefined;
    if (Array.isArray(dependencies)) for (const dependency of dependencies) visit(String(dependency));
    ordered.set(id, artifact);
  };
  for (const id of Object.keys(artifacts)) visit(id);
  return ordered;
}

function* readAssets(file: string): Generator<[objectKey: string, source: string]> {
  const manifest = readJson(file);
  const files = isRecord(manifest) && isRecord(manifest['files']) ? manifest['files'] : {};
  for (const asset of Object.values(files)) {
    if (!isRecord(asset) || !isRecord(asset['source']) || !isRecord(asset['destinations'])) continue;
    const { path: source } = asset['source'];
    // An asset that is built by a command at upload time has no path, and nothing to run before that.
    if (typeof source !== 'string') continue;
    for (const destination of Object.values(asset['destinations'])) {
      const key = isRecord(destination) ? destination['objectKey'] : undefined;
      if (typeof key === 'string') yield [key, path.resolve(path.dirname(file), source)];
    }
  }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file} cannot be read as JSON; synthesize the app again.`, { cause: error });
  }
}
