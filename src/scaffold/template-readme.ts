/** The README of a new pipeline package. */
export function readme({ name }: { name: string }): string {
  return `# ${name}

A [Millrace](https://www.npmjs.com/package/millrace) pipeline that turns the picture into its negative.

\`\`\`sh
npm install
npm test
npm start
\`\`\`

Then open the page that \`npm start\` names, or publish something:

\`\`\`sh
ffmpeg -re -i video.mp4 -c copy -f mpegts "http://127.0.0.1:8000/ingest/demo?pipeline=${name}"
curl -X POST http://127.0.0.1:8000/params -H 'content-type: application/json' -d '{"strength":0.2}'
\`\`\`

| param | values | meaning |
| --- | --- | --- |
| \`strength\` | 0 to 1, default 0.8 | from the picture as it came to its negative |

\`${name}-soft\` is the same with strength 0.4.

## Use it with a server

\`npm install ${name}\` in the folder the server is started in, or beside it with \`AUTO_INSTALL_PIPELINE=${name}@0.1.0\`; then \`PIPELINE=${name}\`.

## Publish it

\`npm pack --dry-run\` shows what is in the package; \`npm publish\` publishes it.
`
}
