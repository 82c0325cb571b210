import { svg } from './dom.js'

/** Strokes on a 24 x 24 grid. */
const SHAPES = {
  play: ['M8 5.5v13l10.5-6.5z'],
  stop: ['M7 7h10v10H7z'],
  pause: ['M8.5 6v12', 'M15.5 6v12'],
  film: ['M3.5 5h17v14h-17z', 'M7.5 5v14', 'M16.5 5v14', 'M3.5 9.7h4', 'M3.5 14.3h4', 'M16.5 9.7h4', 'M16.5 14.3h4'],
  camera: ['M3.5 7.5h11v9h-11z', 'M14.5 11l6-3.5v9l-6-3.5'],
  screen: ['M3.5 5h17v11h-17z', 'M9 20h6', 'M12 16v4'],
  terminal: ['M3.5 5h17v14h-17z', 'M7 9.5l3 2.5-3 2.5', 'M12.5 15h4.5'],
  frame: ['M3.5 5h17v14h-17z', 'M3.5 16l5-5 4 4 3-2.5 5 4', 'M15.5 9h.01'],
  copy: ['M8.5 8.5h11v11h-11z', 'M15.5 8.5v-4h-11v11h4'],
  check: ['M5 12.5l4.5 4.5L19 7.5'],
  reset: ['M5 8.5a8 8 0 1 1-1 5', 'M4.5 4v4.5H9'],
  audio: ['M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z', 'M15.5 9a4.5 4.5 0 0 1 0 6', 'M18 6.5a8 8 0 0 1 0 11'],
  muted: ['M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z', 'M16 9.5l5 5', 'M21 9.5l-5 5'],
  expand: ['M4.5 9V4.5H9', 'M15 4.5h4.5V9', 'M19.5 15v4.5H15', 'M9 19.5H4.5V15'],
  float: ['M3.5 5h17v14h-17z', 'M12.5 12.5h5.5v4h-5.5z'],
  divide: ['M3.5 6h17v12h-17z', 'M12 3.5v17', 'M9.5 10L7.5 12l2 2', 'M14.5 10l2 2-2 2'],
  pair: ['M3.5 6h7.5v12h-7.5z', 'M13 6h7.5v12h-7.5z'],
  boxes: ['M4 4.5h7.5v7.5H4z', 'M12.5 14.5h7.5v5h-7.5z'],
  plus: ['M12 5v14', 'M5 12h14'],
  remove: ['M6 6l12 12', 'M18 6L6 18'],
  undo: ['M8.5 5L4.5 9l4 4', 'M4.5 9h9a5.5 5.5 0 0 1 0 11H9'],
  record: ['M12 12m-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0'],
  download: ['M12 4v11', 'M7 10.5l5 5 5-5', 'M4.5 20h15'],
  upload: ['M12 15.5v-11', 'M7 9l5-5 5 5', 'M4.5 20h15'],
  up: ['M12 19V6', 'M6.5 11.5L12 6l5.5 5.5'],
  dice: ['M4.5 4.5h15v15h-15z', 'M8.5 8.5h.01', 'M15.5 8.5h.01', 'M12 12h.01', 'M8.5 15.5h.01', 'M15.5 15.5h.01'],
  eye: ['M2.5 12c4-7 15-7 19 0c-4 7-15 7-19 0z', 'M12 12m-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0-5.2 0'],
  key: ['M14.5 9.5m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0', 'M11 13l-6.5 6.5', 'M6.5 17.5l2 2'],
  arrow: ['M5 12h14', 'M13 6l6 6-6 6'],
  warning: ['M12 4l9 16H3z', 'M12 10v4.5', 'M12 17.2h.01'],
}

/** A decorative icon; the label is always text beside it. */
export function icon(name) {
  return svg(
    'svg',
    { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true' },
    SHAPES[name].map((d) => svg('path', { d })),
  )
}
