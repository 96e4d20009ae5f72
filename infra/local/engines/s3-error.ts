const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** The body of an S3 error as the SDK reads it. */
export function s3ErrorXml(code: string, message: string): string {
  const text = message.replaceAll(/[&<>]/g, (character) => ENTITIES[character] ?? character);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${text}</Message></Error>`;
}
