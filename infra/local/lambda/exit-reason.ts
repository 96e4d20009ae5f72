import { constants } from 'node:os';

/** How Go's os/exec, and so Lambda's log, names the signals that end a process. */
const SIGNAL_NAMES: Partial<Record<NodeJS.Signals, string>> = {
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
  SIGTRAP: 'trace/breakpoint trap',
};

/** The words behind `RequestId: … Error: ` when a runtime's process has ended by itself. */
export function exitReason(status: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) {
    return `Runtime exited with error: signal: ${SIGNAL_NAMES[signal] ?? `signal ${constants.signals[signal]}`}`;
  }
  return status === 0
    ? 'Runtime exited without providing a reason'
    : `Runtime exited with error: exit status ${String(status)}`;
}
