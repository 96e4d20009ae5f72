/**
 * The pipeline or its deployment is wrong in a way that concerns every record: the batch is refused whole, nothing
 * of it is acknowledged, and it comes again once that is mended.
 */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}
