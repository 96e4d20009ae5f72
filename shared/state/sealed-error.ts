/** A write that only an open progress row takes was refused. */
export function sealedOrMissing(pk: string): Error {
  return new Error(
    `Progress row ${JSON.stringify(pk)} is sealed or missing, so nothing of its generation can be acknowledged; ` +
      'read the control row for the current generation.',
  );
}
