import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Kills what it was told to watch as soon as its standard input ends, which the kernel sees to however the process
 * at the other end dies. A process of its own, because a frozen environment notices nothing by itself.
 */
const SCRIPT = `
watched=' '
while read -r sign pid; do
  case $sign in
    +) watched="$watched$pid " ;;
    -) case $watched in *" $pid "*) watched="\${watched%%" $pid "*} \${watched#*" $pid "}" ;; esac ;;
  esac
done
for pid in $watched; do kill -s KILL -- "-$pid"; done 2>/dev/null
`;

/** Sees to it that no environment outlives this process, not even a frozen one after a SIGKILL. */
export interface OrphanGuard {
  /** `leaderPid` leads a process group; the whole group is killed. */
  watch(leaderPid: number): void;
  forget(leaderPid: number): void;
  /** Resolves when the guard's process is gone. What it still watches is killed. */
  close(): Promise<void>;
}

/** Where there are no process groups nothing is ever frozen, and a lone environment ends by itself. */
const NO_GUARD: OrphanGuard = { watch() {}, forget() {}, close: () => Promise.resolve() };

export function startOrphanGuard(platform: NodeJS.Platform): OrphanGuard {
  if (platform === 'win32') return NO_GUARD;
  // In a session of its own: Ctrl-C in the terminal must not end the guard before it has done its work.
  const shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const closed = once(shell, 'close');
  // The guard may be gone already when it is told something: then there is nobody to tell.
  shell.stdin.on('error', () => {});
  shell.unref();
  return {
    watch(leaderPid) {
      shell.stdin.write(`+ ${leaderPid}\n`);
    },
    forget(leaderPid) {
      shell.stdin.write(`- ${leaderPid}\n`);
    },
    async close() {
      shell.ref();
      shell.stdin.end();
      await closed;
    },
  };
}
