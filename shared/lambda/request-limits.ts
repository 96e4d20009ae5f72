/**
 * How long a client waits for a service, milliseconds. The SDK waits for ever by default: a connection that hangs
 * would keep an invocation until Lambda ends the process, which looks like a record that kills it. What runs out of
 * time is sent again by the SDK, and after its last try the batch comes again.
 */
export const REQUEST_LIMITS = {
  connectionTimeout: 2_000,
  requestTimeout: 5_000,
  throwOnRequestTimeout: true,
} as const;
