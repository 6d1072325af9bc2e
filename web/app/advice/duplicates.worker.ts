// Compares every photo with every other, away from the page's thread.
import { findDuplicates, type Fingerprints } from './duplicates';

self.onmessage = ({ data }: MessageEvent<readonly Fingerprints[]>) => {
  self.postMessage(findDuplicates(data));
};
