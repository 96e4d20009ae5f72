import picocolors from 'picocolors';
import { systemClock } from '../../shared/time/clock.ts';
import { chainTo, nameOf } from '../chain.ts';
import { PIPELINES } from '../pipelines.ts';
import { requireComparable, requireOneBatch } from './event-time-limits.ts';
import { letReaderGo } from './gone-reader.ts';
import { listenForInterruption } from './interruption.ts';
import type { PeopleStream } from './progress-display.ts';
import { runLocally } from './run-local.ts';
import { readStartOptions, type StartOptions } from './start-options.ts';
import { UsageError } from './usage-error.ts';

const EXIT = { fine: 0, failed: 1, badUsage: 2 } as const;

/** `npm start`: see start-options.ts for what it can do. @returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  let options: StartOptions | undefined;
  try {
    options = readStartOptions(argv, process.env, PIPELINES.map(nameOf));
  } catch (error) {
    return fail(error);
  }
  if (options === undefined) return EXIT.fine;

  const people: PeopleStream = options.json ? process.stderr : process.stdout;
  const isColoured = people.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  const interruption = listenForInterruption(
    () => systemClock.nowMs(),
    () => people.write('\nStopping … (Ctrl-C again ends at once)\n'),
  );
  letReaderGo(process.stdout, () => interruption.request());
  // The pipeline's stateless steps run here too, to find partition keys, and the user's code may end any process.
  const onExit = (): void => {
    if (!interruption.signal.aborted) process.stderr.write(ENDED_BY_USER_CODE);
  };
  process.once('exit', onExit);
  try {
    const [first, ...others] = chainTo(PIPELINES, options.pipeline);
    const place = others.findIndex(({ forkOf }) => forkOf !== undefined);
    const following = place === -1 ? others : others.slice(0, place);
    const forks = others.slice(following.length).map(nameOf);
    if (forks.length > 0 && options.chaos !== undefined) {
      throw new UsageError(
        `--chaos compares what is processed, and ${options.pipeline} awaits its fork: leave it out.`,
      );
    }
    const chain = [first.pipeline, ...following.map(({ pipeline }) => pipeline)] as const;
    if (options.chaos !== undefined) requireComparable(chain);
    requireOneBatch(chain, options.parallelizationFactor);
    const { figures, isRight } = await runLocally(options, chain, {
      clock: systemClock,
      people,
      raw: process.stderr,
      colors: picocolors.createColors(isColoured),
      interruption,
      forks,
    });
    if (options.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
    return isRight ? EXIT.fine : EXIT.failed;
  } catch (error) {
    return fail(error);
  } finally {
    process.off('exit', onExit);
    interruption.release();
  }
}

const ENDED_BY_USER_CODE =
  '\nThe command was ended from inside, most likely by process.exit in one of the pipeline’s own functions: map, ' +
  'flatMap, filter and keyBy run in this process too, to find the partition keys of what is sent.\n';

function fail(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\nnpm start -- --help lists what there is.\n`);
    return EXIT.badUsage;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`The local cloud failed: ${text}\n`);
  return EXIT.failed;
}

// Said once by every client that is loaded: the Node that runs here is the user's own choice.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
letReaderGo(process.stdout);
letReaderGo(process.stderr);
process.exitCode = await main(process.argv.slice(2));
