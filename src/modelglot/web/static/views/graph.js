// The graph, drawn by Netron in a frame of its own.

import { summary } from '../lib/api.js';
import { el, put, table } from '../lib/dom.js';
import { visible, whole } from '../lib/text.js';

export async function show(root, { file, files }) {
  const { graph_view: view, graph } = await summary(file);
  put(root, el('h1', { class: 'away' }, 'Graph'));
  if (view?.page) {
    put(
      root,
      el(
        'p',
        { class: 'soft' },
        'Drawn by Netron, from this address only. ',
        el('a', { href: view.page, target: '_blank', rel: 'noreferrer' }, 'Open it alone'),
      ),
      el('iframe', {
        class: 'netron',
        src: view.page,
        title: `Graph of ${visible(files[file].name)}, drawn by Netron`,
      }),
    );
  } else {
    put(
      root,
      el(
        'p',
        { class: 'soft' },
        view?.why
          ? `No drawing: ${visible(view.why)}.`
          : graph
            ? 'There is no drawing of this format; its operators are below.'
            : 'There is no graph in this file.',
      ),
    );
  }
  if (!graph) return;
  const operators = Object.entries(graph.operators).map(([name, count]) => [visible(name), whole(count)]);
  put(
    root,
    el(
      'details',
      { open: !view?.page },
      el('summary', {}, `${whole(graph.nodes)} nodes by operator`),
      table(
        'Nodes by operator',
        [
          { head: 'operator', code: true },
          { head: 'nodes', number: true },
        ],
        operators,
      ),
    ),
  );
}
