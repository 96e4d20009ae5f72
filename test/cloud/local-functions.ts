import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chainTo, nameOf } from '../../infra/chain.ts';
import { startLocalCloud, type LocalCloud } from '../../infra/local/local-cloud.ts';
import { startGround, type LocalGround } from '../../infra/local/local-ground.ts';
import { PIPELINES } from '../../infra/pipelines.ts';
import { systemClock } from '../../shared/time/clock.ts';
import type { Cloud } from './cloud.ts';

type App = Parameters<Cloud['up']>[0];

/**
 * A cloud whose mappings and functions run in this process, on whatever ground.
 * @param startOn makes the ground; the pipelines stand behind those that feed them.
 */
export function localFunctions(
  name: string,
  startOn: (app: App & { readonly pipelines: readonly string[] }) => Promise<LocalGround>,
): Cloud {
  let cloud: LocalCloud | undefined;
  // The operator's command finds clouds in a folder there, and is to find this one.
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-cloud-'));
  const before = process.env['TMPDIR'];
  return {
    name,
    cannot: {},
    where: { local: true },
    up: async (app) => {
      process.env['TMPDIR'] = folder;
      const pipelines = [
        ...new Set((app.pipelines ?? []).flatMap((each) => chainTo(PIPELINES, each).map(nameOf))),
      ];
      cloud = await startLocalCloud({
        pipelines,
        dynamo: 'auto',
        ground: await startOn({ ...app, pipelines }),
        clock: systemClock,
        onNotice: () => undefined,
        onLog: () => undefined,
        onFailure: (error) => {
          throw error;
        },
      });
    },
    down: async () => {
      await cloud?.stop();
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Our own local cloud: what `npm start` brings up. */
export function ownCloud(): Cloud {
  return localFunctions('the local cloud', (app) =>
    startGround({ ...app, dynamo: 'auto', onNotice: () => undefined }),
  );
}
