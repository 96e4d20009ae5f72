import { SingleBar } from 'cli-progress';
import type { OperatorContext } from './operator-context.ts';

const FRAME_MS = 200;

/** A bar of something that is counted. */
export interface ProgressBar {
  /** So many more are done; one unless given. @param note shown behind the bar from now on. */
  step(count?: number, note?: string): void;
  stop(): void;
}

/** A bar with rate and time left on a terminal; nothing elsewhere. */
export function progressBar({ bars, nowMs }: OperatorContext, total: number, title = ''): ProgressBar {
  if (bars === undefined || total < 2) return { step: () => undefined, stop: () => undefined };
  const bar = new SingleBar({
    stream: bars,
    format: `${title}{bar} {percentage}% {value} of {total}, {rate} a second, {eta_formatted} left{note}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    gracefulExit: false,
    fps: 1_000 / FRAME_MS,
  });
  const startMs = nowMs();
  let done = 0;
  bar.start(total, 0, { rate: '0', note: '' });
  return {
    step: (count = 1, note) => {
      done += count;
      const rate = (done / Math.max(0.001, (nowMs() - startMs) / 1_000)).toFixed(1);
      // A total may be an estimate.
      bar.setTotal(Math.max(total, done));
      bar.update(done, { rate, ...(note !== undefined && { note: `, ${note}` }) });
    },
    stop: () => bar.stop(),
  };
}
