/**
 * The name of the stream, also from the ARN of one of its consumers.
 * @throws Error when the ARN is not one of a Kinesis stream.
 */
export function streamNameOf(arn: string): string {
  const name = /^arn:[^:]+:kinesis:[^:]*:[^:]*:stream\/([^/]+)/.exec(arn)?.[1];
  if (name === undefined) throw new Error(`${JSON.stringify(arn)} is not the ARN of a Kinesis stream.`);
  return name;
}

/** The name of the function from what AWS takes for one: a name, a name with a version or alias, or an ARN. */
export function functionNameOf(reference: string): string {
  const name =
    /^arn:[^:]+:lambda:[^:]*:[^:]*:function:([^:]+)/.exec(reference)?.[1] ?? reference.split(':')[0];
  return name ?? reference;
}
