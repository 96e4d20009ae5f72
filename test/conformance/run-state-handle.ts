import { kinesis, pipeline } from '../../shared/index.ts';
import { BATCH_SECONDS, CaseWorld, difference, type Ran, type Variant } from './case-world.ts';
import type { DStreamCase } from './conformance-case.ts';

/** What a state handle is asked for, in the words of the case: `wrap 1, update 2`. */
interface Asked {
  readonly after: string;
  readonly exists: boolean;
  readonly get?: unknown;
}

interface Sent {
  readonly key: string;
  /** What the function does with the handle; absent where it only sets the state that is there before. */
  readonly deeds?: readonly string[];
  readonly before?: number;
}

interface Found {
  readonly key: string;
  readonly exists: boolean;
  readonly value: number | null;
}

const found = kinesis<Found>('found');

/** What a handle says of its state, after deeds; what it says of wrong ones is not the same here. */
export async function runStateHandle({ expected }: DStreamCase, variant: Variant): Promise<Ran> {
  const world = new CaseWorld(
    pipeline('conformance')
      .from(kinesis<Sent>('deeds'))
      .arrivalTime()
      .keyBy(({ key }) => key)
      .mapWithState<number, Found>(
        'states',
        ({ deeds, before }, state, key) => {
          if (before !== undefined) state.update(before);
          if (deeds === undefined) return undefined;
          for (const deed of deeds) {
            if (deed === 'remove') state.remove();
            else state.update(Number(deed.replace('update ', '')));
          }
          return { key, exists: state.exists(), value: state.get() ?? null };
        },
        {
          timeout: { seconds: BATCH_SECONDS },
          onTimeout: (value, key) => (key.includes('timing out') ? { key, exists: true, value } : undefined),
        },
      )
      .to(found),
    variant,
  );
  const asked = expected as readonly Asked[];
  const deedsOf = ({ after }: Asked): string[] =>
    after.split(', ').filter((part) => part.startsWith('update') || part === 'remove');
  await world.send(
    asked.flatMap(({ after: key }): Sent[] => {
      const before = /wrap (\d)/.exec(key)?.[1];
      return before === undefined ? [] : [{ key, before: Number(before) }];
    }),
  );
  await world.send(
    asked
      .filter(({ after }) => !after.includes('timing out'))
      .map((each): Sent => ({ key: each.after, deeds: deedsOf(each) })),
  );
  await world.endBatch();
  await world.endBatch();
  await world.sweep();
  const wanted = asked.map(({ after, exists, get }): Found => ({
    key: after,
    exists,
    value: typeof get === 'number' ? get : null,
  }));
  const given = world.newOutputs().map(({ value }) => value);
  return { differences: difference('handles', wanted, given), redeliveries: world.redeliveries };
}
