import { describe, expect, it } from 'vitest';
import { lineBefore } from '../../shared/checkpoint/checkpoint-line.ts';
import { LineDigest } from '../../shared/checkpoint/line-digest.ts';
import { CHECKPOINT_FORMAT, DELTA_FORMAT, linesThatCount } from '../../shared/checkpoint/manifest.ts';
import { checkpointLines, verifyCheckpoint } from '../../shared/checkpoint/read-checkpoint.ts';
import { restorePart } from '../../shared/checkpoint/restore.ts';
import { kinesis, pipeline } from '../../shared/index.ts';
import { carriedRevision } from '../../shared/state/revision.ts';
import { without } from '../../shared/state/without.ts';
import { testWorld, wholeItems } from '../support/memory-ports.ts';
import { GOLDEN_ID, GOLDEN_ITEMS, goldenFolders, goldenStore, newCheckpoint } from './golden-checkpoint.ts';

describe('checkpoints of every form that was ever written', () => {
  it('are there, those of the present forms among them', () => {
    expect(goldenFolders()).toContain(`format-${CHECKPOINT_FORMAT}`);
    expect(goldenFolders()).toContain(`format-${DELTA_FORMAT}`);
  });

  it.each(goldenFolders())('are restored by this version as they were taken: %s', async (folder) => {
    const checkpoints = await goldenStore(folder);
    const manifest = await checkpoints.getManifest(GOLDEN_ID);
    if (manifest === undefined) throw new Error('There is no manifest.');
    expect((await verifyCheckpoint(checkpoints, manifest)).problems).toEqual([]);

    const world = testWorld(
      pipeline('golden')
        .from(kinesis<number>('input'))
        .keyBy(String)
        .updateStateByKey<number>('total', () => 1),
    );
    for (const part of manifest.parts) {
      expect(await restorePart({ ...world, checkpoints }, manifest, part, 4, 0, () => true)).toEqual({
        lines: linesThatCount(part),
        isDone: true,
      });
    }
    const items = wholeItems(world);
    expect(items.size).toBe(GOLDEN_ITEMS.length);
    const digest = new LineDigest();
    for (const { pk, revision, outbox, ...rest } of GOLDEN_ITEMS) {
      const item = items.get(pk.replace('1/', '4/'));
      expect(item).toMatchObject({ ...rest, revision: carriedRevision(revision, 1, 4) });
      expect(item?.outbox).toEqual(
        outbox.map((entry) =>
          entry.kind === 'output' ? { ...entry, revision: carriedRevision(entry.revision, 1, 4) } : entry,
        ),
      );
      if (item !== undefined) digest.add(lineBefore(item, 1));
    }
    expect(String(digest)).toBe(manifest.digest);
  });

  it('have a new form where a line is written in another way', async () => {
    const checkpoints = await goldenStore(`format-${CHECKPOINT_FORMAT}`);
    const manifest = await checkpoints.getManifest(GOLDEN_ID);
    if (manifest === undefined) throw new Error('There is no manifest.');
    const lines: string[] = [];
    for await (const line of checkpointLines(checkpoints, manifest)) lines.push(line);
    const { manifest: now } = newCheckpoint();
    expect(now.digest, lines.join('\n')).toBe(manifest.digest);
    // How parts are packed may change; what is in them, and what is said of them, may not.
    expect(manifest).toMatchObject(without(now, 'parts'));
  });
});
