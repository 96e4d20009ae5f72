import { CheckpointError } from './checkpoint-error.ts';
import { CHECKPOINT_FORMAT, DELTA_FORMAT, type Manifest } from './manifest.ts';

/** As it is stored: for people to read, too. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, undefined, 1)}\n`;
}

/** @throws CheckpointError where the text is no manifest of this checkpoint, or of a form that this version cannot read. */
export function readManifest(id: string, text: string): Manifest {
  let manifest: Manifest | null;
  try {
    manifest = JSON.parse(text) as Manifest | null;
  } catch {
    manifest = null;
  }
  if (typeof manifest !== 'object' || manifest === null || manifest.id !== id) {
    throw new CheckpointError(
      `The manifest of checkpoint ${id} is damaged: it is not the JSON that was written there. The bucket keeps its ` +
        'earlier version for a day.',
    );
  }
  const format: unknown = manifest.format;
  if (format !== CHECKPOINT_FORMAT && format !== DELTA_FORMAT) {
    throw new CheckpointError(
      `Checkpoint ${id} has the form ${JSON.stringify(format)}, and this version reads ${CHECKPOINT_FORMAT} and ` +
        `${DELTA_FORMAT}: use the version that took it, or a later one.`,
    );
  }
  return manifest;
}
