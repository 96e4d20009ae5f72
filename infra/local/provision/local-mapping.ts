import type { IdentifiedResource } from '../template/resolved-template.ts';
import { Properties } from './properties.ts';
import { functionNameOf, streamNameOf } from './resource-name.ts';

/** An event source mapping between a stream and a function. */
export interface LocalMapping {
  readonly logicalId: string;
  /** Its id, in a UUID's form; the same at every start. */
  readonly id: string;
  readonly streamName: string;
  readonly streamArn: string;
  readonly functionName: string;
  /** False where the template makes it disabled. */
  readonly isEnabled: boolean;
  /** All of the resource's properties, resolved: the mapping's own settings are read from here. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** @returns a text that says why it does nothing here, for a source that is not a Kinesis stream. */
export function describeMapping(resource: IdentifiedResource): LocalMapping | string {
  const properties = Properties.of(resource);
  const sourceArn = properties.requiredText('EventSourceArn');
  const functionName = functionNameOf(properties.requiredText('FunctionName'));
  if (!sourceArn.includes(':kinesis:')) {
    return `Mapping ${resource.logicalId} feeds ${functionName} from ${sourceArn}; the local cloud feeds functions from Kinesis only.`;
  }
  const streamName = streamNameOf(sourceArn);
  return {
    logicalId: resource.logicalId,
    id: resource.ref,
    streamName,
    streamArn: sourceArn.replace(/\/consumer\/.*$/, ''),
    functionName,
    isEnabled: properties.boolean('Enabled') ?? true,
    properties: resource.properties,
  };
}
