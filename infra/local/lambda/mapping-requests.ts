import type { MappingStatus } from '../../../shared/mapping/mapping-status.ts';

/** An event source mapping, as far as Lambda's API tells of it and changes it here. */
export interface MappingControl {
  /** Its id, in a UUID's form. */
  readonly id: string;
  readonly streamArn: string;
  readonly functionArn: string;
  readonly functionName: string;
  /** Where it began to read, in the words of the API. */
  readonly startingPosition: string;
  status(): MappingStatus;
  enable(): void;
  disable(): void;
}

/** What a request about mappings is answered with. */
export interface MappingReply {
  readonly status: number;
  readonly body: object;
}

/** AWS Lambda API Reference: ListEventSourceMappings, GetEventSourceMapping, UpdateEventSourceMapping. */
const ROUTE = /^\/2015-03-31\/event-source-mappings\/?([^/]*)$/;

/** @returns `undefined` where the request is about something else. */
export function answerMappingRequest(
  mappings: readonly MappingControl[],
  method: string,
  { pathname, searchParams }: URL,
  body: string,
): MappingReply | undefined {
  const id = ROUTE.exec(pathname)?.[1];
  if (id === undefined) return undefined;
  if (id === '') {
    if (method !== 'GET') return undefined;
    const functionName = searchParams.get('FunctionName');
    const source = searchParams.get('EventSourceArn');
    const listed = mappings
      .filter((mapping) => functionName === null || isNamed(mapping, functionName))
      .filter(({ streamArn }) => source === null || streamArn === source);
    return { status: 200, body: { EventSourceMappings: listed.map(described) } };
  }
  const mapping = mappings.find((each) => each.id === id);
  if (mapping === undefined) {
    return refusal(404, 'ResourceNotFoundException', `There is no event source mapping ${id} here.`);
  }
  if (method === 'GET') return { status: 200, body: described(mapping) };
  return method === 'PUT' ? update(mapping, body) : undefined;
}

function update(mapping: MappingControl, body: string): MappingReply {
  const { Enabled: isEnabled, ...others } = JSON.parse(body === '' ? '{}' : body) as Record<string, unknown>;
  const unknown = Object.keys(others).filter((name) => name !== 'UUID' && name !== 'FunctionName');
  if (unknown.length > 0 || (isEnabled !== undefined && typeof isEnabled !== 'boolean')) {
    return refusal(
      400,
      'InvalidParameterValueException',
      `Of a mapping only Enabled, true or false, is changed here; there is ${unknown.join(', ') || 'another value'}.`,
    );
  }
  const before = mapping.status().state;
  if (isEnabled === true) mapping.enable();
  else if (isEnabled === false) mapping.disable();
  const reached = described(mapping);
  // Lambda answers before the change has taken effect.
  const isChanged = isEnabled !== undefined && isEnabled !== (before === 'Enabled');
  return {
    status: 202,
    body: isChanged ? { ...reached, State: isEnabled ? 'Enabling' : 'Disabling' } : reached,
  };
}

function described(mapping: MappingControl): object {
  const { state, lastProcessingResult } = mapping.status();
  return {
    UUID: mapping.id,
    EventSourceArn: mapping.streamArn,
    FunctionArn: mapping.functionArn,
    State: state,
    StartingPosition: mapping.startingPosition,
    LastProcessingResult: lastProcessingResult,
  };
}

function isNamed({ functionName, functionArn }: MappingControl, asked: string): boolean {
  return asked === functionName || asked === functionArn;
}

function refusal(status: number, code: string, message: string): MappingReply {
  return { status, body: { __type: code, Type: 'User', Message: message } };
}
