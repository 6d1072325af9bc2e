// Hands a file to the browser's downloads.
import { announce } from './announce';

export function download(content: Uint8Array | Blob | string, name: string, type: string): void {
  const url = URL.createObjectURL(new Blob([content as Uint8Array<ArrayBuffer> | Blob | string], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download has its own hold on the Blob once it has begun.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  announce(`${name} saved.`);
}
