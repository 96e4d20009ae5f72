import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';

/**
 * Has a function answer an event.
 * @returns its answer, or in words what went wrong where the function failed.
 * @throws where it could not be invoked.
 */
export async function invokeFunction<Answer>(
  lambda: Pick<LambdaClient, 'send'>,
  functionName: string,
  event: object,
): Promise<{ readonly answer: Answer } | { readonly failure: string; readonly errorType: string }> {
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: functionName, Payload: Buffer.from(JSON.stringify(event)) }),
  );
  const answer = JSON.parse(Buffer.from(Payload ?? []).toString('utf8') || 'null') as unknown;
  if (FunctionError === undefined) return { answer: answer as Answer };
  const { errorType = FunctionError, errorMessage = '' } = (answer ?? {}) as {
    errorType?: string;
    errorMessage?: string;
  };
  return {
    failure: `the function failed: ${errorType}${errorMessage === '' ? '' : `: ${errorMessage}`}`,
    errorType,
  };
}
