// Opens a model file: where there is no model yet, and beside the one in use.
import type { JSX } from 'preact';
import { openModel } from '../actions/model';
import { isBusy } from '../state';
import { FileButton } from './FileButton';
import { Icon } from './Icon';

export function OpenButton(): JSX.Element {
  return (
    <FileButton
      class="button--small"
      label="Open a model file"
      accept=".safetensors,.zip,.json,.bin"
      multiple
      disabled={isBusy.value}
      onFiles={(files) => void openModel(files)}
    >
      <Icon name="open" />
      Open a model
    </FileButton>
  );
}
