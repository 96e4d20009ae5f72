/**
 * Runs over all inputs, at most `limit` at a time, and gives the results in order. Where one throws, no further one
 * is begun, and all that were begun are awaited before the first error is thrown: a promise left behind would go on in
 * a later invocation of the same Lambda environment.
 */
export async function inParallel<T, R>(
  inputs: readonly T[],
  limit: number,
  run: (input: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const errors: unknown[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < inputs.length && errors.length === 0) {
      const index = next++;
      try {
        results[index] = await run(inputs[index] as T);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, inputs.length) }, worker));
  if (errors.length > 0) throw errors[0];
  return results;
}
