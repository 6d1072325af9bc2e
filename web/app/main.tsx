// Starts the page: draws it, starts the engine, keeps files that are dropped beside a zone from replacing the page.
import { render } from 'preact';
import { keepEstimate } from './actions/estimate';
import { App } from './components/App';
import { carriesFiles } from './components/DropZone';
import { engine } from './engine';
import { installOffline } from './offline';
import { isBusy } from './state';
import './styles/tokens.css';
import './styles/base.css';
import './styles/page.css';
import './styles/evaluation.css';

const root = document.getElementById('app');
if (!root) throw new Error('index.html has no #app');
render(<App />, root);

for (const type of ['dragover', 'drop'] as const) {
  window.addEventListener(type, (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = 'none';
  });
}

window.addEventListener('beforeunload', (event) => {
  if (isBusy.value) event.preventDefault();
});

keepEstimate();

// A failure shows in the header; the page itself stays.
engine().then(installOffline, () => undefined);
