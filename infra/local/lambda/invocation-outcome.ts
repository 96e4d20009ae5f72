/** What the caller of a synchronous invocation learns. `durationMs` counts from the handing over of the event. */
export type InvocationOutcome =
  | {
      readonly kind: 'response';
      readonly payload: unknown;
      readonly requestId: string;
      readonly durationMs: number;
    }
  | {
      readonly kind: 'functionError';
      /** The name of what was thrown, or Lambda's own: `Sandbox.Timedout`, `Runtime.ExitError` and their like. */
      readonly errorType: string;
      readonly errorMessage: string;
      readonly requestId: string;
      readonly durationMs: number;
    };
