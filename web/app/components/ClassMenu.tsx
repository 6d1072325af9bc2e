// What a class can do besides: become one with another. A popover of the browser: Escape and a click elsewhere close it.
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { mergeClasses } from '../actions/classes';
import { classes, type PhotoClass } from '../state';
import { Icon } from './Icon';

export function ClassMenu({ photoClass, isLocked }: { photoClass: PhotoClass; isLocked: boolean }): JSX.Element {
  const { id, name } = photoClass;
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const menuId = `class-${id}-menu`;
  const place = (): void => {
    const at = button.current?.getBoundingClientRect();
    if (!at || !menu.current) return;
    menu.current.style.setProperty('--menu-top', `${Math.round(at.bottom)}px`);
    menu.current.style.setProperty('--menu-end', `${Math.round(document.documentElement.clientWidth - at.right)}px`);
  };
  return (
    <>
      <button
        type="button"
        ref={button}
        class="button button--quiet button--icon"
        aria-label={`Merge ${name}`}
        title="Merge into another class"
        disabled={isLocked}
        popovertarget={menuId}
        onClick={place}
      >
        <Icon name="merge" />
      </button>
      <div ref={menu} id={menuId} class="menu" popover="auto" role="group" aria-label={`Merge ${name} into`}>
        <p class="soft small">Merge {name} into</p>
        <ul>
          {classes.value
            .filter((one) => one.id !== id)
            .map((one) => (
              <li key={one.id}>
                <button
                  type="button"
                  class="button button--quiet"
                  onClick={() => {
                    menu.current?.hidePopover();
                    mergeClasses(id, one.id);
                  }}
                >
                  {one.name}
                </button>
              </li>
            ))}
        </ul>
      </div>
    </>
  );
}
