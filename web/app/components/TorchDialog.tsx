// The model as a Python file: to read, and to take away together with the weights that it loads.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { saveModel } from '../actions/model';
import { closeTorch, saveTorch } from '../actions/takeaway';
import { currentModel, torchSource } from '../state';
import { Icon } from './Icon';

export function TorchDialog(): JSX.Element | null {
  const dialog = useRef<HTMLDialogElement>(null);
  const shown = torchSource.value;
  useEffect(() => {
    if (shown) dialog.current?.showModal();
  }, [shown]);
  if (!shown) return null;
  return (
    <dialog ref={dialog} class="dialog dialog--source" aria-labelledby="torch-title" onClose={closeTorch}>
      <header class="dialog__head">
        <h2 id="torch-title">In PyTorch</h2>
        <button type="button" class="button button--quiet button--icon" aria-label="Close" onClick={closeTorch}>
          <Icon name="close" />
        </button>
      </header>
      <p class="soft small">
        Save both files in one folder, then: <code>python {shown.fileName} picture.jpg</code>
      </p>
      <div class="row">
        <button type="button" class="button button--small" onClick={saveTorch}>
          <Icon name="download" />
          Save {shown.fileName}
        </button>
        <button type="button" class="button button--small" onClick={() => void saveModel()}>
          <Icon name="download" />
          Save {currentModel.value?.fileName}
        </button>
      </div>
      <pre class="dialog__code" tabIndex={0} role="region" aria-label="Python source">
        <code>{shown.text}</code>
      </pre>
    </dialog>
  );
}
