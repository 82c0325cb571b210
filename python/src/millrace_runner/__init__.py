"""The process that runs an author's Python pipeline; docs/frame-ring.md describes what it speaks."""
