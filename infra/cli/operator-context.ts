import type { Interruption } from './interruption.ts';

/** The world around an operator's command. */
export interface OperatorContext {
  /** A line of what was asked for. */
  readonly out: (line: string) => void;
  /** Whether somebody reads `out` still; where nobody does, what only gives out lines ends. */
  readonly isRead: () => boolean;
  /** A line for people, which a script does not read. */
  readonly people: (line: string) => void;
  /** Where a bar can be drawn; undefined where there is no terminal. */
  readonly bars: NodeJS.WriteStream | undefined;
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly question: NodeJS.WritableStream;
  readonly interruption: Interruption;
  readonly nowMs: () => number;
  /** The command ends with exit code 1: not all is done. */
  readonly fail: () => void;
}
