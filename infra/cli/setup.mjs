// Runs before `npm start`, `npm test` and `npm run verify`, with nothing but Node: installs the locked packages
// when they are missing or when the lock file has changed since they were installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const lowestNodeMajor = 20;
if (Number(process.versions.node.split('.')[0]) < lowestNodeMajor) {
  console.error(
    `Tidemark needs Node ${lowestNodeMajor} or later; this is Node ${process.versions.node}. Install a current Node and run the command again.`,
  );
  process.exit(1);
}

const stamp = `${root}node_modules/.tidemark-lock`;
const lock = createHash('sha256')
  .update(readFileSync(`${root}package-lock.json`))
  .digest('hex');
const isInstalled = existsSync(stamp) && readFileSync(stamp, 'utf8') === lock;
if (!isInstalled) {
  console.error('Installing the locked packages (once; needs the npm registry) …');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    // Standard output belongs to the command that follows: `npm start -- --json` prints its object there.
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error('npm ci failed; see above. Nothing else was done.');
    process.exit(status ?? 1);
  }
  writeFileSync(stamp, lock);
}
