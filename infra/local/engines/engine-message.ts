/** What an engine's process tells the process that started it. */
export type EngineMessage =
  | { readonly kind: 'ready'; readonly port: number }
  | { readonly kind: 'notice'; readonly text: string }
  | { readonly kind: 'failed'; readonly text: string };

/** The only thing that an engine's process is told: end, and keep what is to be kept. */
export const STOP_MESSAGE = 'stop';

export function isEngineMessage(message: unknown): message is EngineMessage {
  return (
    typeof message === 'object' &&
    message !== null &&
    'kind' in message &&
    (message.kind === 'ready' || message.kind === 'notice' || message.kind === 'failed')
  );
}
