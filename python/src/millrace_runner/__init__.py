"""The process that runs an author's Python pipeline; docs/frame-ring.md specifies its protocol."""
