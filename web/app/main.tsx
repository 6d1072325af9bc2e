// Starts the page: draws it, starts the engine, keeps files that are dropped beside a zone from replacing the page.
import { render } from 'preact';
import { keepEstimate } from './actions/estimate';
import { undo } from './actions/classes';
import { addTransfer } from './actions/photos';
import { openProject } from './actions/project';
import { watchDuplicates } from './advice/watch';
import { App } from './components/App';
import { carriesFiles } from './components/DropZone';
import { engine } from './engine';
import { installOffline } from './offline';
import { countSentBytes } from './privacy';
import { isBusy, reading } from './state';
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

// Where no text is being edited, the usual keys undo the latest change of the classes.
window.addEventListener('keydown', (event) => {
  const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === 'z';
  const isText = event.target instanceof HTMLInputElement && ['text', 'number'].includes(event.target.type);
  if (!isUndo || isText || isBusy.value || reading.value) return;
  event.preventDefault();
  undo();
});

// Pasted images go to the class that has the focus or the pointer; elsewhere they make a class.
window.addEventListener('paste', (event) => {
  const { clipboardData } = event;
  if (event.defaultPrevented || !clipboardData?.types.includes('Files')) return;
  const place = (selector: string): Element | null =>
    document.activeElement?.closest(selector) ?? document.querySelector(`${selector}:hover`);
  if (place('#classify')) return;
  event.preventDefault();
  const card = place('[data-class-card]');
  void addTransfer(clipboardData, card ? Number(card.getAttribute('data-class-card')) : undefined);
});

window.addEventListener('beforeunload', (event) => {
  if (isBusy.value) event.preventDefault();
});

keepEstimate();
void openProject();
watchDuplicates();

// A failure shows in the header; the page itself stays.
void countSentBytes(engine().then(installOffline, () => false));
