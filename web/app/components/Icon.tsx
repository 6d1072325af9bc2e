// The page's few icons as inline SVG, so that they follow the text's colour and cost no request. Always decoration: text names the thing.
import type { JSX } from 'preact';

const shapes = {
  alert: 'M12 8v5m0 3.5v.1M12 3 2.5 20h19z',
  camera: 'M3.5 8h4l1.5-2.5h6L16.5 8h4v11.5h-17zM12 10.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z',
  check: 'm5 12.5 4.5 4.5L19 7',
  chip: 'M7 7h10v10H7zM10 3v4m4-4v4m-4 10v4m4-4v4M3 10h4m-4 4h4m10-4h4m-4 4h4',
  close: 'm6 6 12 12M18 6 6 18',
  download: 'M12 4v11m0 0-4.5-4.5M12 15l4.5-4.5M4.5 20h15',
  folder:
    'M3 7.5V18a1.5 1.5 0 0 0 1.5 1.5h15A1.5 1.5 0 0 0 21 18V9a1.5 1.5 0 0 0-1.5-1.5H12L10 5H4.5A1.5 1.5 0 0 0 3 6.5z',
  image: 'M3.5 5h17v14h-17zM3.5 16l5-5 4.5 4.5 2.5-2.5 5 5M15.5 9.2v.1',
  merge: 'M6 4v5c0 3 6 4 6 8v3m6-16v5c0 3-6 4-6 8m-3-1 3 3 3-3',
  open: 'M12 16V5m0 0L7.5 9.5M12 5l4.5 4.5M4.5 20h15',
  pause: 'M9 6v12m6-12v12',
  play: 'M8 5.5v13l11-6.5z',
  plus: 'M12 5v14M5 12h14',
  shield: 'M12 3 5 6v5.5c0 4.4 2.9 7.7 7 9.5 4.1-1.8 7-5.1 7-9.5V6zm-3.5 9 2.5 2.5 4.5-5',
  stop: 'M7 7h10v10H7z',
  sparkle: 'M12 4v4m0 8v4m8-8h-4m-8 0H4m13.5-5.5-2.5 2.5m-6 6-2.5 2.5m11 0-2.5-2.5m-6-6-2.5-2.5',
  trash: 'M5 7h14M10 7V4.5h4V7m-7.5 0 1 12.5h9l1-12.5M10.5 11v5m3-5v5',
} as const;

export type IconName = keyof typeof shapes;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg
      class="icon"
      viewBox="0 0 24 24"
      aria-hidden="true"
      fill="none"
      stroke="currentColor"
      stroke-width="1.9"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d={shapes[name]} />
    </svg>
  );
}
