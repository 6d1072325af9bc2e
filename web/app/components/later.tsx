// Parts of the page that are fetched when they are first needed: what trains is there sooner without them.
import { signal } from '@preact/signals';
import type { ComponentType, JSX } from 'preact';
import { arrived } from '../arrived';
import { messageOf } from '../actions/errors';
import { Notice } from './Notice';

/** A component that shows nothing until its code has come, once for all its places. */
export function later<P extends object>(load: () => Promise<ComponentType<P>>): (properties: P) => JSX.Element | null {
  const part = signal<{ readonly Component: ComponentType<P> } | { readonly failure: string } | null>(null);
  let isAsked = false;
  const ask = (): void => {
    if (isAsked) return;
    isAsked = true;
    arrived(load()).then(
      (Component) => (part.value = { Component }),
      (error: unknown) => (part.value = { failure: messageOf(error) }),
    );
  };
  return function Later(properties: P): JSX.Element | null {
    ask();
    const now = part.value;
    if (!now) return null;
    if ('failure' in now) return <Notice kind="error">{now.failure}</Notice>;
    return <now.Component {...properties} />;
  };
}
