"""The workflows: fetch, ask the core, act, record."""
